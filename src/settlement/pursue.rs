//! The driver of stays that need outside payers: asks for quotes, records the intent, carries the saga out.
//!
//! No transaction is open and no person's row is held while a payer is asked. Everything that decides is pure
//! ([`super::carried`], [`super::saga`]); here is the waiting. Whoever drives holds the stay's lease; where it is
//! lost, what is under way is dropped, and the next holder goes on from what is durable.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::payer::{
    Ask, Memo, Operation as Ordered, OperationKind, PrepareError, Quote, QuoteAnswer, QuotedAmount,
    Unavailable,
};
use yizhan_contract::stay::SettledElsewhere;
use yizhan_contract::{Money, PayerCode};

use super::bill::BillState;
use super::carried::Carry;
use super::decide::Asked;
use super::gateway::{Gateway, Stepped, Work, record, store_refusal};
use super::given::{Answer, Given};
use super::message::{Hospital, Mode, SettleOn};
use super::outcome::Outcome;
use super::payers::Adapter;
use super::price::{Ground, Priced, ToAsk, price};
use super::record::{Pricing, Settlement, StayRecord};
use super::refusals::{self, LinePlaces};
use super::reserved::reserved_by_others;
use super::saga::event::Part;
use super::saga::{COMMIT_DEADLINE, Call, Operation, Terms, plan};
use crate::refusal::Refusal;
use crate::store::{Done, Due, Facts, Hold, Lease, StayRef, Step, StoreError};

/// How long a payer may take to answer a question: a quote, or what became of an operation.
pub const ASK_DEADLINE: SignedDuration = SignedDuration::from_secs(5);
/// Pauses before a stay that waits for a payer is tried again; the last one repeats.
const POSTPONED_S: [i64; 6] = [2, 5, 15, 60, 120, 300];
/// Stays taken up at a time when a gateway begins.
const REARM_PAGE: u32 = 256;
/// How often a stay is looked at again because it, or the person's year, moved while payers were asked.
const ROUNDS_MAX: usize = 50;

/// A stay whose outside payers are to be asked, and the right to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pursuit {
    pub lease: Lease,
    /// Until when the right lasts.
    pub until: Timestamp,
    /// Whoever held the stay before is known to have ended.
    pub is_holder_gone: bool,
    /// Charges count as quiet that are so by then; absent: by the clock.
    pub as_of: Option<Timestamp>,
}

/// What a message or a desk's order came to.
#[derive(Debug)]
pub struct Handled {
    /// Durable.
    pub outcome: Outcome,
    /// Outside payers have to be asked: drive it with [`Gateway::pursue`].
    pub pursuit: Option<Pursuit>,
    /// The stay to look at for what it comes to, where the outcome is under way and somebody else drives it.
    pub stay: Option<StayRef>,
}

impl Handled {
    pub(super) fn outcome(outcome: Outcome) -> Self {
        Self { outcome, pursuit: None, stay: None }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::outcome(refusal.into())
    }
}

/// Why a pursuit ended without an outcome of its own.
pub(super) enum Stop {
    /// Somebody else acts for the stay.
    LeaseLost,
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// One stay while it is driven.
pub(super) struct Drive<'g> {
    pub(super) gateway: &'g Gateway,
    pub(super) lease: Lease,
    pub(super) until: Timestamp,
    /// The intent was recorded by this very drive: nothing of it can have been sent before.
    pub(super) has_intended: bool,
    /// Whoever held the stay before has ended: it sends nothing any more.
    pub(super) is_holder_gone: bool,
    pub(super) as_of: Option<Timestamp>,
}

/// The stay and its person as they are now.
pub(super) struct Seen {
    pub(super) record: StayRecord,
    pub(super) facts: Facts,
    pub(super) hospital: Arc<Hospital>,
}

/// Whether a stay has to be looked at again.
pub(super) enum Went {
    On,
    Ended(Outcome),
}

/// What asking for quotes came to.
pub(super) enum Quoted {
    All {
        given: Given,
        settlement: Box<Settlement>,
    },
    Refused(Vec<Refusal>),
    /// A payer that is needed cannot be asked now.
    Waits(Refusal),
}

impl Gateway {
    /// Drives a stay until its settlement or reversal is over, a person has to look, or somebody else took over.
    /// What it answers is durable.
    pub async fn pursue(&self, pursuit: Pursuit) -> Outcome {
        let stay_id = pursuit.lease.stay_id;
        let Pursuit { lease, until, is_holder_gone, as_of } = pursuit;
        let mut drive = Drive { gateway: self, lease, until, has_intended: false, is_holder_gone, as_of };
        match drive.run().await {
            Ok(outcome) => outcome,
            Err(Stop::LeaseLost) => {
                tracing::info!(%stay_id, "another gateway acts for the stay");
                self.settle_down(StayRef::Stay(stay_id)).await
            }
            Err(Stop::Store(error)) => {
                tracing::error!(error = %error, %stay_id, "a stay under way is left to be taken up again");
                store_refusal(&error).money(crate::refusal::Money::BeingConfirmed).into()
            }
        }
    }

