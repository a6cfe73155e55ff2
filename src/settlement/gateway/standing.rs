//! What is stored of a stay and its settlements, and waiting for what it comes to.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use yizhan_contract::instant::later;

use super::pursue::Handled;
use super::step::Work;
use super::{Found, Gateway, no_such_settlement, unread_refusal};
use crate::settlement::bill::BillState;
use crate::settlement::findings;
use crate::settlement::outcome::{Beneficiary, Kept, Noted, Outcome};
use crate::settlement::record::{Settlement, StayRecord};
use crate::store::{OutboxEntry, PersonRef, StayRef, StoreError, StoredSettlement, StoredStay};

/// Pause before a stay that another gateway drives is looked at again; each further one doubles it. What this process
/// drives is heard of at once.
const LOOK_PAUSE_FIRST: SignedDuration = SignedDuration::from_millis(100);
const LOOK_PAUSE_MAX: SignedDuration = SignedDuration::from_secs(1);

impl Gateway {
    /// A settlement as issued, and what has to be said of it since.
    pub async fn settlement(&self, id: Uuid) -> Result<Option<Found>, StoreError> {
        let Some(stored) = self.store.settlement(id).await? else { return Ok(None) };
        found(stored).map(Some)
    }

    /// One bill as it was issued under this version.
    pub async fn bill(&self, id: Uuid, version: u32) -> Result<Option<Found>, StoreError> {
        let Some(stored) = self.store.bill(id, version).await? else { return Ok(None) };
        found(stored).map(Some)
    }

    /// The answer of a message that comes again: its settlement as it stands by now, for a desk must not see
    /// money that was given back. A document that was quoted and is now sent to be settled is settled.
    pub(super) async fn as_it_stands(&self, work: &Work, kept: &[u8]) -> Result<Handled, StoreError> {
        let kept = serde_json::from_slice(kept).map_err(|why| StoreError::Damaged(why.to_string()))?;
        let id = match kept {
            Kept::Settlement { id } => id,
            Kept::Bill(bill) => bill.settlement_id,
            Kept::Noted(noted) => match self.noted_again(work, *noted).await? {
                Outcome::Bill(bill) => bill.settlement_id,
                outcome => {
                    return Ok(Handled { outcome, pursuit: None, stay: Some(work.stay.clone()) });
                }
            },
            Kept::Refused(refused) => return Ok(Handled::outcome(Outcome::Refused(refused))),
        };
        let Some(found) = self.settlement(id).await? else {
            return Err(StoreError::Damaged(
                "a message was settled, and its settlement is not there".to_owned(),
            ));
        };
        let bill = found.settlement.bill;
        if bill.state == BillState::Quoted && work.asked.is_to_settle() {
            return Ok(Box::pin(self.commit(bill.settlement_id, bill.patient_share)).await);
        }
        let stay = Some(StayRef::Settlement(bill.settlement_id));
        Ok(Handled { outcome: Outcome::Bill(Box::new(bill)), pursuit: None, stay })
    }

    /// A stay as it stands by now: its bill, or that its payers are being asked for one.
    pub(super) async fn stands(&self, record: &StayRecord) -> Result<Outcome, StoreError> {
        Ok(match record.standing_bill() {
            Some(bill) => Outcome::Bill(Box::new(bill.clone())),
            None => Outcome::Noted(Box::new(self.noted(record).await?)),
        })
    }

    /// A message that had no bill when it came: its stay has one by now, or is what else became of it. Charges that
    /// came after the bill are still told as such.
    async fn noted_again(&self, work: &Work, noted: Noted) -> Result<Outcome, StoreError> {
        let Some(record) = self.read(work.stay.clone()).await? else {
            return Ok(Outcome::Noted(Box::new(noted)));
        };
        if noted.state == BillState::Settled && !record.late_lines.is_empty() {
            return Ok(Outcome::Noted(Box::new(self.noted(&record).await?)));
        }
        self.stands(&record).await
    }

