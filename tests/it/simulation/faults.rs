//! A store that gateways die at: before what they ask for is done, or after, before they hear of it.
//!
//! Whatever the store behind it is, it is driven to its end at once, so that a seed gives the same run again.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;
use yizhan::settlement::record::{Phase, StayRecord};
use yizhan::settlement::saga::{Course, LEASE, LEAVES_WITHIN, Part};
use yizhan::store::{
    Answer, BooksPage, CatalogueItem, Changes, Done, Due, Facts, Lease, MessageClaim, OutboxEntry,
    PersonFacts, PersonRef, ReportLine, StayRef, Step, Store, StoreError, StoredSettlement, StoredStay,
};
use yizhan_contract::Text;

use super::mutant::Mutant;
use super::sim::Sim;

pub(crate) struct Faulty {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) sim: Arc<Sim>,
    pub(crate) gateway: usize,
    pub(crate) mutant: Option<Arc<Mutant>>,
}

/// A call to the store, in the words of the coverage table.
struct Call {
    state: &'static str,
    event: &'static str,
}

const READ: Call = Call { state: "any", event: "read" };
const WRITE: Call = Call { state: "any", event: "write" };

impl Faulty {
    async fn around<T>(
        &self,
        call: Call,
        done: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.sim.give_way().await;
        let crash = self.sim.choose_at_store(call.state, call.event);
        if crash == "before" {
            self.sim.die(self.gateway).await;
        }
        if self.sim.is_store_down() {
            return Err(StoreError::Unavailable(Text::new("停用", "down")));
        }
        let done = self.sim.at_once(done);
        match crash {
            "after" => self.sim.die(self.gateway).await,
            // Longer than anything it meant to send may take to leave.
            "stalls" => self.sim.stall(self.gateway, self.sim.now() + LEAVES_WITHIN + LEASE),
            _ => {}
        }
        self.sim.give_way().await;
        done
    }

    fn call(&self, step: &Step) -> Call {
        let event = match (&step.claim, step.lease) {
            (Some(_), _) => "message",
            (None, Some(_)) => "drive",
            (None, None) => "desk",
        };
        Call { state: self.sim.stored(&key(&step.stay)), event }
    }
}

/// What a stay is known by.
fn key(stay: &StayRef) -> String {
    match stay {
        StayRef::Visit { number, .. } => number.to_string(),
        StayRef::Settlement(id) | StayRef::Stay(id) => id.to_string(),
    }
}

/// Where a stay is, in the words of the coverage table.
pub(crate) fn word(record: &StayRecord) -> &'static str {
    if record.pricing.is_some() {
        return "waiting";
    }
    let course = record.saga.as_ref().map(|saga| &saga.course);
    match record.phase {
        Phase::Committing if matches!(course, Some(Course::Undoing(_))) => "undoing",
        Phase::Committing => "committing",
        Phase::Reversing => "reversing",
        Phase::Settled if record.deferred().is_some() => "delivering",
        Phase::Settled => "settled",
        Phase::Reversed => "reversed",
        Phase::Open | Phase::AwaitingCharges | Phase::Quoted | Phase::Cancelled => "new",
    }
}

/// What a step made of its stay.
struct Noted {
    keys: Vec<String>,
    word: &'static str,
    /// Operations that are durable from now on, and until when they may leave.
    operations: Vec<(Arc<str>, Timestamp)>,
    /// The ledger may have moved.
    is_booked: bool,
}

fn noted(changes: &Changes, before: Option<&Vec<u8>>) -> Option<Noted> {
    let written = changes.stay.as_ref()?;
    let bill = changes.bill.as_ref().map(|bill| bill.document.clone()).or_else(|| before.cloned());
    let (document, hold) = (written.document.clone(), written.hold.clone());
    let (stay_id, person_id) = (written.stay_id, written.person_id);
    let record = StayRecord::read(&StoredStay { stay_id, person_id, document, hold, bill }).ok()?;
    let settlement = changes.bill.as_ref().map(|bill| bill.settlement_id.to_string());
    let keys = [written.visit_number.to_string(), written.stay_id.to_string()];
    let calls = record.saga.iter().flat_map(|saga| &saga.calls);
    let operations = calls.flat_map(|call| [Part::Commit, Part::Undo].map(|part| call.operation(part)));
    let operations = operations.flatten();
    let operations =
        operations.map(|operation| (Arc::clone(&operation.id), operation.leaves_before)).collect();
    let is_booked =
        !changes.postings.is_empty() || matches!(word(&record), "settled" | "delivering" | "reversed");
    Some(Noted {
        keys: keys.into_iter().chain(settlement).collect(),
        word: word(&record),
        operations,
        is_booked,
    })
}

