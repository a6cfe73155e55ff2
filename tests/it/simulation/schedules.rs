//! Runs: those written down in `tests/cases/schedules.toml`, which come through the whole table, and any number of
//! others. The same schedules run over any store that can be opened.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::coverage::{self, Cell, Coverage};
use super::opening::Open;
use super::world::Schedule;
use super::{kept, named};
use crate::project;

/// Seeds that are tried for the cells of one state before those that are left count as out of reach.
const TRIES_MAX: u64 = 400;
/// Cells that one run is led to.
const AIMS_MAX: usize = 10;

#[derive(Serialize, Deserialize)]
struct File {
    schedule: Vec<Written>,
}

/// A seed and the faults it is led to; all the others follow from the seed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    seed: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aims: Vec<String>,
}

impl Written {
    fn schedule(&self) -> Schedule {
        Schedule::aimed(self.seed, self.aims.iter().map(|aim| aim.parse().unwrap()).collect())
    }
}

fn written() -> Vec<Schedule> {
    let text = std::fs::read_to_string(project("tests/cases/schedules.toml")).unwrap();
    toml::from_str::<File>(&text).unwrap().schedule.iter().map(Written::schedule).collect()
}

/// Runs over a store, and what they came through.
struct Tour {
    /// Cells that have to be come through.
    table: Vec<Cell>,
    tries_max: u64,
    seen: Coverage,
    runs: Vec<(Schedule, Coverage)>,
    settled_after_most: jiff::SignedDuration,
    /// How many stays came to which end.
    ends: BTreeMap<String, u32>,
}

impl Tour {
    fn through(table: Vec<Cell>) -> Self {
        Self {
            table,
            tries_max: TRIES_MAX,
            seen: Coverage::default(),
            runs: Vec::new(),
            settled_after_most: jiff::SignedDuration::ZERO,
            ends: BTreeMap::new(),
        }
    }

    fn run(&mut self, schedule: Schedule, open: Open) {
        let ran = kept(&schedule, open);
        self.seen.add(&ran.coverage);
        self.settled_after_most = self.settled_after_most.max(ran.settled_after);
        ran.ends.into_iter().for_each(|end| *self.ends.entry(end).or_default() += 1);
        self.runs.push((schedule, ran.coverage));
    }

    /// Cells nobody came through yet, those of one state aimed at together by seeds of its own.
    fn reach(&mut self, open: Open) {
        let states: BTreeSet<&str> = self.table.iter().map(|cell| cell.state).collect();
        for (nth, state) in (1_u64..).zip(states) {
            for seed in nth * 1_000..nth * 1_000 + self.tries_max {
                let mut aims = self.seen.unvisited(&self.table);
                aims.retain(|aim| aim.state == state);
                if aims.is_empty() {
                    break;
                }
                // Others first each time: one that is hard to come to holds up nobody.
                let first = usize::try_from(seed).unwrap() % aims.len();
                aims.rotate_left(first);
                aims.truncate(AIMS_MAX);
                self.run(Schedule::aimed(seed, aims), open);
            }
        }
    }

    /// What the runs end with: cells that are left are aimed at, and then all has to have been come through.
    ///
    /// # Errors
    /// A cell of the table that nobody came through; one that was come through and is in no table.
    fn end(&mut self, open: Open) -> Result<(), String> {
        self.reach(open);
        let told = |cells: Vec<Cell>, what: &str| {
            let cells: Vec<String> = cells.iter().map(|cell| format!("\n  {cell}")).collect();
            if cells.is_empty() { String::new() } else { format!("{what}:{}\n", cells.concat()) }
        };
        let never = told(self.seen.unvisited(&self.table), "never come through");
        let unlisted =
            told(self.seen.unlisted(), "come through, and neither in the table nor left out of it");
        if never.is_empty() && unlisted.is_empty() { Ok(()) } else { Err(never + &unlisted) }
    }

    /// The fewest runs, more or less, that come through all of it.
    fn fewest(&self) -> Vec<Written> {
        let mut left: BTreeSet<Cell> = coverage::reachable().into_iter().collect();
        let mut chosen = Vec::new();
        let gain = |coverage: &Coverage, left: &BTreeSet<Cell>| {
            left.iter().filter(|cell| coverage.visits(**cell) > 0).count()
        };
        while let Some((schedule, coverage)) =
            self.runs.iter().max_by_key(|(_, coverage)| gain(coverage, &left))
        {
            if gain(coverage, &left) == 0 {
                break;
            }
            left.retain(|cell| coverage.visits(*cell) == 0);
            let aims = schedule.aims.iter().map(ToString::to_string).collect();
            chosen.push(Written { seed: schedule.seed, aims });
        }
        chosen
    }
}

