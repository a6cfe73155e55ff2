//! Telling hospitals: bills and changes of state to each return address, until it has them.
//!
//! What is to be told stands in the store, written with the settlement itself. Here is only the handing over: bounded
//! reads of what is due, each stay's bills in order, one delivery at a time for each receiver, and receivers side by
//! side, so that a dead one holds up nobody else. A delivery may come twice, always under one id; a gateway that dies
//! leaves it to the next. The way out ([`Carrier`]) and the time are given.

mod delivery;
mod pace;
mod wire;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::{SignedDuration, Timestamp};

use crate::intake::{Profile, Profiles};
use crate::runtime::Shutdown;
use crate::settlement::gateway::Gateway;
use crate::store::{OutboxEntry, StoreError};
use crate::telemetry;
use crate::tls::TlsError;
use delivery::{Courier, Ended};
use pace::{Receivers, backoff};
use wire::Wire;

pub use delivery::{Carrier, DELIVERY_TIMEOUT_S, Form, Handing, Letter, NotTaken};
pub use pace::{BACKOFF_S_MAX, BACKOFF_S_MIN};
pub use wire::OUTBOX_ID_HEADER;

/// How often the store is asked, beside being asked whenever this gateway has written something to be told.
const POLL: SignedDuration = SignedDuration::from_secs(1);
/// Entries read at once.
const HEADS_MAX: u32 = 64;
/// Deliveries under way at once, each to another receiver.
const RECEIVERS_AT_ONCE_MAX: usize = 16;
/// A delivery that was begun is nobody else's for this long: longer than any delivery takes.
const HIDDEN_S: i64 = DELIVERY_TIMEOUT_S as i64 + 10;
/// How long deliveries under way may go on after the signal to stop.
const STOP_PATIENCE: SignedDuration = SignedDuration::from_secs(5);

type Delivering = Pin<Box<dyn Future<Output = (String, Ended)> + Send>>;

/// Why hospitals cannot be told at all; the operator's side.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error(
        "无法用 HTTPS 回送结算单（{0}），请检查本机的可信证书 | bills cannot be posted ({0}); check the certificates this machine trusts"
    )]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The worker; one for each gateway.
pub struct Outbox {
    gateway: Gateway,
    profiles: Arc<Profiles>,
    courier: Courier,
    receivers: Receivers,
    /// Each with its receiver.
    under_way: FuturesUnordered<Delivering>,
}

impl Outbox {
    /// # Errors
    /// Where nobody can be called over TLS who is to be.
    pub fn new(gateway: Gateway, profiles: Arc<Profiles>) -> Result<Self, OutboxError> {
        let wire = Wire::new(&profiles)?;
        Ok(Self::over(gateway, profiles, Arc::new(wire)))
    }

    /// The worker with another way out.
    pub fn over(gateway: Gateway, profiles: Arc<Profiles>, carrier: Arc<dyn Carrier>) -> Self {
        let courier = Courier { gateway: gateway.clone(), carrier };
        let (receivers, under_way) = (Receivers::default(), FuturesUnordered::new());
        Self { gateway, profiles, courier, receivers, under_way }
    }

    /// Delivers until the signal to stop.
    pub async fn serve(mut self, mut stopped: Shutdown) {
        let clock = Arc::clone(&self.gateway.runtime().clock);
        let written = self.gateway.outbox_written();
        // Begun once for each round: a clock that is set back meanwhile holds nothing up.
        let mut tick = clock.sleep_until(clock.now());
        loop {
            tokio::select! {
                biased;
                () = stopped.requested() => break,
                Some((address, ended)) = self.under_way.next(), if !self.under_way.is_empty() => {
                    self.receivers.ended(&address, ended.was_reached, ended.at);
                }
                () = &mut tick => {
                    tick = clock.sleep_until(later(clock.now(), POLL));
                    tell_of_waiting(&self.gateway).await;
                }
                () = written.notified() => {}
            }
            if let Err(error) = self.begin_due().await {
                telemetry::outbox_not_read(&error);
            }
        }
        // What is cut off comes again under its id.
        let patience = clock.sleep_until(later(clock.now(), STOP_PATIENCE));
        tokio::select! {
            () = async { while self.under_way.next().await.is_some() {} } => {}
            () = patience => {}
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
            let were_all_read = due.len() < HEADS_MAX as usize;
            let mut begun = false;
            for entry in due {
                begun |= self.begin(entry, now).await?;
            }
            // Else those of receivers that are busy now may have hidden those of others.
            if were_all_read || !begun {
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
            self.gateway.store().outbox_failed(entry, due_at, why).await?;
            return Ok(false);
        };
        let name = address.to_string();
        if self.receivers.is_busy(&name, now) || self.under_way.len() >= RECEIVERS_AT_ONCE_MAX {
            return Ok(false);
        }
        let until = later(now, SignedDuration::from_secs(HIDDEN_S));
        if !self.gateway.store().outbox_take(entry.clone(), until).await? {
            return Ok(false);
        }
        self.receivers.begun(name.clone());
        let delivery = AssertUnwindSafe(self.courier.clone().deliver(entry, profile, address)).catch_unwind();
        let clock = Arc::clone(&self.gateway.runtime().clock);
        self.under_way.push(Box::pin(async move {
            // A delivery that broke off reached nobody.
            let broken = |_| Ended { was_reached: false, at: clock.now() };
            (name, delivery.await.unwrap_or_else(broken))
        }));
        Ok(true)
    }
}

async fn tell_of_waiting(gateway: &Gateway) {
    let Ok(waiting) = gateway.store().outbox_waiting(1).await else { return };
    let now = gateway.runtime().now();
    let since = waiting.first().and_then(since);
    telemetry::outbox_waits(since.map_or(0, |since| now.duration_since(since).as_secs()));
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// When an entry was written: its id says so.
pub fn since(entry: &OutboxEntry) -> Option<Timestamp> {
    let (seconds, nanoseconds) = entry.outbox_id.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
}
