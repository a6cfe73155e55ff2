//! What must hold whenever something durable has moved: the store and the payers' own books, side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use yizhan::settlement::record::{Phase, StayRecord};
use yizhan::settlement::saga::{Call, Part};
use yizhan::store::ledger::balances;
use yizhan::store::{Account, Book};
use yizhan_contract::step::PayerState;
use yizhan_contract::{Money, PayerCode};

use super::books::Kept;
use super::look::{Look, StayLook};

/// What is promised, by the word that a broken promise begins with.
pub(crate) const NAMES: [&str; 22] = [
    // A request leaves only once it is durable, and only as late as what is durable says.
    "intent first",
    "in time",
    // Under a quote that holds.
    "while it holds",
    // At every payer an operation has one effect at most, and an id is one payer's.
    "one effect",
    "one id",
    // Nothing is fenced off while it may still arrive.
    "quiet",
    // Bill, legs, ledger and the payers' own books are the same.
    "same money",
    "same legs",
    "paid once",
    "ledger",
    // What is advanced is set apart until it is collected, and its hospital's where it is refused; a share that stood
    // never rises.
    "advanced",
    "never raised",
    // Sums of the year are what stands, what is set aside is what is in flight, both under the caps.
    "accumulators",
    "reservations",
    "caps",
    // What is not over is somebody's, and is over in bounded time.
    "an owner",
    "liveness",
    // Who lost a lease writes nothing.
    "fencing",
    // Nobody pays more than a desk agreed to.
    "agreed",
    // What was acknowledged or handed out stays, and hospitals are told of it.
    "nothing lost",
    "as issued",
    "told",
];

/// What a year had used up before, base and payments by person and payer; and the caps that a person's sums stay
/// under.
pub(crate) struct Limits {
    pub(crate) openings: Vec<(&'static str, &'static str, &'static str, &'static str)>,
    pub(crate) caps: Vec<(&'static str, &'static str, &'static str)>,
    pub(crate) admissions: BTreeMap<&'static str, u32>,
    /// Hospitals that advance what optional payers quote firmly.
    pub(crate) advancing: Vec<&'static str>,
}

pub(crate) struct Promises<'w> {
    pub(crate) look: &'w Look,
    pub(crate) payers: &'w [Kept],
    pub(crate) limits: &'w Limits,
}

pub(crate) const YEAR: i16 = 2020;

pub(super) type Held = Result<(), String>;

