//! `yizhan bench --stored`: what settling costs in a store that is full, beside one that is not.
//!
//! Each store is [`kept`], filled once ([`fill`]) with as many stays as it is to hold. Then all of them are served at
//! once and the same load is sent to them turn about, at one rate, so that whatever else the machine does meets
//! all of them. [`pages`] counts what a settlement touches there and how deep the indexes are, by PostgreSQL's own
//! word in a [`cluster`]; [`told`] holds the last store against the first.

mod cluster;
mod fill;
mod kept;
mod pages;
mod told;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use yizhan_contract::Text;

use super::BenchArgs;
use super::books::{self, AnsweredBills};
use super::figures::{Row, Turn};
use super::gate::{self, Verdict};
use super::house::OwnGateway;
use super::load::{Account, Load, Pace};
use super::memory;
use super::progress::Progress;
use crate::cli::block_on;
use crate::runtime::Runtime;
use crate::store::address::Address;
use kept::Kept;
pub(super) use kept::Named;
use pages::{Moved, PagesOfOne, Statement};
use told::{StoreTold, Told};

/// Clients of the warm-up and of the guess at what a store can do.
const FEW: usize = 8;
/// Of what the slowest store can do, so that no load is one that a store cannot carry.
const SHARE_OF_PEAK: u64 = 3;

/// A store while it is measured.
struct Measured<'m> {
    kept: &'m Kept,
    gateway: &'m OwnGateway,
    load: Load<'m>,
    depths: BTreeMap<String, u64>,
    row: Row,
    account: Account,
    moved: Moved,
    /// Settled while `moved` was counted.
    settled: u64,
}

pub(super) fn measure(args: &BenchArgs) -> anyhow::Result<Told> {
    let (runtime, progress) = (Runtime::system(), Progress::new());
    let fill = |named| Kept::fill(named, &args.folder, args.seed.unwrap_or(1), &runtime, &progress);
    let mut stores = args.stored.iter().map(fill).collect::<anyhow::Result<Vec<_>>>()?;
    let depths =
        stores.iter().map(|kept| pages::depths(&kept.address)).collect::<anyhow::Result<Vec<_>>>()?;
    let firsts = stores.iter_mut().map(Kept::take_numbers).collect::<anyhow::Result<Vec<_>>>()?;
    let gateways = stores.iter().map(Kept::serve).collect::<anyhow::Result<Vec<_>>>()?;
    let served = stores.iter().zip(&gateways).zip(depths.into_iter().zip(firsts));
    let mut measured: Vec<_> = served
        .map(|((kept, gateway), (depths, first))| {
            let load = gateway.load(&kept.workload, &progress).starting_at(first);
            Measured::new(kept, gateway, load, depths)
        })
        .collect();
    let told = turns(args, &mut measured, &progress);
    drop(measured);
    progress.finish();
    // Whatever came of it, what was taken in is finished.
    let closed: Vec<_> = gateways.into_iter().map(OwnGateway::close).collect();
    let told = told?;
    closed.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    Ok(told)
}

fn turns(args: &BenchArgs, stores: &mut [Measured<'_>], progress: &Progress) -> anyhow::Result<Told> {
    progress.say("预热", "warming up");
    let mut peak = u64::MAX;
    for store in stores.iter_mut() {
        store.hear_out()?;
        store.run(Pace::Closed { clients: FEW }, Duration::from_secs(args.warm_up))?;
        let measured = store.run(Pace::Closed { clients: FEW }, Duration::from_secs(args.seconds))?;
        peak = peak.min(measured.per_second);
    }
    let stays_per_second = args.rate.unwrap_or(peak / SHARE_OF_PEAK).max(1);
    let pace = Pace::Open { stays_per_second };
    // Once unseen: what the closed loops left behind is worked off.
    for store in stores.iter_mut() {
        store.run(pace, Duration::from_secs(args.seconds))?;
        store.forget()?;
    }
    for turn in 1..=args.turns {
        progress.say(&format!("第 {turn}/{} 轮", args.turns), "turn");
        for store in stores.iter_mut() {
            store.count(pace, Duration::from_secs(args.seconds))?;
        }
    }
    progress.say("核对", "accounting");
    let stores = stores.iter_mut().map(Measured::tell).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Told::new(stores, stays_per_second, args.seconds, memory::load_average()))
}

impl<'m> Measured<'m> {
    fn new(kept: &'m Kept, gateway: &'m OwnGateway, load: Load<'m>, depths: BTreeMap<String, u64>) -> Self {
        let stays = kept.stays();
        let title = Text::new(format!("库中 {stays} 例住院"), format!("{stays} stays stored"));
        let row = Row { name: format!("stored_{stays}"), title, turns: Vec::new() };
        let (account, moved) = (Account::default(), Moved::default());
        Self { kept, gateway, load, depths, row, account, moved, settled: 0 }
    }

    /// What a run that was broken off left to be told is no letter of this one.
    fn hear_out(&self) -> anyhow::Result<()> {
        if books::untold(&*self.gateway.store)? > 0 {
            bail!(
                "{} 仍有结算单待回送，请稍后再测 | bills of {0} wait to be told still; measure it later",
                self.kept.address
            );
        }
        self.gateway.receivers.forget();
        Ok(())
    }

    fn run(&mut self, pace: Pace, lasting: Duration) -> anyhow::Result<Turn> {
        let measured = self.load.run(pace, lasting)?;
        let turn = Turn::new(measured.rate(), &measured.settling);
        self.account.add(measured.account);
        Ok(turn)
    }

    /// One turn that counts.
    fn count(&mut self, pace: Pace, lasting: Duration) -> anyhow::Result<()> {
        let (before, settled) = (Moved::by_now(), self.account.settled.len());
        let turn = self.run(pace, lasting)?;
        if let (Some(before), Some(after)) = (before, Moved::by_now()) {
            self.moved.add(after.since(before));
            self.settled += self.account.settled.len().saturating_sub(settled) as u64;
        }
        self.row.turns.push(turn);
        Ok(())
    }

    /// What statements touched so far is nobody's figure.
    fn forget(&self) -> anyhow::Result<()> {
        match &self.kept.address {
            Address::Postgres(database) => block_on(cluster::count_statements(database)),
            Address::File(_) => Ok(()),
        }
    }

    fn tell(&mut self) -> anyhow::Result<StoreTold> {
        let (statements, pages) = match &self.kept.address {
            Address::Postgres(database) => (self.hot(block_on(cluster::statements(database))?), None),
            Address::File(_) => (Vec::new(), PagesOfOne::of(self.moved, self.settled)),
        };
        let (store, receivers) = (&*self.gateway.store, &self.gateway.receivers);
        let mut books = AnsweredBills { store, receivers };
        let verdict: Verdict = gate::judge(&self.account, &self.kept.workload, &BTreeMap::new(), &mut books)?;
        Ok(StoreTold {
            store: self.kept.address.to_string(),
            stays: self.kept.stays(),
            people: self.kept.people(),
            filled_per_second: self.kept.filled_per_second(),
            bytes_per_settlement: self.kept.bytes_per_settlement(),
            depths: std::mem::take(&mut self.depths),
            row: self.row.clone(),
            statements,
            pages,
            verdict,
        })
    }

    /// Those that most settlements need.
    fn hot(&self, mut statements: Vec<Statement>) -> Vec<Statement> {
        statements.retain(|statement| statement.calls * 2 >= self.settled);
        statements
    }
}
