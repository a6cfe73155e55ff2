//! What a stay says, field by field of the normal form, in a hospital's own words where its profile has them.

use super::charges::Charge;
use super::messages::{DEPARTMENT, DIAGNOSIS, SENT_AT, sign};
use super::{Stay, fen};
use crate::intake::profile::ValueMaps;
use crate::settlement::names::{DiagnosisField, Head, LineField, Name};

pub(super) fn head(stay: &Stay<'_>, name: Head, values: &ValueMaps) -> Option<String> {
    let person = &stay.person;
    let text = match name {
        Head::MessageId => stay.message_id(),
        Head::SentAt => SENT_AT.to_owned(),
        Head::Hospital => stay.hospital.code.clone(),
        Head::VisitNumber => stay.visit.clone(),
        Head::Admitted => stay.admitted.to_string(),
        Head::Discharged => stay.discharged.to_string(),
        Head::Department => DEPARTMENT.to_owned(),
        Head::VisitClass => "inpatient".to_owned(),
        Head::IdNumber => person.id_number.clone()?,
        Head::Mrn => stay.mrn(),
        Head::PatientName => person.name.clone(),
        Head::Sex => if person.is_male { "male" } else { "female" }.to_owned(),
        Head::Birth => person.birth.clone(),
        Head::CauseKind => stay.accident.map(|_| "accident".to_owned())?,
        Head::AccidentType => stay.accident?.to_owned(),
        Head::StatedTotal => stay.total().to_string(),
        Head::Deposit if stay.deposit > 0 => fen(stay.deposit).to_string(),
        _ => return None,
    };
    Some(in_own_words(Name::Head(name), text, values))
}

/// A credit that cannot be marked as one takes back by its sign.
pub(super) fn line(charge: &Charge, name: LineField, is_marked: bool, values: &ValueMaps) -> Option<String> {
    let sign = sign(charge, !is_marked);
    let text = match name {
        LineField::Id => charge.id.to_string(),
        LineField::Date => charge.date.to_string(),
        LineField::Code => charge.code.to_owned(),
        LineField::Name => charge.name.to_owned(),
        LineField::Quantity => format!("{sign}{}", charge.quantity),
        LineField::UnitPrice => fen(charge.unit_price).to_string(),
        LineField::Amount => format!("{sign}{}", fen(charge.amount())),
        LineField::Credit => charge.credit_of.map(|_| "true".to_owned())?,
        LineField::Kind => if charge.credit_of.is_some() { "CD" } else { "CG" }.to_owned(),
        _ => return None,
    };
    Some(in_own_words(Name::Line(name), text, values))
}

/// The deposit as a transaction of its own, behind the charges.
pub(super) fn payment(stay: &Stay<'_>, name: LineField, values: &ValueMaps) -> Option<String> {
    let text = match name {
        LineField::Id => (stay.charges.len() + 1).to_string(),
        LineField::Date => stay.admitted.to_string(),
        LineField::Amount => fen(stay.deposit).to_string(),
        LineField::Kind => "PY".to_owned(),
        _ => return None,
    };
    Some(in_own_words(Name::Line(name), text, values))
}

pub(super) fn diagnosis(name: DiagnosisField, values: &ValueMaps) -> String {
    let text = match name {
        DiagnosisField::Code => DIAGNOSIS.0,
        DiagnosisField::Name => DIAGNOSIS.1,
        DiagnosisField::Principal => "true",
    };
    in_own_words(Name::Diagnosis(name), text.to_owned(), values)
}

/// What is mapped to this word, where something is.
fn in_own_words(name: Name, word: String, values: &ValueMaps) -> String {
    let own = values.of(name).and_then(|map| map.iter().find(|(_, ours)| **ours == word));
    own.map_or(word, |(own, _)| own.clone())
}
