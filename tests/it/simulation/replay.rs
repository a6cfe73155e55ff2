//! A run in one line: a run that fails prints it, and `simulation::replay` reads it.

use serde::{Deserialize, Serialize};

use super::mutant::Mutant;
use super::mutation;
use super::opening::Open;
use super::peer_bugs::fault;
use super::workload::Work;
use super::world::{Schedule, World};

const VARIABLE: &str = "YIZHAN_TEST_RUN";

/// Everything that makes a run.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seed: u64,
    #[serde(default)]
    store: Open,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aims: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateways: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    work: Option<Worked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mistake: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Worked {
    Any { hospitals: Vec<String> },
    Plain { hospital: String, amount: u64 },
}

impl Line {
    fn of(schedule: &Schedule, store: Open) -> Self {
        let work = match schedule.work {
            Work::Any { hospitals } => {
                Worked::Any { hospitals: hospitals.iter().copied().map(str::to_owned).collect() }
            }
            Work::Plain { hospital, amount } => Worked::Plain { hospital: hospital.to_owned(), amount },
        };
        Self {
            seed: schedule.seed,
            store,
            aims: schedule.aims.iter().map(ToString::to_string).collect(),
            faults: schedule.script.iter().map(ToString::to_string).collect(),
            chain: schedule.chain,
            gateways: schedule.gateways,
            work: Some(work),
            mistake: schedule.mutant.as_ref().map(|mutant| format!("{:?}", mutant.mistake)),
        }
    }

    fn schedule(self) -> Schedule {
        let aims = self.aims.iter().map(|aim| aim.parse().unwrap()).collect();
        // A word of a run lives as long as the program, as those written in it do.
        let word = |word: String| -> &'static str { word.leak() };
        let work = match self.work {
            None => Work::ANY,
            Some(Worked::Any { hospitals }) => {
                Work::Any { hospitals: hospitals.into_iter().map(word).collect::<Vec<_>>().leak() }
            }
            Some(Worked::Plain { hospital, amount }) => Work::Plain { hospital: word(hospital), amount },
        };
        Schedule {
            seed: self.seed,
            aims,
            script: self.faults.iter().map(|text| fault(text)).collect(),
            chain: self.chain,
            gateways: self.gateways,
            work,
            mutant: self.mistake.map(|name| Mutant::of(mutation::called(&name))),
        }
    }
}

/// How to see a run again.
pub(super) fn command(schedule: &Schedule, store: Open) -> String {
    let line = serde_json::to_string(&Line::of(schedule, store)).unwrap();
    format!("{VARIABLE}='{line}' cargo test --test it simulation::replay::replay -- --nocapture")
}

#[test]
fn replay() {
    let Ok(line) = std::env::var(VARIABLE) else { return };
    let line: Line = serde_json::from_str(&line).unwrap_or_else(|why| panic!("{VARIABLE}: {why}"));
    let store = line.store;
    let ran = World::run(&line.schedule(), store);
    println!("{}\nends {:?}, {:?} after the last fault", ran.log, ran.ends, ran.settled_after);
    assert_eq!(ran.broken, None);
}

#[test]
fn what_a_run_prints_is_the_same_run_again() {
    let aim = || vec!["committing / commit / late / -".parse().unwrap()];
    let faults = || vec![fault("bureau commit 1 late -"), fault("bureau status 1 pending -")];
    let plain = Schedule::of(5);
    let runs = [
        plain.clone(),
        Schedule::aimed(5, aim()),
        Schedule { chain: Some(1), ..plain.clone() },
        Schedule { gateways: Some(1), chain: Some(1), ..plain.clone() },
        Schedule { work: Work::QUOTED_FIRST, ..plain.clone() },
        Schedule::scripted(5, 1, Vec::new()),
        Schedule::scripted(5, 1, faults()),
        Schedule {
            work: Work::Plain { hospital: "H37132302", amount: 4_000 },
            ..Schedule::scripted(5, 1, faults())
        },
        Schedule { mutant: Some(Mutant::of(mutation::called("CountNoBase"))), ..plain },
    ];
    let mut logs = Vec::new();
    for schedule in runs {
        for store in [Open::InMemory, Open::InPostgres] {
            let command = command(&schedule, store);
            let line: Line = serde_json::from_str(command.split('\'').nth(1).unwrap()).unwrap();
            assert_eq!(line, Line::of(&schedule, store), "{command}");
            if store == Open::InMemory {
                let [first, again] = [&schedule, &line.schedule()].map(|run| World::run(run, store).log);
                assert_eq!(first, again, "{command}");
                logs.push(first);
            }
        }
    }
    let runs = logs.len();
    logs.sort_unstable();
    logs.dedup();
    assert_eq!(logs.len(), runs, "a part of them says nothing");
}