impl Promises<'_> {
    /// # Errors
    /// The first promise that does not hold.
    pub(crate) fn check(&self) -> Held {
        self.operations()?;
        for stay in self.look.stays.values() {
            self.owned(stay)?;
            self.money(stay)?;
            self.advances(stay)?;
        }
        for book in &self.look.books {
            self.ledger(book)?;
        }
        self.sums()
    }

    /// At most one effect for an operation, at one payer.
    fn operations(&self) -> Held {
        let mut seen: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        for line in self.payers {
            for (id, entry) in &line.books.lock().unwrap().entries {
                if entry.effects > 1 {
                    return Err(format!("one effect: {} did {id} {} times", line.name, entry.effects));
                }
                if let Some(other) = seen.insert(Arc::clone(id), Arc::clone(&line.name)) {
                    return Err(format!("one id: {id} was sent to {other} and to {}", line.name));
                }
            }
        }
        Ok(())
    }

    /// What is neither settled nor taken back is somebody's: a lease, a time to be looked at, or a person with
    /// evidence and a next step.
    fn owned(&self, stay: &StayLook) -> Held {
        let record = &stay.record;
        let is_attended = self.look.attention.contains(&record.stay_id);
        if record.needs_attention() && !is_attended {
            return Err(format!("an owner: {} needs a person, and is not listed", stay.visit));
        }
        if record.quiet_until.is_some()
            && record.phase == Phase::AwaitingCharges
            && stay.hold.due_at.is_none()
        {
            return Err(format!("an owner: {} waits for quiet, and nobody looks", stay.visit));
        }
        if !record.is_with_payers() {
            return Ok(());
        }
        if is_attended {
            let told =
                record.saga.as_ref().and_then(|saga| saga.attention.as_ref().map(|found| (saga, found)));
            let is_told = told.is_some_and(|(saga, found)| {
                !saga.log.is_empty()
                    && saga.calls.iter().any(|call| is_of(call, &found.operation))
                    && !found.next_step().en.is_empty()
            });
            let waits = record.pricing.as_ref().is_some_and(|pricing| pricing.waits_for.is_some());
            // It is tried again, and nothing has taken the place of what was in its way.
            let is_unpriced = record.unpriced.is_some();
            // One payer is asked for its part, what another refused is the hospital's already.
            let is_borne = record.borne().is_some_and(|borne| !borne.next_step().en.is_empty());
            if !is_told && !waits && !is_unpriced && !is_borne {
                return Err(format!("an owner: {} waits for a person without a word why", stay.visit));
            }
        }
        if stay.hold.due_at.is_none() && !is_attended {
            return Err(format!("an owner: {} is nobody's ({:?})", stay.visit, record.phase));
        }
        Ok(())
    }

    /// What payers hold of a stay is what its bill says, unless it is under way; what is advanced is held apart.
    fn money(&self, stay: &StayLook) -> Held {
        let record = &stay.record;
        if record.phase.is_under_way() {
            return Ok(());
        }
        for line in self.payers {
            for payer in line.serves.iter().filter(|payer| !is_asked_for(record, payer)) {
                let held = line.books.lock().unwrap().holds(&record.stay_id.to_string(), payer);
                let billed = if record.phase == Phase::Settled { billed(record, payer) } else { Money::ZERO };
                self.paid_for_others(stay, line, held)?;
                if held != billed {
                    let (visit, phase) = (&stay.visit, record.phase);
                    let lines = record.settlement.iter().flat_map(|settlement| &settlement.bill.payers);
                    let lines: Vec<_> =
                        lines.map(|line| format!("{} {} {:?}", line.payer, line.paid, line.state)).collect();
                    return Err(format!(
                        "same money: {payer} holds {held} of {visit}, the bill says {billed} ({phase:?}: {})",
                        lines.join(", ")
                    ));
                }
            }
        }
        self.legs(stay)
    }

    /// What a payer has paid for another one is that one's line, and nobody is asked for it again.
    fn paid_for_others(&self, stay: &StayLook, line: &Kept, held: Money) -> Held {
        let Some((payer, amount)) = line.also_paid.as_ref().filter(|_| held.is_positive()) else {
            return Ok(());
        };
        let lines = stay.record.settlement.iter().flat_map(|settlement| &settlement.bill.payers);
        let of_it: Vec<_> =
            lines.filter(|line| line.payer == *payer).map(|line| (line.state, line.paid)).collect();
        match of_it == [(PayerState::SettledElsewhere, *amount)] {
            true => Ok(()),
            false => Err(format!(
                "paid once: {} paid {amount} for {payer}, {} says {of_it:?}",
                line.name, stay.visit
            )),
        }
    }

    /// The legs of a settled stay are those its payers confirmed.
    fn legs(&self, stay: &StayLook) -> Held {
        let record = &stay.record;
        let (Phase::Settled, Some(settlement), Some(saga)) = (record.phase, &record.settlement, &record.saga)
        else {
            return Ok(());
        };
        for line in &settlement.bill.payers {
            let call = |call: &&Call| call.legs.iter().any(|(payer, _)| *payer == line.payer);
            let is_taken_back = saga.calls.iter().find(call).is_some_and(Call::is_clear);
            let is_awaited = line.state == PayerState::Deferred && record.is_delivering();
            let Some((confirmed, _)) = saga.committed(&line.payer) else { continue };
            if is_taken_back || is_awaited {
                continue;
            }
            if confirmed != line.paid || line.state != PayerState::Committed {
                let (visit, payer, paid) = (&stay.visit, &line.payer, line.paid);
                return Err(format!(
                    "same legs: {visit} {payer} is {paid} ({:?}), confirmed {confirmed}",
                    line.state
                ));
            }
        }
        let is_open = saga.calls.iter().any(|call| !call.is_committed() && !call.is_clear());
        if is_open && !record.is_delivering() {
            Err(format!("same legs: {} is settled with an open call", stay.visit))
        } else {
            Ok(())
        }
    }

    /// The ledger of a settlement is zero-sum, and its newest bill or nothing.
    fn ledger(&self, book: &Book) -> Held {
        let stands = match book.state.as_str() {
            "settled" => true,
            // Which way it goes is in the stay.
            "reversing" | "needs_attention" => {
                let of = |stay: &&StayLook| {
                    stay.record.settlement.as_ref().is_some_and(|own| own.id == book.settlement_id)
                };
                self.look.stays.values().find(of).is_some_and(|stay| stay.record.phase == Phase::Reversing)
            }
            _ => false,
        };
        let balances = balances(&book.postings);
        let sum: Money = balances.values().copied().sum();
        if !sum.is_zero() {
            return Err(format!("ledger: {} is off by {sum}", book.settlement_id));
        }
        let mut owed: BTreeMap<String, Money> = BTreeMap::new();
        for (account, amount) in &balances {
            match account {
                Account::Fund { payer, .. } => *owed.entry(payer.to_string()).or_default() += *amount,
                Account::Patient => *owed.entry("patient".to_owned()).or_default() += *amount,
                Account::Hospital(_) => {}
            }
        }
        let mut said: BTreeMap<String, Money> = BTreeMap::new();
        if stands {
            said.insert("patient".to_owned(), book.patient_share);
            said.extend(book.legs.iter().map(|(payer, _, paid)| (payer.to_string(), *paid)));
        }
        said.retain(|_, amount| !amount.is_zero());
        if owed == said {
            return Ok(());
        }
        Err(format!("ledger: {} ({}) has {owed:?}, its bill says {said:?}", book.settlement_id, book.state))
    }
}

fn billed(record: &StayRecord, payer: &PayerCode) -> Money {
    let lines = record.settlement.iter().flat_map(|settlement| &settlement.bill.payers);
    lines
        .filter(|line| line.payer == *payer && line.state == PayerState::Committed)
        .map(|line| line.paid)
        .sum()
}

/// A payer that was left out and is asked to commit now, or whose part is advanced: what it holds is on its way to the
/// bill.
fn is_asked_for(record: &StayRecord, payer: &PayerCode) -> bool {
    let mut deferred = record.settlement.iter().flat_map(|settlement| settlement.bill.deferred());
    let mut calls = record.saga.iter().flat_map(|saga| &saga.calls);
    record.is_delivering()
        && deferred.any(|line| line.payer == *payer)
        && calls.any(|call| call.payers().any(|called| called == payer))
}

fn is_of(call: &Call, id: &Arc<str>) -> bool {
    [Part::Commit, Part::Undo].into_iter().any(|part| call.operation(part).is_some_and(|own| own.id == *id))
}
