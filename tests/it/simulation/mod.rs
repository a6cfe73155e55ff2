//! The deterministic simulation: gateways, payers and hospitals under faults, repeated by a seed.
//!
//! Reading order: [`world`] (one run), [`sim`] (what its parts share), [`tasks`] and [`clock`] (who runs next, and
//! when), [`choosing`] (what goes wrong), [`gateways`], [`faults`] and [`noted`] (the store gateways die at), [`payer`],
//! [`books`] and [`chains`], [`receivers`] (the other sides), [`workload`], [`senders`], [`desk`] and [`operator`] (what
//! is asked), [`look`], [`held`], [`promises`], [`sums`], [`advances`], [`told`] and [`acknowledged`] (what must hold),
//! [`coverage`] and [`schedules`] (what was come through), [`mutation`] (that mistakes are found out), [`peer_bugs`].
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
mod schedules;
mod senders;
mod sim;
mod sums;
mod tasks;
mod told;
mod watched;
pub(crate) mod workload;
mod world;

use world::{Ran, Schedule, World};

fn named(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

/// How to see a run again.
fn replay_of(schedule: &Schedule) -> String {
    let aims: Vec<String> = schedule.aims.iter().map(ToString::to_string).collect();
    let aims =
        if aims.is_empty() { String::new() } else { format!(" YIZHAN_TEST_AIMS='{}'", aims.join("; ")) };
    format!("YIZHAN_TEST_SEED={}{aims} cargo test --test it simulation::replay -- --nocapture", schedule.seed)
}

/// One run that keeps every promise.
fn kept(schedule: &Schedule, open: opening::Open) -> Ran {
    let ran = World::run(schedule, open);
    if let Some(why) = &ran.broken {
        panic!("{why}\n{}", replay_of(schedule));
    }
    ran
}

#[test]
fn replay() {
    let Some(seed) = named("YIZHAN_TEST_SEED") else { return };
    let aims = std::env::var("YIZHAN_TEST_AIMS").unwrap_or_default();
    let aims = aims.split("; ").filter(|aim| !aim.is_empty()).map(|aim| aim.parse().unwrap()).collect();
    let ran = World::run(&Schedule::aimed(seed, aims), opening::in_memory);
    println!("{}\nends {:?}, {:?} after the last fault", ran.log, ran.ends, ran.settled_after);
    assert_eq!(ran.broken, None);
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
        let ran = kept(&alone, opening::in_memory);
        if !ran.log.contains("stands still") {
            assert!(nth > 10, "{nth} writes only: {}", ran.log);
            return;
        }
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in [3, 4] {
        let [first, second] = [(); 2].map(|()| World::run(&Schedule::of(seed), opening::in_memory));
        assert_eq!(first.log, second.log);
    }
}
