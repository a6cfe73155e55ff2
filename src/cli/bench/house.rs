//! A gateway of our own, served in this process: over a store that is filled for the run, or over one that was
//! filled before.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, anyhow, bail};
use tokio::sync::watch;

use super::load::Load;
use super::payers::Named;
use super::progress::Progress;
use super::told::Receivers;
use crate::cli::import::{bring_in_roster, bring_in_sample_catalogue};
use crate::cli::opened::Opened;
use crate::cli::serve::{Front, Listeners, serve};
use crate::cli::workload::client::Doors;
use crate::cli::workload::{Workload, profiles};
use crate::cli::{block_on, demo, house, opened, policy};
use crate::config::{Config, Limits};
use crate::http;
use crate::runtime::{Runtime, Shutdown};
use crate::settlement::payers::Payers;
use crate::store::Ports;
use crate::store::address::Address;
use crate::store::postgres;
use crate::store::seal::Key;
use crate::telemetry;

/// More than the load may ever ask for: what is measured is the gateway, not its limit.
const REQUESTS_PER_SECOND_MAX: u32 = 1_000_000;

/// A gateway of our own, with people on its roster, both ports open, and hospitals that are told.
pub(super) struct OwnGateway {
    doors: Doors,
    pub(super) store: Opened,
    pub(super) address: Address,
    pub(super) receivers: Receivers,
    stop: watch::Sender<bool>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl OwnGateway {
    /// Fills roster and catalogue of an empty store, whose key is made in `folder`, and serves on free ports.
    /// `outside`: payers that are asked; the others are computed by rules.
    pub(super) fn start(
        address: Address,
        folder: &Path,
        workload: &Workload,
        outside: Vec<Named>,
    ) -> anyhow::Result<Self> {
        let (runtime, key_path) = (Runtime::system(), folder.join("yizhan.key"));
        Key::create(&key_path)?;
        let filled = opened::open_store(&address, &key_path, postgres::Options::default(), &runtime)?;
        block_on(bring_in_people(&*filled, workload, &runtime))?;
        // Opened again: an idle gateway's memory holds nothing of an import.
        filled.close();
        Self::serve(address, &key_path, workload, outside)
    }

    /// Serves a store that holds its roster already on free ports.
    pub(super) fn serve(
        address: Address,
        key_path: &Path,
        workload: &Workload,
        outside: Vec<Named>,
    ) -> anyhow::Result<Self> {
        let runtime = Runtime::system();
        let store = opened::open_store(&address, key_path, postgres::Options::default(), &runtime)?;
        let (policies, payers) = (policy::shelf(&[])?, Payers::new(outside)?);
        payers.check(&policies)?;
        let receivers = Receivers::open(workload.hospitals())?;
        let profiles = profiles(workload.hospitals(), &receivers.addresses)?;
        let name = store.command_name(&runtime);
        let reception =
            house::reception_of(&store, Arc::new(policies), profiles, runtime, payers.into(), name.as_str());
        let listen =
            || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("本机端口 | a port of this machine");
        let listeners = Listeners { http: listen()?, mllp: listen()? };
        let ports = (listeners.http.local_addr()?, listeners.mllp.local_addr()?);
        let limits = Limits { requests_per_second_max: REQUESTS_PER_SECOND_MAX, ..Limits::default() };
        let config = Config { limits, ..demo::config(&key_path.with_extension("db"), key_path, ports) };
        let front = Front {
            reading: http::Reading::Token,
            metrics: telemetry::start_metrics(),
            passes: opened::passes(key_path)?,
            recent: Arc::default(),
        };
        let (stop, stopped) = Shutdown::new();
        let handle = tokio::runtime::Handle::current();
        let serving =
            std::thread::spawn(move || handle.block_on(serve(&config, listeners, reception, front, stopped)));
        let doors = Doors::plain(format!("http://{}", ports.0), ports.1.to_string());
        Ok(Self { doors, store, address, receivers, stop, serving })
    }

    /// Sends to it, and sees that its hospitals are told.
    pub(super) fn load<'l>(&'l self, workload: &'l Workload, progress: &'l Progress) -> Load<'l> {
        Load::new(workload, &self.doors, progress).told_at(&self.receivers)
    }

    /// Of the store's file; absent where it is none.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        bytes_of(&self.address)
    }

    /// Stops it; what it holds is finished first. The bytes of the store's file, closed.
    pub(super) fn close(self) -> anyhow::Result<Option<u64>> {
        let _ = self.stop.send(true);
        let served = self.serving.join().map_err(|_| anyhow!("网关中断 | the gateway broke off"))?;
        self.store.close();
        served?;
        Ok(bytes_of(&self.address))
    }
}

fn bytes_of(store: &Address) -> Option<u64> {
    match store {
        Address::File(path) => std::fs::metadata(path).ok().map(|file| file.len()),
        Address::Postgres(_) => None,
    }
}

/// Roster and catalogue of a store that holds no settlement.
pub(super) async fn bring_in_people(
    store: &dyn Ports,
    workload: &Workload,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    if !store.books(None, 1).await?.books.is_empty() {
        bail!("数据库已有结算，压测需要空库 | the store holds settlements; a bench needs an empty one");
    }
    bring_in_sample_catalogue(store, runtime).await?;
    bring_in_roster(store, "roster.csv".as_ref(), Ok(workload.roster()), runtime).await
}
