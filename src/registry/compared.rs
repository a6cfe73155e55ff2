//! What came of comparing adapters that only are compared, counted; also of visits that nobody calls off any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use yizhan_contract::payer::VisitEvent;

use crate::settlement::visits;
use crate::telemetry;

/// What came of comparing one adapter with the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Compared {
    /// Settlements whose quotes were compared.
    pub compared: u64,
    /// Of these, how many differ.
    pub differing: u64,
    /// Settlements for which it gave no quote to compare, or was not asked, or not to the end: because too many waited, or
    /// the gateway ended.
    pub unanswered: u64,
    /// Settlements whose visit it was not told to forget: however often that was tried, or because too many waited for
    /// that, or the gateway ended.
    #[serde(default)]
    pub not_called_off: u64,
}

/// By adapter.
#[derive(Clone, Default)]
pub(super) struct Counts(Arc<Mutex<BTreeMap<Arc<str>, Compared>>>);

impl Counts {
    pub(super) fn change(&self, adapter: &Arc<str>, change: impl FnOnce(&mut Compared)) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry(Arc::clone(adapter)).or_default());
    }

    /// What was counted before this gateway began again.
    pub(super) fn go_on(&self, adapter: &Arc<str>, before: Compared) {
        self.change(adapter, |counts| {
            counts.compared += before.compared;
            counts.differing += before.differing;
            counts.unanswered += before.unanswered;
            counts.not_called_off += before.not_called_off;
        });
    }

    pub(super) fn of(&self, adapter: &str) -> Compared {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(adapter).copied().unwrap_or_default()
    }
}

/// What an adapter that is only compared knows of a visit. Whatever becomes of the comparison: one that ends before there
/// is something to compare is counted, and so is a visit that stands with the adapter when nobody will call it off any more.
pub(super) struct Standing {
    pub(super) adapter: Arc<str>,
    pub(super) known: visits::Visited,
    pub(super) called_off: Option<VisitEvent>,
    pub(super) counts: Counts,
    /// What came of the comparison is counted.
    pub(super) is_judged: bool,
}

impl Drop for Standing {
    fn drop(&mut self) {
        if !self.is_judged {
            self.counts.change(&self.adapter, |counts| counts.unanswered += 1);
        }
        if self.known.stands() {
            telemetry::shadow_not_called_off(&self.adapter);
            self.counts.change(&self.adapter, |counts| counts.not_called_off += 1);
        }
    }
}
