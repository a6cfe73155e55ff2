//! What a decision writes down, and what it answers with. Pure.

use std::sync::Arc;

use jiff::civil::Date;
use uuid::Uuid;
use yizhan_contract::stay::civil_date;
use yizhan_contract::{ChargeError, Money};

use super::bill::{Bill, BillState, BilledPayer};
use super::decide::{Decided, Decision, Undecided, Verdict};
use super::effect::Effect;
use super::message::Message;
use super::outcome::{Beneficiary, Noted, Outcome};
use super::record::{Phase, StayRecord};
use super::refusals;
use crate::refusal::Refusal;
use crate::store::{BillWrite, Changes, Hold, LegWrite, OutboxWrite, PersonFacts, StayWrite};

/// Which bill stands for a stay, and in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Issued {
    settlement_id: Uuid,
    version: u32,
    state: &'static str,
}

impl Issued {
    pub(super) fn of(record: &StayRecord) -> Option<Self> {
        let bill = &record.settlement.as_ref()?.bill;
        Some(Self { settlement_id: bill.settlement_id, version: bill.version, state: bill.state.word() })
    }

    fn by(written: &BillWrite) -> Self {
        let BillWrite { settlement_id, version, state, .. } = *written;
        Self { settlement_id, version, state }
    }
}

impl Verdict {
    /// Answered, nothing else written.
    pub(super) fn answer(outcome: Outcome) -> Self {
        Self { changes: Changes::default(), outcome, lease: None, shadowed: Vec::new() }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::answer(refusal.into())
    }

    /// Without what its hospital was told already: a stay that is touched again and again while a payer is asked is
    /// told once for each version and state of its bill.
    #[must_use]
    pub(super) fn telling_what_is_new(mut self, before: Option<Issued>) -> Self {
        let written = self.changes.bill.as_ref().map(Issued::by);
        if written.is_some() && written == before {
            self.changes.outbox.clear();
        }
        self
    }

    /// The newest bill, as issued.
    pub(super) fn issued(record: StayRecord) -> Self {
        match record.settlement {
            Some(settlement) => Self::answer(Outcome::Bill(Box::new(settlement.bill))),
            None => Self::refused(refusals::no_such_stay()),
        }
    }
}

impl StayRecord {
    /// As it is written, with its newest bill.
    ///
    /// # Errors
    /// Where its document cannot be written.
    pub(super) fn into_write(
        self,
        person_id: Uuid,
        hospital: Arc<str>,
        hold: Hold,
    ) -> serde_json::Result<(StayWrite, Option<Bill>)> {
        let (stay_id, needs_attention) = (self.stay_id, self.needs_attention());
        let visit_number = Arc::from(self.part.visit_number.as_str());
        let admitted = self.part.admitted.value().map(|moment| moment.date);
        let settlement_id = self.settlement.as_ref().map(|settlement| settlement.id);
        let (document, bill) = self.into_document()?;
        let write = StayWrite {
            stay_id,
            person_id,
            hospital,
            visit_number,
            admitted,
            document,
            settlement_id,
            hold,
            needs_attention,
        };
        Ok((write, bill))
    }
}

impl Decision {
    /// The stay with its newest bill, which is also what is answered.
    pub(super) fn write(
        &self,
        mut record: StayRecord,
        person: &PersonFacts,
        effect: Effect,
        told: impl FnOnce(Box<Bill>) -> Outcome,
    ) -> Decided {
        record.unpriced = None;
        let compared = record.settlement.iter_mut().flat_map(|one| std::mem::take(&mut one.compared));
        let compared: Vec<_> = compared.collect();
        let shadowed = compared.iter().filter_map(|one| one.told(&mut record, &self.payers)).collect();
        let (stay, bill) = self.stay(record, person)?;
        let bill = bill.ok_or_else(|| Undecided::defect("a settlement without its bill"))?;
        let changes = Changes {
            outbox: self.telling(stay.stay_id, &bill).into_iter().collect(),
            bill: Some(self.bill(stay.stay_id, &bill)?),
            stay: Some(stay),
            accumulators: effect.accumulators,
            postings: effect.postings,
            ..Changes::default()
        };
        Ok(Verdict { changes, shadowed, ..Verdict::answer(told(Box::new(bill))) })
    }

