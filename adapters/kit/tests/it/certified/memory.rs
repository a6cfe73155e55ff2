//! What an adapter with a fault has seen, and what of it outlives a restart.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use yizhan_contract::payer::{StatementLine, VisitEvent, VisitEventKind};

/// What a fault needs to know of what went before.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Remembered>);

#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub(super) commits: HashSet<String>,
    pub(super) reversals: HashSet<String>,
    /// Operations in hand, and how often each.
    pub(super) in_hand: HashMap<String, usize>,
    pub(super) refused: Vec<StatementLine>,
    pub(super) twice: HashSet<String>,
    /// Operations whose caller was gone before its answer was read.
    pub(super) left: HashSet<String>,
    /// Commits that came when their time was almost up.
    pub(super) hurried: HashSet<String>,
    pub(super) extra: Vec<StatementLine>,
    pub(super) fenced: HashSet<String>,
    pub(super) capped_quotes: HashSet<String>,
    pub(super) capped_commits: HashSet<String>,
    pub(super) is_cap_kept: bool,
    pub(super) committed_beside_others: HashSet<String>,
    pub(super) hidden: HashSet<String>,
    /// Of each stay that stands, how often it was told of admission, charges and discharge.
    pub(super) told: HashMap<String, HashMap<VisitEventKind, usize>>,
    pub(super) called_off: HashSet<String>,
    /// What went to stdout and stderr.
    pub(super) said: String,
}

impl Memory {
    pub(super) fn of(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap()
    }

    /// Counts an event; how often it was told with this one.
    pub(super) fn hears(&self, event: &VisitEvent) -> usize {
        let mut memory = self.of();
        let stay = event.stay.to_string();
        if event.kind == VisitEventKind::Cancelled {
            memory.told.remove(&stay);
            memory.called_off.insert(stay);
            return 1;
        }
        let times = memory.told.entry(stay).or_default().entry(event.kind).or_default();
        *times += 1;
        *times
    }

    /// Writes a line of the log.
    pub(super) fn says(&self, line: &str) {
        let mut memory = self.of();
        memory.said.push_str(line);
        memory.said.push('\n');
    }

    /// Whether one event of a stay was told more than once.
    pub(super) fn was_told_again(&self, stay: &str) -> bool {
        self.of().told.get(stay).is_some_and(|told| told.values().any(|times| 1 < *times))
    }

    /// The adapter was ended: what it had in its head alone is gone.
    pub(crate) fn restarted(&self) {
        let mut memory = self.of();
        memory.fenced.clear();
        memory.in_hand.clear();
        memory.hidden = std::mem::take(&mut memory.committed_beside_others);
    }
}

/// In hand until it is dropped.
pub(super) struct InHand<'m>(&'m Memory, String);

impl<'m> InHand<'m> {
    pub(super) fn of(memory: &'m Memory, id: &str) -> Self {
        *memory.of().in_hand.entry(id.to_owned()).or_default() += 1;
        Self(memory, id.to_owned())
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let mut memory = self.0.of();
        if let Some(times) = memory.in_hand.get_mut(&self.1) {
            *times -= 1;
            if *times == 0 {
                memory.in_hand.remove(&self.1);
            }
        }
    }
}
