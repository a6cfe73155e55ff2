//! Not more calls at a time, and not more in a second, than the payer asked for.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};
use yizhan_contract::payer::Manifest;

use crate::host::Host;

/// The host's steady clock, as the limiter reads it.
#[derive(Clone)]
struct Steady(Arc<dyn Host>);

impl Clock for Steady {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.steady()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Steady, NoOpMiddleware<Duration>>;

pub(crate) struct Gate {
    places: Semaphore,
    rate: Option<Limiter>,
    clock: Steady,
}

impl Gate {
    pub(crate) fn new(manifest: &Manifest, host: &Arc<dyn Host>) -> Self {
        let clock = Steady(Arc::clone(host));
        let per_second = manifest.requests_per_second_max.map(u32::from).and_then(NonZeroU32::new);
        // Evenly, not all at the second's beginning: no second of the payer's clock sees more than the maximum.
        let quota = per_second.map(|count| Quota::per_second(count).allow_burst(NonZeroU32::MIN));
        let rate = quota.map(|quota| RateLimiter::direct_with_clock(quota, clock.clone()));
        Self { places: Semaphore::new(manifest.concurrency_max.max(1).into()), rate, clock }
    }

    /// Waits for a place, then for the turn; the caller says how long.
    pub(crate) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        let place = self.places.acquire().await.ok()?;
        while let Some(wait) = self.wait() {
            tokio::time::sleep(wait).await;
        }
        Some(place)
    }

    fn wait(&self) -> Option<Duration> {
        let early = self.rate.as_ref()?.check().err()?;
        Some(early.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paused::Paused;

    fn gate(concurrency_max: u16, requests_per_second_max: Option<u16>) -> (Gate, Arc<dyn Host>) {
        let host: Arc<dyn Host> = Arc::new(Paused::new());
        let manifest = Manifest {
            concurrency_max,
            requests_per_second_max,
            ..Manifest::cautious("acme", "1", vec!["supplementary".parse().unwrap()])
        };
        (Gate::new(&manifest, &host), host)
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_spread_over_the_second() {
        let (gate, host) = gate(100, Some(10));
        let begun = host.steady();
        for nth in 0..25_u32 {
            drop(gate.enter().await);
            let passed = host.steady() - begun;
            assert!(passed >= Duration::from_millis(100) * nth, "call {nth} after {passed:?}");
        }
        assert!(host.steady() - begun < Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_the_payer_works_on_wait_outside() {
        let (gate, _) = gate(2, None);
        let (one, _other) = (gate.enter().await, gate.enter().await);
        let patience = Duration::from_secs(5);
        assert!(tokio::time::timeout(patience, gate.enter()).await.is_err(), "a third one entered");
        drop(one);
        assert!(tokio::time::timeout(patience, gate.enter()).await.is_ok(), "a free place was not given");
    }

    #[tokio::test(start_paused = true)]
    async fn a_payer_that_forgot_its_maximum_is_called_one_at_a_time() {
        let (gate, _) = gate(0, Some(0));
        let _one = gate.enter().await.unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(5), gate.enter()).await.is_err());
    }
}
