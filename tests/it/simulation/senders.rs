//! Everybody who asks something of a gateway and waits for the answer: hospitals, desks, and whoever runs it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use yizhan::refusal::Code;
use yizhan::runtime::Clock;
use yizhan::settlement::gateway::Gateway;
use yizhan::settlement::gateway::Handled;
use yizhan::settlement::gateway::Order;
use yizhan::settlement::message::Trigger;
use yizhan::settlement::outcome::Outcome;
use yizhan::settlement::record::Phase;
use yizhan::settlement::saga::attention::Cause;
use yizhan::settlement::saga::event::Resolution;
use yizhan::store::{Done, MessageClaim, StayRef, Step, Store};

use super::look::{HOSPITAL, Look};
use super::promises::Promises;
use super::tasks::{Owner, Slot};
use super::workload::{Sending, Workload};
use super::world::World;

/// How long a sender waits for its answer before it sends again.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// What was answered as taken in: it must never be lost.
pub(crate) struct Acked {
    pub(crate) visit: Arc<str>,
    pub(crate) what: What,
}

pub(crate) enum What {
    Message(Box<Sending>),
    Reversal,
}

impl World {
    pub(crate) fn send_all(self: &Arc<Self>, work: Workload) {
        self.waiting.store(work.sendings.len() + work.reversals.len(), Ordering::Relaxed);
        for sending in work.sendings {
            self.sim.spawner.spawn(Owner::Outside, Arc::clone(self).send(sending));
        }
        for (visit, not_before_ms) in work.reversals {
            self.sim.spawner.spawn(Owner::Outside, Arc::clone(self).take_back(visit, not_before_ms));
        }
        let is_operated = self.sim.dice(|dice| dice.percent(70));
        self.is_operated.store(is_operated, Ordering::Relaxed);
        if is_operated {
            self.sim.spawner.spawn(Owner::Outside, Arc::clone(self).operate());
        }
    }

    async fn pause_ms(&self, pause: u64) {
        self.sim.clock.sleep_until(self.sim.now() + SignedDuration::from_millis(pause.cast_signed())).await;
    }

    /// Asks whichever gateway is there until one answers.
    async fn ask<F>(&self, ask: impl Fn(Gateway) -> F) -> Outcome
    where
        F: Future<Output = Handled> + Send + 'static,
    {
        loop {
            if let Some((nth, gateway)) = self.gateway() {
                let answer = Slot::new();
                let (asked, slot) = (ask(gateway.clone()), answer.clone());
                self.sim.spawner.spawn(Owner::Gateway(nth), async move {
                    let Handled { outcome, pursuit, .. } = asked.await;
                    slot.put(outcome);
                    if let Some(pursuit) = pursuit {
                        gateway.pursue(pursuit).await;
                    }
                });
                tokio::select! {
                    biased;
                    outcome = answer => if !is_to_be_sent_again(&outcome) {
                        return outcome;
                    },
                    () = self.sim.clock.sleep_until(self.sim.now() + PATIENCE) => {}
                }
            }
            self.sim.within(3_000).await;
        }
    }

