//! The newest bills, for the demonstration's first page.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

/// Bills on the first page.
const RECENT_MAX: usize = 50;

/// Ids of settlements, newest first; each once.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Uuid>>);

impl Recent {
    pub fn add(&self, id: Uuid) {
        let mut ids = self.ids();
        ids.retain(|known| *known != id);
        ids.push_front(id);
        ids.truncate(RECENT_MAX);
    }

    pub fn newest_first(&self) -> Vec<Uuid> {
        self.ids().iter().copied().collect()
    }

    fn ids(&self) -> MutexGuard<'_, VecDeque<Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
