//! Telling hospitals: bills and changes of state to each return address, until it has them.
//!
//! What is to be told stands in the store, written with the settlement itself. Here is only the handing over: bounded
//! reads of what is due, each stay's bills in order, one delivery at a time for each receiver, and receivers side by
//! side, so that a dead one holds up nobody else. A delivery may come twice, always under one id; a gateway that dies
//! leaves it to the next.

mod delivery;
mod pace;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::intake::profile::ReturnAddress;
use crate::intake::{Profile, Profiles};
use crate::runtime::Shutdown;
use crate::settlement::gateway::Gateway;
use crate::store::{OutboxEntry, StoreError};
use crate::telemetry;
use delivery::{Courier, Ended};
use pace::{Receivers, backoff};

pub use delivery::{DELIVERY_TIMEOUT_S, OUTBOX_ID_HEADER};
pub use pace::{BACKOFF_S_MAX, BACKOFF_S_MIN};

/// How often the store is asked, beside being asked whenever this gateway has written something to be told.
const POLL: Duration = Duration::from_secs(1);
/// Entries read at once.
const HEADS_MAX: u32 = 64;
/// Deliveries under way at once, each to another receiver.
const RECEIVERS_AT_ONCE_MAX: usize = 16;
/// A delivery that was begun is nobody else's for this long: longer than any delivery takes.
const HIDDEN_S: i64 = DELIVERY_TIMEOUT_S as i64 + 10;
/// How long deliveries under way may go on after the signal to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The worker; one for each gateway.
pub struct Outbox {
    gateway: Gateway,
    profiles: Arc<Profiles>,
    courier: Courier,
    receivers: Receivers,
    under_way: JoinSet<Ended>,
    /// The receivers of the deliveries under way.
    addresses: HashMap<Id, String>,
}

impl Outbox {
    /// # Errors
    /// Where no HTTP client can be made: the machine has no trusted certificates at all.
    pub fn new(gateway: Gateway, profiles: Arc<Profiles>) -> Result<Self, reqwest::Error> {
        let posts = |profile: &Arc<Profile>| matches!(profile.return_address, Some(ReturnAddress::Http(_)));
        let courier = Courier::new(gateway.clone(), profiles.iter().any(posts))?;
        let (receivers, under_way, addresses) = (Receivers::default(), JoinSet::new(), HashMap::new());
        Ok(Self { gateway, profiles, courier, receivers, under_way, addresses })
    }

    /// Delivers until the signal to stop.
    pub async fn serve(mut self, mut stopped: Shutdown) {
        let mut tick = interval(POLL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let written = self.gateway.outbox_written();
        loop {
            tokio::select! {
                () = stopped.requested() => break,
                _ = tick.tick() => self.tell_of_waiting().await,
                () = written.notified() => {}
                Some(ended) = self.under_way.join_next_with_id() => self.note(ended),
            }
            if let Err(error) = self.begin_due().await {
                telemetry::outbox_not_read(&error);
            }
        }
        let rest = async { while self.under_way.join_next().await.is_some() {} };
        // What is cut off comes again under its id.
        let _ = timeout(STOP_PATIENCE, rest).await;
    }

    async fn tell_of_waiting(&self) {
        let Ok(waiting) = self.gateway.store().outbox_waiting(1).await else { return };
        let now = self.gateway.runtime().now();
        let since = waiting.first().and_then(since);
        telemetry::outbox_waits(since.map_or(0, |since| now.duration_since(since).as_secs()));
    }

    fn note(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (id, Ended { was_reached, at }) = ended.unwrap_or_else(|broken| {
            // A delivery that broke off reached nobody.
            (broken.id(), Ended { was_reached: false, at: self.gateway.runtime().now() })
        });
        if let Some(address) = self.addresses.remove(&id) {
            self.receivers.ended(&address, was_reached, at);
        }
    }

    /// Begins what is due and may begin, until nothing more may.
    async fn begin_due(&mut self) -> Result<(), StoreError> {
        loop {
            let now = self.gateway.runtime().now();
            if self.under_way.len() >= RECEIVERS_AT_ONCE_MAX {
                return Ok(());
            }
            let busy = self.busy(now);
            let due = self.gateway.store().outbox_due(now, busy, HEADS_MAX).await?;
            let mut begun = false;
            for entry in due {
                begun |= self.begin(entry, now).await?;
            }
            if !begun {
                return Ok(());
            }
        }
    }

    /// Hospitals whose receivers have a delivery under way, or did not answer a moment ago.
    fn busy(&self, now: Timestamp) -> Vec<Arc<str>> {
        let is_busy = |profile: &&Arc<Profile>| {
            let address = profile.return_address.as_ref();
            address.is_some_and(|address| self.receivers.is_busy(&address.to_string(), now))
        };
        self.profiles.iter().filter(is_busy).map(|profile| Arc::clone(&profile.hospital.code)).collect()
    }

    /// Whether a delivery was begun.
    async fn begin(&mut self, entry: OutboxEntry, now: Timestamp) -> Result<bool, StoreError> {
        let profile = self.profiles.of_hospital(&entry.hospital).cloned();
        let Some((profile, address)) =
            profile.and_then(|profile| profile.return_address.clone().map(|address| (profile, address)))
        else {
            let why =
                "该院配置中没有 return_address | the hospital's profile has no return_address".to_owned();
            let due_at = backoff(u32::MAX, now);
            self.gateway.store().outbox_failed(entry.outbox_id, due_at, why).await?;
            return Ok(false);
        };
        let name = address.to_string();
        if self.receivers.is_busy(&name, now) || self.under_way.len() >= RECEIVERS_AT_ONCE_MAX {
            return Ok(false);
        }
        let until = now.saturating_add(SignedDuration::from_secs(HIDDEN_S)).unwrap_or(Timestamp::MAX);
        if !self.gateway.store().outbox_take(entry.clone(), until).await? {
            return Ok(false);
        }
        self.receivers.begun(name.clone());
        let delivery = self.under_way.spawn(self.courier.clone().deliver(entry, profile, address));
        self.addresses.insert(delivery.id(), name);
        Ok(true)
    }
}

/// When an entry was written: its id says so.
pub fn since(entry: &OutboxEntry) -> Option<Timestamp> {
    let (seconds, nanoseconds) = entry.outbox_id.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
}
