//! Carries a saga out: keeps it durable, sends what it wants sent, waits, and brings the answers back to it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::{SignedDuration, Timestamp};
use yizhan_contract::Text;
use yizhan_contract::instant::later;
use yizhan_contract::payer::{ASK_DEADLINE, Performed, Status};

use super::pursue::{Drive, Seen, Stop, Went};
use super::quote::{Quoted, no_answer};
use super::{Gateway, heard};
use crate::settlement::carried::Carry;
use crate::settlement::given::{Answer, Given};
use crate::settlement::message::Mode;
use crate::settlement::outcome::Outcome;
use crate::settlement::refusals;
use crate::settlement::saga::event::{Event, Part, Wanted};
use crate::settlement::saga::{COMMIT_DEADLINE, Course, Saga, Sent, Why};
use crate::store::StoreError;
use crate::telemetry;

/// A stay whose payers will not be asked before that long is let go of; it comes back when its time has come.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);
/// Pause before a store that cannot be written is tried again.
const STORE_PAUSE: SignedDuration = SignedDuration::from_millis(250);

type Answering<'a> = Pin<Box<dyn Future<Output = Event> + Send + 'a>>;

/// What the driver does between two events.
struct Turn {
    saga: Saga,
    wanted: VecDeque<Wanted>,
    /// What the saga was priced from anew and has not been kept yet.
    given: Option<Given>,
    is_to_be_kept: bool,
}