    /// The stay alone: no bill changes.
    pub(super) fn note(&self, record: StayRecord, repeated: usize, person: &PersonFacts) -> Decided {
        let noted = self.noted(&record, repeated, person).map_err(Undecided::defect)?;
        let (stay, _) = self.stay(record, person)?;
        let changes = Changes { stay: Some(stay), ..Changes::default() };
        Ok(Verdict { changes, ..Verdict::answer(Outcome::Noted(Box::new(noted))) })
    }

    /// Charges that go quiet are looked at when their time has come. A stay whose payers are being asked stays with
    /// whoever asks them. One that adapters believe in who have nothing more to do with it is taken up at once, and again
    /// when those that did not answer are to be told again.
    fn stay(&self, record: StayRecord, person: &PersonFacts) -> Result<(StayWrite, Option<Bill>), Undecided> {
        // Under the lease of whoever settles it here: nothing more is done under that.
        let is_ended = record.is_settled_for_good() && self.leasing.lease.is_some();
        let is_taken_up = record.hold.due_at.is_some() && !(is_ended && record.hold.held_by.is_some());
        let hold = match record.is_to_be_called_off() {
            true if !is_taken_up => Hold { due_at: Some(self.at), epoch: record.hold.epoch, held_by: None },
            is_called_off if is_called_off || record.is_with_payers() => record.hold.clone(),
            _ => {
                let due_at = record.quiet_until.filter(|_| record.phase == Phase::AwaitingCharges);
                Hold { due_at, epoch: record.hold.epoch, held_by: None }
            }
        };
        let hospital = Arc::clone(&self.hospital.code);
        record.into_write(person.person_id, hospital, hold).map_err(Undecided::defect)
    }

    fn bill(&self, stay_id: Uuid, bill: &Bill) -> Result<BillWrite, Undecided> {
        let leg = |payer: &BilledPayer| LegWrite {
            payer: payer.payer.clone(),
            state: payer.state,
            paid: payer.paid,
        };
        Ok(BillWrite {
            settlement_id: bill.settlement_id,
            stay_id,
            version: bill.version,
            hospital: Arc::clone(&self.hospital.code),
            state: bill.state.word(),
            day: civil_date(self.at),
            total: bill.amounts.total,
            patient_share: bill.patient_share,
            legs: bill.payers.iter().map(leg).collect(),
            document: serde_json::to_vec(bill).map_err(Undecided::defect)?,
        })
    }

    /// An issued bill goes to the hospital's return address, where it has one; one that is being made does not.
    fn telling(&self, stay_id: Uuid, bill: &Bill) -> Option<OutboxWrite> {
        let is_issued = !matches!(bill.state, BillState::Settling | BillState::Reversing);
        (self.hospital.is_told && is_issued).then(|| OutboxWrite {
            outbox_id: self.new_outbox_id,
            stay_id,
            hospital: Arc::clone(&self.hospital.code),
            settlement_id: bill.settlement_id,
            version: bill.version,
            due_at: self.at,
        })
    }

    /// Why the stay has no bill goes the same way.
    pub(super) fn telling_unpriced(&self, record: &StayRecord) -> Option<OutboxWrite> {
        self.hospital.is_told.then(|| OutboxWrite {
            outbox_id: self.new_outbox_id,
            stay_id: record.stay_id,
            hospital: Arc::clone(&self.hospital.code),
            settlement_id: record.stay_id,
            version: record.settlement.as_ref().map_or(0, |settlement| settlement.bill.version),
            due_at: self.at,
        })
    }

    fn noted(
        &self,
        record: &StayRecord,
        repeated: usize,
        person: &PersonFacts,
    ) -> Result<Noted, ChargeError> {
        Noted::of(record, repeated, self.beneficiary(person, record.day_of_standing(self.at)))
    }

    pub(super) fn noted_without_stay(&self, message: &Message, person: &PersonFacts) -> Noted {
        Noted {
            state: BillState::AwaitingCharges,
            hospital: Arc::clone(&self.hospital.code),
            visit_number: message.part.visit_number.clone(),
            lines: 0,
            total: Money::ZERO,
            beneficiary: self.beneficiary(person, civil_date(self.at)),
            findings: message.findings.clone(),
        }
    }

    fn beneficiary(&self, person: &PersonFacts, on: Date) -> Beneficiary {
        Beneficiary::of(person.roster.as_ref(), &self.hospital.region, on, &self.policies)
    }
}
