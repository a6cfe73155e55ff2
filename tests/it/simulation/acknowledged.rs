//! What was acknowledged must never be lost: messages, what clerks were handed, reversals.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;
use yizhan::settlement::bill::{Bill, BillState};
use yizhan::settlement::message::Trigger;
use yizhan::settlement::outcome::Outcome;
use yizhan::settlement::record::Phase;
use yizhan::store::{Done, MessageClaim, StayRef, Step, Store};
use yizhan_contract::Money;
use yizhan_contract::stay::Line;

use super::look::{Look, StayLook};
use super::workload::Sending;
use super::world::World;

/// Taken in, of one visit.
pub(crate) struct Acked {
    pub(crate) visit: Arc<str>,
    pub(crate) what: What,
}

pub(crate) enum What {
    Message(Box<Sending>),
    /// Of this settlement.
    Reversal(Uuid),
}

impl World {
    /// Notes an answer that takes something in.
    pub(super) fn acknowledge(&self, visit: &Arc<str>, what: What, outcome: &Outcome) {
        self.handed_out(outcome);
        if matches!(outcome, Outcome::Refused(_)) {
            return;
        }
        let mut acked = self.acked.lock().unwrap();
        if let (What::Message(sending), Outcome::Bill(bill)) = (&what, outcome)
            && sending.message.trigger == Trigger::CancelDischarge
            && !self.came_before_settlement(&sending.message.message_id)
        {
            acked.push(Acked { visit: Arc::clone(visit), what: What::Reversal(bill.settlement_id) });
        }
        acked.push(Acked { visit: Arc::clone(visit), what });
        drop(acked);
        self.sim.moved();
    }

    /// Whether it called off a discharge that was not settled: sent again, it is answered with what the stay came to since.
    fn came_before_settlement(&self, message_id: &str) -> bool {
        let taken_in = self.sim.taken_in();
        let first = taken_in.iter().find(|taken| taken.id == message_id);
        first.is_some_and(|taken| taken.changes_stay && taken.word == "new")
    }

    pub(super) fn handed_out(&self, outcome: &Outcome) {
        if let Outcome::Bill(bill) = outcome {
            self.bills.lock().unwrap().push((**bill).clone());
        }
    }

    /// Lines of acknowledged messages are there, whatever has happened since; but for those that a whole document
    /// replaced, which says everything.
    pub(super) fn remembered(&self, look: &Look) -> Result<(), String> {
        let taken_in = self.sim.taken_in();
        let acked = self.acked.lock().unwrap();
        let messages = acked.iter().filter_map(|acked| match &acked.what {
            What::Message(sending) => Some(sending),
            What::Reversal(_) => None,
        });
        for sending in messages {
            let id = &sending.message.message_id;
            let Some(at) = taken_in.iter().rposition(|taken| taken.id == *id) else { continue };
            let is_replaced = taken_in[at + 1..].iter().any(|later| {
                let is_it = |(visit, id): &(Arc<str>, String)| *visit == sending.visit && *id == later.id;
                later.changes_stay && self.documents.iter().any(is_it)
            });
            if !is_replaced {
                lines_are_there(look, sending)?;
            }
        }
        look.stays.values().try_for_each(all_is_billed)
    }

    /// When all is over, every acknowledged message is known again, every bill handed out is as it was, and every
    /// acknowledged reversal was carried out.
    pub(super) fn known_again(&self, look: &Look) -> Result<(), String> {
        for Acked { visit, what } in self.acked.lock().unwrap().iter() {
            match what {
                What::Message(sending) => {
                    if !self.sim.at_once(is_repeated(&*self.store, sending, self.sim.now())) {
                        let id = &sending.message.message_id;
                        return Err(format!(
                            "nothing lost: {id} of {visit} was acknowledged and is not known"
                        ));
                    }
                }
                What::Reversal(settlement) => is_taken_back(look, *settlement)?,
            }
        }
        let bills = self.bills.lock().unwrap();
        bills.iter().try_for_each(|bill| self.sim.at_once(as_issued(&*self.store, bill)))
    }
}

