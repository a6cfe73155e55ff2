//! A store that gateways die at: before what they ask for is done, or after, before they hear of it. It may also be
//! away, or not say whether it did what it was asked.
//!
//! Whatever the store behind it is, it is driven to its end at once, so that a seed gives the same run again.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;
use yizhan::store::{
    Answer, BooksPage, CatalogueItem, Done, Due, Facts, Lease, MessageClaim, OutboxEntry, PersonFacts,
    PersonRef, ReportLine, StayRef, Step, Store, StoreError, StoredSettlement, StoredStay,
};
use yizhan_contract::Text;

use super::coverage::STORE_FAULTS;
use super::mutant::{Mutant, newest_first};
use super::noted::Noted;
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
    is_read: bool,
}

const READ: Call = Call { state: "any", event: "read", is_read: true };
const WRITE: Call = Call { state: "any", event: "write", is_read: false };

impl Faulty {
    async fn around<T>(
        &self,
        call: Call,
        done: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.sim.give_way().await;
        let cell = self.sim.choose_at_store((call.state, call.event), call.is_read);
        if STORE_FAULTS.contains(&cell.answer) {
            self.sim.log(|| format!("gateway {} at the store: {cell}", self.gateway));
        }
        self.sim.dies_at(self.gateway, cell, "before").await;
        let said = Text::new("停用", "down");
        match cell.answer {
            "unavailable" => return Err(StoreError::Unavailable(said)),
            "in_doubt_lost" => return Err(StoreError::InDoubt(said)),
            _ => {}
        }
        let done = self.sim.at_once(done);
        self.sim.dies_at(self.gateway, cell, "after").await;
        self.sim.stalls_at(self.gateway, cell);
        self.sim.give_way().await;
        if cell.answer == "in_doubt" { Err(StoreError::InDoubt(said)) } else { done }
    }

    fn call(&self, step: &Step) -> Call {
        let event = match (&step.claim, step.lease) {
            (Some(_), _) => "message",
            (None, Some(_)) => "drive",
            (None, None) => "desk",
        };
        Call { state: self.sim.stored(&key(&step.stay)), event, is_read: false }
    }
}

/// What a stay is known by.
fn key(stay: &StayRef) -> String {
    match stay {
        StayRef::Visit { number, .. } => number.to_string(),
        StayRef::Settlement(id) | StayRef::Stay(id) => id.to_string(),
    }
}

impl Store for Faulty {
    fn step(&self, mut step: Step) -> Answer<'_, Done> {
        let call = self.call(&step);
        let event = call.event;
        let seen = Arc::new(Mutex::new(None));
        let (slot, mutant) = (Arc::clone(&seen), self.mutant.clone());
        if let Some(mutant) = &mutant {
            mutant.before(&mut step);
        }
        let (decide, claim) = (step.decide, step.claim.clone());
        let (is_message, at) = (claim.is_some(), step.at);
        step.decide = Box::new(move |mut facts: Facts| {
            if let Some(mutant) = &mutant {
                mutant.facts(&mut facts);
            }
            let bill = facts.stay.as_ref().and_then(|stay| stay.bill.clone());
            let mut changes = decide(facts);
            if let Some(mutant) = &mutant {
                let word = changes.as_ref().map_or("new", |changes| Noted::of(changes, bill.as_ref()).word);
                changes = changes.and_then(|changes| mutant.changes(changes, word, is_message));
            }
            *slot.lock().unwrap() = changes.as_ref().map(|changes| Noted::of(changes, bill.as_ref()));
            changes
        });
        Box::pin(async move {
            let done = async {
                let done = self.inner.step(step).await;
                if let (Ok(Done::Decided(_)), Some(noted)) = (&done, seen.lock().unwrap().take()) {
                    if let Some(keys) = &noted.keys {
                        let (gateway, word) = (self.gateway, noted.word);
                        self.sim.log(|| format!("gateway {gateway} writes {} {word}", keys[0]));
                    }
                    self.sim.store_has(noted, event, claim.map(|claim| claim.message_id), at);
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
        Box::pin(self.around(Call { state, event: "take", is_read: false }, taken))
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
        let due = async move {
            match self.mutant.as_ref().filter(|mutant| mutant.tells_the_newest_first()) {
                Some(_) => Ok(newest_first(self.inner.outbox_waiting(limit).await?, now, &busy)),
                None => self.inner.outbox_due(now, busy, limit).await,
            }
        };
        Box::pin(self.around(READ, due))
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
