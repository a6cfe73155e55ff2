//! HL7 v2 → normal form: DESIGN's defaults, each replaced where the hospital's profile names a path.
//!
//! [`head`] finds what a message says once, [`charges`] walks FT1 and DG1, [`words`] says what the syntax finds wrong.

mod charges;
mod head;
pub(in crate::intake) mod places;
mod words;

use jiff::Timestamp;
use yizhan_contract::Personal;

use super::hl7::{self, Element, Message, Segment, Value, structure};
use super::problems::{Oddity, Problems};
use super::profile::select::{Hl7Selector, Repetition};
use super::profile::{Profile, SeveralPatients};
use super::raw::{Field, Place, Raw};
use super::read::{Envelope, Finished, Reader};
use crate::refusal::{Code, Refusal};
use crate::settlement::message::Trigger;
use crate::settlement::names::Head;
use crate::settlement::part::StayPart;
use crate::settlement::places::{Dialect, Places};

pub use words::{refusal, warnings};

/// One message in normal form, with what is wrong with it.
pub struct Mapped {
    pub trigger: Trigger,
    pub part: StayPart,
    pub places: Places,
    pub envelope: Envelope,
    pub problems: Problems,
    /// MRG-1 of a merge.
    pub prior_mrn: Option<Personal<String>>,
}

/// What a kind of message means to a stay.
fn trigger_of(kind: hl7::Trigger) -> Trigger {
    use hl7::Trigger as Kind;
    match kind {
        Kind::AdtA01 => Trigger::Admit,
        Kind::AdtA03 => Trigger::Discharge,
        Kind::AdtA08 => Trigger::Update,
        Kind::AdtA11 => Trigger::CancelAdmit,
        Kind::AdtA13 => Trigger::CancelDischarge,
        Kind::AdtA40 => Trigger::Merge,
        Kind::DftP03 | Kind::DftP11 => Trigger::Charges,
        Kind::BarP01 | Kind::BarP05 => Trigger::Account,
        Kind::BarP06 => Trigger::CloseAccount,
    }
}

/// Checks header and structure, then reads every field.
pub fn map(message: &Message<'_>, profile: &Profile, now: Timestamp) -> Result<Mapped, Refusal> {
    let checked = structure::check(message, &profile.processing_ids).map_err(|error| refusal(&error))?;
    let trigger = trigger_of(checked.trigger);
    let mut problems = Problems::default();
    for warning in message.warnings().iter().chain(&checked.warnings) {
        problems.warn(warning.place, words::warning(warning.kind));
    }
    only_one_patient(message, profile, &mut problems);
    let mut reader = Reader::new(profile, Dialect::Hl7, now, problems);
    let fields = head::fields(message, profile, trigger, &mut reader.problems);
    reader.head(&fields);
    charges::read(message, profile, &mut reader);
    let prior_mrn = (trigger == Trigger::Merge).then(|| prior_mrn(message, profile, &mut reader)).flatten();
    let Finished { mut part, places, envelope, mut problems } = reader.finish();
    if trigger == Trigger::CancelDischarge {
        part.discharged = crate::settlement::part::Patch::Clear;
    }
    if trigger != Trigger::Merge && part.visit_number.is_empty() && !problems.is_refused() {
        let at = profile.hospital.place_of(Dialect::Hl7, Head::VisitNumber);
        problems.refuse(Code::MissingField, at, "缺少住院号", "the visit number is missing");
    }
    Ok(Mapped { trigger, part, places, envelope, problems, prior_mrn })
}

/// The number that a merge gives up; its absence is refused.
fn prior_mrn<'m>(
    message: &'m Message<'_>,
    profile: &Profile,
    reader: &mut Reader<'_, 'm>,
) -> Option<Personal<String>> {
    let field = head::prior_mrn(message, profile);
    if field.as_text().is_none() {
        let (zh, en) = ("缺少原病人号", "the prior patient number is missing");
        reader.problems.refuse(Code::MissingField, "MRG-1", zh, en);
    }
    reader.prior_mrn(&field)
}

