//! `yizhan demo`: no configuration; sample messages through the same ports as anybody's, bills out.

mod samples;
mod senders;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use yizhan_attestation::Trust;

use super::import::{bring_in_sample_catalogue, bring_in_sample_roster};
use super::serve::{Front, Listeners, serve};
use super::{Exit, block_on, house, opened, policy, settle};
use crate::config::{Config, Http, Limits, Log, LogFormat, Mllp};
use crate::http;
use crate::refusal::Code;
use crate::runtime::{Runtime, Shutdown};
use crate::store::address::Address;
use crate::store::postgres;
use crate::store::seal::Key;
use crate::system;
use crate::telemetry;
use samples::{Ends, SAMPLES, Sample};
use senders::{Came, Reply, Senders};

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
        bring_in_sample_roster(&*store, &runtime).await?;
        bring_in_sample_catalogue(&*store, &runtime).await?;
        let metrics = telemetry::start_metrics();
        let passes = opened::passes(&key_path)?;
        let front = Front { reading: http::Reading::Open, metrics, passes, recent: Arc::clone(&recent) };
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
    let mut exit = Exit::Ok;
    for Sample { title, sender, files, ends } in SAMPLES {
        super::say(&format!("\n== {} | {}", title.0, title.1));
        let mut all = Vec::new();
        for (name, bytes) in *files {
            let Reply { said, came } = senders.send(sender.token, name, bytes).await?;
            super::say(&said);
            if let Some(came) = came {
                super::say(&came.shown(style));
                if let Came::Bill(bill) = &came {
                    recent.add(bill.settlement_id);
                }
                all.push(came);
            }
        }
        let judged = judge(&all, *ends);
        if judged != Exit::Ok {
            let due = ends.text();
            super::say(&format!(
                "×× 与样例的预期不符，应为：{} | not what the sample must come to: {}",
                due.zh, due.en
            ));
        }
        exit = exit.max(judged);
    }
    Ok(exit)
}

/// As `settle` would end: 3 where something was refused that must not be, 4 where another amount came out.
fn judge(all: &[Came], ends: Ends) -> Exit {
    let refusals = all.iter().filter_map(|came| match came {
        Came::Problem(problem) => Some(problem.errors.first().map(|first| first.code)),
        Came::NotTaken => Some(None),
        Came::Bill(_) | Came::Noted(_) => None,
    });
    let refusals: Vec<Option<Code>> = refusals.collect();
    let mut shares = all.iter().filter_map(|came| match came {
        Came::Bill(bill) => Some(bill.patient_share.to_string()),
        _ => None,
    });
    match (ends, &refusals[..]) {
        (Ends::Share(share), []) if shares.next_back().is_some_and(|last| last == share) => Exit::Ok,
        (Ends::Refused(code), [Some(refused)]) if code == *refused => Exit::Ok,
        (_, []) => Exit::Failed,
        (_, refused) => refused
            .iter()
            .map(|code| code.map_or(Exit::Refused, Exit::of_refusal))
            .max()
            .unwrap_or(Exit::Failed),
    }
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
        adapters: None,
        hospitals: PathBuf::new(),
        plain_text_beyond_loopback: false,
        http: Http { listen: http, ..Http::default() },
        mllp: Mllp { listen: mllp, ..Mllp::default() },
        tls: None,
        payers: std::collections::BTreeMap::new(),
        trust: Trust::default(),
        limits: Limits { drain_s: 1, ..Limits::default() },
        log: Log::default(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::problem::Problem;
    use crate::refusal::Refusal;

    fn refused(code: Code) -> Came {
        Came::Problem(Box::new(Problem::new(&[Refusal::new(code, "原因", "why")], None)))
    }

    #[test]
    fn a_sample_that_comes_to_something_else_is_told_by_the_exit_code() {
        let differs = Ends::Refused(Code::ShareDiffers);
        for (all, ends, exit) in [
            (vec![refused(Code::ShareDiffers)], differs, Exit::Ok),
            (vec![refused(Code::TotalDiffers)], differs, Exit::Refused),
            (vec![refused(Code::StoreUnavailable)], differs, Exit::Failed),
            (vec![Came::NotTaken], differs, Exit::Refused),
            (vec![], differs, Exit::Failed),
            (vec![refused(Code::ShareDiffers)], Ends::Share("1.00"), Exit::Refused),
            (vec![], Ends::Share("1.00"), Exit::Failed),
        ] {
            assert_eq!(judge(&all, ends), exit);
        }
    }
}
