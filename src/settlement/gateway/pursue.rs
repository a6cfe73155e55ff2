//! The driver of stays that need outside payers: asks for quotes, records the intent, carries the saga out.
//!
//! No transaction is open and no person's row is held while a payer is asked. Everything that decides is pure
//! ([`super::carried`], [`super::saga`]); here is the waiting. Whoever drives holds the stay's lease; where it is
//! lost, what is under way is dropped, and the next holder goes on from what is durable.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::Text;
use yizhan_contract::instant::later;

use super::quote::Quoted;
use super::standing::record;
use super::step::{Stepped, Work};
use super::{Gateway, unread_refusal};
use crate::refusal::Refusal;
use crate::settlement::bill::BillState;
use crate::settlement::carried::Carry;
use crate::settlement::decide::Asked;
use crate::settlement::given::Given;
use crate::settlement::message::{Hospital, Mode};
use crate::settlement::outcome::Outcome;
use crate::settlement::payers::Payers;
use crate::settlement::record::{Pricing, Settlement, StayRecord};
use crate::settlement::refusals;
use crate::settlement::saga::{COMMIT_DEADLINE, LEASE, UNKNOWN_ATTENTION};
use crate::settlement::visits::Visits;
use crate::store::{Done, Due, Facts, Hold, Lease, StayRef, Step, StoreError};
use crate::telemetry;

/// Pauses before a stay that waits for a payer is tried again; the last one repeats.
const POSTPONED_S: [i64; 6] = [2, 5, 15, 60, 120, 300];
/// A payer's wish to be left alone is heard up to this.
const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_mins(5);
/// How often a stay is looked at again because it, or the person's year, moved while payers were asked.
const ROUNDS_MAX: usize = 50;

/// How long a stay that somebody else drives is waited for; by then a person has heard of what is still unknown.
const WAITED_FOR_AT_MOST: SignedDuration = SignedDuration::from_mins(10);
const _: () = assert!(UNKNOWN_ATTENTION.as_secs() + LEASE.as_secs() < WAITED_FOR_AT_MOST.as_secs());

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
    /// Nobody here knows its hospital.
    NoProfile {
        hospital: String,
    },
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
    /// What adapters were told of the visit; every step of this drive writes it.
    pub(super) told: Mutex<Visits>,
}

/// The stay and its person as they are now.
pub(super) struct Seen {
    pub(super) record: StayRecord,
    pub(super) facts: Facts,
    pub(super) hospital: Arc<Hospital>,
    /// Who is asked: those it began with, where it is in flight.
    pub(super) payers: Arc<Payers>,
}

/// Whether a stay has to be looked at again.
pub(super) enum Went {
    On,
    Ended(Outcome),
}

impl Gateway {
    /// Drives a stay until its settlement or reversal is over, a person has to look, or somebody else took over.
    /// What it answers is durable.
    pub async fn pursue(&self, pursuit: Pursuit) -> Outcome {
        let stay_id = pursuit.lease.stay_id;
        let Pursuit { lease, until, is_holder_gone, as_of } = pursuit;
        let mut drive = Drive { is_holder_gone, as_of, ..Drive::new(self, lease, until) };
        let ended = drive.run().await;
        self.bells.ring(&stay_id);
        match ended {
            Ok(outcome) => outcome,
            Err(Stop::LeaseLost) => {
                telemetry::stay_taken_over(&stay_id);
                self.settle_down(StayRef::Stay(stay_id), self.waited_for_until()).await
            }
            Err(Stop::Store(error)) => {
                telemetry::stay_left(&stay_id, &error);
                unread_refusal(&error).into()
            }
            Err(Stop::NoProfile { .. }) => refusals::no_such_stay().into(),
        }
    }

    /// The same where nobody waits for the answer: its hospital is told through the outbox, where it has an address, and
    /// log and metrics here.
    pub async fn pursue_unheard(&self, pursuit: Pursuit) {
        let stay_id = pursuit.lease.stay_id;
        match self.pursue(pursuit).await {
            Outcome::Bill(bill) => telemetry::stay_ended(&stay_id, &bill.hospital, bill.state.word()),
            Outcome::Noted(_) => {}
            Outcome::Refused(refused) => {
                for refusal in &refused.refusals {
                    telemetry::stay_refused(&stay_id, refusal.code.slug(), refusal.place.as_deref());
                }
            }
        }
    }

