//! One after the other, for operations that concern each other: a commit and whatever takes it back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// A lane for each commit that somebody works on.
#[derive(Debug, Default)]
pub(super) struct Lanes(Arc<Mutex<Open>>);

type Open = HashMap<Arc<str>, Arc<Turn<()>>>;

/// The lane is this one's until it is dropped.
#[derive(Debug)]
pub(super) struct Lane {
    commit: Arc<str>,
    open: Arc<Mutex<Open>>,
    _turn: OwnedMutexGuard<()>,
}

impl Lanes {
    fn of(&self, commit: &Arc<str>) -> Arc<Turn<()>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(open.entry(Arc::clone(commit)).or_default())
    }

    fn taken(&self, commit: &Arc<str>, turn: OwnedMutexGuard<()>) -> Lane {
        Lane { commit: Arc::clone(commit), open: Arc::clone(&self.0), _turn: turn }
    }

    /// Waits for whoever works on the commit.
    pub(super) async fn enter(&self, commit: &Arc<str>) -> Lane {
        let turn = self.of(commit).lock_owned().await;
        self.taken(commit, turn)
    }

    /// Absent: somebody works on it.
    pub(super) fn try_enter(&self, commit: &Arc<str>) -> Option<Lane> {
        let turn = self.of(commit).try_lock_owned().ok()?;
        Some(self.taken(commit, turn))
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this guard's: nobody waits. Whoever comes takes its own under this lock.
        if open.get(&self.commit).is_some_and(|lane| Arc::strong_count(lane) == 2) {
            open.remove(&self.commit);
        }
    }
}
