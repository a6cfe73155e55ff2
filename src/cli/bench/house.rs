//! The gateway that is measured: one of our own, served in this process over a store that is gone after
//! the run, or one that runs already.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use tokio::sync::watch;

use super::client::Doors;
use super::payers::Named;
use super::workload::{Workload, profiles};
use crate::catalogue::CatalogueFile;
use crate::cli::import::import_of;
use crate::cli::serve::{Front, Listeners, serve};
use crate::cli::{demo, house, policy};
use crate::config::{Config, Limits};
use crate::http;
use crate::roster::RosterMode;
use crate::runtime::{Runtime, Shutdown};
use crate::samples;
use crate::settlement::payers::Payers;
use crate::store::registers::{Registers, Rows};
use crate::store::seal::Key;
use crate::store::sqlite::Sqlite;
use crate::telemetry;

/// More than the load may ever ask for: what is measured is the gateway, not its limit.
const REQUESTS_PER_SECOND_MAX: u32 = 1_000_000;

/// Under which the gateway holds stays whose payers are in flight.
const GATEWAY_NAME: &str = "bench";

/// A gateway of our own, with people on its roster and both ports open.
pub(super) struct OwnGateway {
    pub(super) doors: Doors,
    pub(super) store: Arc<Sqlite>,
    pub(super) file: PathBuf,
    stop: watch::Sender<bool>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl OwnGateway {
    /// Makes store and key in `folder`, fills roster and catalogue, and serves on free ports.
    /// `outside`: payers that are asked; the others are computed by rules.
    pub(super) async fn start(
        folder: &Path,
        workload: &Workload,
        outside: Vec<Named>,
    ) -> anyhow::Result<Self> {
        let runtime = Runtime::system();
        let (store_path, key_path) = (folder.join("yizhan.db"), folder.join("yizhan.key"));
        Key::create(&key_path)?;
        let filled = house::open_store(&store_path, &key_path, &runtime)?;
        fill(&filled, workload, &runtime).await?;
        // Opened again: an idle gateway's memory holds nothing of an import.
        filled.close().await;
        let store = Arc::new(house::open_store(&store_path, &key_path, &runtime)?);
        let profiles = profiles(workload.hospitals())?;
        let (policies, payers) = (policy::shelf(&[])?, Payers::new(outside)?);
        payers.check(&policies)?;
        let reception =
            house::reception_of(Arc::clone(&store), policies, profiles, runtime, payers, GATEWAY_NAME);
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a port of this machine");
        let listeners = Listeners { http: listen()?, mllp: listen()? };
        let ports = (listeners.http.local_addr()?, listeners.mllp.local_addr()?);
        let limits = Limits { requests_per_second_max: REQUESTS_PER_SECOND_MAX, ..Limits::default() };
        let config = Config { limits, ..demo::config(&store_path, &key_path, ports) };
        let front = Front {
            reading: http::Reading::Token,
            metrics: telemetry::start_metrics(),
            recent: Arc::default(),
        };
        let (stop, stopped) = Shutdown::new();
        let handle = tokio::runtime::Handle::current();
        let serving =
            std::thread::spawn(move || handle.block_on(serve(&config, listeners, reception, front, stopped)));
        let doors = Doors { http: format!("http://{}", ports.0), mllp: ports.1.to_string() };
        Ok(Self { doors, store, file: store_path, stop, serving })
    }

    /// Stops it; what it holds is finished first.
    pub(super) fn close(self) -> anyhow::Result<()> {
        let _ = self.stop.send(true);
        let served = self.serving.join().map_err(|_| anyhow!("the gateway broke off"))?;
        crate::cli::serve::close(self.store);
        served
    }
}

async fn fill(registers: &dyn Registers, workload: &Workload, runtime: &Runtime) -> anyhow::Result<()> {
    let quietly = || Arc::new(|_| {});
    let catalogue = CatalogueFile::shipped(samples::CATALOGUE).map(|rows| Box::new(rows) as Rows<_>);
    registers.import_catalogue(import_of("catalogue.csv".as_ref(), catalogue, runtime, quietly())?).await?;
    let roster: Rows<_> = Box::new(workload.roster());
    let roster = import_of("roster.csv".as_ref(), Ok(roster), runtime, quietly())?;
    registers.import_roster(roster, RosterMode::Delta).await?;
    Ok(())
}
