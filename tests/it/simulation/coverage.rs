//! What a run can come through: state of the stay × what happens × what the payer does × where the gateway dies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::str::FromStr;

/// One combination, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    /// Where the stay's saga is.
    pub(crate) state: &'static str,
    /// A call to a payer (`quote`, `commit`, `reverse`, `status`), to a hospital's receiver (`tell`), or to the store: a
    /// step (`message`, `desk`, `drive`), a lease (`take`), anything else (`read`, `write`).
    pub(crate) event: &'static str,
    /// What the payer, the store or the receiver does with it.
    pub(crate) answer: &'static str,
    /// Where the gateway dies; `-` where it lives.
    pub(crate) crash: &'static str,
}

impl Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {} / {}", self.state, self.event, self.answer, self.crash)
    }
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let cells = reachable();
        cells.into_iter().find(|cell| cell.to_string() == text).ok_or_else(|| format!("no cell {text}"))
    }
}

/// Where a gateway can die around a request to a payer: before it leaves, on its way, when the payer has done it.
pub(crate) const DEATHS: [&str; 4] = ["-", "before", "on_the_way", "done"];

const COMMITS: &[&str] = &[
    "commits",
    "refuses",
    "times_out_before",
    "times_out_after",
    "late",
    "twice",
    "other_amount",
    "more",
    "breaks_off",
    "very_late",
    "refuses_unheard",
];
const REVERSALS: &[&str] = &[
    "takes_back",
    "refuses",
    "times_out_before",
    "times_out_after",
    "late",
    "twice",
    "other_amount",
    "breaks_off",
];
const STATUSES: &[&str] = &["done", "refused", "not_found", "pending", "unavailable", "hangs"];
const QUOTES: &[&str] = &["quotes", "refuses", "not_ready", "unavailable", "hangs"];
/// What a receiver does with what it is told.
pub(crate) const TELLINGS: &[&str] = &["takes", "takes_unheard", "unreached", "declines", "hangs"];
/// What else than writing it the store does with a step: nothing; or one or the other, and nobody can say which.
pub(crate) const STORE_FAULTS: &[&str] = &["unavailable", "in_doubt", "in_doubt_lost"];
const STORED: &[&str] = &[
    "new",
    "awaiting",
    "waiting",
    "quoted",
    "committing",
    "undoing",
    "settled",
    "delivering",
    "advanced",
    "borne",
    "reversing",
    "reversed",
];
/// Where a gateway drives a stay, and where a person's word about it is kept.
const DRIVEN: &[&str] =
    &["awaiting", "waiting", "committing", "undoing", "delivering", "advanced", "borne", "reversing"];
/// Where a desk orders something: a quote to be committed (or again, while one that lapsed is renewed), a settlement to
/// be taken back, either again.
const AT_DESK: &[&str] =
    &["waiting", "quoted", "settled", "delivering", "advanced", "borne", "reversing", "reversed"];

/// Every cell that a run must be able to come through; what is left out says why.
pub(crate) fn reachable() -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut all = |states: &[&'static str], event, answers: &[&'static str], crashes: &[&'static str]| {
        for state in states {
            for answer in answers {
                let crashes = crashes.iter().copied();
                cells.extend(crashes.map(|crash| Cell { state, event, answer, crash }));
            }
        }
    };
    all(&["waiting", "requoting", "delivering"], "quote", QUOTES, &DEATHS);
    all(&["committing", "delivering", "advanced"], "commit", COMMITS, &DEATHS);
    let asked = ["committing", "undoing", "delivering", "advanced", "reversing"];
    all(&asked, "reverse", REVERSALS, &DEATHS);
    all(&asked, "status", STATUSES, &DEATHS);
    all(&["any"], "read", &["reads"], &["-", "before", "after"]);
    all(&["any"], "read", &STORE_FAULTS[..1], &["-"]);
    for (event, states) in
        [("write", &["any"][..]), ("message", STORED), ("desk", AT_DESK), ("drive", DRIVEN), ("take", DRIVEN)]
    {
        all(states, event, &["writes"], &["-", "before", "after"]);
        all(states, event, STORE_FAULTS, &["-"]);
    }
    all(&["any"], "tell", TELLINGS, &DEATHS);
    cells.retain(|cell| left_out(*cell).is_none());
    cells
}

/// Where a gateway has nothing to drive, and a desk nothing to order; a step that moves anything there breaks a promise.
pub(crate) fn comes_too_late(state: &str, event: &str) -> bool {
    match event {
        "drive" | "take" => matches!(state, "new" | "quoted" | "settled" | "reversed"),
        "desk" => matches!(state, "new" | "awaiting" | "committing" | "undoing"),
        _ => false,
    }
}

/// Why a cell cannot be come through.
fn left_out(cell: Cell) -> Option<&'static str> {
    let never_arrives = matches!(cell.answer, "times_out_before");
    match (cell.state, cell.event, cell.answer, cell.crash) {
        (_, "tell", "unreached" | "declines" | "hangs", "done") => Some("what is not taken is never done"),
        (_, _, _, "done") if never_arrives => Some("what never arrives is never done"),
        (_, "quote" | "status", _, "done") => {
            Some("a question has no effect at the payer: dying after it is dying while it is on its way")
        }
        (_, "commit" | "reverse", "late" | "very_late", "done") => Some(
            "by the time a late request is done its gateway has stopped waiting: the death is another one",
        ),
        (
            _,
            "status",
            "not_found" | "pending" | "unavailable" | "hangs" | "done" | "refused",
            "on_the_way",
        ) => Some("a question on its way has no effect: dying then is dying before it"),
        (state, event, ..) if comes_too_late(state, event) => Some(
            "somebody else moved it on meanwhile: who comes too late is refused, or lets it go as it stands",
        ),
        ("reversing", "status", "refused", _) => {
            Some("a payer that refuses a reversal says so when it is sent; lost, it decides anew")
        }
        _ => None,
    }
}

