//! What must hold when all is quiet: the store, the payers' own books and what hospitals were answered, side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use yizhan::settlement::bill::BillState;
use yizhan::settlement::record::{Phase, StayRecord};
use yizhan::store::Store;

use super::hospitals::{PEOPLE, Told};
use super::until;
use crate::gateway::audit;
use crate::simulation::acknowledged::{as_issued, is_repeated, lines_are_there, nothing_left};
use crate::simulation::books::Kept;
use crate::simulation::look::{Known, Look, Moved, StayLook};
use crate::simulation::promises::{Limits, Promises};
use crate::simulation::workload::{COUNTY, Sending, limits};

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    /// Stays by where they are.
    pub(crate) ends: BTreeMap<&'static str, usize>,
    /// Messages and reversals that were acknowledged.
    pub(crate) acknowledged: usize,
    pub(crate) refused: u32,
    /// Operations payers carried out.
    pub(crate) operations: usize,
    /// Letters that hospitals had, each counted once.
    pub(crate) letters: usize,
    pub(crate) told_again: usize,
}

impl Sum {
    pub(crate) fn add(&mut self, other: Self) {
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.operations += other.operations;
        self.letters += other.letters;
        self.told_again += other.told_again;
    }
}

/// Waits until nothing is under way but what waits for a person, and nothing is to be told.
pub(crate) async fn quiet(store: &dyn Store, visits: &[Arc<str>]) -> Look {
    let of_county = visits.iter().map(|visit| (Arc::clone(visit), COUNTY));
    let known = Known { visits: of_county.collect(), people: PEOPLE.to_vec() };
    let mut look = Look::default();
    let mut open = visits.to_vec();
    until("quiet", async || {
        let moved = Moved { stays: open.iter().cloned().collect(), books: false };
        look.again(store, &known, &moved).await;
        open.retain(|visit| look.stays.get(visit).is_some_and(|stay| is_open(&look, stay)));
        open.is_empty().then_some(())
    })
    .await;
    until("told", async || store.outbox_waiting(1).await.unwrap().is_empty().then_some(())).await;
    look.again(store, &known, &Moved { stays: visits.iter().cloned().collect(), books: true }).await;
    look
}

fn is_open(look: &Look, stay: &StayLook) -> bool {
    let record = &stay.record;
    record.is_with_payers() && !look.attention.contains(&record.stay_id)
}

/// # Errors
/// The first thing that is not as it must be.
pub(crate) async fn reckon(
    store: &dyn Store,
    payers: &[Kept],
    told: &Told,
    look: &Look,
) -> Result<Sum, String> {
    let advancing = if told.advances { vec![COUNTY] } else { Vec::new() };
    Promises { look, payers, limits: &Limits { advancing, ..limits() } }.check()?;
    nothing_left(look)?;
    for sending in &told.messages {
        lines_are_there(look, sending)?;
        if !is_repeated(store, sending, super::process::Hurried::today()).await {
            let (id, visit) = (&sending.message.message_id, &sending.visit);
            return Err(format!("nothing lost: {id} of {visit} was acknowledged and is not known"));
        }
    }
    for visit in &told.reversals {
        is_taken_back(look, visit)?;
    }
    for bill in &told.bills {
        as_issued(store, bill).await?;
    }
    let (_, differences) = audit(store).await;
    if let Some(first) = differences.first() {
        return Err(format!("the books: {first:?}, and {} more", differences.len() - 1));
    }
    let mut sum = Sum {
        acknowledged: told.messages.len() + told.reversals.len(),
        refused: told.refused,
        ..Sum::default()
    };
    for stay in look.stays.values() {
        *sum.ends.entry(end_of(look, stay, told)?).or_default() += 1;
    }
    let done =
        |kept: &Kept| kept.books.lock().unwrap().entries.values().filter(|entry| entry.effects > 0).count();
    sum.operations = payers.iter().map(done).sum();
    Ok(sum)
}

/// A reversal that was acknowledged leaves nothing of what it takes back; no stay here is settled anew.
fn is_taken_back(look: &Look, visit: &Arc<str>) -> Result<(), String> {
    let stands = look.stays.get(visit).is_some_and(|stay| stay.record.phase == Phase::Settled);
    if stands {
        return Err(format!("nothing lost: the reversal of {visit} was acknowledged, it stands"));
    }
    Ok(())
}

/// No stay here is settled anew: a payer was left out first, and paid afterwards.
fn is_later_version(record: &StayRecord) -> bool {
    record.settlement.as_ref().is_some_and(|settlement| settlement.bill.to_refund.is_positive())
}

/// Settled, taken back, refused, or a person's; nothing in between.
fn end_of(look: &Look, stay: &StayLook, told: &Told) -> Result<&'static str, String> {
    let record = &stay.record;
    if look.attention.contains(&record.stay_id) {
        return Ok("needs attention");
    }
    let is_refused =
        record.settlement.as_ref().is_some_and(|settlement| settlement.bill.state == BillState::Refused);
    let is_discharged =
        |sending: &Sending| sending.visit == stay.visit && sending.message.part.discharged.value().is_some();
    match record.phase {
        Phase::Settled if record.saga.iter().any(|saga| saga.advanced().next().is_some()) => {
            Ok("settled, a part advanced")
        }
        Phase::Settled if is_later_version(record) => Ok("settled, a part asked for later"),
        Phase::Settled => Ok("settled"),
        Phase::Reversed => Ok("reversed"),
        // A payer confirmed less, the share would have risen: all of it was taken back, the desk sees the new quote.
        Phase::Quoted => Ok("quoted again"),
        _ if is_refused => Ok("refused by a payer"),
        _ if told.reversals.contains(&stay.visit) => Ok("discharge cancelled"),
        _ if !told.messages.iter().any(is_discharged) => Ok("not discharged"),
        phase => Err(format!("forgotten: {} is discharged and {phase:?}", stay.visit)),
    }
}