/// Every line of an acknowledged message is there.
///
/// # Errors
/// The first one that is not.
pub(crate) fn lines_are_there(look: &Look, sending: &Sending) -> Result<(), String> {
    let visit = &sending.visit;
    let Some(stay) = look.stays.get(visit) else {
        // What is cancelled before it was heard of is cancelled already.
        if sending.message.trigger == Trigger::CancelDischarge {
            return Ok(());
        }
        return Err(format!("nothing lost: {visit} was acknowledged and is not there"));
    };
    let known = stay.record.part.lines.iter().chain(&stay.record.late_lines);
    let known: Vec<_> = known.map(|line| (line.id.as_str(), line.amount)).collect();
    let is_there = |line: &&Line| known.contains(&(line.id.as_str(), line.amount));
    match sending.message.part.lines.iter().find(|line| !is_there(line)) {
        Some(line) => {
            Err(format!("nothing lost: line {} of {visit} was acknowledged and is not there", line.id))
        }
        None => Ok(()),
    }
}

/// What stands settled is everything that was sent for the stay, but for what came later.
fn all_is_billed(stay: &StayLook) -> Result<(), String> {
    let Some(settlement) = stay.record.settlement.as_ref().filter(|_| stay.record.phase == Phase::Settled)
    else {
        return Ok(());
    };
    let sent: Money = stay.record.part.lines.iter().filter_map(|line| line.amount).sum();
    let billed = settlement.bill.amounts.total;
    match sent == billed {
        true => Ok(()),
        false => {
            Err(format!("nothing lost: charges of {sent} were sent for {}, {billed} is billed", stay.visit))
        }
    }
}

/// A reversal that was acknowledged leaves nothing of what it takes back.
///
/// # Errors
/// Where it stands.
pub(crate) fn is_taken_back(look: &Look, settlement: Uuid) -> Result<(), String> {
    let stands = |stay: &&StayLook| {
        stay.record.phase == Phase::Settled
            && stay.record.settlement.as_ref().is_some_and(|own| own.id == settlement)
    };
    match look.stays.values().find(stands) {
        Some(stay) => {
            Err(format!("nothing lost: the reversal of {} was acknowledged, it stands", stay.visit))
        }
        None => Ok(()),
    }
}

/// A bill that was handed out as final is in the store as it was handed out.
///
/// # Errors
/// Where it is not.
pub(crate) async fn as_issued(store: &dyn Store, bill: &Bill) -> Result<(), String> {
    if !matches!(bill.state, BillState::Settled | BillState::Reversed) {
        return Ok(());
    }
    let (id, version) = (bill.settlement_id, bill.version);
    let stored = store.bill(id, version).await.map_err(|why| why.to_string())?;
    let Some(stored) = stored else {
        return Err(format!("nothing lost: bill {id} v{version} was handed out and is not there"));
    };
    let stored: Bill = serde_json::from_slice(&stored.bill).map_err(|why| why.to_string())?;
    let same = stored.state == bill.state
        && stored.patient_share == bill.patient_share
        && stored.payers == bill.payers;
    if same { Ok(()) } else { Err(format!("as issued: bill {id} v{version} is another in the store")) }
}

/// Nothing is set aside any more, unless a person has to look.
///
/// # Errors
/// What is set aside still.
pub(crate) fn nothing_left(look: &Look) -> Result<(), String> {
    if look.stays.values().any(|stay| look.attention.contains(&stay.record.stay_id)) {
        return Ok(());
    }
    for (who, facts) in &look.people {
        let mut sums = facts.reserved.values().flat_map(|sums| sums.payers.values());
        if sums.any(|used| !used.paid.is_zero()) || facts.reserved.values().any(|sums| sums.admissions > 0) {
            return Err(format!("reservations: {who} has {:?} at the end", facts.reserved));
        }
    }
    Ok(())
}

/// Whether the store knows that it has this message already.
pub(crate) async fn is_repeated(store: &dyn Store, sending: &Sending, at: Timestamp) -> bool {
    let message = &sending.message;
    let claim = MessageClaim {
        sender: message.sender.clone(),
        message_id: message.message_id.clone(),
        digest: message.digest,
        raw: sending.raw.clone(),
    };
    let hospital = Arc::clone(&message.hospital.code);
    let stay = StayRef::Visit { hospital, number: Arc::clone(&sending.visit), admitted: None };
    let decide = Box::new(|_| None);
    let step = Step { at, claim: Some(claim), stay, persons: Vec::new(), lease: None, decide };
    matches!(store.step(step).await, Ok(Done::Repeated(_)))
}