/// How often each cell was come through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage(BTreeMap<Cell, u32>);

impl Coverage {
    pub(crate) fn visit(&mut self, cell: Cell) {
        *self.0.entry(cell).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (cell, visits) in &other.0 {
            *self.0.entry(*cell).or_default() += visits;
        }
    }

    pub(crate) fn visits(&self, cell: Cell) -> u32 {
        self.0.get(&cell).copied().unwrap_or_default()
    }

    /// As if nobody had come through it; how often somebody had.
    pub(crate) fn take_out(&mut self, cell: Cell) -> u32 {
        self.0.remove(&cell).unwrap_or_default()
    }

    /// Those of the table that nobody came through.
    pub(crate) fn unvisited(&self, table: &[Cell]) -> Vec<Cell> {
        table.iter().copied().filter(|cell| self.visits(*cell) == 0).collect()
    }

    /// What was come through and is neither in the table nor left out of it with a reason.
    pub(crate) fn unlisted(&self) -> Vec<Cell> {
        let listed: BTreeSet<Cell> = reachable().into_iter().collect();
        let is_known = |cell: &Cell| listed.contains(cell) || left_out(*cell).is_some();
        self.0.keys().copied().filter(|cell| !is_known(cell)).collect()
    }

    /// Visits of cells that are left out of the table, by state and event.
    pub(crate) fn left_out(&self) -> String {
        let mut visits: BTreeMap<String, u32> = BTreeMap::new();
        for (cell, count) in self.0.iter().filter(|(cell, _)| left_out(**cell).is_some()) {
            *visits.entry(format!("{} / {}", cell.state, cell.event)).or_default() += count;
        }
        let rows: Vec<String> = visits.iter().map(|(place, count)| format!("{place} {count}")).collect();
        rows.join(", ")
    }

    /// A row for each event: how many cells it has, how often they were come through, and the visits by state.
    pub(crate) fn summary(&self) -> String {
        let mut events: BTreeMap<&str, Vec<Cell>> = BTreeMap::new();
        for cell in reachable() {
            events.entry(cell.event).or_default().push(cell);
        }
        let row = |(event, cells): (&&str, &Vec<Cell>)| {
            let visits = |cell: &Cell| self.visits(*cell);
            let mut states: BTreeMap<&str, u32> = BTreeMap::new();
            cells.iter().for_each(|cell| *states.entry(cell.state).or_default() += visits(cell));
            let (all, fewest) = (cells.iter().map(visits).sum::<u32>(), cells.iter().map(visits).min());
            let by_state: Vec<_> = states.iter().map(|(state, count)| format!("{state} {count}")).collect();
            let (count, fewest) = (cells.len(), fewest.unwrap_or_default());
            format!("{event:8} {count:>5} {all:>7} {fewest:>6}  {}", by_state.join(", "))
        };
        let head = format!("{:8} {:>5} {:>7} {:>6}  visits by state", "event", "cells", "visits", "fewest");
        [head].into_iter().chain(events.iter().map(row)).collect::<Vec<_>>().join("\n")
    }
}

/// A row for each state, event and answer; a column for each death. `·`: left out.
impl Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reachable: BTreeSet<Cell> = reachable().into_iter().collect();
        let rows: BTreeSet<_> = reachable.iter().map(|cell| (cell.event, cell.state, cell.answer)).collect();
        let columns = ["-", "before", "on_the_way", "done", "after"];
        writeln!(
            f,
            "{:8} {:10} {:17} {:>7} {:>7} {:>10} {:>7} {:>7}",
            "event", "state", "answer", "lives", "before", "on the way", "done", "after"
        )?;
        for (event, state, answer) in rows {
            let count = |crash| {
                let cell = Cell { state, event, answer, crash };
                let is_reachable = reachable.contains(&cell);
                if is_reachable { self.visits(cell).to_string() } else { "·".to_owned() }
            };
            let [lives, before, on_the_way, done, after] = columns.map(count);
            writeln!(
                f,
                "{event:8} {state:10} {answer:17} {lives:>7} {before:>7} {on_the_way:>10} {done:>7} {after:>7}"
            )?;
        }
        Ok(())
    }
}

#[test]
fn a_cell_that_nobody_comes_through_is_told() {
    let [cells @ .., missed] = &reachable()[..] else { panic!("no cells") };
    let mut seen = Coverage::default();
    cells.iter().for_each(|cell| seen.visit(*cell));
    assert_eq!(seen.unvisited(&reachable()), [*missed]);
    let row = format!("{:8} {:10} {:17} {:>7}", missed.event, missed.state, missed.answer, 1);
    assert!(seen.to_string().lines().any(|line| line.starts_with(&row) && line.contains(" 0 ")), "{seen}");
}