impl Drive<'_> {
    /// Takes the stay's saga up and carries it on.
    pub(super) async fn carry_out(&mut self, mut seen: Seen) -> Result<Went, Stop> {
        let Some(saga) = seen.record.saga.clone() else { return Err(lost_saga()) };
        // The gateway that recorded an intent goes on with it under the same lease; to any other, what was
        // intended may have been sent.
        let first = if std::mem::take(&mut self.has_intended) {
            // Seen again later, what this drive has sent meanwhile is not known to be unsent.
            self.is_holder_gone = true;
            Event::Begun
        } else {
            Event::TakenOver { by: Arc::clone(self.gateway.name()), is_gone: self.is_holder_gone }
        };
        let mut turn = Turn { saga, wanted: VecDeque::new(), given: None, is_to_be_kept: false };
        self.step(&mut turn, first);
        let gateway = self.gateway;
        let mut answering: FuturesUnordered<Answering<'_>> = FuturesUnordered::new();
        'turn: loop {
            self.prepare_wanted(&mut turn);
            // The end is written with what ended it.
            let is_over = turn.wanted.contains(&Wanted::Finish);
            if turn.is_to_be_kept && !is_over && !self.keep(&mut seen, &mut turn).await? {
                return Ok(Went::On);
            }
            let mut wake = None;
            while let Some(wanted) = turn.wanted.pop_front() {
                match wanted {
                    Wanted::Send { call, part } => {
                        self.renew().await?;
                        answering.extend(gateway.send(&turn.saga, call, part));
                    }
                    Wanted::Ask { call, part } => answering.extend(gateway.ask(&turn.saga, call, part)),
                    Wanted::Wake { at } => wake = Some(at),
                    Wanted::Requote => {
                        let event = self.requote(&seen, &mut turn).await?;
                        self.step(&mut turn, event);
                        continue 'turn;
                    }
                    Wanted::Finish => return self.finish(&seen, turn).await,
                    Wanted::Prepare { .. } => {}
                }
            }
            if answering.is_empty() && wake.is_none_or(|at| later(gateway.runtime().now(), PATIENCE) < at) {
                return self.let_go(&seen, turn.saga, wake).await;
            }
            let event = self.next(&mut answering, wake).await?;
            self.step(&mut turn, event);
        }
    }

    fn step(&self, turn: &mut Turn, event: Event) {
        let at = self.gateway.runtime().now();
        let stepped = self.gateway.stepping().0(turn.saga.clone(), event, at);
        turn.saga = stepped.saga;
        turn.is_to_be_kept |= stepped.is_to_be_kept;
        // Only the newest time counts; what is wanted already is not wanted twice.
        turn.wanted.retain(|wanted| !matches!(wanted, Wanted::Wake { .. }));
        for wanted in stepped.wanted {
            if !turn.wanted.contains(&wanted) {
                turn.wanted.push_back(wanted);
            }
        }
    }

    /// Adapters make their operations ready before any of them is kept, so that one write keeps them all.
    fn prepare_wanted(&self, turn: &mut Turn) {
        while let Some(at) = turn.wanted.iter().position(|wanted| matches!(wanted, Wanted::Prepare { .. })) {
            let Some(Wanted::Prepare { call, part }) = turn.wanted.remove(at) else { return };
            let Some(known) = turn.saga.calls.get(call) else { continue };
            match self.prepare_part(known, part) {
                Ok(operation) => self.step(turn, Event::Prepared { call, part, operation }),
                Err((adapter, why)) => {
                    telemetry::operation_not_prepared(&adapter);
                    self.step(turn, Event::NotPrepared { call, part, why: why.0 });
                }
            }
        }
    }

    /// Makes the saga durable before anything it wants is done. A store that cannot be written is tried until the
    /// lease runs out: nothing was sent on the strength of what is not durable.
    async fn keep(&mut self, seen: &mut Seen, turn: &mut Turn) -> Result<bool, Stop> {
        self.renew().await?;
        loop {
            let carry = Carry::Kept {
                saga: turn.saga.clone(),
                given: turn.given.clone(),
                hold: self.hold_until(self.until, true),
            };
            match self.carry(seen, carry).await {
                // Everything that is wanted next rests on this having been written.
                Ok(Some(Outcome::Refused(_))) => return Err(lost_saga()),
                Ok(Some(_)) => {
                    turn.is_to_be_kept = false;
                    turn.given = None;
                    return Ok(true);
                }
                // The person's year moved since it was priced anew: none of that was sent, and it begins again.
                Ok(None) if turn.given.is_some() => return Ok(false),
                // The stay moved (late charges came): see it anew. One that is not under way any more is somebody
                // else's, and what is wanted here with it.
                Ok(None) => {
                    *seen = self.look().await?.ok_or_else(lost_saga)?;
                    if !seen.record.is_carried_out() {
                        return Ok(false);
                    }
                }
                Err(Stop::Store(error)) if error.may_retry() => self.pause_for_store(error).await?,
                Err(stop) => return Err(stop),
            }
        }
    }

    /// A share that rose is quoted again for the desk; every other end is said.
    async fn finish(&mut self, seen: &Seen, turn: Turn) -> Result<Went, Stop> {
        let Turn { saga, given, .. } = turn;
        let is_quoted_again = matches!(saga.course, Course::Undone(Why::ShareRose { .. }));
        let mut again = None;
        loop {
            let seen = again.as_ref().unwrap_or(seen);
            match self.carry(seen, Carry::Over { saga: saga.clone(), given: given.clone() }).await {
                Ok(Some(_)) if is_quoted_again => return Ok(Went::On),
                Ok(Some(outcome)) => return Ok(Went::Ended(outcome)),
                Ok(None) => {
                    let anew = self.look().await?.ok_or_else(lost_saga)?;
                    // One that waits for nobody but those whose part is advanced is carried out still.
                    let is_written = !anew.record.is_carried_out()
                        || (anew.record.is_delivering() && saga.is_delivering());
                    // It was written, and nobody here heard of it.
                    if is_written && !is_quoted_again {
                        return Ok(Went::Ended(self.gateway.stands(&anew.record).await?));
                    }
                    if is_written || given.is_some() {
                        return Ok(Went::On);
                    }
                    again = Some(anew);
                }
                Err(Stop::Store(error)) if error.may_retry() => self.pause_for_store(error).await?,
                Err(stop) => return Err(stop),
            }
        }
    }

    /// Nothing to do for a while: whoever is there then goes on.
    async fn let_go(&mut self, seen: &Seen, saga: Saga, wake: Option<Timestamp>) -> Result<Went, Stop> {
        let hold = crate::store::Hold { due_at: wake, ..self.hold_until(self.until, false) };
        let kept = self.carry(seen, Carry::Kept { saga, given: None, hold }).await?;
        Ok(kept.map_or(Went::On, Went::Ended))
    }

    pub(super) async fn pause_for_store(&mut self, error: StoreError) -> Result<(), Stop> {
        let clock = &self.gateway.runtime().clock;
        let again = later(clock.now(), STORE_PAUSE);
        if self.until <= again {
            return Err(Stop::Store(error));
        }
        clock.sleep_until(again).await;
        Ok(())
    }

    /// The next answer, or the passing of time; the lease is renewed while answers are awaited.
    async fn next(
        &mut self,
        answering: &mut FuturesUnordered<Answering<'_>>,
        wake: Option<Timestamp>,
    ) -> Result<Event, Stop> {
        let clock = Arc::clone(&self.gateway.runtime().clock);
        loop {
            let renew_at = self.until.saturating_sub(COMMIT_DEADLINE).unwrap_or(self.until);
            let until = wake.map_or(renew_at, |wake| wake.min(renew_at));
            let is_idle = answering.is_empty();
            tokio::select! {
                biased;
                Some(event) = answering.next(), if !is_idle => return Ok(event),
                () = clock.sleep_until(until) => {}
            }
            if wake.is_some_and(|wake| wake <= clock.now()) {
                return Ok(Event::Woken);
            }
            self.renew().await?;
        }
    }

    /// The chain is walked again with the confirmed amounts; payers that were not sent to are asked again.
    async fn requote(&mut self, seen: &Seen, turn: &mut Turn) -> Result<Event, Stop> {
        let (given, settlement) = match self.quote(seen, Mode::Settle, confirmed(&turn.saga)).await? {
            Quoted::All { given, settlement } => (given, settlement),
            Quoted::Breach(why) => return Ok(Event::GivenUp(why)),
            Quoted::Refused(refusals) => {
                let why = refusals.into_iter().next().map(|refusal| refusal.detail);
                return Ok(no_quote(&turn.saga, why));
            }
            Quoted::Waits(refusal, _) => return Ok(no_quote(&turn.saga, Some(refusal.detail))),
        };
        // Against what was agreed to and not what it has risen to: each payer by itself would be within the tolerance.
        let before = seen.record.settlement.as_ref();
        let agreed = before.map(|before| before.agreed.unwrap_or(before.bill.patient_share));
        let (from, to) = (agreed.unwrap_or_default(), settlement.bill.patient_share);
        if from + self.gateway.tolerance(&settlement) < to {
            return Ok(Event::GivenUp(Why::ShareRose { from, to }));
        }
        match self.plan(seen, &settlement, &given) {
            Ok(calls) => {
                turn.given = Some(given);
                Ok(Event::Requoted { calls })
            }
            Err((adapter, why)) => {
                telemetry::operation_not_prepared(&adapter);
                Ok(no_quote(&turn.saga, Some(refusals::cannot_prepare(&adapter, &why))))
            }
        }
    }
}