    fn payers_of(&self, record: &StayRecord, hospital: &Hospital) -> Arc<Payers> {
        let is_in_flight = record.is_carried_out() || record.deferred().is_some();
        match record.settlement.as_ref().filter(|_| is_in_flight) {
            Some(settlement) if !settlement.assigned.is_empty() => self.directory.under(&settlement.assigned),
            _ => self.directory.at(&hospital.code),
        }
    }

    fn waited_for_until(&self) -> Timestamp {
        later(self.runtime().now(), WAITED_FOR_AT_MOST)
    }

    /// Sees a message or an order through to its end: drives it, or waits for whoever does.
    pub async fn see_through(&self, handled: Handled) -> Outcome {
        match handled {
            Handled { pursuit: Some(pursuit), .. } => self.pursue(pursuit).await,
            Handled { outcome, stay: Some(stay), .. } if outcome.is_under_way() => {
                self.settle_down(stay, self.waited_for_until()).await
            }
            Handled { outcome, .. } => outcome,
        }
    }
}

impl<'g> Drive<'g> {
    pub(super) fn new(gateway: &'g Gateway, lease: Lease, until: Timestamp) -> Self {
        let (has_intended, is_holder_gone, as_of, told) = (false, false, None, Mutex::default());
        Self { gateway, lease, until, has_intended, is_holder_gone, as_of, told }
    }
}

