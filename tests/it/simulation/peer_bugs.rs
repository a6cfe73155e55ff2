//! Bugs of systems like this one, each as the schedule that would show it here: `tests/cases/peer_bugs.toml`.

use serde::Deserialize;

use super::chains::CHAINS;
use super::choosing::Scripted;
use super::opening::Open;
use super::promises::NAMES;
use super::workload::{TOWNSHIP, Work};
use super::world::{Schedule, World};
use crate::project;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bug: Vec<Bug>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bug {
    /// System and number.
    of: String,
    what: String,
    /// What we promise instead.
    promise: String,
    /// By these of the simulation's promises.
    #[serde(default)]
    held_by: Vec<String>,
    /// Absent where it cannot occur here.
    run: Option<Run>,
    cannot_occur: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// Absent: 1.
    seed: Option<u64>,
    /// Which of the chains.
    chain: usize,
    /// At a hospital that advances, over so many yuan; absent: at one that does not.
    advanced: Option<u64>,
    /// `adapter event nth answer crash`.
    faults: Vec<String>,
    /// What the log must hold, so that the fault is known to have happened.
    seen: Vec<String>,
    /// Where the stays are at the end.
    ends: Vec<String>,
}

/// `adapter event nth answer crash`
pub(super) fn fault(text: &str) -> Scripted {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [adapter, event, nth, answer, crash] = words[..] else { panic!("not a fault: {text}") };
    let owned = str::to_owned;
    Scripted {
        adapter: owned(adapter),
        event: owned(event),
        nth: nth.parse().unwrap(),
        answer: owned(answer),
        crash: owned(crash),
    }
}

#[test]
fn no_bug_of_a_peer_is_ours() {
    let text = std::fs::read_to_string(project("tests/cases/peer_bugs.toml")).unwrap();
    let mut failures = Vec::new();
    for bug in toml::from_str::<File>(&text).unwrap().bug {
        assert!(!bug.what.is_empty() && !bug.promise.is_empty(), "{}", bug.of);
        let Some(run) = &bug.run else {
            assert!(bug.cannot_occur.is_some(), "{} has neither a run nor a reason", bug.of);
            continue;
        };
        assert!(run.chain < CHAINS.len() && !bug.held_by.is_empty(), "{}", bug.of);
        assert!(bug.held_by.iter().all(|name| NAMES.contains(&name.as_str())), "{}", bug.of);
        let script = run.faults.iter().map(|text| fault(text)).collect();
        let advanced = |amount| Work::Plain { hospital: TOWNSHIP, amount };
        let work = run.advanced.map_or(Work::PLAIN, advanced);
        let schedule = Schedule { work, ..Schedule::scripted(run.seed.unwrap_or(1), run.chain, script) };
        let ran = World::run(&schedule, Open::InMemory);
        let unseen: Vec<_> = run.seen.iter().filter(|words| !ran.log.contains(words.as_str())).collect();
        if ran.broken.is_some() || !unseen.is_empty() || ran.ends != run.ends {
            failures.push(format!(
                "{}: {:?}, ends {:?}, not seen {unseen:?}\n{}",
                bug.of, ran.broken, ran.ends, ran.log
            ));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}
