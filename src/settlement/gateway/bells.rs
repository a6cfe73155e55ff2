//! Bells of stays: whoever waits in this process for what a stay comes to hears when it is driven no more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;
use uuid::Uuid;

#[derive(Default)]
pub(super) struct Bells(Mutex<HashMap<Uuid, Weak<Notify>>>);

impl Bells {
    /// The stay's bell, which is there while somebody holds it.
    pub(super) fn of(&self, stay_id: Uuid) -> Arc<Notify> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(&stay_id).and_then(Weak::upgrade) {
            return bell;
        }
        bells.retain(|_, bell| bell.strong_count() > 0);
        let bell = Arc::<Notify>::default();
        bells.insert(stay_id, Arc::downgrade(&bell));
        bell
    }

    /// Heard by whoever waits at this moment; mostly nobody does.
    pub(super) fn ring(&self, stay_id: &Uuid) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(stay_id).and_then(Weak::upgrade) {
            bell.notify_waiters();
        }
    }
}
