//! What an outside payer is told of a person and a stay: what its manifest needs, and nothing else (数据最小化).
//! Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use yizhan_contract::payer::{Ask, CoverageQuestion, Memo, Need, Person, VisitEvent, VisitEventKind};
use yizhan_contract::stay::Diagnosis;
use yizhan_contract::{Claim, Personal};

use super::part::StayPart;
use super::price::ToAsk;
use super::record::StayRecord;

/// The question to the adapter that serves the payers of `to_ask`.
pub fn ask(stay: Arc<str>, record: &StayRecord, to_ask: &ToAsk, needs: &BTreeSet<Need>, memo: Memo) -> Ask {
    Ask {
        stay,
        hospital: Arc::from(record.part.hospital.as_str()),
        visit_number: visit_number(&record.part, needs),
        person: person(&record.part, needs),
        claim: claim(&to_ask.claim, needs),
        diagnoses: diagnoses(&record.part, needs),
        legs: to_ask.legs.clone(),
        paid_before: to_ask.paid_before.clone(),
        memo,
    }
}

/// What an adapter that sees visits is told of one before it is asked, as much as is known by now.
pub fn visit(stay: Arc<str>, record: &StayRecord, needs: &BTreeSet<Need>) -> Vec<VisitEvent> {
    let Some(admitted) = event(stay, record, needs, VisitEventKind::Admitted) else { return Vec::new() };
    let lines = if needs.contains(&Need::Lines) { record.part.lines.clone() } else { Vec::new() };
    let charged = VisitEvent { kind: VisitEventKind::Charged, lines, ..admitted.clone() };
    let discharged = record.part.discharged.value().map(|moment| VisitEvent {
        kind: VisitEventKind::Discharged,
        discharged: Some(moment.date),
        ..charged.clone()
    });
    let charged = (!record.part.lines.is_empty()).then_some(charged);
    [admitted].into_iter().chain(charged).chain(discharged).collect()
}

/// The admission was called off.
pub fn called_off(stay: Arc<str>, record: &StayRecord, needs: &BTreeSet<Need>) -> Option<VisitEvent> {
    event(stay, record, needs, VisitEventKind::Cancelled)
}

/// An event without charges. Absent where the stay has no admission to speak of.
fn event(
    stay: Arc<str>,
    record: &StayRecord,
    needs: &BTreeSet<Need>,
    kind: VisitEventKind,
) -> Option<VisitEvent> {
    Some(VisitEvent {
        kind,
        stay,
        hospital: Arc::from(record.part.hospital.as_str()),
        visit_number: visit_number(&record.part, needs),
        person: person(&record.part, needs),
        admitted: record.part.admitted.value()?.date,
        discharged: None,
        diagnoses: diagnoses(&record.part, needs),
        lines: Vec::new(),
    })
}

/// Whether the person is covered by the payers of `to_ask` on the day of discharge.
pub fn coverage(record: &StayRecord, to_ask: &ToAsk, needs: &BTreeSet<Need>) -> CoverageQuestion {
    CoverageQuestion {
        person: person(&record.part, needs),
        payers: to_ask.legs.iter().map(|leg| leg.payer.clone()).collect(),
        on: to_ask.claim.discharged,
    }
}

fn visit_number(part: &StayPart, needs: &BTreeSet<Need>) -> Option<Personal<String>> {
    needs.contains(&Need::VisitNumber).then(|| Personal::new(part.visit_number.clone()))
}

fn person(part: &StayPart, needs: &BTreeSet<Need>) -> Person {
    let needed = |need| needs.contains(&need);
    Person {
        id_number: part.id_number.value().filter(|_| needed(Need::IdNumber)).cloned(),
        name: part.name.value().filter(|_| needed(Need::Name)).cloned(),
        birth: part.birth.value().filter(|_| needed(Need::Birth)).cloned(),
        sex: part.sex.value().filter(|_| needed(Need::Sex)).copied(),
        card: part.card.value().filter(|_| needed(Need::Card)).cloned(),
    }
}

fn claim(claim: &Claim, needs: &BTreeSet<Need>) -> Claim {
    Claim {
        roster: claim.roster.clone().filter(|_| needs.contains(&Need::Standing)),
        lines: if needs.contains(&Need::Lines) { claim.lines.clone() } else { Vec::new() },
        ..claim.clone()
    }
}

fn diagnoses(part: &StayPart, needs: &BTreeSet<Need>) -> Vec<Diagnosis> {
    let known = part.diagnoses.value().filter(|_| needs.contains(&Need::Diagnoses));
    known.cloned().unwrap_or_default()
}
