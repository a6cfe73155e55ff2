//! When promises are looked at: whenever something durable has moved, and when all is over.

use std::sync::atomic::Ordering;

use yizhan::settlement::record::Phase;
use yizhan::settlement::saga::{Call, Saga};
use yizhan::store::OutboxEntry;

use super::acknowledged::nothing_left;
use super::look::{Look, Moved, StayLook};
use super::payer::Line;
use super::promises::Promises;
use super::workload::CITY;
use super::world::World;

impl World {
    /// Promises that hold at any time.
    pub(super) fn check(&self, moved: &Moved) {
        let mut look = self.last_look.lock().unwrap();
        self.sim.at_once(look.again(&*self.store, &self.known, moved));
        let look = &*look;
        let promises = Promises { look, payers: &self.payers, limits: &self.limits };
        let held = self
            .never_raised(look)
            .and_then(|()| promises.check())
            .and_then(|()| self.fenced(look))
            .and_then(|()| self.as_agreed(look))
            .and_then(|()| self.remembered(look));
        if let Err(why) = held {
            self.sim.broken(why);
        }
    }

    /// What waits for a desk is settled for no more than somebody there agreed to.
    fn as_agreed(&self, look: &Look) -> Result<(), String> {
        let agreed = self.agreed.lock().unwrap();
        for stay in look.stays.values().filter(|stay| stay.record.part.hospital == CITY) {
            let Some(settlement) = &stay.record.settlement else { continue };
            let share = settlement.bill.patient_share;
            let most = agreed.get(&stay.visit).and_then(|shares| shares.iter().max());
            if stay.record.phase == Phase::Settled && most.is_none_or(|most| *most < share) {
                let visit = &stay.visit;
                return Err(format!("agreed: {visit} is settled for {share}, its desk agreed to {most:?}"));
            }
        }
        Ok(())
    }

    /// Nobody writes on the strength of a lease that was taken from it.
    fn fenced(&self, look: &Look) -> Result<(), String> {
        let mut epochs = self.epochs.lock().unwrap();
        for stay in look.stays.values() {
            let newest = epochs.entry(stay.record.stay_id).or_default();
            if stay.hold.epoch < *newest {
                return Err(format!(
                    "fencing: {} went back from epoch {newest} to {}",
                    stay.visit, stay.hold.epoch
                ));
            }
            *newest = stay.hold.epoch;
        }
        Ok(())
    }
}

/// The end.
impl World {
    /// Whether everything asked was answered and nothing is under way but what waits for a person.
    pub(super) fn is_over(&self) -> bool {
        let is_open = |line: &Line| line.books.lock().unwrap().on_the_way.values().any(|way| *way > 0);
        if self.waiting.load(Ordering::Relaxed) > 0 || self.lines.iter().any(is_open) {
            return false;
        }
        // Everything that has moved was looked at.
        let look = self.last_look.lock().unwrap();
        let is_operated = self.is_operated.load(Ordering::Relaxed);
        let is_done = |stay: &StayLook| {
            let record = &stay.record;
            let is_waited_for = record.phase == Phase::AwaitingCharges && stay.hold.due_at.is_some();
            let is_under_way = record.is_with_payers() || is_waited_for;
            let is_attended = look.attention.contains(&record.stay_id);
            if is_attended { !is_operated } else { !is_under_way }
        };
        look.stays.values().all(is_done) && self.untold().is_empty()
    }

    /// What waits to be told to hospitals whose receivers are there.
    fn untold(&self) -> Vec<OutboxEntry> {
        let mut waiting = self.sim.at_once(self.store.outbox_waiting(1_000)).unwrap();
        waiting.retain(|entry| Some(&*entry.hospital) != self.dead);
        waiting
    }

    /// At the end: all settled, taken back or with a person; nothing reserved but for those; everything told; what
    /// was acknowledged is known again.
    pub(super) fn check_end(&self) {
        let look = self.look();
        let promises = Promises { look: &look, payers: &self.payers, limits: &self.limits };
        let held = promises
            .check()
            .and_then(|()| self.remembered(&look))
            .and_then(|()| nothing_left(&look))
            .and_then(|()| self.sim.telling(|telling| telling.is_complete(&look, self.dead)))
            .and_then(|()| self.known_again(&look));
        if let Err(why) = held {
            self.sim.broken(why);
        }
    }

    /// What is not over, for whoever has to find out why.
    pub(super) fn open(&self) -> String {
        let look = self.look();
        let open = look
            .stays
            .values()
            .filter(|stay| stay.record.is_with_payers() || stay.record.phase == Phase::AwaitingCharges);
        let calls = |saga: &Saga| {
            let call = |call: &Call| {
                let undo = call.undo.as_ref().map(|undo| &undo.state);
                format!("{} {:?} undo {undo:?}", call.adapter, call.commit.state)
            };
            format!("{:?} {}", saga.course, saga.calls.iter().map(call).collect::<Vec<_>>().join(", "))
        };
        let told = open.map(|stay| {
            let saga = stay.record.saga.as_ref().map(calls);
            format!("{} {:?} {:?} {saga:?}", stay.visit, stay.record.phase, stay.hold)
        });
        let waiting = self.waiting.load(Ordering::Relaxed);
        let untold = self.untold();
        format!("{waiting} unanswered; untold {untold:?}; {}", told.collect::<Vec<_>>().join("; "))
    }
}
