//! What every part of a simulated world shares: time, dice, faults, and what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use yizhan::runtime::Clock;
use yizhan::settlement::saga::{LEASE, LEAVES_WITHIN};

use super::choosing::{Choosing, Rates, Scripted};
use super::clock::VirtualClock;
use super::coverage::{self, Cell, Coverage};
use super::dice::Dice;
use super::look::Moved;
use super::noted::Noted;
use super::tasks::{GiveWay, Owner, Spawner};
use super::told::Telling;

/// A message the store took in.
#[derive(Debug, Clone)]
pub(crate) struct TakenIn {
    pub(crate) id: String,
    pub(crate) changes_stay: bool,
    /// Where the stay was after it.
    pub(crate) word: &'static str,
}

pub(crate) struct Sim {
    pub(crate) clock: VirtualClock,
    pub(crate) spawner: Spawner,
    /// Drives what the store does to its end.
    runtime: tokio::runtime::Runtime,
    state: Mutex<State>,
}

struct State {
    choosing: Choosing,
    dying: BTreeSet<usize>,
    stalled: BTreeMap<usize, Timestamp>,
    coverage: Coverage,
    broken: Option<String>,
    moved: Option<Moved>,
    /// Visit numbers by stay.
    visits: BTreeMap<String, Arc<str>>,
    /// Where the saga of an operation or of a stay was last seen.
    states: BTreeMap<Arc<str>, &'static str>,
    /// Operations, and the stays they are of.
    stays: BTreeMap<Arc<str>, Arc<str>>,
    /// Where the store has a stay, by visit number, stay and settlement.
    stored: BTreeMap<String, &'static str>,
    /// Operations in the store, and until when each may leave.
    durable: BTreeMap<Arc<str>, Timestamp>,
    /// Commits that were made ready: under which quote, and until when it holds.
    ready: BTreeMap<Arc<str>, (String, Option<Timestamp>)>,
    /// Quotes that something durable rests upon.
    used: BTreeSet<String>,
    /// Messages in the order in which the store took them in, and whether each changed its stay.
    taken_in: Vec<TakenIn>,
    telling: Telling,
    log: Vec<String>,
}

impl Sim {
    pub(crate) fn new(seed: u64, rates: Rates, aims: Vec<Cell>, script: Vec<Scripted>) -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let state = State {
            choosing: Choosing::new(Dice::of(seed), rates, aims, script),
            dying: BTreeSet::new(),
            stalled: BTreeMap::new(),
            coverage: Coverage::default(),
            broken: None,
            moved: None,
            visits: BTreeMap::new(),
            states: BTreeMap::new(),
            stays: BTreeMap::new(),
            stored: BTreeMap::new(),
            durable: BTreeMap::new(),
            ready: BTreeMap::new(),
            used: BTreeSet::new(),
            taken_in: Vec::new(),
            telling: Telling::default(),
            log: Vec::new(),
        };
        let clock = VirtualClock::at("2020-07-02T02:00:00Z".parse().unwrap());
        Arc::new(Self { clock, spawner: Spawner::default(), runtime, state: Mutex::new(state) })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the store does is done at once: no other task runs meanwhile.
    pub(crate) fn at_once<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn dice<T>(&self, throw: impl FnOnce(&mut Dice) -> T) -> T {
        throw(&mut self.state.lock().unwrap().choosing.dice)
    }

    /// Waits some milliseconds of at most so many.
    pub(crate) async fn within(&self, most_ms: u64) {
        let pause = self.dice(|dice| dice.below(most_ms + 1));
        self.clock.sleep_until(self.now() + SignedDuration::from_millis(pause.cast_signed())).await;
    }

    /// A place where another task may go first.
    pub(crate) async fn give_way(&self) {
        match self.dice(|dice| dice.below(4)) {
            0 => self.within(20).await,
            _ => GiveWay::default().await,
        }
    }

