//! `yizhan demo`: no configuration; sample messages through the same ports as anybody's, bills out.

mod samples;
mod senders;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;

use super::import::import_of;
use super::serve::{Front, Listeners, serve};
use super::{Exit, block_on, house, opened, policy, settle};
use crate::catalogue::CatalogueFile;
use crate::config::{Config, Http, Limits, Log, LogFormat, Mllp};
use crate::http;
use crate::roster::{RosterFile, RosterMode};
use crate::runtime::{Runtime, Shutdown};
use crate::store::address::Address;
use crate::store::registers::Rows;
use crate::store::seal::Key;
use crate::store::{Ports, postgres};
use crate::system;
use crate::telemetry;
use samples::{SAMPLES, Sample};
use senders::Senders;

const HTTP_PORT: u16 = 8080;
const MLLP_PORT: u16 = 2575;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// 打印后即退出 | End after printing
    #[arg(long)]
    once: bool,
    /// 显示每一步计算 | Show every step
    #[arg(long)]
    explain: bool,
    /// 网页端口（默认 8080；--once 时任选）| HTTP port; default 8080, any free one with --once
    #[arg(long)]
    http: Option<u16>,
    /// MLLP 端口（默认 2575；--once 时任选）| MLLP port; default 2575, any free one with --once
    #[arg(long)]
    mllp: Option<u16>,
    /// 保留数据库与密钥的文件夹（默认用临时文件夹并在结束时删除）| Folder that keeps store and key; default: a
    /// temporary one, removed at the end
    #[arg(long)]
    keep: Option<PathBuf>,
    /// 日志级别 | Log level
    #[arg(long, default_value = "warn")]
    log: String,
}

pub(super) fn run(args: DemoArgs) -> anyhow::Result<Exit> {
    telemetry::start_logging(&Log { format: LogFormat::Text, level: args.log.clone() })?;
    let runtime = Runtime::system();
    let folder = Folder::make(args.keep.clone(), &runtime)?;
    let (store_path, key_path) = (folder.path.join("yizhan.db"), folder.path.join("yizhan.key"));
    if !key_path.exists() {
        Key::create(&key_path)?;
    }
    let store = opened::open_store(
        &Address::File(store_path.clone()),
        &key_path,
        postgres::Options::default(),
        &runtime,
    )?;
    let reception = house::reception(&store, policy::shelf(&[])?, house::sample_profiles()?, runtime.clone());
    let listeners = bind(&args)?;
    let ports = (listeners.http.local_addr()?, listeners.mllp.local_addr()?);
    let config = config(&store_path, &key_path, ports);
    let (stop, stopped) = Shutdown::new();
    let recent = Arc::<http::Recent>::default();
    let exit = block_on(async {
        registers(&*store, &runtime).await?;
        let metrics = telemetry::start_metrics();
        let front = Front { reading: http::Reading::Open, metrics, recent: Arc::clone(&recent) };
        let serving = serve(&config, listeners, reception, front, stopped);
        let showing = async {
            let shown = show(&args, ports, &recent).await;
            if !args.once && shown.is_ok() {
                super::say(&format!(
                    "\n浏览器打开 http://{http} 查看结算单；MLLP 端口 {mllp}；按 Ctrl-C 结束\n\
                     Bills in a browser at http://{http}; MLLP on {mllp}; Ctrl-C ends",
                    http = ports.0,
                    mllp = ports.1
                ));
                let _ = tokio::signal::ctrl_c().await;
            }
            let _ = stop.send(true);
            shown
        };
        let (served, shown) = tokio::join!(serving, showing);
        served?;
        shown
    })?;
    store.close();
    Ok(exit)
}

/// Sends every sample and prints what it becomes.
async fn show(
    args: &DemoArgs,
    (http, mllp): (SocketAddr, SocketAddr),
    recent: &http::Recent,
) -> anyhow::Result<Exit> {
    let mut senders = Senders::connect(http, mllp).await?;
    let style = settle::style(args.explain);
    for Sample { title, sender, files } in SAMPLES {
        super::say(&format!("\n== {} | {}", title.0, title.1));
        for (name, bytes) in *files {
            super::say(&senders.send(sender.token, name, bytes, style, recent).await?);
        }
    }
    Ok(Exit::Ok)
}

fn bind(args: &DemoArgs) -> anyhow::Result<Listeners> {
    let port = |chosen: Option<u16>, usual| chosen.unwrap_or(if args.once { 0 } else { usual });
    let listen = |option: &str, port| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpListener::bind(address).map_err(|why| {
            let text = system::refused(&why);
            anyhow!("{address} {}（{option}）| {address} {} ({option})", text.zh, text.en)
        })
    };
    Ok(Listeners {
        http: listen("--http", port(args.http, HTTP_PORT))?,
        mllp: listen("--mllp", port(args.mllp, MLLP_PORT))?,
    })
}

/// Without files: the shipped policies, these two ports.
pub(super) fn config(store: &Path, key: &Path, (http, mllp): (SocketAddr, SocketAddr)) -> Config {
    Config {
        store: Address::File(store.to_owned()),
        key_file: key.to_owned(),
        policies: None,
        hospitals: PathBuf::new(),
        plain_text_beyond_loopback: false,
        http: Http { listen: http, ..Http::default() },
        mllp: Mllp { listen: mllp, ..Mllp::default() },
        tls: None,
        payers: std::collections::BTreeMap::new(),
        limits: Limits { drain_s: 1, ..Limits::default() },
        log: Log::default(),
    }
}

async fn registers(store: &dyn Ports, runtime: &Runtime) -> anyhow::Result<()> {
    let quietly = || Arc::new(|_| {});
    let roster = RosterFile::shipped(crate::samples::ROSTER).map(|rows| Box::new(rows) as Rows<_>);
    let import = import_of("roster.csv".as_ref(), roster, runtime, quietly())?;
    store.import_roster(import, RosterMode::Delta).await?;
    let catalogue = CatalogueFile::shipped(crate::samples::CATALOGUE).map(|rows| Box::new(rows) as Rows<_>);
    let import = import_of("catalogue.csv".as_ref(), catalogue, runtime, quietly())?;
    store.import_catalogue(import).await?;
    Ok(())
}

/// A folder for store and key; a temporary one is removed when this goes out of scope.
struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    fn make(keep: Option<PathBuf>, runtime: &Runtime) -> anyhow::Result<Self> {
        let is_temporary = keep.is_none();
        let path = keep.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("yizhan-demo-{}", runtime.next_id().simple()))
        });
        std::fs::create_dir_all(&path).map_err(|why| house::unusable(&path, &why))?;
        Ok(Self { path, is_temporary })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            // A folder that cannot be removed is the temporary folder's own cleaning.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