    /// Takes up, oldest first, what this gateway's name held when it died; to be called before anything else is.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn rearm(&self) -> Result<Vec<Pursuit>, StoreError> {
        // What is taken from here on ends later: it is not taken again.
        let old = self.lease_end();
        let mut pursuits = Vec::new();
        loop {
            let mut held = self.store().held_by(Arc::clone(self.name()), REARM_PAGE).await?;
            held.retain(|due| due.due_at < old);
            if held.is_empty() {
                return Ok(pursuits);
            }
            pursuits.extend(self.take_all(held, true, None).await?);
        }
    }

    /// Takes up stays whose time has come: leases that ran out, payers to be tried again, charges gone quiet.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Pursuit>, StoreError> {
        let due = self.store().due(now, limit).await?;
        self.take_all(due, false, Some(now)).await
    }

    /// Takes up every stay that waits for charges to go quiet, however long it would still wait.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn all_quiet(&self, limit: u32) -> Result<Vec<Pursuit>, StoreError> {
        let due = self.store().due(Timestamp::MAX, limit).await?;
        let free = due.into_iter().filter(|due| !due.is_held).collect();
        self.take_all(free, false, Some(Timestamp::MAX)).await
    }

    async fn take_all(
        &self,
        due: Vec<Due>,
        is_holder_gone: bool,
        as_of: Option<Timestamp>,
    ) -> Result<Vec<Pursuit>, StoreError> {
        let until = self.lease_end();
        let taking = due.into_iter().map(|due| self.store().take(due, Arc::clone(self.name()), until));
        let taken = futures_util::future::try_join_all(taking).await?;
        Ok(taken.into_iter().flatten().map(|lease| Pursuit { lease, until, is_holder_gone, as_of }).collect())
    }

    /// Sees a message or an order through to its end: drives it, or waits for whoever does.
    pub async fn see_through(&self, handled: Handled) -> Outcome {
        match handled {
            Handled { pursuit: Some(pursuit), .. } => self.pursue(pursuit).await,
            Handled { outcome, stay: Some(stay), .. } if outcome.is_under_way() => {
                self.settle_down(stay).await
            }
            Handled { outcome, .. } => outcome,
        }
    }
}