    pub(crate) fn log(&self, what: impl FnOnce() -> String) {
        let now = self.now();
        self.state.lock().unwrap().log.push(format!("{now:.3} {}", what()));
    }

    pub(crate) fn told(&self, last: usize) -> String {
        let state = self.state.lock().unwrap();
        state.log[state.log.len().saturating_sub(last)..].join("\n")
    }

    /// The first promise that was broken is what the run tells.
    pub(crate) fn broken(&self, why: String) {
        self.state.lock().unwrap().broken.get_or_insert(why);
    }

    pub(crate) fn what_is_broken(&self) -> Option<String> {
        self.state.lock().unwrap().broken.clone()
    }

    /// Something durable moved: promises are to be looked at.
    pub(crate) fn moved(&self) {
        self.state.lock().unwrap().moved.get_or_insert_default();
    }

    /// A stay moved, by whatever it is known.
    pub(crate) fn stay_moved(&self, key: &str) {
        let mut state = self.state.lock().unwrap();
        let visit = state.visits.get(key).cloned();
        state.moved.get_or_insert_default().stays.extend(visit);
    }

    pub(crate) fn take_moved(&self) -> Option<Moved> {
        self.state.lock().unwrap().moved.take()
    }

    pub(crate) fn coverage(&self) -> Coverage {
        self.state.lock().unwrap().coverage.clone()
    }

    pub(crate) fn calm_down(&self) {
        let mut state = self.state.lock().unwrap();
        state.choosing.calm_down();
        state.stalled.clear();
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.state.lock().unwrap().choosing.is_calm()
    }

    pub(crate) fn stored(&self, key: &str) -> &'static str {
        self.state.lock().unwrap().stored.get(key).copied().unwrap_or("new")
    }

    pub(crate) fn made_ready(&self, operation: &Arc<str>, quote: &str, until: Option<Timestamp>) {
        self.state.lock().unwrap().ready.insert(Arc::clone(operation), (quote.to_owned(), until));
    }

    /// A step that was decided at `at` is in the store from now on.
    pub(crate) fn store_has(
        &self,
        noted: Noted,
        event: &'static str,
        message: Option<String>,
        at: Timestamp,
    ) {
        let mut state = self.state.lock().unwrap();
        if let Some(key) = noted.keys.as_ref().and_then(|keys| keys.first()) {
            let before = state.stored.get(key).copied().unwrap_or("new");
            if coverage::comes_too_late(before, event) && noted.moves(before) {
                let why =
                    format!("fencing: {key} is {before}, and a step of the {event} makes it {}", noted.word);
                state.broken.get_or_insert(why);
            }
        }
        for (operation, _) in &noted.operations {
            let Some((quote, until)) = state.ready.remove(operation) else { continue };
            // Sent again under another id, it rests upon the quote it was intended under.
            if state.used.insert(quote) && until.is_some_and(|until| until < at) {
                let why = format!("while it holds: {operation} is intended under a quote that has lapsed");
                state.broken.get_or_insert(why);
            }
        }
        let (changes_stay, word) = (noted.changes_stay, noted.word);
        state.taken_in.extend(message.map(|id| TakenIn { id, changes_stay, word }));
        let Some(keys) = noted.keys else { return };
        state.durable.extend(noted.operations);
        state.stored.extend(keys.iter().map(|key| (key.clone(), noted.word)));
        let visit: Arc<str> = keys[0].as_str().into();
        state.visits.extend(keys.iter().map(|key| (key.clone(), Arc::clone(&visit))));
        state.telling.wrote(&visit, noted.bill, noted.outbox);
        let moved = state.moved.get_or_insert_default();
        moved.stays.insert(visit);
        moved.books |= noted.is_booked;
    }

    /// Messages in the order in which the store took them in.
    pub(crate) fn taken_in(&self) -> Vec<TakenIn> {
        self.state.lock().unwrap().taken_in.clone()
    }

    pub(crate) fn telling<T>(&self, of: impl FnOnce(&mut Telling) -> T) -> T {
        of(&mut self.state.lock().unwrap().telling)
    }

    pub(crate) fn is_durable(&self, operation: &str) -> bool {
        self.leaves_before(operation).is_some()
    }

    pub(crate) fn leaves_before(&self, operation: &str) -> Option<Timestamp> {
        self.state.lock().unwrap().durable.get(operation).copied()
    }

    pub(crate) fn belongs(&self, operation: &Arc<str>, stay: &Arc<str>) {
        self.state.lock().unwrap().stays.insert(Arc::clone(operation), Arc::clone(stay));
    }

    pub(crate) fn saw(&self, operation: &Arc<str>, word: &'static str) {
        let mut state = self.state.lock().unwrap();
        state.states.insert(Arc::clone(operation), word);
        if let Some(stay) = state.stays.get(operation).cloned() {
            state.states.insert(stay, word);
        }
    }

    /// Of a stay that is quoted: for the first time, or again while its payers commit.
    pub(crate) fn state_of_stay(&self, stay: &str) -> &'static str {
        let state = self.state.lock().unwrap();
        let is_requoting = state.states.get(stay).is_some_and(|word| *word == "requoting");
        match state.stored.get(stay) {
            Some(&"delivering") => "delivering",
            _ if is_requoting => "requoting",
            _ => "waiting",
        }
    }

    pub(crate) fn state_of(&self, operation: &str) -> &'static str {
        self.state.lock().unwrap().states.get(operation).copied().unwrap_or("committing")
    }
}

