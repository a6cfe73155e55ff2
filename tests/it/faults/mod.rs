//! Real faults with whole processes: gateways that are killed, servers that are killed, disks that are full, clocks
//! that jump, stores that are gone.
//!
//! Reading order: [`process`] (a gateway as a process of its own, and what it is told), [`payer`] and [`books`] (the
//! payers it links, and their books, which are files), [`hospitals`] (who sends, and what was answered), [`letters`] (what
//! they are told), [`reckoning`] (what must hold afterwards), then the faults: [`kills`], [`in_flight`]; [`house`] and [`trouble`] (a
//! gateway that lives on) for [`full`], [`unreachable`], [`clocks`], [`ports`].

mod books;
mod clocks;
mod full;
mod hospitals;
mod house;
mod in_flight;
mod kills;
mod letters;
mod payer;
mod ports;
mod process;
mod reckoning;
mod site;
mod trouble;
mod unreachable;

use std::time::Duration;

use jiff::SignedDuration;
use yizhan::runtime::{Clock as _, SystemClock, steady};

/// How long anything may take that has to come about; a machine under load needs some of it.
const PATIENCE: Duration = Duration::from_secs(300);

async fn pass_ms(pause: u64) {
    let until = SystemClock.now() + SignedDuration::from_millis(pause.cast_signed());
    SystemClock.sleep_until(until).await;
}

/// Looks again until it is so.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = steady();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(steady().duration_since(began) < PATIENCE, "after {PATIENCE:?} still not: {what}");
        pass_ms(50).await;
    }
}
