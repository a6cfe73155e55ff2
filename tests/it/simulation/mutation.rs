//! The proof of the proof: a gateway with a mistake in it breaks the promise that speaks of it, before long.

use super::choosing::Scripted;
use super::coverage::Cell;
use super::mutant::{Mistake, Mutant};
use super::opening::Open;
use super::peer_bugs::fault;
use super::promises::NAMES;
use super::workload::{COUNTY, Work};
use super::world::{Schedule, World};
use super::{kept, named};

/// Runs that a mistake may stay unseen.
const SEEDS_MAX: u64 = 30;

/// What a run has to come through for a mistake to show.
enum Way {
    /// Any run does.
    Any,
    /// This cell, first chance.
    Aim(&'static str),
    /// These faults in this chain, with so many gateways.
    Script(usize, u64, &'static [&'static str]),
    /// The same over stays of so many yuan, with two gateways.
    Over(u64, usize, &'static [&'static str]),
}

use Way::{Aim, Any, Over, Script};

/// Each mistake, the promise it breaks, and the way to it.
const MISTAKES: &[(Mistake, &str, Way)] = &[
    (Mistake::SkipIntent, "intent first", Any),
    (Mistake::RetryUnderNewId, "same money", Aim("committing / commit / times_out_after / -")),
    (Mistake::DropTheFence, "same money", Aim("committing / commit / very_late / -")),
    (Mistake::IgnoreTombstones, "same money", Aim("committing / commit / very_late / -")),
    (Mistake::CompensateUnknown, "quiet", Aim("committing / commit / late / -")),
    (Mistake::TrustNotFoundEarly, "quiet", Aim("committing / commit / late / -")),
    (Mistake::DoubleTheAccumulator, "accumulators", Any),
    (Mistake::ReverseTheQuote, "accumulators", Over(5_000, 1, &["bureau commit 2 other_amount -"])),
    (Mistake::AcknowledgeBeforeDurable, "nothing lost", Any),
    (Mistake::StaleEpochWrites, "fencing", Script(1, 2, &["store drive 2 writes stalls"])),
    (Mistake::KeepReservationOfRefused, "reservations", Aim("committing / commit / refuses / -")),
    (Mistake::IgnoreDrift, "same money", Aim("requoting / quote / quotes / -")),
    (Mistake::OneIdForTwoLegs, "one id", Any),
    // The store takes no postings that are not the bill's, so it never goes on.
    (Mistake::PostAtIntent, "liveness", Any),
    (Mistake::DeliverTwice, "same money", Aim("delivering / commit / times_out_after / on_the_way")),
    (Mistake::FinishTooEarly, "same legs", Script(0, 2, &["critical commit 1 times_out_after -"])),
    (Mistake::TakeOverAsOwn, "one effect", Aim("committing / commit / commits / done")),
    (Mistake::UnknownIsNo, "same money", Aim("committing / commit / times_out_after / -")),
    (
        Mistake::PendingIsNo,
        "same money",
        Script(1, 2, &["bureau commit 1 late -", "bureau status 1 pending -"]),
    ),
    (Mistake::ForgetToWake, "an owner", Aim("committing / commit / times_out_before / -")),
    (Mistake::ReverseTheFirstOnly, "same money", Any),
    (Mistake::SendAgainInTheCall, "one effect", Aim("committing / commit / times_out_after / -")),
    (Mistake::ReserveNothing, "reservations", Any),
    (Mistake::CountNoBase, "accumulators", Any),
    (Mistake::HandleTwice, "nothing lost", Any),
    (Mistake::IntentOfNobody, "an owner", Any),
    (Mistake::HideAttention, "an owner", Aim("undoing / reverse / refuses / -")),
    (Mistake::AgreeToAnything, "agreed", Any),
    (Mistake::LoseLateLines, "nothing lost", Any),
    (Mistake::ForgetToTell, "told", Any),
    (Mistake::TellUnderNewId, "told", Any),
    (Mistake::TellTheNewestFirst, "told", Any),
    (Mistake::LookPastReservations, "caps", Any),
    (Mistake::KeepAnEarlierTime, "in time", Any),
    (Mistake::ForgetWhatElseIsPaid, "paid once", Script(4, 2, &["bureau commit 1 other_amount -"])),
    (Mistake::TrustLapsedQuotes, "while it holds", Script(1, 1, &["insurer quote 1 quotes stalls"])),
    (Mistake::OverwriteTheBill, "as issued", Any),
    (Mistake::BelieveAnyReversal, "same money", Aim("undoing / reverse / other_amount / -")),
    (Mistake::RaiseTheShare, "never raised", Aim("borne / message / writes / before")),
    (Mistake::AdvanceAnywhere, "advanced", Aim("committing / commit / times_out_before / -")),
    (Mistake::TakeAdvanceForPaid, "same money", Aim("advanced / message / writes / before")),
    (Mistake::CountTheAdvanceTwice, "accumulators", Aim("advanced / status / done / -")),
    (Mistake::BearInSilence, "an owner", Aim("borne / message / writes / before")),
];