    async fn send(self: Arc<Self>, sending: Sending) {
        self.pause_ms(sending.at_ms).await;
        let outcome = self
            .ask(|gateway| {
                let Sending { message, raw, .. } = sending.clone();
                async move { gateway.handle(message, raw, None).await }
            })
            .await;
        self.sim.log(|| {
            format!("{} {} is answered {}", sending.visit, sending.message.message_id, told(&outcome))
        });
        if !matches!(outcome, Outcome::Refused(_)) {
            let visit = Arc::clone(&sending.visit);
            self.acked.lock().unwrap().push(Acked { visit, what: What::Message(Box::new(sending)) });
            self.sim.moved();
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    async fn take_back(self: Arc<Self>, visit: Arc<str>, not_before_ms: u64) {
        self.pause_ms(not_before_ms).await;
        let mut tries_when_calm = 0;
        while !matches!(self.sim.stored(&visit), "settled" | "delivering") {
            tries_when_calm += u32::from(self.sim.is_calm());
            // It was refused, taken back already, or waits for a person: the desk goes home.
            if tries_when_calm > 60 {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            self.pause_ms(4_000).await;
        }
        let Some(settlement) = self.settlement_of(&visit) else { return };
        let outcome = self.reverse(settlement).await;
        self.sim.log(|| format!("the reversal of {visit} is answered {}", told(&outcome)));
        // Somebody presses the button again: while it is under way, or when it is done.
        if self.sim.dice(|dice| dice.percent(50)) {
            let again_in = self.sim.dice(|dice| *dice.one_of(&[0, 200, 20_000]));
            self.pause_ms(again_in).await;
            self.reverse(settlement).await;
        }
        if !matches!(outcome, Outcome::Refused(_)) {
            self.acked.lock().unwrap().push(Acked { visit, what: What::Reversal });
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    async fn reverse(&self, settlement: Uuid) -> Outcome {
        let (reason, operator) = ("费用有误", "desk 7");
        self.ask(|gateway| async move {
            gateway.reverse(settlement, reason.to_owned(), operator.to_owned()).await
        })
        .await
    }

    fn settlement_of(&self, visit: &Arc<str>) -> Option<Uuid> {
        let look = self.look();
        let stay = look.stays.into_values().find(|stay| stay.visit == *visit)?;
        stay.record.settlement.map(|settlement| settlement.id)
    }

    /// Once all is well, a person works off what waits for one, with what the payer says.
    async fn operate(self: Arc<Self>) {
        loop {
            self.pause_ms(60_000).await;
            let Some((_, gateway)) = self.gateway().filter(|_| self.sim.is_calm()) else { continue };
            let waiting = gateway.attention(100).await.unwrap_or_default();
            for waits in waiting {
                let Some((order, settlement)) = self.order(&waits) else { continue };
                let ordered = gateway.order(settlement, order.clone(), "operator".to_owned()).await;
                self.sim.log(|| format!("a person orders {order:?}: {ordered:?}"));
            }
        }
    }

    fn order(&self, waits: &yizhan::settlement::gateway::Waiting) -> Option<(Order, Uuid)> {
        let look = self.look();
        let stay = look.stays.values().find(|stay| stay.record.stay_id == waits.stay_id)?;
        let attention = stay.record.saga.as_ref()?.attention.as_ref()?;
        let id = waits.stay_id;
        let reason = "telephone".to_owned();
        let operation = Arc::clone(&attention.operation);
        let line = self.lines.iter().find(|line| line.name == attention.adapter)?;
        let mut books = line.books.lock().unwrap();
        let entry = books.entries.get(&operation).cloned().unwrap_or_default();
        let as_ = match attention.cause {
            Cause::UndoRefused { .. } if self.sim.dice(|dice| dice.percent(50)) => {
                return Some((Order::Retry, id));
            }
            // The payer agrees to pay back by other means.
            Cause::Irreversible => {
                books.entries.get_mut(&operation)?.is_reversed = true;
                Resolution::NotDone
            }
            Cause::UndoRefused { .. } => Resolution::NotDone,
            _ if entry.effects > 0 => {
                Resolution::Done { amounts: entry.amounts, reference: format!("R-{operation}") }
            }
            _ => Resolution::NotDone,
        };
        Some((Order::Resolve { operation, as_, reason }, id))
    }
}

impl World {
    /// What was acknowledged is in the store, whatever has happened since.
    pub(crate) fn remembered(&self, look: &Look) -> Result<(), String> {
        for Acked { what, .. } in self.acked.lock().unwrap().iter() {
            let What::Message(sending) = what else { continue };
            // A whole document replaces what was gathered before it: only such a one says what must be there.
            if sending.message.trigger != Trigger::Complete {
                continue;
            }
            lines_are_there(look, sending)?;
        }
        Ok(())
    }

    /// Whether everything asked was answered and nothing is under way but what waits for a person.
    pub(crate) fn is_over(&self) -> bool {
        let is_open =
            |line: &super::payer::Line| line.books.lock().unwrap().on_the_way.values().any(|way| *way > 0);
        if self.waiting.load(Ordering::Relaxed) > 0 || self.lines.iter().any(is_open) {
            return false;
        }
        let look = self.look();
        look.stays.values().all(|stay| {
            let is_under_way = stay.record.is_with_payers();
            !is_under_way
                || (look.attention.contains(&stay.record.stay_id)
                    && !self.is_operated.load(Ordering::Relaxed))
        })
    }

    /// At the end: all settled, taken back or with a person; nothing reserved but for those; every acknowledged
    /// message is known again, and every acknowledged reversal was carried out.
    pub(crate) fn check_end(&self) {
        let look = self.look();
        let promises = Promises { look: &look, payers: &self.payers, limits: self.limits() };
        let held = promises.check().and_then(|()| self.remembered(&look)).and_then(|()| nothing_left(&look));
        if let Err(why) = held.and_then(|()| self.known_again(&look)) {
            self.sim.broken(why);
        }
    }

    fn known_again(&self, look: &Look) -> Result<(), String> {
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
                What::Reversal => is_taken_back(look, visit)?,
            }
        }
        Ok(())
    }
}

/// Every line of an acknowledged message is there.
pub(crate) fn lines_are_there(look: &Look, sending: &Sending) -> Result<(), String> {
    let visit = &sending.visit;
    let Some(stay) = look.stays.get(visit) else {
        return Err(format!("nothing lost: {visit} was acknowledged and is not there"));
    };
    let known = stay.record.part.lines.iter().chain(&stay.record.late_lines);
    let known: Vec<&str> = known.map(|line| line.id.as_str()).collect();
    let is_there = |id: &str| known.contains(&id);
    match sending.message.part.lines.iter().find(|line| !is_there(&line.id)) {
        Some(line) => {
            Err(format!("nothing lost: line {} of {visit} was acknowledged and is not there", line.id))
        }
        None => Ok(()),
    }
}

/// A reversal that was acknowledged leaves nothing of what it takes back.
pub(crate) fn is_taken_back(look: &Look, visit: &Arc<str>) -> Result<(), String> {
    let is_settled_once = look.stays.get(visit).is_some_and(|stay| {
        let bill = stay.record.settlement.as_ref().map(|settlement| &settlement.bill);
        stay.record.phase == Phase::Settled && bill.is_some_and(|bill| bill.replaces.is_none())
    });
    if is_settled_once {
        return Err(format!("nothing lost: the reversal of {visit} was acknowledged, it stands"));
    }
    Ok(())
}

/// Nothing is set aside any more, unless a person has to look.
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
    let stay =
        StayRef::Visit { hospital: HOSPITAL.into(), number: Arc::clone(&sending.visit), admitted: None };
    let decide = Box::new(|_| None);
    let step = Step { at, claim: Some(claim), stay, persons: Vec::new(), lease: None, decide };
    matches!(store.step(step).await, Ok(Done::Repeated(_)))
}

fn is_to_be_sent_again(outcome: &Outcome) -> bool {
    let Outcome::Refused(refused) = outcome else { return false };
    refused.refusals.iter().any(|refusal| refusal.code == Code::StoreUnavailable)
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Bill(bill) => format!("{} {}", bill.state.word(), bill.patient_share),
        Outcome::Noted(noted) => format!("noted {}", noted.state.word()),
        Outcome::Refused(refused) => {
            refused.refusals.iter().map(|refusal| refusal.code.slug()).collect::<Vec<_>>().join(" ")
        }
    }
}
