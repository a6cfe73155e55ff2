//! What a gateway takes up: all that it held when it died, before its ports open, and whatever is due from then on.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use yizhan_contract::instant::later;

use super::Gateway;
use super::pursue::Pursuit;
use crate::store::{Due, StoreError};
use crate::telemetry;

/// Stays taken up at a time when a gateway begins.
const REARM_PAGE: u32 = 256;
/// How often a store that fails meanwhile is tried again, and the pause before.
const REARM_TRIES_MAX: u32 = 20;
const REARM_PAUSE: SignedDuration = SignedDuration::from_millis(250);

impl Gateway {
    /// Takes up, oldest first, what this gateway's name held when it died; to be called before anything else is. All of
    /// it is in hand when this returns.
    ///
    /// # Errors
    /// Where the store cannot be read or written, or fails again and again: what was taken then is found again by the
    /// next call.
    pub async fn rearm(&self) -> Result<Vec<Pursuit>, StoreError> {
        let (mut pursuits, mut taken, mut page, mut tries) = (Vec::new(), BTreeSet::new(), REARM_PAGE, 0);
        loop {
            let mut held = match self.store().held_by(Arc::clone(self.name()), page).await {
                Ok(held) => held,
                Err(error) => {
                    self.pause_rearming(&mut tries, error).await?;
                    continue;
                }
            };
            let is_all = held.len() < usize::try_from(page).unwrap_or(usize::MAX);
            // By id, not by time: the clock may have been set back meanwhile.
            held.retain(|due| !taken.contains(&due.stay_id));
            match (held.is_empty(), is_all) {
                (true, true) => return Ok(pursuits),
                (true, false) => page = page.saturating_mul(2),
                (false, _) => {
                    let mut failed = None;
                    for (stay_id, took) in self.take_each(held, true, None).await {
                        match took {
                            Ok(pursuit) => {
                                taken.insert(stay_id);
                                pursuits.extend(pursuit);
                            }
                            // Whether it was taken, the next look at the store says.
                            Err(error) => failed = Some(error),
                        }
                    }
                    if let Some(error) = failed {
                        self.pause_rearming(&mut tries, error).await?;
                    }
                }
            }
        }
    }

    async fn pause_rearming(&self, tries: &mut u32, error: StoreError) -> Result<(), StoreError> {
        if *tries == REARM_TRIES_MAX || !error.may_retry() {
            return Err(error);
        }
        telemetry::stays_not_taken_up(&error);
        *tries += 1;
        let clock = &self.runtime().clock;
        clock.sleep_until(later(clock.now(), REARM_PAUSE)).await;
        Ok(())
    }

    /// Takes up stays whose time has come: leases that ran out, payers to be tried again, charges gone quiet. What was
    /// taken is driven, whatever failed beside it: its leases would lie until they run out. What was not comes again.
    ///
    /// # Errors
    /// Where the store cannot be read, or nothing could be taken.
    pub async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Pursuit>, StoreError> {
        let due = self.store().due(now, limit).await?;
        let (mut pursuits, mut failed) = (Vec::new(), Vec::new());
        for (_, took) in self.take_each(due, false, Some(now)).await {
            match took {
                Ok(pursuit) => pursuits.extend(pursuit),
                Err(error) => failed.push(error),
            }
        }
        if pursuits.is_empty()
            && let Some(error) = failed.pop()
        {
            return Err(error);
        }
        failed.iter().for_each(|error| telemetry::stays_not_taken_up(error));
        Ok(pursuits)
    }

    /// Side by side; nothing of a stay that somebody else was faster to take.
    async fn take_each(
        &self,
        due: Vec<Due>,
        is_holder_gone: bool,
        as_of: Option<Timestamp>,
    ) -> Vec<(Uuid, Result<Option<Pursuit>, StoreError>)> {
        let until = self.lease_end();
        let taking = due.into_iter().map(|due| async move {
            let stay_id = due.stay_id;
            let lease = self.in_turn(self.store().take(due, Arc::clone(self.name()), until)).await;
            let pursuit = |lease| Pursuit { lease, until, is_holder_gone, as_of };
            (stay_id, lease.map(|lease| lease.map(pursuit)))
        });
        futures_util::future::join_all(taking).await
    }
}