impl Store for Faulty {
    fn step(&self, mut step: Step) -> Answer<'_, Done> {
        let call = self.call(&step);
        let seen = Arc::new(Mutex::new(None));
        let (slot, mutant) = (Arc::clone(&seen), self.mutant.clone());
        if let Some(mutant) = &mutant {
            mutant.before(&mut step);
        }
        let (decide, is_message) = (step.decide, step.claim.is_some());
        step.decide = Box::new(move |facts: Facts| {
            let bill = facts.stay.as_ref().and_then(|stay| stay.bill.clone());
            let mut changes = decide(facts);
            if let Some(mutant) = &mutant {
                let word = changes
                    .as_ref()
                    .and_then(|changes| noted(changes, bill.as_ref()))
                    .map_or("new", |noted| noted.word);
                changes = changes.and_then(|changes| mutant.changes(changes, word, is_message));
            }
            *slot.lock().unwrap() = changes.as_ref().and_then(|changes| noted(changes, bill.as_ref()));
            changes
        });
        Box::pin(async move {
            let done = async {
                let done = self.inner.step(step).await;
                if let (Ok(Done::Decided(_)), Some(noted)) = (&done, seen.lock().unwrap().take()) {
                    self.sim
                        .log(|| format!("gateway {} writes {} {}", self.gateway, noted.keys[0], noted.word));
                    self.sim.store_has(&noted.keys, noted.word, noted.operations, noted.is_booked);
                }
                match (&self.mutant, done) {
                    (Some(mutant), Ok(done)) => Ok(mutant.done(done)),
                    (_, done) => done,
                }
            };
            self.around(call, done).await
        })
    }

    fn take(&self, due: Due, holder: Arc<str>, until: Timestamp) -> Answer<'_, Option<Lease>> {
        let state = self.sim.stored(&due.stay_id.to_string());
        let key = due.stay_id.to_string();
        let taken = async move {
            let taken = self.inner.take(due, holder, until).await;
            self.sim.stay_moved(&key);
            taken
        };
        Box::pin(self.around(Call { state, event: "take" }, taken))
    }

    fn keep_refused(&self, at: Timestamp, claim: MessageClaim, answer: Vec<u8>) -> Answer<'_, ()> {
        Box::pin(self.around(WRITE, self.inner.keep_refused(at, claim, answer)))
    }

    fn person(&self, persons: Vec<PersonRef>) -> Answer<'_, Option<PersonFacts>> {
        Box::pin(self.around(READ, self.inner.person(persons)))
    }

    fn stay(&self, stay: StayRef) -> Answer<'_, Option<StoredStay>> {
        Box::pin(self.around(READ, self.inner.stay(stay)))
    }

    fn settlement(&self, id: Uuid) -> Answer<'_, Option<StoredSettlement>> {
        Box::pin(self.around(READ, self.inner.settlement(id)))
    }

    fn bill(&self, id: Uuid, version: u32) -> Answer<'_, Option<StoredSettlement>> {
        Box::pin(self.around(READ, self.inner.bill(id, version)))
    }

    fn items(
        &self,
        hospital: Arc<str>,
        region: Arc<str>,
        on: Date,
        codes: Vec<String>,
    ) -> Answer<'_, Vec<Option<CatalogueItem>>> {
        Box::pin(self.around(READ, self.inner.items(hospital, region, on, codes)))
    }

    fn due(&self, now: Timestamp, limit: u32) -> Answer<'_, Vec<Due>> {
        Box::pin(self.around(READ, self.inner.due(now, limit)))
    }

    fn held_by(&self, holder: Arc<str>, limit: u32) -> Answer<'_, Vec<Due>> {
        Box::pin(self.around(READ, self.inner.held_by(holder, limit)))
    }

    fn attention(&self, limit: u32) -> Answer<'_, Vec<Uuid>> {
        Box::pin(self.around(READ, self.inner.attention(limit)))
    }

    fn outbox_due(&self, now: Timestamp, busy: Vec<Arc<str>>, limit: u32) -> Answer<'_, Vec<OutboxEntry>> {
        Box::pin(self.around(READ, self.inner.outbox_due(now, busy, limit)))
    }

    fn outbox_take(&self, entry: OutboxEntry, until: Timestamp) -> Answer<'_, bool> {
        Box::pin(self.around(WRITE, self.inner.outbox_take(entry, until)))
    }

    fn outbox_delivered(&self, entry: OutboxEntry) -> Answer<'_, ()> {
        Box::pin(self.around(WRITE, self.inner.outbox_delivered(entry)))
    }

    fn outbox_failed(&self, entry: OutboxEntry, due_at: Timestamp, why: String) -> Answer<'_, ()> {
        Box::pin(self.around(WRITE, self.inner.outbox_failed(entry, due_at, why)))
    }

    fn outbox_waiting(&self, limit: u32) -> Answer<'_, Vec<OutboxEntry>> {
        Box::pin(self.around(READ, self.inner.outbox_waiting(limit)))
    }

    fn books(&self, after: Option<Uuid>, people: u32) -> Answer<'_, BooksPage> {
        Box::pin(self.around(READ, self.inner.books(after, people)))
    }

    fn report(&self, day: Date) -> Answer<'_, Vec<ReportLine>> {
        Box::pin(self.around(READ, self.inner.report(day)))
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(self.around(WRITE, self.inner.ping()))
    }

    fn steps_beside_messages(&self) -> usize {
        self.inner.steps_beside_messages()
    }
}
