//! The proof of the proof: a gateway with a mistake in it breaks a promise, before long.

use super::mutant::{MISTAKES, Mutant};
use super::world::{Schedule, World};
use super::{named, opening};

/// Runs that a mistake may stay unseen.
const SEEDS_MAX: u64 = 100;

#[test]
fn every_mistake_is_found_out() {
    let only = std::env::var("YIZHAN_TEST_MISTAKE").ok();
    let first = named("YIZHAN_TEST_SEED").unwrap_or_default();
    let mut unseen = Vec::new();
    println!("{:26} {:>5}  promise", "mistake", "seeds");
    for mistake in MISTAKES {
        if only.as_ref().is_some_and(|only| *only != format!("{mistake:?}")) {
            continue;
        }
        let broken = (first..first + SEEDS_MAX).find_map(|seed| {
            let aim = mistake.aim().map(|aim| aim.parse().unwrap());
            let schedule = Schedule { mutant: Some(Mutant::of(mistake)), aim, ..Schedule::of(seed) };
            let why = World::run(&schedule, opening::in_memory).broken?;
            Some((seed - first + 1, why))
        });
        match broken {
            Some((seeds, why)) => {
                let why: String = why.lines().next().unwrap_or_default().chars().take(110).collect();
                println!("{:26} {seeds:>5}  {why}", format!("{mistake:?}"));
            }
            None => unseen.push(mistake),
        }
    }
    assert!(unseen.is_empty(), "not found out in {SEEDS_MAX} runs: {unseen:?}");
}