impl Way {
    fn schedule(&self, seed: u64) -> Schedule {
        match self {
            Self::Any => Schedule::of(seed),
            Self::Aim(cell) => Schedule::aimed(seed, vec![cell.parse::<Cell>().unwrap()]),
            Self::Script(chain, gateways, faults) => {
                Schedule { gateways: Some(*gateways), ..Schedule::scripted(seed, *chain, script(faults)) }
            }
            Self::Over(amount, chain, faults) => {
                let work = Work::Plain { hospital: COUNTY, amount: *amount };
                Schedule { work, gateways: Some(2), ..Schedule::scripted(seed, *chain, script(faults)) }
            }
        }
    }
}

fn script(faults: &[&str]) -> Vec<Scripted> {
    faults.iter().map(|text| fault(text)).collect()
}

/// The mistake of this name.
pub(super) fn called(name: &str) -> Mistake {
    let mut mistakes = MISTAKES.iter().map(|(mistake, ..)| *mistake);
    mistakes.find(|mistake| format!("{mistake:?}") == name).unwrap_or_else(|| panic!("no mistake {name}"))
}

/// What no mistake here can break: the store refuses postings that are not the bill's (`store_ledger`).
const HELD_BY_THE_STORE: &str = "ledger";

#[test]
fn every_promise_is_broken_by_a_mistake() {
    let broken = |name: &&str| MISTAKES.iter().any(|(_, promise, _)| promise == name);
    let unbroken: Vec<&str> = NAMES.into_iter().filter(|name| !broken(name)).collect();
    assert_eq!(unbroken, [HELD_BY_THE_STORE]);
    assert!(MISTAKES.iter().all(|(_, promise, _)| NAMES.contains(promise)));
}

#[test]
fn every_mistake_breaks_its_promise() {
    let only = std::env::var("YIZHAN_TEST_MISTAKE").ok();
    let first = named("YIZHAN_TEST_SEED").unwrap_or_default();
    let mut unseen = Vec::new();
    println!("{:26} {:14} {:>5}  seen", "mistake", "promise", "seeds");
    for (mistake, promise, way) in MISTAKES {
        let name = format!("{mistake:?}");
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        // What breaks beside it does not count.
        let broken = (first..first + SEEDS_MAX).find_map(|seed| {
            let schedule = Schedule { mutant: Some(Mutant::of(*mistake)), ..way.schedule(seed) };
            let why = World::run(&schedule, Open::InMemory).broken?;
            why.starts_with(promise).then_some((seed - first + 1, way.schedule(seed), why))
        });
        match broken {
            Some((seeds, without_it, why)) => {
                // It is the mistake that breaks it, and not what the run comes through.
                kept(&without_it, Open::InMemory);
                let why: String = why.lines().next().unwrap_or_default().chars().take(110).collect();
                println!("{name:26} {promise:14} {seeds:>5}  {why}");
            }
            None => unseen.push(name),
        }
    }
    assert!(unseen.is_empty(), "their promises held in {SEEDS_MAX} runs: {unseen:?}");
}
