//! What a decision comes to: the rows it wants written and the words it is answered with.

use std::sync::Arc;

use uuid::Uuid;
use yizhan_contract::stay::civil_date;
use yizhan_contract::{Money, Used};

use super::bill::{Bill, BillState, BilledPayer};
use super::complete::signed_amount;
use super::decide::Decision;
use super::findings;
use super::message::Message;
use super::outcome::{Beneficiary, Noted, Outcome};
use super::record::{Phase, Settlement, StayRecord};
use super::refusals;
use crate::refusal::Refusal;
use crate::store::{AccumulatorMove, BillWrite, Changes, LegWrite, PersonFacts, StayWrite};

/// What is written, and what is answered once it is.
pub struct Verdict {
    pub changes: Changes,
    pub outcome: Outcome,
}

impl Decision {
    pub(super) fn noted(&self, record: &StayRecord, repeated: usize, person: &PersonFacts) -> Noted {
        let on = record.part.discharged.value().or(record.part.admitted.value()).copied();
        let on = on.map_or_else(|| civil_date(self.at), |moment| moment.date);
        let is_settled = record.phase == Phase::Settled;
        let mut findings = record.findings.clone();
        if repeated > 0 {
            findings.push(findings::repeated_lines(repeated));
        }
        if is_settled && !record.late_lines.is_empty() {
            let total = record.late_lines.iter().filter_map(|line| signed_amount(line).ok()).sum();
            findings.push(findings::late_charges(record.late_lines.len(), total));
        }
        Noted {
            state: if is_settled { BillState::Settled } else { BillState::AwaitingCharges },
            hospital: Arc::clone(&self.hospital.code),
            visit_number: record.part.visit_number.clone(),
            lines: record.part.lines.len(),
            total: record.part.lines.iter().filter_map(|line| signed_amount(line).ok()).sum(),
            beneficiary: Beneficiary::of(person.roster.as_ref(), on),
            findings,
        }
    }

    pub(super) fn noted_without_stay(&self, message: &Message, person: &PersonFacts) -> Noted {
        Noted {
            state: BillState::AwaitingCharges,
            hospital: Arc::clone(&self.hospital.code),
            visit_number: message.part.visit_number.clone(),
            lines: 0,
            total: Money::ZERO,
            beneficiary: Beneficiary::of(person.roster.as_ref(), civil_date(self.at)),
            findings: message.findings.clone(),
        }
    }

    /// The stay with its newest bill, which is also what is answered.
    pub(super) fn write(
        &self,
        record: StayRecord,
        person: &PersonFacts,
        moves: Option<AccumulatorMove>,
        told: impl FnOnce(Box<Bill>) -> Outcome,
    ) -> Verdict {
        let (stay, bill) = self.stay(record, person);
        let Some(bill) = bill else { return answer(refused(refusals::no_such_stay())) };
        let changes = Changes {
            bill: Some(self.bill(stay.stay_id, &bill)),
            stay: Some(stay),
            accumulators: moves.into_iter().collect(),
            ..Changes::default()
        };
        Verdict { changes, outcome: told(Box::new(bill)) }
    }

    pub(super) fn stay(&self, record: StayRecord, person: &PersonFacts) -> (StayWrite, Option<Bill>) {
        let (stay_id, due_at) = (record.stay_id, record.quiet_until);
        let due_at = due_at.filter(|_| record.phase == Phase::AwaitingCharges);
        let visit_number = Arc::from(record.part.visit_number.as_str());
        let admitted = record.part.admitted.value().map(|moment| moment.date);
        let settlement_id = record.settlement.as_ref().map(|settlement| settlement.id);
        let (document, bill) = record.into_document();
        let hospital = Arc::clone(&self.hospital.code);
        let person_id = person.person_id;
        let stay = StayWrite {
            stay_id,
            person_id,
            hospital,
            visit_number,
            admitted,
            document,
            settlement_id,
            due_at,
        };
        (stay, bill)
    }

    fn bill(&self, stay_id: Uuid, bill: &Bill) -> BillWrite {
        let leg = |payer: &BilledPayer| LegWrite {
            payer: payer.payer.clone(),
            state: payer.state,
            paid: payer.paid,
        };
        BillWrite {
            settlement_id: bill.settlement_id,
            stay_id,
            version: bill.version,
            hospital: Arc::clone(&self.hospital.code),
            state: bill.state.word(),
            day: civil_date(self.at),
            total: bill.amounts.total,
            patient_share: bill.patient_share,
            legs: bill.payers.iter().map(leg).collect(),
            document: serde_json::to_vec(bill).unwrap_or_default(),
        }
    }
}

/// What the settlement adds to its year, or with `-1` takes back.
pub(super) fn moves(settlement: &Settlement, sign: i32) -> AccumulatorMove {
    let signed = |used: Used| {
        if sign < 0 { Used { base: used.base.negated(), paid: -used.paid } } else { used }
    };
    AccumulatorMove {
        year: settlement.bill.benefit_year,
        admissions: sign,
        payers: settlement
            .moves
            .iter()
            .map(|moved| (moved.payer.clone(), signed(Used { base: moved.base, paid: moved.paid })))
            .collect(),
    }
}

/// Answered, nothing else written.
pub(super) fn answer(outcome: Outcome) -> Verdict {
    Verdict { changes: Changes::default(), outcome }
}

/// The newest bill, as issued.
pub(super) fn issued(record: StayRecord) -> Outcome {
    match record.settlement {
        Some(settlement) => Outcome::Bill(Box::new(settlement.bill)),
        None => refused(refusals::no_such_stay()),
    }
}

pub(super) fn refused(refusal: Refusal) -> Outcome {
    Outcome::from(refusal)
}
