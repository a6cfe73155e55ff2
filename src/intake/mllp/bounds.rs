//! How long a connection may take, and how much it may hold.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::frames::Frames;
use super::listener::Settings;
use crate::intake::limits::MESSAGE_BYTES_CEILING;

/// How long a frame may take: the longest over a slow line does in this time.
pub(super) const FRAME_DEADLINE_S: u64 = 120;
/// Room for frames under way, whatever the number of connections: eight of the longest that may be configured.
pub(super) const UNDER_WAY_BYTES_MAX: usize = 8 * MESSAGE_BYTES_CEILING;
/// What each connection may hold of its frame besides: far more than a usual message.
const FREE_BYTES: usize = 64 * 1024;
/// How long a frame that has its FS waits for a CR that may never come.
const ENDING_WAIT_MS: u64 = 250;

/// The room of a listener for frames under way, for [`converse`].
pub fn room(settings: Settings) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(settings.under_way_bytes_max.max(settings.frame_bytes_max).div_ceil(1024)))
}

/// How long a connection is waited for. A byte now and then buys no time: what counts is when the connection, its
/// quiet or its frame began.
pub(super) struct Patience {
    settings: Settings,
    connected: Instant,
    /// Since when nothing is owed: the last whole frame is answered.
    quiet: Instant,
    /// When the frame under way began, the how-manieth it is, and its last byte.
    frame: Instant,
    frames: u64,
    last: Instant,
}

impl Patience {
    pub(super) fn new(settings: Settings, now: Instant) -> Self {
        Self { settings, connected: now, quiet: now, frame: now, frames: 0, last: now }
    }

    pub(super) fn is_quiet_since(&mut self, now: Instant) {
        self.quiet = now;
    }

    pub(super) fn came(&mut self, frames: &Frames, now: Instant) {
        self.last = now;
        if frames.begun() > self.frames {
            (self.frames, self.frame) = (frames.begun(), now);
        }
    }

    pub(super) fn ends(&self, frames: &Frames) -> Instant {
        let Settings { idle, patience, frame, .. } = self.settings;
        if frames.is_ending() {
            self.last + Duration::from_millis(ENDING_WAIT_MS)
        } else if frames.is_mid_frame() {
            // However often another frame begins and none comes to its end.
            (self.last + idle).min(self.frame + frame).min(self.quiet + idle + frame)
        } else if frames.is_all_noise() {
            self.connected + patience.min(idle)
        } else {
            self.quiet + idle
        }
    }
}

/// A connection's part of the room for frames under way.
pub(super) struct Share {
    room: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Share {
    pub(super) fn of(room: Arc<Semaphore>) -> Self {
        Self { room, held: None }
    }

    /// Waits until there is room for a frame of so many bytes; what is held beyond them is given back. The usual
    /// message needs none, and never waits.
    pub(super) async fn hold(&mut self, bytes: usize) {
        let wanted = bytes.saturating_sub(FREE_BYTES).div_ceil(1024);
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if wanted < held {
            self.held = self.held.take().and_then(|mut held| held.split(wanted));
        } else if let Ok(more) = u32::try_from(wanted - held)
            && more > 0
            && let Ok(more) = Arc::clone(&self.room).acquire_many_owned(more).await
        {
            match &mut self.held {
                Some(held) => held.merge(more),
                none => *none = Some(more),
            }
        }
    }
}
