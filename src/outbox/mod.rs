//! Telling hospitals: bills and changes of state to each return address, until it has them.
//!
//! What is to be told stands in the store, written with the settlement itself. Here is only the handing over: bounded
//! reads of what is due, each stay's bills in order, one delivery at a time for each receiver, and receivers side by
//! side, so that a dead one holds up nobody else. A delivery may come twice, always under one id; a gateway that dies
//! leaves it to the next. The way out ([`Carrier`]) and the time are given.

mod delivery;
mod due;
mod pace;
mod wire;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::{SignedDuration, Timestamp};
use yizhan_contract::instant::later;

use crate::intake::{Profile, Profiles};
use crate::runtime::Shutdown;
use crate::settlement::gateway::Gateway;
use crate::store::OutboxEntry;
use crate::telemetry;
use crate::tls::TlsError;
use delivery::{Courier, Ended};
use due::{Due, Taken};
use pace::{Homeless, Receivers};
use wire::Wire;

pub use delivery::{Carrier, DELIVERY_TIMEOUT_S, Form, Handing, Letter, NotTaken};
pub use pace::{BACKOFF_S_MAX, BACKOFF_S_MIN};
pub use wire::OUTBOX_ID_HEADER;

/// How often the store is asked, beside being asked whenever this gateway has written something to be told.
const POLL: SignedDuration = SignedDuration::from_secs(1);
/// Deliveries under way at once, each to another receiver.
const RECEIVERS_AT_ONCE_MAX: usize = 16;
/// How long deliveries under way may go on after the signal to stop.
const STOP_PATIENCE: SignedDuration = SignedDuration::from_secs(5);

type UnderWay = Pin<Box<dyn Future<Output = Happened> + Send>>;

/// What has come to its end.
enum Happened {
    /// What waits was counted, for who watches the gateway.
    Counted,
    Taken(Taken),
    /// It is written down why these are told nothing.
    PutOff,
    /// At this receiver.
    Delivered(String, Ended),
}

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
    homeless: Homeless,
    /// Deliveries, and beside them the taking of what is due: none stands still while another one waits for the store,
    /// since each may hold what that one waits for.
    under_way: FuturesUnordered<UnderWay>,
    is_taking: bool,
    is_counting: bool,
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
        let (receivers, homeless) = (Receivers::default(), Homeless::default());
        let under_way = FuturesUnordered::new();
        Self {
            gateway,
            profiles,
            courier,
            receivers,
            homeless,
            under_way,
            is_taking: false,
            is_counting: false,
        }
    }

    /// Delivers until the signal to stop.
    pub async fn serve(mut self, mut stopped: Shutdown) {
        let clock = Arc::clone(&self.gateway.runtime().clock);
        let written = self.gateway.outbox_written();
        // Begun once for each round: a clock that is set back meanwhile holds nothing up.
        let mut tick = clock.sleep_until(clock.now());
        let mut is_to_look = false;
        loop {
            is_to_look |= tokio::select! {
                biased;
                () = stopped.requested() => break,
                Some(happened) = self.under_way.next(), if !self.under_way.is_empty() => self.go_on(happened),
                () = &mut tick => {
                    tick = clock.sleep_until(later(clock.now(), POLL));
                    self.count();
                    true
                }
                () = written.notified() => true,
            };
            is_to_look = is_to_look && !self.look();
        }
        // What is cut off comes again under its id.
        let patience = clock.sleep_until(later(clock.now(), STOP_PATIENCE));
        let ending = async {
            while let Some(happened) = self.under_way.next().await {
                self.go_on(happened);
            }
        };
        tokio::select! {
            () = ending => {}
            () = patience => {}
        }
    }

    /// Counts what waits, unless that is under way.
    fn count(&mut self) {
        if std::mem::replace(&mut self.is_counting, true) {
            return;
        }
        let gateway = self.gateway.clone();
        self.under_way.push(Box::pin(async move {
            tell_of_waiting(&gateway).await;
            Happened::Counted
        }));
    }

    /// Whether there may be more to take by now.
    fn go_on(&mut self, happened: Happened) -> bool {
        match happened {
            Happened::Taken(mut taken) => {
                self.is_taking = false;
                let now = self.gateway.runtime().now();
                taken.in_time(now).into_iter().for_each(|due| self.begin(due));
                self.put_off(taken.homeless, now);
                taken.is_more.unwrap_or_else(|error| {
                    telemetry::outbox_not_read(&error);
                    false
                })
            }
            Happened::PutOff => false,
            Happened::Counted => {
                self.is_counting = false;
                false
            }
            Happened::Delivered(address, ended) => {
                self.receivers.ended(&address, ended.was_reached, ended.at);
                true
            }
        }
    }

    /// Begins to take what is due, unless that is under way, or as many deliveries as there may be.
    fn look(&mut self) -> bool {
        let room = RECEIVERS_AT_ONCE_MAX.saturating_sub(self.receivers.under_way());
        if self.is_taking || room == 0 {
            return false;
        }
        self.is_taking = true;
        let now = self.gateway.runtime().now();
        let (gateway, profiles, busy) = (self.gateway.clone(), Arc::clone(&self.profiles), self.busy(now));
        self.under_way.push(Box::pin(async move {
            Happened::Taken(due::take(&gateway, &profiles, busy, room, now).await)
        }));
        true
    }

    /// Leaves hospitals without an address alone, however much they are to be told: one entry says why.
    fn put_off(&mut self, homeless: Vec<OutboxEntry>, now: Timestamp) {
        let Some(until) = homeless.iter().map(|entry| self.homeless.found(&entry.hospital, now)).max() else {
            return;
        };
        let gateway = self.gateway.clone();
        self.under_way.push(Box::pin(async move {
            due::put_off(&gateway, homeless, until).await;
            Happened::PutOff
        }));
    }

    /// Hospitals whose receivers have a delivery under way, or did not answer a moment ago, and those that have none.
    fn busy(&self, now: Timestamp) -> Vec<Arc<str>> {
        let is_busy = |profile: &&Arc<Profile>| {
            let address = profile.return_address.as_ref();
            address.is_some_and(|address| self.receivers.is_busy(&address.to_string(), now))
        };
        let busy = self.profiles.iter().filter(is_busy).map(|profile| Arc::clone(&profile.hospital.code));
        busy.chain(self.homeless.left_alone(now)).collect()
    }

    fn begin(&mut self, Due { entry, profile, address }: Due) {
        let name = address.to_string();
        self.receivers.begun(name.clone());
        let delivery = AssertUnwindSafe(self.courier.clone().deliver(entry, profile, address)).catch_unwind();
        let clock = Arc::clone(&self.gateway.runtime().clock);
        self.under_way.push(Box::pin(async move {
            // A delivery that broke off reached nobody.
            let broken = |_| Ended { was_reached: false, at: clock.now() };
            Happened::Delivered(name, delivery.await.unwrap_or_else(broken))
        }));
    }
}

async fn tell_of_waiting(gateway: &Gateway) {
    let Ok(waiting) = gateway.store().outbox_waiting(1).await else { return };
    let now = gateway.runtime().now();
    let since = waiting.first().and_then(since);
    telemetry::outbox_waits(since.map_or(0, |since| now.duration_since(since).as_secs()));
}

/// When an entry was written: its id says so.
pub fn since(entry: &OutboxEntry) -> Option<Timestamp> {
    let (seconds, nanoseconds) = entry.outbox_id.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
}
