//! What every part of a simulated world shares: time, dice, faults, and what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use yizhan::runtime::Clock;

use super::clock::VirtualClock;
use super::coverage::{Cell, Coverage};
use super::dice::Dice;
use super::look::Moved;
use super::tasks::{GiveWay, Owner, Spawner};

/// Chances in a hundred.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    /// A payer does not do the plain thing.
    pub(crate) answer: u64,
    /// A gateway dies at a call to a payer.
    pub(crate) death: u64,
    /// A gateway dies at a call to the store, in a thousand.
    pub(crate) store_death: u64,
    /// The store is not available, in a thousand.
    pub(crate) store_down: u64,
}

impl Rates {
    pub(crate) const NONE: Self = Self { answer: 0, death: 0, store_death: 0, store_down: 0 };
}

/// A fault at a place: the n-th time this event comes to this adapter (`*`: any, counted together).
#[derive(Debug, Clone)]
pub(crate) struct Scripted {
    pub(crate) adapter: String,
    pub(crate) event: String,
    pub(crate) nth: u32,
    pub(crate) answer: String,
    pub(crate) crash: String,
}

pub(crate) struct Sim {
    pub(crate) clock: VirtualClock,
    pub(crate) spawner: Spawner,
    /// Drives what the store does to its end.
    runtime: tokio::runtime::Runtime,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    rates: Rates,
    aim: Option<Cell>,
    script: Vec<Scripted>,
    counts: BTreeMap<(String, String), u32>,
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
    /// Operations whose intent is in the store.
    /// Operations in the store, and until when each may leave.
    durable: BTreeMap<Arc<str>, Timestamp>,
    log: Vec<String>,
}

impl Sim {
    pub(crate) fn new(seed: u64, rates: Rates, aim: Option<Cell>, script: Vec<Scripted>) -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let state = State {
            dice: Dice::of(seed),
            rates,
            aim,
            script,
            counts: BTreeMap::new(),
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
        throw(&mut self.state.lock().unwrap().dice)
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
        state.rates = Rates::NONE;
        state.aim = None;
        state.script.clear();
        state.stalled.clear();
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.state.lock().unwrap().rates.answer == 0
    }