/// Faults: what others do, and where a gateway dies.
impl Sim {
    /// What becomes of one call to a payer or a receiver: the answer, and the death.
    pub(crate) fn choose(
        &self,
        name: &str,
        (state_word, event): (&'static str, &'static str),
        plain: &'static str,
        others: &[&'static str],
    ) -> Cell {
        let mut state = self.state.lock().unwrap();
        let cell = state.choosing.choose(name, (state_word, event), plain, others);
        state.coverage.visit(cell);
        cell
    }

    /// What becomes of one call to the store.
    pub(crate) fn choose_at_store(&self, place: (&'static str, &'static str), is_read: bool) -> Cell {
        let mut state = self.state.lock().unwrap();
        let cell = state.choosing.choose_at_store(place, is_read);
        state.coverage.visit(cell);
        cell
    }

    /// The gateway dies here and now: whoever asks waits for ever.
    pub(crate) async fn die(&self, gateway: usize) {
        self.log(|| format!("gateway {gateway} dies"));
        self.kill(gateway);
        std::future::pending::<()>().await;
    }

    /// Dies where the cell says so.
    pub(crate) async fn dies_at(&self, gateway: usize, cell: Cell, place: &str) {
        if cell.crash == place {
            self.die(gateway).await;
        }
    }

    /// Stands still where the cell says so, for longer than anything it meant to send may take to leave.
    pub(crate) fn stalls_at(&self, gateway: usize, cell: Cell) {
        if cell.crash == "stalls" {
            self.stall(gateway, self.now() + LEAVES_WITHIN + LEASE);
        }
    }

    pub(crate) fn kill(&self, gateway: usize) {
        self.state.lock().unwrap().dying.insert(gateway);
    }

    pub(crate) fn take_dying(&self) -> BTreeSet<usize> {
        std::mem::take(&mut self.state.lock().unwrap().dying)
    }

    /// The process stands still, and goes on later as if nothing had been.
    pub(crate) fn stall(&self, gateway: usize, until: Timestamp) {
        self.log(|| format!("gateway {gateway} stands still until {until:.3}"));
        self.state.lock().unwrap().stalled.insert(gateway, until);
    }

    pub(crate) fn is_stalled(&self, owner: Owner) -> bool {
        let Owner::Gateway(gateway) = owner else { return false };
        let now = self.now();
        self.state.lock().unwrap().stalled.get(&gateway).is_some_and(|until| now < *until)
    }
}
