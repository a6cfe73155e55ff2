//! Anything happens, in any order, twice, and to operations nobody knows.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan::settlement::saga::event::Resolution;
use yizhan::settlement::saga::{Call, Event, Ordered, Part, Saga, Wanted, Why};
use yizhan_contract::payer::{Performed, Status, Unavailable};
use yizhan_contract::{Money, PayerCode};

use super::rules::Watched;
use super::{Ids, delivering, lowered, saga, start};
use crate::simulation::dice::Dice;

const EVENTS: usize = 60;

/// What the driver would bring back at once, else something nobody asked for.
fn event(saga: &Saga, wanted: &[Wanted], dice: &mut Dice, ids: &mut Ids, at: Timestamp) -> Event {
    if !wanted.is_empty() && dice.percent(60) {
        match dice.one_of(wanted) {
            Wanted::Prepare { call, part } => {
                return Event::Prepared { call: *call, part: *part, operation: ids.operation(at) };
            }
            Wanted::Requote => return requoted(saga, dice, ids, at),
            Wanted::Send { .. } | Wanted::Ask { .. } | Wanted::Wake { .. } | Wanted::Finish => {}
        }
    }
    let call = dice.index(saga.calls.len());
    let operation = any_id(&saga.calls[call], dice);
    match dice.below(20) {
        0..6 => Event::Performed { operation, answer: performed(&saga.calls[call], dice) },
        6..11 => Event::Asked { operation, answer: status(&saga.calls[call], dice) },
        11 | 12 => taken_over(saga, dice),
        13 => Event::Begun,
        14 => requoted(saga, dice, ids, at),
        15 => Event::GivenUp(Why::NoQuote { payer: saga.calls[call].legs[0].0.clone(), why: None }),
        16 => Event::ReverseOrdered(Ordered {
            reason: "test".into(),
            operator: "desk".into(),
            at,
            is_discharge_cancelled: false,
        }),
        17 if dice.percent(50) => {
            Event::RetryOrdered { operator: "operator".into(), reason: "telephone".into() }
        }
        18 if dice.percent(30) => resolved(&saga.calls[call], operation, dice),
        18 if dice.percent(20) => {
            let part = *dice.one_of(&[Part::Commit, Part::Undo]);
            Event::NotPrepared { call: dice.index(5), part, why: "no".into() }
        }
        19 if dice.percent(30) => {
            let part = *dice.one_of(&[Part::Commit, Part::Undo]);
            Event::Prepared { call: dice.index(5), part, operation: ids.operation(at) }
        }
        _ => Event::Woken,
    }
}

/// By whoever drove it last, begun again or not, or by another.
fn taken_over(saga: &Saga, dice: &mut Dice) -> Event {
    let last = saga.driven_by.clone().filter(|_| dice.percent(50));
    let by = last.unwrap_or_else(|| format!("gateway {}", dice.below(3)).into());
    Event::TakenOver { by, is_gone: dice.percent(50) }
}

fn any_id(call: &Call, dice: &mut Dice) -> Arc<str> {
    let undo = call.undo.as_ref().map(|undo| Arc::clone(&undo.id));
    let known =
        call.tombstones.iter().cloned().chain(undo).chain([Arc::clone(&call.commit.id), "nobody's".into()]);
    let known: Vec<_> = known.collect();
    dice.one_of(&known).clone()
}

fn performed(call: &Call, dice: &mut Dice) -> Performed {
    let reference = "R1".to_owned();
    match dice.below(6) {
        0 | 1 => Performed::Committed { amounts: call.legs.clone(), reference },
        2 if dice.percent(30) => Performed::Committed { amounts: raised(&call.legs), reference },
        2 => Performed::Committed { amounts: lowered(&call.legs), reference },
        3 => Performed::Refused { code: "no".into(), message: "no".into() },
        4 => Performed::Committed { amounts: vec![], reference },
        _ => Performed::Unknown { poll_after: None, why: "timeout".into() },
    }
}

fn status(call: &Call, dice: &mut Dice) -> Status {
    let reference = "R1".to_owned();
    match dice.below(7) {
        0 => Status::Done { amounts: call.legs.clone(), reference },
        1 if dice.percent(30) => Status::Done { amounts: raised(&call.legs), reference },
        1 => Status::Done { amounts: lowered(&call.legs), reference },
        2 => Status::Refused { code: "no".into() },
        3 => Status::Pending,
        4 => Status::Unavailable(Unavailable { why: "down".into(), retry_after: None }),
        _ => Status::NotFound,
    }
}

fn raised(legs: &[(PayerCode, Money)]) -> Vec<(PayerCode, Money)> {
    legs.iter().map(|(payer, amount)| (payer.clone(), *amount + Money::from_fen(1))).collect()
}

/// The payers that are not confirmed yet, with new quotes; fewer where one of them has nothing to pay any more.
fn requoted(saga: &Saga, dice: &mut Dice, ids: &mut Ids, at: Timestamp) -> Event {
    let open = saga.calls.iter().filter(|call| !call.is_committed());
    let again = open.map(|call| Call {
        commit: ids.operation(at),
        undo: None,
        legs: lowered(&call.legs),
        tombstones: Vec::new(),
        in_doubt_since: None,
        unusable: Vec::new(),
        ..call.clone()
    });
    let calls: Vec<Call> = again.collect();
    let calls = calls.into_iter().filter(|_| !dice.percent(10)).collect();
    Event::Requoted { calls }
}

fn resolved(call: &Call, operation: Arc<str>, dice: &mut Dice) -> Event {
    let as_ = if dice.percent(50) {
        Resolution::Done { amounts: call.legs.clone(), reference: "R1".into() }
    } else {
        Resolution::NotDone
    };
    Event::Resolved { operation, as_, operator: "operator".into(), reason: "asked".into() }
}

fn run(seed: u64) -> Result<(), String> {
    let mut dice = Dice::of(seed);
    let mut ids = Ids::default();
    let mut saga = saga(&mut dice, &mut ids);
    for call in saga.calls.iter_mut().filter(|call| seed % 4 == 1 && call.terms.quotes_are_firm) {
        call.is_advanced = dice.percent(60);
    }
    let mut watched = Watched::new(if seed % 4 == 3 { delivering(saga) } else { saga });
    let mut at = start();
    let mut wanted = watched.step(Event::Begun, at)?;
    for _ in 0..EVENTS {
        let pause = *dice.one_of(&[0, 1, 200, 900, 5_000, 40_000, 400_000]);
        at += SignedDuration::from_millis(pause);
        let event = event(&watched.saga, &wanted, &mut dice, &mut ids, at);
        if matches!(event, Event::TakenOver { .. }) {
            // Whoever takes over knows what is durable, and nothing else.
            watched.saga = watched.durable.clone();
        }
        wanted = watched.step(event, at)?;
    }
    Ok(())
}

#[test]
fn whatever_happens_no_promise_is_broken() {
    let broken: Vec<String> =
        (0..4_000).filter_map(|seed| run(seed).err().map(|why| format!("seed {seed}: {why}"))).collect();
    assert!(broken.is_empty(), "{} seeds break a promise, first: {}", broken.len(), broken[0]);
}
