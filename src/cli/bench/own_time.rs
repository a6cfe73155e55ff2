//! What of a settlement's time is the gateway's where outside payers were asked: all but their quotes, one
//! after the other, and the slowest of their commits.

use hdrhistogram::Histogram;

use super::load::{Account, times};
use super::payers::Waits;
use crate::cli::block_on;
use crate::store::Store;

pub(super) struct OwnTime<'o> {
    pub(super) store: &'o dyn Store,
    pub(super) waits: Waits,
}

impl OwnTime<'_> {
    /// µs of each settlement that was answered.
    pub(super) fn of(&self, account: &Account) -> anyhow::Result<Histogram<u64>> {
        let mut times = times()?;
        for settled in &account.settled {
            let Some(stored) = block_on(self.store.settlement(settled.settlement))? else { continue };
            let waited = self.waits.of(&stored.stay.stay_id.to_string());
            times.saturating_record(settled.took_us.saturating_sub(waited));
        }
        Ok(times)
    }
}
