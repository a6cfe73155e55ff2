//! What is not deterministic enters here only: the clock, ids, the signal to stop.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use uuid::Uuid;
use yizhan_contract::instant::later;

pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Where instants come from, and waiting for one.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Waits until the clock says `at`; at once where it has passed.
    fn sleep_until(&self, at: Timestamp) -> Sleep<'_>;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep<'_> {
        let left = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        Box::pin(tokio::time::sleep(left))
    }
}

/// The machine's steady clock, which nobody sets: only for how long something took.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the steady clock")]
pub fn steady() -> std::time::Instant {
    std::time::Instant::now()
}

/// A clock that stands where it is put; for tests, and for `settle --now`.
#[derive(Debug)]
pub struct FixedClock {
    now: std::sync::Mutex<Timestamp>,
    moved: Notify,
}

impl FixedClock {
    pub fn at(instant: Timestamp) -> Self {
        Self { now: std::sync::Mutex::new(instant), moved: Notify::new() }
    }

    pub fn advance(&self, by: SignedDuration) {
        self.put(later(self.now(), by));
    }

    pub fn put(&self, at: Timestamp) {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = at;
        self.moved.notify_waiters();
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Until somebody advances the clock far enough.
    fn sleep_until(&self, at: Timestamp) -> Sleep<'_> {
        Box::pin(async move {
            loop {
                let moved = self.moved.notified();
                if at <= self.now() {
                    return;
                }
                moved.await;
            }
        })
    }
}

/// Where ids come from.
pub trait Ids: Send + Sync {
    /// A UUIDv7 of this instant: sorts by time.
    fn next(&self, at: Timestamp) -> Uuid;
}

/// Ids from the operating system's random numbers.
#[derive(Debug, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn next(&self, at: Timestamp) -> Uuid {
        let mut random = [0_u8; 10];
        fill_random(&mut random);
        uuid_v7(at, random)
    }
}

/// Random numbers of the operating system, which nobody can guess.
pub fn fill_random(bytes: &mut [u8]) {
    if getrandom::fill(bytes).is_err() {
        // Without random numbers no key could have been made either; the process cannot go on.
        std::process::abort();
    }
}

/// Ids that repeat from run to run; for tests and samples.
#[derive(Debug, Default)]
pub struct CountedIds(std::sync::atomic::AtomicU64);

impl Ids for CountedIds {
    fn next(&self, at: Timestamp) -> Uuid {
        let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut tail = [0; 10];
        tail[2..].copy_from_slice(&count.to_be_bytes());
        uuid_v7(at, tail)
    }
}

fn uuid_v7(at: Timestamp, tail: [u8; 10]) -> Uuid {
    let millisecond = u64::try_from(at.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millisecond, &tail).into_uuid()
}

/// Clock and ids, handed down together.
#[derive(Clone)]
pub struct Runtime {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

impl Runtime {
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), ids: Arc::new(RandomIds) }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn next_id(&self) -> Uuid {
        self.ids.next(self.clock.now())
    }
}

/// Tells every part of the gateway to finish what it holds and stop.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (stop, stopped) = watch::channel(false);
        (stop, Self(stopped))
    }

    /// Waits for the signal; at once where it was given, or where nobody can give it any more.
    pub async fn requested(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    pub fn receiver(&self) -> watch::Receiver<bool> {
        self.0.clone()
    }
}
