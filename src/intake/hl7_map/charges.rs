//! FT1 and DG1: one row each.

use std::borrow::Cow;

use super::super::hl7::{Element, Message, Segment};
use super::super::limits::DIAGNOSES_MAX;
use super::super::problems::Oddity;
use super::super::profile::Profile;
use super::super::raw::{DiagnosisRow, Field, LineRow, Place, Raw};
use super::super::read::Reader;
use super::{field, place_of, places, select};
use crate::refusal::Code;
use crate::settlement::names::{DiagnosisField, LineField};

/// Reads every transaction and every diagnosis of a message.
pub(super) fn read<'m>(message: &'m Message<'_>, profile: &Profile, reader: &mut Reader<'_, 'm>) {
    for segment in message.named("FT1") {
        let row = row(segment, profile, reader);
        reader.line(&Place::Hl7(segment.place()), &row);
    }
    let mut diagnoses: Vec<(Place<'m>, DiagnosisRow<'m>)> = Vec::new();
    for segment in message.named("DG1") {
        // One more than the reader takes: it is the reader that refuses.
        if diagnoses.len() > DIAGNOSES_MAX {
            break;
        }
        let row = diagnosis(segment);
        let code = &row[DiagnosisField::Code.index()].raw;
        // DFT^P11 repeats the visit's diagnoses with every transaction.
        let is_known = diagnoses.iter().any(|(_, other)| other[DiagnosisField::Code.index()].raw == *code);
        if matches!(code, Raw::Text(_)) && !is_known {
            diagnoses.push((Place::Hl7(segment.place()), row));
        }
    }
    if !diagnoses.is_empty() {
        reader.diagnoses(&diagnoses);
    }
}

fn row<'m>(segment: Segment<'m>, profile: &Profile, reader: &mut Reader<'_, 'm>) -> LineRow<'m> {
    let mut row: LineRow<'m> =
        std::array::from_fn(|index| column(segment, LineField::ALL[index], profile, reader));
    if row[LineField::Code.index()].as_text().is_none() && profile.hl7.line[LineField::Code.index()].is_none()
    {
        procedure_code(segment, &mut row, reader);
    }
    if row[LineField::Id.index()].as_text().is_none() {
        row[LineField::Id.index()].raw = composed_id(segment, &row);
    }
    row
}

fn column<'m>(
    segment: Segment<'m>,
    name: LineField,
    profile: &Profile,
    reader: &mut Reader<'_, 'm>,
) -> Field<'m> {
    let selector = profile.hl7.line[name.index()].as_ref();
    let is_amount = matches!(name, LineField::Amount | LineField::UnitPrice);
    match selector {
        Some(selector) if is_amount && selector.subcomponent == 0 => {
            money(select(segment, selector), || None, profile, reader)
        }
        Some(selector) => field(select(segment, selector)),
        None => match default(segment, name) {
            Some(element) if is_amount => {
                let price_type = || Some(segment.field(element.place().field).component(2));
                money(element, price_type, profile, reader)
            }
            Some(element) => field(element),
            None => Field::default(),
        },
    }
}

/// Where a transaction says it, unless the profile knows better.
fn default(segment: Segment<'_>, name: LineField) -> Option<Element<'_>> {
    let element = segment.field(places::line(name)?).component(1);
    Some(match name {
        // Systems that name no item apart name it beside its code.
        LineField::Name if element.is_blank() => segment.field(places::line(LineField::Code)?).component(2),
        _ => element,
    })
}

/// CP: `38512.40&CNY^TP`; before v2.3 a plain number. A currency written a component too late (`26^USD`) is a
/// currency all the same: the price types there (table 0205) have two letters.
fn money<'m>(
    component: Element<'m>,
    price_type: impl FnOnce() -> Option<Element<'m>>,
    profile: &Profile,
    reader: &mut Reader<'_, 'm>,
) -> Field<'m> {
    let looks_like_one =
        |text: &Cow<'_, str>| text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic());
    let misplaced = || price_type().and_then(Element::filled).filter(looks_like_one);
    if let Some(currency) = component.subcomponent(2).filled().or_else(misplaced)
        && !is_currency(&currency, &profile.currency)
    {
        let zh = format!("币种须为 {}", profile.currency);
        let en = format!("the currency must be {}", profile.currency);
        reader.problems.refuse(Code::BadValue, place_of(component), &zh, &en);
    }
    field(component.subcomponent(1))
}

fn is_currency(stated: &str, expected: &str) -> bool {
    let is = |code: &str| stated.eq_ignore_ascii_case(code);
    is(expected) || expected == "*" || (expected == "CNY" && (is("RMB") || is("156")))
}

/// Some systems fill the procedure code alone.
fn procedure_code<'m>(segment: Segment<'m>, row: &mut LineRow<'m>, reader: &mut Reader<'_, 'm>) {
    let code = field(segment.field(25).component(1));
    if code.as_text().is_none() {
        return;
    }
    reader.problems.warn(&row[LineField::Code.index()].place, Oddity::CodeOfProcedure);
    if row[LineField::Name.index()].is_absent() {
        row[LineField::Name.index()] = field(segment.field(25).component(2));
    }
    row[LineField::Code.index()] = code;
}

/// Without FT1-2 a line is known by its number, code and date: the same line sent again is the same line.
fn composed_id<'m>(segment: Segment<'m>, row: &LineRow<'m>) -> Raw<'m> {
    let text = |name: LineField| row[name.index()].as_text().unwrap_or_default();
    let (code, date) = (text(LineField::Code), text(LineField::Date));
    let day: String = date.chars().filter(char::is_ascii_digit).take(8).collect();
    let number = segment.field(1).filled().unwrap_or_else(|| Cow::Owned(segment.sequence().to_string()));
    Raw::Text(Cow::Owned(format!("{number}-{code}-{day}")))
}

fn diagnosis(segment: Segment<'_>) -> DiagnosisRow<'_> {
    let mut row: DiagnosisRow<'_> = std::array::from_fn(|_| Field::default());
    row[DiagnosisField::Code.index()] = field(segment.field(3).component(1));
    let name = segment.field(3).component(2);
    let name = if name.is_blank() { segment.field(4).component(1) } else { name };
    row[DiagnosisField::Name.index()] = field(name);
    if segment.field(15).component(1).raw() == "1" {
        let place = place_of(segment.field(15));
        row[DiagnosisField::Principal.index()] = Field { raw: Raw::Text(Cow::Borrowed("true")), place };
    }
    row
}
