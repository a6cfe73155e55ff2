//! Where HL7 messages say what a normal form says once.

use std::borrow::Cow;

use yizhan_contract::IdNumber;

use super::super::hl7::{Element, Message, Place as Hl7Place, Segment, SegmentId};
use super::super::problems::{Oddity, Problems};
use super::super::profile::Profile;
use super::super::profile::select::Hl7Selector;
use super::super::raw::{Field, Place, Raw};
use super::super::when;
use super::{field, place_of, select, select_in, typed};
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
        let first = |segment: Option<Segment<'m>>, id: &[u8; 3], number: u16, component: u16| match segment {
            Some(segment) => field(segment.field(number).component(component)),
            None => nothing(SegmentId::of(id), number),
        };
        match name {
            Head::MessageId => first(self.msh, b"MSH", 10, 1),
            Head::SentAt => self.sent_at(problems),
            Head::Hospital => first(self.msh, b"MSH", 4, 1),
            Head::VisitNumber => self.visit_number(),
            Head::Admitted => first(self.pv1, b"PV1", 44, 1),
            Head::Discharged => self.discharged(trigger, problems),
            Head::Department => first(self.pv1, b"PV1", 10, 1),
            Head::Ward => first(self.pv1, b"PV1", 3, 1),
            Head::Bed => first(self.pv1, b"PV1", 3, 3),
            Head::VisitClass => self.visit_class(),
            Head::IdNumber => self.id_number(problems),
            Head::Mrn => self.mrn(),
            Head::PatientName => self.name(),
            Head::Sex => first(self.pid, b"PID", 8, 1),
            Head::Birth => self.birth(problems),
            Head::Card => self
                .pid
                .and_then(|pid| typed(pid.field(3), &["HC"]))
                .map_or_else(|| nothing(SegmentId::of(b"PID"), 3), |card| field(card.component(1))),
            Head::CauseKind => self.cause(),
            Head::AccidentType => first(self.acc, b"ACC", 2, 1),
            Head::StatedTotal => match self.pv1 {
                Some(pv1) => field(pv1.field(47).subcomponent(1)),
                None => nothing(SegmentId::of(b"PV1"), 47),
            },
            // HL7 has no settled place for these: a profile names one, or they are not said.
            Head::InsuredRegion
            | Head::ThirdPartyLiable
            | Head::Referral
            | Head::StatedPatientShare
            | Head::Deposit => Field::default(),
        }
    }

    /// Decides nothing, so a time nobody can read is borne: the message was sent when it came.
    fn sent_at(&self, problems: &mut Problems) -> Field<'m> {
        let Some(msh) = self.msh else { return nothing(SegmentId::of(b"MSH"), 7) };
        let sent_at = field(msh.field(7).component(1));
        if sent_at.as_text().is_some_and(|text| when::moment(text).is_err()) {
            problems.warn(&sent_at.place, Oddity::SentAtUnread);
            return Field { raw: Raw::Absent, ..sent_at };
        }
        sent_at
    }

    fn visit_number(&self) -> Field<'m> {
        let visit = self.pv1.map(|pv1| field(pv1.field(19).component(1)));
        let account = self.pid.map(|pid| field(pid.field(18).component(1)));
        let found = [visit, account].into_iter().flatten().find(|field| field.as_text().is_some());
        found.unwrap_or_else(|| nothing(SegmentId::of(b"PV1"), 19))
    }

    /// PV1-45, unless the patient is only coming; of a discharge that leaves it empty the time it occurred, else
    /// the time it was entered. Cleared (`""`), the hospital says that it does not know the time: no other stands
    /// in for it.
    fn discharged(&self, trigger: Trigger, problems: &mut Problems) -> Field<'m> {
        let stated = match self.pv1 {
            Some(pv1) => field(pv1.field(45).component(1)),
            None => nothing(SegmentId::of(b"PV1"), 45),
        };
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

    /// U and N of table 0004 (unknown, not applicable) say nothing.
    fn visit_class(&self) -> Field<'m> {
        let Some(pv1) = self.pv1 else { return nothing(SegmentId::of(b"PV1"), 2) };
        let class = field(pv1.field(2).component(1));
        match class.as_text() {
            Some("U" | "N") => Field { raw: Raw::Absent, ..class },
            _ => class,
        }
    }

    /// A number that is declared to be one must be one. PID-19 held social security numbers in other
    /// countries: there only what has the form of an identity card number is taken for one.
    fn id_number(&self, problems: &mut Problems) -> Field<'m> {
        let Some(pid) = self.pid else { return nothing(SegmentId::of(b"PID"), 3) };
        if let Some(declared) = typed(pid.field(3), ID_NUMBER_TYPES) {
            return field(declared.component(1));
        }
        let old = field(pid.field(19).component(1));
        if old.as_text().is_some_and(|text| !IdNumber::looks_like(text)) {
            problems.warn(&old.place, Oddity::NoIdentityCard);
            return Field { raw: Raw::Absent, ..old };
        }
        old
    }

    /// Old feeds have it in PID-2.
    fn mrn(&self) -> Field<'m> {
        let Some(pid) = self.pid else { return nothing(SegmentId::of(b"PID"), 3) };
        field(own_number(pid.field(3)).unwrap_or(pid.field(2)).component(1))
    }

    /// The ideographic name where there is one (XPN.8 `I`), else the first. Chinese names are written
    /// together, others with a blank.
    fn name(&self) -> Field<'m> {
        let Some(pid) = self.pid else { return nothing(SegmentId::of(b"PID"), 5) };
        let names = pid.field(5);
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
    fn birth(&self, problems: &mut Problems) -> Field<'m> {
        let Some(pid) = self.pid else { return nothing(SegmentId::of(b"PID"), 7) };
        let birth = field(pid.field(7).component(1));
        if birth.as_text().is_some_and(when::is_imprecise) {
            problems.warn(&birth.place, Oddity::BirthImprecise);
            return Field { raw: Raw::Absent, ..birth };
        }
        birth
    }

    /// A stay is an accident's where ACC-2 says of which kind.
    fn cause(&self) -> Field<'m> {
        let code: Option<Element<'m>> = self.acc.map(|acc| acc.field(2).component(1));
        let Some(code) = code.map(field) else { return nothing(SegmentId::of(b"ACC"), 2) };
        match code.raw {
            Raw::Text(_) => Field { raw: Raw::Text(Cow::Borrowed("accident")), place: code.place },
            Raw::Absent | Raw::Null => code,
        }
    }
}

/// A field of a segment that is not there.
fn nothing<'m>(segment: SegmentId, number: u16) -> Field<'m> {
    let place = Hl7Place::segment(segment, 1).at_field(number);
    Field { raw: Raw::Absent, place: Place::Hl7(place) }
}
