//! Where HL7 messages say what a normal form says once.

use std::borrow::Cow;

use yizhan_contract::IdNumber;

use super::super::hl7::{Element, Message, Place as Hl7Place, Segment, SegmentId};
use super::super::problems::{Oddity, Problems};
use super::super::profile::Profile;
use super::super::profile::select::Hl7Selector;
use super::super::raw::{Field, Place, Raw};
use super::super::when;
use super::{field, place_of, places, select, select_in, typed};
use crate::refusal::Code;
use crate::settlement::message::Trigger;
use crate::settlement::names::Head;

/// CX types (table 0203) of a resident identity card number.
const ID_NUMBER_TYPES: &[&str] = &["NI", "NNCHN"];
/// CX types of the hospital's own patient number, best first.
const MRN_TYPES: &[&str] = &["MR", "PI", "PT", "PN"];

/// Every head field from its path: the profile's, else the default.
pub(super) fn fields<'m>(
    message: &'m Message<'_>,
    profile: &Profile,
    trigger: Trigger,
    problems: &mut Problems,
) -> [Field<'m>; Head::COUNT] {
    let segments = Segments::of(message);
    let mut fields: [Field<'m>; Head::COUNT] = std::array::from_fn(|_| Field::default());
    for name in Head::ALL {
        fields[name.index()] = match profile.hl7.head[name.index()].as_slice() {
            [] => segments.default(*name, trigger, problems),
            paths => first_said(message, paths),
        };
    }
    fields
}

/// What the first of a profile's paths says that says anything.
fn first_said<'m>(message: &'m Message<'_>, paths: &[Hl7Selector]) -> Field<'m> {
    let read = |selector: &Hl7Selector| match message.first(selector.segment.as_str()) {
        Some(segment) => field(select(segment, selector)),
        None => nothing(selector.segment, selector.field),
    };
    let mut found = paths.iter().map(read);
    let first = found.next().unwrap_or_default();
    if first.is_absent() { found.find(|field| !field.is_absent()).unwrap_or(first) } else { first }
}

/// MRG-1, chosen among its repetitions as the patient's own number is in PID-3.
pub(super) fn prior_mrn<'m>(message: &'m Message<'_>, profile: &Profile) -> Field<'m> {
    let Some(merge) = message.first("MRG") else { return nothing(SegmentId::of(b"MRG"), 1) };
    let numbers = merge.field(1);
    let paths = profile.hl7.head[Head::Mrn.index()].iter();
    let like_the_patient = paths.filter(|path| path.segment == SegmentId::of(b"PID") && path.field == 3);
    let mut chosen = like_the_patient.map(|path| field(select_in(numbers, path)));
    let chosen = chosen.find(|field| field.as_text().is_some());
    let own = || own_number(numbers).map(|number| field(number.component(1)));
    chosen.or_else(own).unwrap_or_else(|| nothing(SegmentId::of(b"MRG"), 1))
}

/// The hospital's own number among those of a CX field: by its type, else the first that has none.
fn own_number(numbers: Element<'_>) -> Option<Element<'_>> {
    let best = MRN_TYPES.iter().find_map(|kind| typed(numbers, &[*kind]));
    best.or_else(|| numbers.repetitions().find(|cx| cx.component(5).is_blank()))
}

/// The segments most fields stand in.
struct Segments<'m> {
    msh: Option<Segment<'m>>,
    evn: Option<Segment<'m>>,
    pid: Option<Segment<'m>>,
    pv1: Option<Segment<'m>>,
    acc: Option<Segment<'m>>,
}

impl<'m> Segments<'m> {
    fn of(message: &'m Message<'_>) -> Self {
        Self {
            msh: message.segment(0),
            evn: message.first("EVN"),
            pid: message.first("PID"),
            pv1: message.first("PV1"),
            acc: message.first("ACC"),
        }
    }

    fn default(&self, name: Head, trigger: Trigger, problems: &mut Problems) -> Field<'m> {
        let Some(at) = places::head(name) else { return Field::default() };
        let whole = self.segment(at.segment).map(|segment| segment.field(at.field));
        let nothing = || nothing(at.segment, at.field);
        let stated = whole.map_or_else(nothing, |whole| field(whole.component(at.component)));
        match (name, whole) {
            (Head::SentAt, _) => sent_at(stated, problems),
            (Head::VisitNumber, _) => self.visit_number(stated),
            (Head::Discharged, _) => self.discharged(stated, trigger, problems),
            (Head::VisitClass, _) => visit_class(stated),
            (Head::IdNumber, Some(numbers)) => self.id_number(numbers, problems),
            (Head::Mrn, Some(numbers)) => self.mrn(numbers),
            (Head::Card, Some(numbers)) => {
                typed(numbers, &["HC"]).map_or_else(nothing, |card| field(card.component(1)))
            }
            (Head::PatientName, Some(names)) => person_name(names),
            (Head::Birth, _) => birth(stated, problems),
            (Head::CauseKind, _) => cause(stated),
            (Head::StatedTotal, Some(total)) => field(total.subcomponent(1)),
            _ => stated,
        }
    }

    fn segment(&self, id: SegmentId) -> Option<Segment<'m>> {
        match id.as_str() {
            "MSH" => self.msh,
            "PID" => self.pid,
            "PV1" => self.pv1,
            "ACC" => self.acc,
            _ => None,
        }
    }

    fn visit_number(&self, visit: Field<'m>) -> Field<'m> {
        if visit.as_text().is_some() {
            return visit;
        }
        let account = self.pid.map(|pid| field(pid.field(18).component(1)));
        account.filter(|account| account.as_text().is_some()).unwrap_or(visit)
    }

    /// As stated, unless the patient is only coming; of a discharge that leaves it empty the time it occurred, else
    /// the time it was entered. Cleared (`""`), the hospital says that it does not know the time: no other stands
    /// in for it.
    fn discharged(&self, stated: Field<'m>, trigger: Trigger, problems: &mut Problems) -> Field<'m> {
        if trigger == Trigger::Admit && stated.as_text().is_some() {
            problems.warn(&stated.place, Oddity::DischargeOfAdmission);
            return Field { raw: Raw::Absent, ..stated };
        }
        if trigger != Trigger::Discharge || !stated.is_absent() {
            if trigger == Trigger::Discharge && stated.raw == Raw::Null {
                let zh = "出院消息清空了出院时间（\"\"）：请填写后重发；出院时间若在其他字段，请由管理员在医院配置的 [hl7] 中为 visit.discharged 指定";
                let en = "the discharge clears its own time (\"\"): fill it in and send it again; where another field holds it, have the operator name that as visit.discharged under [hl7] of the hospital's profile";
                problems.refuse(Code::MissingField, &stated.place, zh, en);
            }
            return stated;
        }
        let evn = |number: u16| self.evn.map(|evn| field(evn.field(number).component(1)));
        let found = [evn(6), evn(2)].into_iter().flatten().find(|field| field.as_text().is_some());
        found.unwrap_or(stated)
    }

    /// A number that is declared to be one must be one. PID-19 held social security numbers in other
    /// countries: there only what has the form of an identity card number is taken for one.
    fn id_number(&self, numbers: Element<'m>, problems: &mut Problems) -> Field<'m> {
        if let Some(declared) = typed(numbers, ID_NUMBER_TYPES) {
            return field(declared.component(1));
        }
        let Some(pid) = self.pid else { return field(numbers.component(1)) };
        let old = field(pid.field(19).component(1));
        if old.as_text().is_some_and(|text| !IdNumber::looks_like(text)) {
            problems.warn(&old.place, Oddity::NoIdentityCard);
            return Field { raw: Raw::Absent, ..old };
        }
        old
    }

    /// Old feeds have it in PID-2.
    fn mrn(&self, numbers: Element<'m>) -> Field<'m> {
        let old = || self.pid.map(|pid| pid.field(2));
        field(own_number(numbers).or_else(old).unwrap_or(numbers).component(1))
    }
}

/// Decides nothing, so a time nobody can read is borne: the message was sent when it came.
fn sent_at<'m>(stated: Field<'m>, problems: &mut Problems) -> Field<'m> {
    if stated.as_text().is_some_and(|text| when::moment(text).is_err()) {
        problems.warn(&stated.place, Oddity::SentAtUnread);
        return Field { raw: Raw::Absent, ..stated };
    }
    stated
}

/// U and N of table 0004 (unknown, not applicable) say nothing.
fn visit_class(stated: Field<'_>) -> Field<'_> {
    match stated.as_text() {
        Some("U" | "N") => Field { raw: Raw::Absent, ..stated },
        _ => stated,
    }
}

/// The ideographic name where there is one (XPN.8 `I`), else the first. Chinese names are written
/// together, others with a blank.
fn person_name(names: Element<'_>) -> Field<'_> {
    let ideographic = names.repetitions().find(|name| name.component(8).raw() == "I");
    let name = ideographic.unwrap_or_else(|| names.repetition(1));
    let family = field(name.component(1).subcomponent(1));
    let Some(given) = name.component(2).filled() else { return family };
    let Some(last) = family.as_text() else { return Field { raw: Raw::Text(given), ..family } };
    let blank = if last.is_ascii() { " " } else { "" };
    let whole = if blank.is_empty() { format!("{last}{given}") } else { format!("{given} {last}") };
    Field { raw: Raw::Text(Cow::Owned(whole)), place: place_of(names) }
}

/// A birth date may be known to the year only; that is no birth date here, and no error.
fn birth<'m>(stated: Field<'m>, problems: &mut Problems) -> Field<'m> {
    if stated.as_text().is_some_and(when::is_imprecise) {
        problems.warn(&stated.place, Oddity::BirthImprecise);
        return Field { raw: Raw::Absent, ..stated };
    }
    stated
}

/// A stay is an accident's where the message says of which kind.
fn cause(kind: Field<'_>) -> Field<'_> {
    match kind.raw {
        Raw::Text(_) => Field { raw: Raw::Text(Cow::Borrowed("accident")), place: kind.place },
        Raw::Absent | Raw::Null => kind,
    }
}

/// A field of a segment that is not there.
fn nothing<'m>(segment: SegmentId, number: u16) -> Field<'m> {
    let place = Hl7Place::segment(segment, 1).at_field(number);
    Field { raw: Raw::Absent, place: Place::Hl7(place) }
}