impl Drive<'_> {
    async fn run(&mut self) -> Result<Outcome, Stop> {
        for _ in 0..ROUNDS_MAX {
            let Some(seen) = self.look().await? else { return Ok(refusals::no_such_stay().into()) };
            let is_under_way = seen.record.phase.is_under_way();
            let went = match seen.record.pricing.clone() {
                _ if is_under_way => self.carry_out(seen).await?,
                Some(pricing) => self.price_with_payers(&seen, &pricing).await?,
                None => self.close_quiet(&seen).await?,
            };
            if let Went::Ended(outcome) = went {
                return Ok(outcome);
            }
        }
        let why = "the person's year kept moving while payers were asked".to_owned();
        Err(Stop::Store(StoreError::Unavailable(why)))
    }

    async fn price_with_payers(&mut self, seen: &Seen, pricing: &Pricing) -> Result<Went, Stop> {
        let carry = match self.quote(seen, pricing.mode, Given::new()).await? {
            Quoted::All { given, settlement } => match self.intent(pricing.mode, given, &settlement).await? {
                Ok(carry) => carry,
                Err(refusal) => Carry::Dropped { refusals: vec![refusal] },
            },
            Quoted::Refused(refusals) => Carry::Dropped { refusals },
            Quoted::Waits(waits_for) if pricing.mode == Mode::Quote => {
                Carry::Dropped { refusals: vec![waits_for] }
            }
            Quoted::Waits(waits_for) => {
                let hold = self.hold_until(self.pause(pricing.tries), false);
                Carry::Postponed { waits_for, hold }
            }
        };
        Ok(match self.carry(seen, carry).await? {
            // The stay or the person's year moved: quote again.
            None => Went::On,
            Some(Outcome::Bill(bill)) if bill.state == BillState::Settling => {
                self.has_intended = true;
                Went::On
            }
            Some(outcome) => Went::Ended(outcome),
        })
    }

    /// The stay and its owner in one consistent look.
    pub(super) async fn look(&self) -> Result<Option<Seen>, Stop> {
        let slot = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&slot);
        let step = Step {
            at: self.gateway.runtime().now(),
            claim: None,
            stay: StayRef::Stay(self.lease.stay_id),
            persons: Vec::new(),
            lease: Some(self.lease),
            decide: Box::new(move |facts| {
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts);
                None
            }),
        };
        match self.gateway.store().step(step).await? {
            Done::LeaseLost => return Err(Stop::LeaseLost),
            Done::Undecided | Done::Decided(_) | Done::Repeated(_) | Done::OtherContent => {}
        }
        let facts = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(facts) = facts else { return Ok(None) };
        let Some(stay) = &facts.stay else { return Ok(None) };
        let record = record(stay)?;
        let Some(hospital) = self.gateway.hospital(&record.part.hospital) else { return Ok(None) };
        Ok(Some(Seen { record, facts, hospital }))
    }

    /// Asks payer after payer, each with what those before it pay. Read-only: nothing is held meanwhile.
    pub(super) async fn quote(&self, seen: &Seen, mode: Mode, mut given: Given) -> Result<Quoted, Stop> {
        loop {
            match self.price(seen, mode, &given).await? {
                Err(refusals) => return Ok(Quoted::Refused(refusals)),
                Ok(Priced::Bill(settlement)) => return Ok(Quoted::All { given, settlement }),
                Ok(Priced::Breach { payer, amount, pay_at_most }) => {
                    tracing::warn!(%payer, %amount, %pay_at_most, "a payer answered what it may not pay; its quote is refused");
                    given.insert(payer, Answer::refused(None));
                }
                Ok(Priced::Ask(to_ask)) => {
                    if let Some(stopped) = self.ask(seen, &to_ask, &mut given).await {
                        return Ok(stopped);
                    }
                }
            }
        }
    }

    async fn ask(&self, seen: &Seen, to_ask: &ToAsk, given: &mut Given) -> Option<Quoted> {
        let first = to_ask.legs.first()?;
        let adapter = self.gateway.payers().of(&first.payer)?;
        let deadline = later(self.gateway.runtime().now(), ASK_DEADLINE);
        let ask = Ask {
            stay: Arc::from(self.lease.stay_id.to_string()),
            id_number: seen.record.part.id_number.value().cloned(),
            claim: to_ask.claim.clone(),
            legs: to_ask.legs.clone(),
            paid_before: to_ask.paid_before.clone(),
            memo: Memo::default(),
        };
        let answer = self.gateway.within(deadline, adapter.payer.quote(&ask, deadline)).await;
        let answer = answer.unwrap_or_else(|| QuoteAnswer::Unavailable(no_answer()));
        let mut give = |answer: &dyn Fn(&PayerCode, Option<_>) -> Answer| {
            for (nth, leg) in to_ask.legs.iter().enumerate() {
                let asked = (nth == 0).then(|| leg.clone());
                given.insert(leg.payer.clone(), answer(&leg.payer, asked));
            }
        };
        match answer {
            QuoteAnswer::Quote(quote) if answers_all(&quote, to_ask) => {
                give(&|payer, asked| quoted(&quote, payer, asked));
                None
            }
            QuoteAnswer::Quote(_) => {
                tracing::warn!(adapter = %adapter.name, "a quote answers for other payers than were asked; it is refused");
                give(&|_, asked| Answer::refused(asked));
                None
            }
            QuoteAnswer::Refused { code, .. } => {
                tracing::info!(adapter = %adapter.name, code, "a payer refuses to pay for a stay");
                give(&|_, asked| Answer::refused(asked));
                None
            }
            QuoteAnswer::NotReady { what } => {
                Some(Quoted::Refused(vec![refusals::payer_not_ready(&first.payer, &what)]))
            }
            QuoteAnswer::Unavailable(why) if self.may_defer(adapter, &to_ask.after) => {
                tracing::warn!(adapter = %adapter.name, %why, "an optional payer is deferred");
                give(&|_, asked| Answer::deferred(asked));
                None
            }
            QuoteAnswer::Unavailable(why) => {
                Some(Quoted::Waits(refusals::payer_unavailable(&first.payer, &why)))
            }
        }
    }

    /// Only a tail of the chain whose payers are all optional may be left out for now.
    fn may_defer(&self, adapter: &Adapter, after: &[PayerCode]) -> bool {
        let is_optional = |payer: &PayerCode| {
            self.gateway.payers().of(payer).is_some_and(|adapter| adapter.manifest().optional)
        };
        adapter.manifest().optional && after.iter().all(is_optional)
    }

    pub(super) async fn price(
        &self,
        seen: &Seen,
        mode: Mode,
        given: &Given,
    ) -> Result<Result<Priced, Vec<Refusal>>, Stop> {
        let at = self.gateway.runtime().now();
        let work = self.work(seen, Asked::ChargesQuiet { mode, now: at });
        let lookups = self.gateway.look_up(&work, Some(&seen.record), at).await?;
        let Some(owner) = &seen.facts.person else { return Ok(Err(vec![refusals::no_such_stay()])) };
        let ground = Ground {
            hospital: &seen.hospital,
            policies: self.gateway.policies(),
            items: &lookups.items,
            roster: owner.roster.as_ref(),
            years: &owner.years,
            reserved: reserved_by_others(owner, &seen.record),
            at,
            new_id: uuid::Uuid::nil(),
            payers: self.gateway.payers(),
            given,
        };
        Ok(price(&seen.record, &ground, mode, &LinePlaces::none()))
    }

    /// The intent with its operations made ready, or why an adapter cannot make one.
    async fn intent(
        &mut self,
        mode: Mode,
        given: Given,
        settlement: &Settlement,
    ) -> Result<Result<Carry, Refusal>, Stop> {
        self.renew().await?;
        let calls = match mode {
            Mode::Quote => Ok(Vec::new()),
            Mode::Settle => self.plan(settlement, &given),
        };
        let hold = self.hold_until(self.until, true);
        Ok(match calls {
            Ok(calls) => Ok(Carry::Priced { given, calls, hold }),
            Err((adapter, why)) => Err(refusals::not_prepared(&adapter, &why)),
        })
    }

    /// One call for each adapter that pays something, in the order of the chain.
    pub(super) fn plan(
        &self,
        settlement: &Settlement,
        given: &Given,
    ) -> Result<Vec<Call>, (Arc<str>, PrepareError)> {
        let mut planned: Vec<(&Adapter, Vec<(PayerCode, Money)>)> = Vec::new();
        for line in &settlement.bill.payers {
            let Some(adapter) = self.gateway.payers().of(&line.payer) else { continue };
            let is_quoted = given.get(&line.payer).is_some_and(Answer::is_quoted);
            if !is_quoted || (line.paid.is_zero() && !adapter.manifest().commits_zero) {
                continue;
            }
            let leg = (line.payer.clone(), line.paid);
            match planned.last_mut() {
                Some((last, legs)) if last.name == adapter.name => legs.push(leg),
                _ => planned.push((adapter, vec![leg])),
            }
        }
        let manifests: Vec<_> = planned.iter().map(|(adapter, _)| adapter.manifest()).collect();
        let waves = plan::waves(&manifests);
        let call = |((adapter, legs), wave): ((&Adapter, Vec<(PayerCode, Money)>), u8)| {
            let quote_id = legs
                .first()
                .and_then(|(payer, _)| given.get(payer))
                .and_then(|answer| answer.quote_id.clone());
            let commit = self.prepare(adapter, OperationKind::Commit, quote_id.clone(), &legs)?;
            Ok(Call {
                adapter: Arc::clone(&adapter.name),
                terms: Terms::of(adapter.manifest()),
                wave,
                legs,
                quote_id,
                commit,
                undo: None,
                tombstones: Vec::new(),
            })
        };
        planned.into_iter().zip(waves).map(call).collect()
    }

    /// A new operation, ready to be made durable.
    pub(super) fn prepare(
        &self,
        adapter: &Adapter,
        kind: OperationKind,
        quote_id: Option<String>,
        legs: &[(PayerCode, Money)],
    ) -> Result<Operation, (Arc<str>, PrepareError)> {
        let id: Arc<str> = Arc::from(self.gateway.runtime().next_id().to_string());
        let ordered = Ordered { id: Arc::clone(&id), kind, quote_id, amounts: legs.to_vec() };
        let prepared = adapter.payer.prepare(&ordered).map_err(|why| (Arc::clone(&adapter.name), why))?;
        Ok(Operation::intended(id, prepared, self.gateway.runtime().now()))
    }

    pub(super) fn prepare_part(
        &self,
        call: &Call,
        part: Part,
    ) -> Result<Operation, (Arc<str>, PrepareError)> {
        let Some(adapter) = self.gateway.payers().named(&call.adapter) else {
            return Err((
                Arc::clone(&call.adapter),
                PrepareError("no such adapter is configured".to_owned()),
            ));
        };
        let kind = match part {
            Part::Commit => OperationKind::Commit,
            Part::Undo => OperationKind::Reverse { original: Arc::clone(&call.commit.id) },
        };
        self.prepare(adapter, kind, call.quote_id.clone(), &call.legs)
    }

    /// One conditional step under the lease; `None` where it has to be seen anew first.
    pub(super) async fn carry(&self, seen: &Seen, carry: Carry) -> Result<Option<Outcome>, Stop> {
        let work = self.work(seen, Asked::Carry(Arc::new(carry)));
        let done = self.gateway.step(&work, Some(&seen.record), Some(self.lease)).await?;
        said(done)
    }

    /// Nothing is to be asked: charges that went quiet close the stay, else it is let go as it stands.
    async fn close_quiet(&self, seen: &Seen) -> Result<Went, Stop> {
        let mode = if seen.hospital.settle_on == SettleOn::Desk { Mode::Quote } else { seen.hospital.mode };
        let now = self.as_of.unwrap_or_else(|| self.gateway.runtime().now());
        let asked = Asked::ChargesQuiet { mode, now };
        let done = self.gateway.step(&self.work(seen, asked), Some(&seen.record), Some(self.lease)).await?;
        Ok(match said(done)? {
            Some(outcome) if !outcome.is_under_way() => Went::Ended(outcome),
            Some(_) | None => Went::On,
        })
    }

    fn work(&self, seen: &Seen, asked: Asked) -> Work {
        Work {
            hospital: Arc::clone(&seen.hospital),
            persons: Vec::new(),
            asked,
            claim: None,
            stay: StayRef::Stay(self.lease.stay_id),
        }
    }

    /// Says that this gateway is alive, where the lease would not outlast one more call.
    pub(super) async fn renew(&mut self) -> Result<(), Stop> {
        let now = self.gateway.runtime().now();
        if later(now, COMMIT_DEADLINE) < self.until {
            return Ok(());
        }
        let until = self.gateway.lease_end();
        let due =
            Due { stay_id: self.lease.stay_id, epoch: self.lease.epoch, due_at: self.until, is_held: true };
        let taken = self.gateway.store().take(due, Arc::clone(self.gateway.name()), until).await?;
        self.lease = taken.ok_or(Stop::LeaseLost)?;
        self.until = until;
        Ok(())
    }

    pub(super) fn hold_until(&self, at: Timestamp, is_held: bool) -> Hold {
        let held_by = is_held.then(|| Arc::clone(self.gateway.name()));
        Hold { due_at: Some(at), epoch: self.lease.epoch, held_by }
    }

    fn pause(&self, tries: u32) -> Timestamp {
        let nth = usize::try_from(tries).unwrap_or(usize::MAX).min(POSTPONED_S.len() - 1);
        let pause_s = POSTPONED_S.get(nth).copied().unwrap_or_default();
        later(self.gateway.runtime().now(), SignedDuration::from_secs(pause_s))
    }
}