impl Drive<'_> {
    async fn run(&mut self) -> Result<Outcome, Stop> {
        for _ in 0..ROUNDS_MAX {
            match self.round().await {
                Ok(Went::On) => {}
                Ok(Went::Ended(outcome)) => return Ok(outcome),
                // A store that is busy, or gone for a moment, is no reason to let the stay lie until the lease ends.
                Err(Stop::Store(error)) if error.may_retry() => self.pause_for_store(error).await?,
                Err(Stop::NoProfile { hospital }) => {
                    self.waits_for_profile(&hospital).await?;
                    return Err(Stop::NoProfile { hospital });
                }
                Err(stop) => return Err(stop),
            }
        }
        let why = Text::new(
            "询问支付方期间该人员的年度累计不断变化",
            "the person's year kept moving while payers were asked",
        );
        Err(Stop::Store(StoreError::Unavailable(why)))
    }

    /// What is next for the stay as it is now.
    async fn round(&mut self) -> Result<Went, Stop> {
        let Some(seen) = self.look().await? else { return Ok(Went::Ended(refusals::no_such_stay().into())) };
        match seen.record.pricing.clone() {
            _ if seen.record.is_carried_out() => self.carry_out(seen).await,
            Some(pricing) => self.price_with_payers(&seen, &pricing).await,
            None if seen.record.deferred().is_some() => self.deliver(&seen).await,
            None if self.is_to_be_called_off(&seen) => self.call_off(&seen).await,
            None => self.close_quiet(&seen).await,
        }
    }

    async fn price_with_payers(&mut self, seen: &Seen, pricing: &Pricing) -> Result<Went, Stop> {
        let carry = match self.quote(seen, pricing.mode, Given::new()).await? {
            Quoted::All { given, settlement } => {
                match self.intent(seen, pricing.mode, given, &settlement).await? {
                    Ok(carry) => carry,
                    Err(refusal) => Carry::Dropped { refusals: vec![refusal] },
                }
            }
            Quoted::Refused(refusals) => Carry::Dropped { refusals },
            Quoted::Breach(why) => {
                let bill = seen.record.settlement.as_ref().map(|settlement| &settlement.bill);
                Carry::Dropped { refusals: vec![refusals::given_up(&why, bill)] }
            }
            Quoted::Waits(waits_for, _) if pricing.mode == Mode::Quote => {
                Carry::Dropped { refusals: vec![waits_for] }
            }
            Quoted::Waits(waits_for, retry_after) => {
                let hold = self.hold_until(self.pause(pricing.tries, retry_after), false);
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
        match self.gateway.in_turn(self.gateway.store().step(step)).await? {
            Done::LeaseLost => return Err(Stop::LeaseLost),
            Done::Undecided | Done::Decided(_) | Done::Repeated(_) | Done::OtherContent => {}
        }
        let facts = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(facts) = facts else { return Ok(None) };
        let Some(stay) = &facts.stay else { return Ok(None) };
        let record = record(stay)?;
        let Some(hospital) = self.gateway.hospital(&record.part.hospital) else {
            return Err(Stop::NoProfile { hospital: record.part.hospital });
        };
        let payers = self.gateway.payers_of(&record, &hospital);
        Ok(Some(Seen { record, facts, hospital, payers }))
    }

    /// The intent with its operations made ready, or why an adapter cannot make one.
    async fn intent(
        &mut self,
        seen: &Seen,
        mode: Mode,
        given: Given,
        settlement: &Settlement,
    ) -> Result<Result<Carry, Refusal>, Stop> {
        self.renew().await?;
        let calls = match mode {
            Mode::Quote => Ok(Vec::new()),
            Mode::Settle => self.plan(seen, settlement, &given),
        };
        let hold = self.hold_until(self.until, true);
        Ok(match calls {
            Ok(calls) => Ok(Carry::Priced { given, calls, hold }),
            Err((adapter, why)) => Err(refusals::not_prepared(&adapter, &why)),
        })
    }

    /// One conditional step under the lease; `None` where it has to be seen anew first.
    pub(super) async fn carry(&self, seen: &Seen, carry: Carry) -> Result<Option<Outcome>, Stop> {
        let work = self.work(seen, Asked::Carry(Arc::new(carry)));
        let step = self.gateway.step(&work, Some(&seen.record), Some(self.lease));
        said(self.gateway.in_turn(step).await?)
    }

    /// Nothing is to be asked: charges that went quiet close the stay, else it is let go as it stands.
    async fn close_quiet(&self, seen: &Seen) -> Result<Went, Stop> {
        let mode = seen.hospital.mode_when_quiet(None);
        let now = self.as_of.unwrap_or_else(|| self.gateway.runtime().now());
        let asked = Asked::ChargesQuiet { mode, now };
        let work = self.work(seen, asked);
        let step = self.gateway.step(&work, Some(&seen.record), Some(self.lease));
        let done = self.gateway.in_turn(step).await?;
        Ok(match said(done)? {
            Some(outcome) if !outcome.is_under_way() => Went::Ended(outcome),
            Some(_) | None => Went::On,
        })
    }

    pub(super) fn work(&self, seen: &Seen, asked: Asked) -> Work {
        Work {
            hospital: Arc::clone(&seen.hospital),
            payers: Arc::clone(&seen.payers),
            persons: Vec::new(),
            asked,
            claim: None,
            stay: StayRef::Stay(self.lease.stay_id),
            visits: self.told.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Says that this gateway is alive, where the lease would not outlast one more call.
    pub(super) async fn renew(&mut self) -> Result<(), Stop> {
        let now = self.gateway.runtime().now();
        if later(now, COMMIT_DEADLINE) < self.until {
            return Ok(());
        }
        let until = self.gateway.lease_end();
        let Lease { stay_id, person_id, epoch } = self.lease;
        let due = Due { stay_id, person_id, epoch, due_at: Some(self.until), is_held: true };
        let take = self.gateway.store().take(due, Arc::clone(self.gateway.name()), until);
        let taken = self.gateway.in_turn(take).await?;
        self.lease = taken.ok_or(Stop::LeaseLost)?;
        self.until = until;
        Ok(())
    }

    pub(super) fn hold_until(&self, at: Timestamp, is_held: bool) -> Hold {
        let held_by = is_held.then(|| Arc::clone(self.gateway.name()));
        Hold { due_at: Some(at), epoch: self.lease.epoch, held_by }
    }

    /// When a payer is tried again: after our own pause, or when it wishes, within bounds.
    pub(super) fn pause(&self, tries: u32, retry_after: Option<SignedDuration>) -> Timestamp {
        let nth = usize::try_from(tries).unwrap_or(usize::MAX).min(POSTPONED_S.len() - 1);
        let ours = SignedDuration::from_secs(POSTPONED_S.get(nth).copied().unwrap_or_default());
        let wished = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        later(self.gateway.runtime().now(), ours.max(wished))
    }
}

fn said(stepped: Stepped) -> Result<Option<Outcome>, Stop> {
    match stepped {
        Stepped::Decided { outcome, .. } => Ok(Some(outcome)),
        Stepped::LeaseLost => Err(Stop::LeaseLost),
        Stepped::Undecided | Stepped::Repeated(_) | Stepped::OtherContent => Ok(None),
    }
}
