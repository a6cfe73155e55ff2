//! Where the gate reads what was settled: in the store itself, or through the HTTP port of a gateway that
//! runs elsewhere.

use std::time::Duration;

use jiff::civil::Date;

use super::gate::{Audited, Books};
use super::load::Settled;
use super::told::{Receivers, Told};
use crate::cli::workload::client::{Client, Doors};
use crate::cli::{block_on, ledger};
use crate::runtime::steady;
use crate::settlement::bill::Bill;
use crate::store::{ReportLine, Store};

/// Bills not told yet that are counted; one is too many.
const UNTOLD_MAX: u32 = 100;
/// Between a hospital's having a letter and the store's knowing it lies one write.
const UNTOLD_WAIT: Duration = Duration::from_secs(10);
const UNTOLD_TICK: Duration = Duration::from_millis(50);

/// The store of a gateway of our own, which settled nothing before.
pub(super) struct StoreBooks<'s> {
    pub(super) store: &'s dyn Store,
    /// First and last day of the run, in Shanghai.
    pub(super) days: (Date, Date),
    pub(super) receivers: &'s Receivers,
}

impl Books for StoreBooks<'_> {
    fn bill(&mut self, settled: &Settled) -> anyhow::Result<Option<Bill>> {
        bill(self.store, settled)
    }

    fn report(&mut self) -> anyhow::Result<Option<Vec<ReportLine>>> {
        let mut lines = Vec::new();
        let (first, last) = self.days;
        for day in first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last) {
            lines.extend(block_on(self.store.report(day))?);
        }
        Ok(Some(lines))
    }

    fn audit(&mut self) -> anyhow::Result<Option<Audited>> {
        let (audit, found) = block_on(ledger::check(self.store, |_| {}))?;
        let untold = untold(self.store)?;
        let differences = found.shown.into_iter().map(|difference| difference.what).collect();
        Ok(Some(Audited { settlements: audit.settlements, differences, untold }))
    }

    fn told(&mut self) -> Option<Told> {
        Some(self.receivers.told())
    }
}

/// The bills of a store that held many before: its days are not those of the run alone.
pub(super) struct AnsweredBills<'s> {
    pub(super) store: &'s dyn Store,
    pub(super) receivers: &'s Receivers,
}

impl Books for AnsweredBills<'_> {
    fn bill(&mut self, settled: &Settled) -> anyhow::Result<Option<Bill>> {
        bill(self.store, settled)
    }

    fn report(&mut self) -> anyhow::Result<Option<Vec<ReportLine>>> {
        Ok(None)
    }

    fn audit(&mut self) -> anyhow::Result<Option<Audited>> {
        Ok(None)
    }

    fn told(&mut self) -> Option<Told> {
        Some(self.receivers.told())
    }
}

/// Bills that wait to be told, once none does or it has been waited for long enough.
pub(super) fn untold(store: &dyn Store) -> anyhow::Result<usize> {
    let end = steady() + UNTOLD_WAIT;
    loop {
        let waiting = block_on(store.outbox_waiting(UNTOLD_MAX))?.len();
        if waiting == 0 || steady() >= end {
            return Ok(waiting);
        }
        std::thread::sleep(UNTOLD_TICK);
    }
}

fn bill(store: &dyn Store, settled: &Settled) -> anyhow::Result<Option<Bill>> {
    let stored = block_on(store.settlement(settled.settlement))?;
    Ok(stored.map(|stored| serde_json::from_slice(&stored.bill)).transpose()?)
}

/// The bills of a running gateway, as it shows them to the hospital.
pub(super) struct HttpBooks {
    client: Client,
    token: String,
}

impl HttpBooks {
    pub(super) fn new(doors: &Doors, token: &str) -> anyhow::Result<Self> {
        Ok(Self { client: Client::new(doors)?, token: token.to_owned() })
    }
}

impl Books for HttpBooks {
    fn bill(&mut self, settled: &Settled) -> anyhow::Result<Option<Bill>> {
        let stored = self.client.bill(settled.settlement, &self.token)?;
        Ok(stored.map(|bill| serde_json::from_slice(&bill)).transpose()?)
    }

    /// Others settle there too, and no hospital may read all of it.
    fn report(&mut self) -> anyhow::Result<Option<Vec<ReportLine>>> {
        Ok(None)
    }

    fn audit(&mut self) -> anyhow::Result<Option<Audited>> {
        Ok(None)
    }

    /// Its hospitals have their own addresses.
    fn told(&mut self) -> Option<Told> {
        None
    }
}
