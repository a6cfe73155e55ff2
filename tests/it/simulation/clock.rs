//! Time that jumps: it passes only when nothing else can happen.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use jiff::{SignedDuration, Timestamp};
use yizhan::runtime::Clock;

#[derive(Debug)]
struct Face {
    now: Timestamp,
    count: u64,
    timers: BTreeMap<(Timestamp, u64), Waker>,
}

#[derive(Debug, Clone)]
pub(crate) struct VirtualClock(Arc<Mutex<Face>>);

impl VirtualClock {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Face { now, count: 0, timers: BTreeMap::new() })))
    }

    /// Goes to the next timer and rings it; nothing where nobody waits for time to pass.
    pub(crate) fn jump(&self) -> Option<Timestamp> {
        let mut face = self.0.lock().unwrap();
        let ((at, _), waker) = face.timers.pop_first()?;
        face.now = face.now.max(at);
        let now = face.now;
        drop(face);
        waker.wake();
        Some(now)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().now
    }

    fn sleep_until(&self, at: Timestamp) -> yizhan::runtime::Sleep<'_> {
        Box::pin(Timer { face: Arc::clone(&self.0), at, key: None })
    }
}

/// One gateway's own clock: it stands before or behind the others' by as much as people's clocks do.
#[derive(Debug, Clone)]
pub(crate) struct Skewed {
    pub(crate) clock: VirtualClock,
    pub(crate) ahead: SignedDuration,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        self.clock.now() + self.ahead
    }

    fn sleep_until(&self, at: Timestamp) -> yizhan::runtime::Sleep<'_> {
        self.clock.sleep_until(at.saturating_sub(self.ahead).unwrap_or(at))
    }
}

struct Timer {
    face: Arc<Mutex<Face>>,
    at: Timestamp,
    key: Option<(Timestamp, u64)>,
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let face = Arc::clone(&self.face);
        let mut face = face.lock().unwrap();
        if self.at <= face.now {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| {
            face.count += 1;
            (self.at, face.count)
        });
        self.key = Some(key);
        face.timers.insert(key, context.waker().clone());
        Poll::Pending
    }
}

/// Nobody waits for it any more: time must not stop there.
impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.face.lock().unwrap().timers.remove(&key);
        }
    }
}
