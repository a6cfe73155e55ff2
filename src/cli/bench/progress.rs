//! How far the run is, for whoever watches a terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::load::micros;
use crate::runtime::steady;

const TICK: Duration = Duration::from_millis(100);

pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{msg} {bar:40} {elapsed_precise}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    pub(super) fn say(&self, zh: &str, en: &str) {
        self.0.set_message(format!("{zh} {en}"));
    }

    /// Shows how many of how many are done.
    pub(super) fn counted(&self, zh: &str, en: &str, done: u64, of: u64) {
        self.0.set_message(format!("{zh} {en} {done}/{of}"));
        self.0.set_length(of);
        self.0.set_position(done);
    }

    /// Waits, and shows how much is left.
    pub(super) fn until(&self, end: Instant) {
        let begun = steady();
        self.0.set_length(micros(end.saturating_duration_since(begun)));
        loop {
            let now = steady();
            if now >= end {
                return;
            }
            self.0.set_position(micros(now.duration_since(begun)));
            std::thread::sleep(TICK.min(end.duration_since(now)));
        }
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