    /// Why a stay has no bill, where this entry is the one to tell of it: priced since, or in the way of something
    /// else by now, there is nothing to tell under it.
    pub async fn unpriced(&self, entry: &OutboxEntry) -> Result<Option<(StayRecord, Noted)>, StoreError> {
        let Some(record) = self.read(StayRef::Stay(entry.stay_id)).await? else { return Ok(None) };
        if record.unpriced.as_ref().is_none_or(|unpriced| unpriced.told_by != entry.outbox_id) {
            return Ok(None);
        }
        let noted = self.noted(&record).await?;
        Ok(Some((record, noted)))
    }

    async fn noted(&self, record: &StayRecord) -> Result<Noted, StoreError> {
        let part = &record.part;
        let id_number = part.id_number.value().cloned().map(PersonRef::IdNumber);
        let hospital = Arc::from(part.hospital.as_str());
        let mrn = part.mrn.value().cloned().map(|mrn| PersonRef::Mrn { hospital, mrn });
        let persons = id_number.into_iter().chain(mrn).collect();
        let roster = self.store.person(persons).await?.and_then(|facts| facts.roster);
        let on = record.day_of_standing(self.runtime.now());
        let region = self.hospital(&part.hospital).map(|hospital| Arc::clone(&hospital.region));
        let region = region.as_deref().unwrap_or_default();
        let beneficiary = Beneficiary::of(roster.as_ref(), region, on, &self.policies);
        Noted::of(record, 0, beneficiary).map_err(|why| StoreError::Damaged(why.to_string()))
    }

    /// Waits while somebody else asks the payers of a stay, until `deadline`; answers what it came to, or how it stands
    /// then. A stay that waits for a payer to be there again is not waited for.
    pub async fn settle_down(&self, stay: StayRef, deadline: Timestamp) -> Outcome {
        let settled = self.settled_down(stay, deadline).await;
        settled.unwrap_or_else(|error| unread_refusal(&error).into())
    }

    async fn settled_down(&self, stay: StayRef, deadline: Timestamp) -> Result<Outcome, StoreError> {
        let look = || self.in_turn(self.read(stay.clone()));
        let Some(first) = look().await? else { return Ok(no_such_settlement().into()) };
        if !first.is_asked_now() {
            return self.stands(&first).await;
        }
        let (bell, mut pause) = (self.bells.of(first.stay_id), LOOK_PAUSE_FIRST);
        loop {
            // Heard also where it rings between looking and waiting.
            let rung = bell.notified();
            let Some(record) = look().await? else { return Ok(no_such_settlement().into()) };
            if !record.is_asked_now() || deadline <= self.runtime.now() {
                return self.stands(&record).await;
            }
            let again = later(self.runtime.now(), pause).min(deadline);
            tokio::select! {
                biased;
                () = rung => {}
                () = self.runtime.clock.sleep_until(again) => pause = pause.saturating_mul(2).min(LOOK_PAUSE_MAX),
            }
        }
    }

    pub(super) async fn read(&self, stay: StayRef) -> Result<Option<StayRecord>, StoreError> {
        let Some(stored) = self.store.stay(stay).await? else { return Ok(None) };
        record(&stored).map(Some)
    }
}

pub(super) fn record(stored: &StoredStay) -> Result<StayRecord, StoreError> {
    StayRecord::read(stored).map_err(|why| StoreError::Damaged(why.to_string()))
}

/// A stored settlement, opened and checked.
fn found(stored: StoredSettlement) -> Result<Found, StoreError> {
    let id = stored.settlement_id;
    let record = record(&stored.stay)?;
    let mut settlement = match &record.settlement {
        Some(settlement) if settlement.id == id => settlement.clone(),
        // An earlier settlement of the stay: its bill as issued, the newest stay for the name.
        Some(settlement) => Settlement { id, ..settlement.clone() },
        None => return Err(StoreError::Damaged("a bill without its settlement".to_owned())),
    };
    settlement.bill =
        serde_json::from_slice(&stored.bill).map_err(|why| StoreError::Damaged(why.to_string()))?;
    settlement.bill.check().map_err(|why| StoreError::Damaged(why.to_string()))?;
    if stored.earlier_reversed > 0 && settlement.bill.state == BillState::Settled {
        let finding = findings::earlier_stay_reversed(stored.earlier_reversed);
        settlement.bill.findings.push(finding);
    }
    Ok(Found { record, settlement })
}