/// The payer whose amount moved, and why those behind it cannot be asked again.
fn no_quote(saga: &Saga, why: Option<Text>) -> Event {
    let committed = || saga.calls.iter().filter(|call| call.is_committed());
    let moved = committed().find(|call| call.has_moved()).or_else(|| committed().next_back());
    let Some(call) = moved else { return Event::Woken };
    let Some(payer) = call.payers().next().cloned() else { return Event::Woken };
    telemetry::not_quoted_again(&call.adapter, &payer);
    Event::GivenUp(Why::NoQuote { payer, why })
}

/// What payers have confirmed, as answers that stand, with what their quotes said of payers behind them.
fn confirmed(saga: &Saga) -> Given {
    let mut given = Given::new();
    for call in &saga.calls {
        let Sent::Done { amounts, reference, .. } = &call.commit.state else { continue };
        let last = call.legs.last().map(|(payer, _)| payer);
        for (payer, amount) in amounts {
            let answer = Answer::confirmed(*amount, Arc::from(reference.as_str()));
            let also_paid = if last == Some(payer) { call.also_paid.clone() } else { Vec::new() };
            given.insert(payer.clone(), answer.also_paying(also_paid));
        }
    }
    given
}

impl Gateway {
    /// Sends an operation; anything but an explicit answer in time is unknown.
    fn send(&self, saga: &Saga, call: usize, part: Part) -> Option<Answering<'_>> {
        let call = saga.calls.get(call)?;
        let sent = call.operation(part)?;
        let (operation, prepared) = (Arc::clone(&sent.id), sent.prepared.clone());
        let leaves_before = sent.leaves_before;
        let payer = self.directory().named(&call.adapter);
        Some(Box::pin(async move {
            let unknown = |why| Performed::Unknown { poll_after: None, why };
            let now = self.runtime().now();
            // Whoever took over may by now believe that it never left.
            if leaves_before < now {
                let why = "未发送：已过发送时限 | it was not sent: its time to leave had passed".to_owned();
                return Event::Performed { operation, answer: unknown(why) };
            }
            let deadline = later(now, COMMIT_DEADLINE);
            let answer = self.within(deadline, payer.perform(&prepared, deadline)).await;
            let answer = answer.map_or_else(|| unknown(no_answer().why), heard::performed);
            Event::Performed { operation, answer }
        }))
    }

    fn ask(&self, saga: &Saga, call: usize, part: Part) -> Option<Answering<'_>> {
        let call = saga.calls.get(call)?;
        let sent = call.operation(part)?;
        let (operation, prepared) = (Arc::clone(&sent.id), sent.prepared.clone());
        let payer = self.directory().named(&call.adapter);
        Some(Box::pin(async move {
            let deadline = later(self.runtime().now(), ASK_DEADLINE);
            let answer = self.within(deadline, payer.status(&prepared, deadline)).await;
            let answer = answer.map_or_else(|| Status::Unavailable(no_answer()), heard::status);
            Event::Asked { operation, answer }
        }))
    }

    /// What a future comes to before `deadline`.
    pub(super) async fn within<T>(&self, deadline: Timestamp, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.runtime().clock.sleep_until(deadline) => None,
        }
    }
}

fn lost_saga() -> Stop {
    Stop::Store(StoreError::Damaged("the stay under way is not in the store any more".to_owned()))
}