fn record(tour: &Tour, path: &str) {
    let schedule = tour.fewest();
    let text = toml::to_string(&File { schedule }).unwrap();
    let head =
        "# Runs that come through every cell of the table together; written by YIZHAN_TEST_RECORD.\n\n";
    std::fs::File::create(path).unwrap().write_all(format!("{head}{text}").as_bytes()).unwrap();
}

fn per_minute(runs: usize, took: Duration) -> u128 {
    runs as u128 * 60_000 / took.as_millis().max(1)
}

#[test]
fn every_promise_holds_under_every_fault() {
    #[expect(clippy::disallowed_methods, reason = "how fast runs are is told, nothing depends on it")]
    let began = std::time::Instant::now();
    let mut tour = Tour::through(coverage::reachable());
    for schedule in written() {
        tour.run(schedule, Open::InMemory);
    }
    for seed in 0..named("YIZHAN_TEST_SEEDS").unwrap_or(0) {
        tour.run(Schedule::of(seed), Open::InMemory);
    }
    let ended = tour.end(Open::InMemory);
    let (runs, took) = (tour.runs.len(), began.elapsed());
    println!("{}\n{}\nleft out: {}", tour.seen, tour.seen.summary(), tour.seen.left_out());
    println!(
        "{runs} runs, {} a minute; over {:?} after the last fault at most; stays end {:?}",
        per_minute(runs, took),
        tour.settled_after_most,
        tour.ends
    );
    if let Ok(path) = std::env::var("YIZHAN_TEST_RECORD") {
        record(&tour, &path);
    }
    ended.unwrap_or_else(|why| panic!("{why}"));
}

/// What two of the runs that are written down come through, with a table that says no more than that.
fn short() -> Tour {
    let mut tour = Tour::through(Vec::new());
    written().into_iter().take(2).for_each(|schedule| tour.run(schedule, Open::InMemory));
    tour.table = coverage::reachable();
    tour.table.retain(|cell| tour.seen.visits(*cell) > 0);
    tour.tries_max = 0;
    tour
}

/// Through the function that the whole run ends with, over what runs have come through.
#[test]
fn a_cell_that_no_run_comes_through_fails_the_run() {
    let mut tour = short();
    assert_eq!(tour.end(Open::InMemory), Ok(()));
    let missed: Cell = "committing / drive / writes / -".parse().unwrap();
    assert!(tour.seen.take_out(missed) > 1);
    assert_eq!(tour.end(Open::InMemory), Err(format!("never come through:\n  {missed}\n")));
    // Left to itself, the run aims at it.
    tour.tries_max = TRIES_MAX;
    assert_eq!(tour.end(Open::InMemory), Ok(()));
    // At one that is out of reach it aims in vain: a payer that takes back what was never sent.
    let never = Cell { state: "waiting", event: "reverse", answer: "takes_back", crash: "-" };
    (tour.table, tour.tries_max) = (vec![never], 2);
    let runs = tour.runs.len();
    assert_eq!(tour.end(Open::InMemory), Err(format!("never come through:\n  {never}\n")));
    assert_eq!(tour.runs.len(), runs + 2);
}

#[test]
fn a_cell_that_is_in_no_table_fails_the_run() {
    let mut tour = short();
    tour.seen.visit(Cell { state: "new", event: "quote", answer: "quotes", crash: "-" });
    let why = "come through, and neither in the table nor left out of it:\n  new / quote / quotes / -\n";
    assert_eq!(tour.end(Open::InMemory), Err(why.to_owned()));
}

/// Runs over PostgreSQL, of those that are written down.
const OVER_POSTGRES: usize = 50;

#[test]
fn every_promise_holds_over_postgresql() {
    let mut tour = Tour::through(coverage::reachable());
    for schedule in written().into_iter().take(OVER_POSTGRES) {
        tour.run(schedule, Open::InPostgres);
    }
    assert_eq!(tour.runs.len(), OVER_POSTGRES);
    println!("{}", tour.seen);
}