/// `BAR^P01` may open several visits in one message, `BAR^P06` close several accounts, `ADT^A40` merge several
/// patients; we take one at a time. A profile may have the first taken where no charge could go astray.
fn only_one_patient(message: &Message<'_>, profile: &Profile, problems: &mut Problems) {
    let takes_first = profile.several_patients == SeveralPatients::First && message.first("FT1").is_none();
    let place = second_patient(message).map(|place| (Code::TwoPatients, place));
    let place = place.or_else(|| second_visit(message).map(|place| (Code::TwoVisits, place)));
    match place {
        None => {}
        Some((_, place)) if takes_first => problems.warn(place, Oddity::SecondPatientLeftOut),
        Some((code @ Code::TwoPatients, place)) => {
            problems.refuse(code, place, "报文中有第二名患者", "a second patient in the same message");
        }
        Some((code, place)) => {
            problems.refuse(code, place, "报文中有第二次住院", "a second visit in the same message");
        }
    }
}

/// Another patient number, or another number to be merged into the same one.
fn second_patient(message: &Message<'_>) -> Option<hl7::Place> {
    others(message, "PID", 3).chain(others(message, "MRG", 1)).next().map(Element::place)
}

/// Another visit number; where no PV1 gives one, another account.
fn second_visit(message: &Message<'_>) -> Option<hl7::Place> {
    let is_numbered = message.named("PV1").any(|visit| !visit.field(19).is_blank());
    let accounts = others(message, "PID", 18).filter(|_| !is_numbered);
    others(message, "PV1", 19).chain(accounts).find(|number| !number.is_blank()).map(Element::place)
}

/// A field of every segment of a name that differs from the field of the first.
fn others<'m>(message: &'m Message<'_>, segment: &str, number: u16) -> impl Iterator<Item = Element<'m>> {
    let mut fields = message.named(segment).map(move |segment| segment.field(number));
    let first = fields.next();
    fields.filter(move |other| first.is_some_and(|first| other.raw() != first.raw()))
}

/// A field's place as people write it: `FT1[3]-11`, unless a later part of it is meant.
fn place_of(element: Element<'_>) -> Place<'static> {
    let place = element.place();
    let is_first = place.repetition <= 1 && place.component <= 1 && place.subcomponent <= 1;
    Place::Hl7(if is_first { place.at_field(place.field) } else { place })
}

/// An element as a raw field: absent, `""`, or its text with escapes resolved.
#[inline]
fn field(element: Element<'_>) -> Field<'_> {
    let raw = match element.value() {
        Value::Absent => Raw::Absent,
        Value::Null => Raw::Null,
        Value::Text(_) => element.filled().map_or(Raw::Absent, Raw::Text),
    };
    Field { raw, place: place_of(element) }
}

/// What a profile's path names within a segment.
fn select<'m>(segment: Segment<'m>, selector: &Hl7Selector) -> Element<'m> {
    select_in(segment.field(selector.field), selector)
}

/// What a profile's path names within a field of the kind it was written for.
fn select_in<'m>(whole: Element<'m>, selector: &Hl7Selector) -> Element<'m> {
    let repetition = match &selector.repetition {
        Repetition::Number(number) => whole.repetition(*number),
        Repetition::Typed(wanted) => {
            typed(whole, &[wanted.as_str()]).unwrap_or_else(|| whole.repetition(u16::MAX))
        }
    };
    let component = repetition.component(selector.component);
    if selector.subcomponent == 0 { component } else { component.subcomponent(selector.subcomponent) }
}

/// The first repetition of a CX field whose type (component 5) is one of `types`.
fn typed<'m>(field: Element<'m>, types: &[&str]) -> Option<Element<'m>> {
    field.repetitions().find(|cx| {
        let kind = cx.component(5).raw();
        types.contains(&kind)
    })
}
