//! The deterministic simulation: gateways, payers and hospitals under faults, repeated by a seed.
//!
//! Reading order: [`world`] (one run), [`sim`] (what its parts share), [`tasks`] and [`clock`] (who runs next, and
//! when), [`faults`] (the store gateways die at), [`payer`], [`books`] and [`chains`] (the other side), [`workload`]
//! and [`senders`] (what is asked), [`look`] and [`promises`] (what must hold), [`coverage`] and [`schedules`] (what
//! was come through), [`mutation`] (that mistakes are found out), [`peer_bugs`]. [`machine`] is the saga's function
//! alone.

pub(crate) mod books;
pub(crate) mod chains;
mod clock;
mod coverage;
pub(crate) mod dice;
mod faults;
pub(crate) mod look;
mod machine;
mod mutant;
mod mutation;
pub(crate) mod opening;
pub(crate) mod payer;
mod peer_bugs;
pub(crate) mod promises;
mod schedules;
pub(crate) mod senders;
mod sim;
mod tasks;
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
    let aim = schedule.aim.map_or_else(String::new, |aim| format!(" YIZHAN_TEST_AIM='{aim}'"));
    format!("YIZHAN_TEST_SEED={}{aim} cargo test --test it simulation::replay -- --nocapture", schedule.seed)
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
    let aim = std::env::var("YIZHAN_TEST_AIM").ok().map(|aim| aim.parse().unwrap());
    let ran = World::run(&Schedule { aim, ..Schedule::of(seed) }, opening::in_memory);
    println!("{}\nends {:?}, {:?} after the last fault", ran.log, ran.ends, ran.settled_after);
    assert_eq!(ran.broken, None);
}

/// A gateway that stands still between keeping an operation and sending it does not send it any more, whichever of
/// its writes that is. It is alone: nobody has taken its lease meanwhile.
#[test]
fn a_request_whose_time_has_passed_does_not_leave() {
    for nth in 1.. {
        let (adapter, event) = ("store".to_owned(), "drive".to_owned());
        let stalls = sim::Scripted { adapter, event, nth, answer: "-".into(), crash: "stalls".into() };
        let alone = Schedule { chain: Some(1), gateways: Some(1), ..Schedule::of(1) };
        let ran = kept(&Schedule { script: vec![stalls], ..alone }, opening::in_memory);
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