    pub(crate) fn stored(&self, key: &str) -> &'static str {
        self.state.lock().unwrap().stored.get(key).copied().unwrap_or("new")
    }

    pub(crate) fn store_has(
        &self,
        keys: &[String],
        word: &'static str,
        operations: Vec<(Arc<str>, Timestamp)>,
        is_booked: bool,
    ) {
        let mut state = self.state.lock().unwrap();
        state.durable.extend(operations);
        state.stored.extend(keys.iter().map(|key| (key.clone(), word)));
        let visit: Arc<str> = keys[0].as_str().into();
        state.visits.extend(keys.iter().map(|key| (key.clone(), Arc::clone(&visit))));
        let moved = state.moved.get_or_insert_default();
        moved.stays.insert(visit);
        moved.books |= is_booked;
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

/// Faults: what a payer does, and where a gateway dies.
impl Sim {
    /// What becomes of one call to a payer: the answer, and the death.
    pub(crate) fn choose(
        &self,
        adapter: &str,
        (state_word, event): (&'static str, &'static str),
        plain: &'static str,
        others: &[&'static str],
    ) -> Cell {
        let mut state = self.state.lock().unwrap();
        let scripted = state.scripted(adapter, event);
        let may = |answer: &str| answer == plain || others.contains(&answer);
        let aimed = state.aim.filter(|aim| aim.state == state_word && aim.event == event && may(aim.answer));
        let led = state.lead(adapter, (state_word, event)).filter(|answer| may(answer));
        let cell = if let Some((answer, crash)) = scripted {
            Cell { state: state_word, event, answer, crash }
        } else if let Some(aim) = aimed {
            state.aim = None;
            aim
        } else if let Some(answer) = led {
            Cell { state: state_word, event, answer, crash: "-" }
        } else {
            let is_plain = others.is_empty()
                || !{
                    let rate = state.rates.answer;
                    state.dice.percent(rate)
                };
            let answer = if is_plain { plain } else { *state.dice.one_of(others) };
            let dies = {
                let rate = state.rates.death;
                state.dice.percent(rate)
            };
            let crash = if dies { *state.dice.one_of(&["before", "on_the_way", "done"]) } else { "-" };
            Cell { state: state_word, event, answer, crash }
        };
        state.coverage.visit(cell);
        cell
    }

    /// Where a gateway dies at a call to the store.
    pub(crate) fn choose_at_store(&self, state_word: &'static str, event: &'static str) -> &'static str {
        let mut state = self.state.lock().unwrap();
        let scripted = state.scripted("store", event);
        let aimed = state.aim.filter(|aim| aim.state == state_word && aim.event == event);
        let crash = if let Some((_, crash)) = scripted {
            crash
        } else if let Some(aim) = aimed {
            state.aim = None;
            aim.crash
        } else {
            let dies = state.dice.below(1_000) < state.rates.store_death;
            if dies { *state.dice.one_of(&["before", "after"]) } else { "-" }
        };
        state.coverage.visit(Cell { state: state_word, event, answer: "-", crash });
        crash
    }

    pub(crate) fn is_store_down(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.dice.below(1_000) < state.rates.store_down
    }

    /// The gateway dies here and now: whoever asks waits for ever.
    pub(crate) async fn die(&self, gateway: usize) {
        self.log(|| format!("gateway {gateway} dies"));
        self.kill(gateway);
        std::future::pending::<()>().await;
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

impl State {
    /// What brings a stay to where the aim is: to be quoted again, an amount has to differ; to be taken back, a
    /// payer has to refuse while another is not heard of; to be fenced off, a commit has to get lost; to be asked
    /// later, the last payer has to be away first.
    fn lead(&mut self, adapter: &str, (state, event): (&str, &str)) -> Option<&'static str> {
        let aim = self.aim.filter(|aim| match event {
            "quote" => aim.state == "delivering" && state == "waiting" && adapter == "insurer",
            _ => event == "commit" && (aim.state == "delivering") == (state == "delivering"),
        })?;
        let ways: &[&'static str] = match (aim.state, aim.event) {
            ("delivering", _) if event == "quote" => &["unavailable", "hangs"],
            ("delivering", "status") if aim.answer == "refused" => &["refuses_unheard"],
            ("delivering", "status") => &["times_out_before", "times_out_after", "late", "breaks_off"],
            ("delivering", "reverse") => &["times_out_before", "other_amount"],
            ("requoting", _) => &["other_amount", "commits"],
            ("undoing", "status") if aim.answer == "refused" => &["refuses", "refuses_unheard"],
            ("undoing", "status") => &["refuses", "refuses_unheard", "times_out_after", "commits"],
            ("undoing", _) => &["refuses", "commits"],
            ("committing", "reverse") => &["times_out_before", "commits"],
            _ => return None,
        };
        Some(*self.dice.one_of(ways))
    }

    fn scripted(&mut self, adapter: &str, event: &str) -> Option<(&'static str, &'static str)> {
        let mut found = None;
        for of in [adapter, "*"] {
            let count = self.counts.entry((of.to_owned(), event.to_owned())).or_default();
            *count += 1;
            let count = *count;
            let fits = |line: &&Scripted| line.adapter == of && line.event == event && line.nth == count;
            found = found.or_else(|| self.script.iter().find(fits));
        }
        found.map(|line| (word(&line.answer), word(&line.crash)))
    }
}

/// The word as the table has it.
fn word(text: &str) -> &'static str {
    let cells = super::coverage::reachable();
    let words = cells.iter().flat_map(|cell| [cell.answer, cell.crash]).chain(["stalls"]);
    words.into_iter().find(|word| *word == text).unwrap_or_else(|| panic!("no such word: {text}"))
}
