//! The deterministic simulation: gateways, payers and hospitals under faults, repeated by a seed.
//!
//! Reading order: [`world`] (one run), [`sim`] (what its parts share), [`tasks`] and [`clock`] (who runs next, and
//! when), [`choosing`] (what goes wrong), [`gateways`], [`faults`] and [`noted`] (the store gateways die at), [`payer`],
//! [`books`] and [`chains`], [`receivers`] (the other sides), [`workload`], [`senders`], [`desk`] and [`operator`] (what
//! is asked), [`look`], [`held`], [`promises`], [`sums`], [`advances`], [`told`] and [`acknowledged`] (what must hold),
//! [`coverage`] and [`schedules`] (what was come through), [`replay`] (the same run again), [`mutation`] (that mistakes are found out), [`peer_bugs`].
//! [`machine`] is the saga's function alone.

pub(crate) mod acknowledged;
mod advances;
pub(crate) mod books;
pub(crate) mod chains;
mod choosing;
mod clock;
mod coverage;
mod desk;
pub(crate) mod dice;
mod faults;
mod gateways;
mod held;
pub(crate) mod look;
mod machine;
mod mutant;
mod mutation;
mod noted;
pub(crate) mod opening;
mod operator;
pub(crate) mod payer;
mod peer_bugs;
pub(crate) mod promises;
mod receivers;
mod replay;
mod schedules;
mod senders;
mod sim;
mod sums;
mod tasks;
pub(crate) mod told;
mod watched;
pub(crate) mod workload;
mod world;

use opening::Open;
use workload::{TOWNSHIP, Work};
use world::{Ran, Schedule, World};

fn named(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

/// One run that keeps every promise.
fn kept(schedule: &Schedule, open: Open) -> Ran {
    let ran = World::run(schedule, open);
    if let Some(why) = &ran.broken {
        panic!("{why}\n{}", replay::command(schedule, open));
    }
    ran
}

/// A gateway that stands still between keeping an operation and sending it does not send it any more, whichever of
/// its writes that is. It is alone: nobody has taken its lease meanwhile.
#[test]
fn a_request_whose_time_has_passed_does_not_leave() {
    for nth in 1.. {
        let (adapter, event) = ("store".to_owned(), "drive".to_owned());
        let (answer, crash) = ("writes".to_owned(), "stalls".to_owned());
        let stalls = choosing::Scripted { adapter, event, nth, answer, crash };
        let alone = Schedule { gateways: Some(1), ..Schedule::scripted(1, 1, vec![stalls]) };
        let ran = kept(&alone, Open::InMemory);
        if !ran.log.contains("stands still") {
            assert!(nth > 10, "{nth} writes only: {}", ran.log);
            return;
        }
    }
}

/// What a gateway wrote and did not hear of it writes again, and that changes nothing: whichever of its writes it is, of
/// stays whose hospital advances what the insurer does not say in time.
#[test]
fn what_was_written_unheard_is_not_done_twice() {
    for nth in 1.. {
        let script = vec![
            peer_bugs::fault("insurer commit 1 breaks_off -"),
            peer_bugs::fault(&format!("store drive {nth} in_doubt -")),
        ];
        let work = Work::Plain { hospital: TOWNSHIP, amount: 30_000 };
        let ran =
            kept(&Schedule { work, gateways: Some(1), ..Schedule::scripted(1, 8, script) }, Open::InMemory);
        assert!(ran.log.contains(" advanced\n"), "{}", ran.log);
        if !ran.log.contains("in_doubt") {
            assert!(nth > 10, "{nth} writes only: {}", ran.log);
            return;
        }
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in [3, 4] {
        let [first, second] = [(); 2].map(|()| World::run(&Schedule::of(seed), Open::InMemory));
        assert_eq!(first.log, second.log);
    }
}