fn said(stepped: Stepped) -> Result<Option<Outcome>, Stop> {
    match stepped {
        Stepped::Decided { outcome, .. } => Ok(Some(outcome)),
        Stepped::LeaseLost => Err(Stop::LeaseLost),
        Stepped::Undecided | Stepped::Repeated(_) | Stepped::OtherContent => Ok(None),
    }
}

/// Whether a quote speaks of every payer asked, once, and of no other.
fn answers_all(quote: &Quote, to_ask: &ToAsk) -> bool {
    let count = |payer: &PayerCode| quote.amounts.iter().filter(|amount| amount.payer == *payer).count();
    quote.amounts.len() == to_ask.legs.len()
        && to_ask.legs.iter().all(|leg| count(&leg.payer) == 1)
        && quote.amounts.iter().all(|amount| !amount.amount.is_negative())
}

fn quoted(quote: &Quote, payer: &PayerCode, asked: Option<yizhan_contract::payer::AskedLeg>) -> Answer {
    let is_last = quote.amounts.last().is_some_and(|amount| amount.payer == *payer);
    let elsewhere = |also: &QuotedAmount| SettledElsewhere {
        payer: also.payer.clone(),
        amount: also.amount,
        reference: quote.id.clone(),
    };
    let found = quote.amounts.iter().find(|amount| amount.payer == *payer);
    let (amount, steps) = found.map(|found| (found.amount, found.steps.clone())).unwrap_or_default();
    let answer = Answer::quoted(asked, amount, steps).under(quote.id.clone());
    if is_last {
        Answer { also_paid: quote.also_paid.iter().map(elsewhere).collect(), ..answer }
    } else {
        answer
    }
}

pub(super) fn no_answer() -> Unavailable {
    Unavailable { why: "no answer in time".to_owned(), retry_after: None }
}

pub(super) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}
