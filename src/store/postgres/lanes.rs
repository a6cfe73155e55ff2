//! A lane for the steps of one person that meet at this gateway: who lost a race waits here for the others, and
//! holds no connection meanwhile. However many settlements one person has at once, one connection of a gateway
//! waits for that person's row, and the others are free for everybody else.
//!
//! Nothing hangs on it: two people may share a lane, and other gateways have lanes of their own. What is
//! written is guarded by the person's version.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;
use yizhan_contract::Text;

use super::super::StoreError;

const LANES: usize = 256;
/// Longer than a statement may take: whoever is in front has ended by then.
const WAIT_MS: u64 = 15_000;

pub(super) struct Lanes(Vec<Mutex<()>>);

impl Lanes {
    pub(super) fn new() -> Self {
        Self((0..LANES).map(|_| Mutex::default()).collect())
    }

    /// Waits until the others in front have been through.
    pub(super) async fn of(&self, person: Uuid) -> Result<MutexGuard<'_, ()>, StoreError> {
        let lane = usize::from(person.as_bytes()[15]) % self.0.len();
        let waited = tokio::time::timeout(Duration::from_millis(WAIT_MS), self.0[lane].lock()).await;
        let crowded = || Text::new("同一人同时结算的住院过多", "too many stays of one person at once");
        waited.map_err(|_| StoreError::Unavailable(crowded()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_is_told_so_and_the_lane_is_free_afterwards() {
        let (lanes, person) = (Lanes::new(), Uuid::from_u128(7));
        let first = lanes.of(person).await;
        let refused = lanes.of(person).await.err();
        assert!(matches!(&refused, Some(StoreError::Unavailable(why)) if why.en.contains("one person")));
        assert!(lanes.of(Uuid::from_u128(8)).await.is_ok(), "another lane");
        drop(first);
        assert!(lanes.of(person).await.is_ok());
    }
}
