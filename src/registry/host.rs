//! Clocks and random numbers for adapters: the gateway's own.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use yizhan_remote::Host;

use crate::runtime::{self, Runtime};

pub(super) struct OfRuntime {
    runtime: Runtime,
    began: Instant,
}

impl OfRuntime {
    pub(super) fn new(runtime: Runtime) -> Self {
        Self { runtime, began: runtime::steady() }
    }
}

impl Host for OfRuntime {
    fn now(&self) -> Timestamp {
        self.runtime.now()
    }

    fn steady(&self) -> Duration {
        runtime::steady().duration_since(self.began)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        runtime::fill_random(bytes);
    }
}
