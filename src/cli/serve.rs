//! `yizhan serve`: the gateway.

mod parts;

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use jiff::SignedDuration;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;
use yizhan_rules::PolicyShelf;

use super::{Exit, block_on, house, opened, policy};
use crate::config::{Config, Tls};
use crate::http;
use crate::intake::Profiles;
use crate::intake::mllp;
use crate::intake::reception::Reception;
use crate::outbox::Outbox;
use crate::registry::built_in::BuiltIn;
use crate::registry::journal::Keeper;
use crate::registry::{Registry, Setting};
use crate::runtime::{Runtime, Shutdown};
use crate::settlement::gateway::{Gateway, Pursuit};
use crate::store::Ports;
use crate::store::address::Address;
use crate::store::postgres;
use crate::system;
use crate::telemetry::{self, Channel};
use crate::tls;
pub(super) use parts::Ended;
use parts::{Work, port, work};

/// How often stays are looked at whose charges may have gone quiet.
const QUIET_TICK: Duration = Duration::from_secs(1);
/// Stays taken up at one tick.
const PURSUITS_PAGE: u32 = 256;
/// A TLS handshake, or the writing of one answer, that takes longer closes an MLLP connection.
const MLLP_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// 配置文件，示例见 schemas/yizhan.example.toml | Configuration; see schemas/yizhan.example.toml
    #[arg(long, default_value = "yizhan.toml")]
    config: PathBuf,
}

pub(super) fn run(args: ServeArgs, built_in: BuiltIn) -> anyhow::Result<Exit> {
    let config = Config::load(&args.config, std::env::vars())?;
    telemetry::start_logging(&config.log)?;
    let metrics = telemetry::start_metrics();
    let policies = policies(&config)?;
    config.check_payers(&policy::payers(policies.policies()))?;
    policy::warn_of_samples(&policies);
    if let Address::File(_) = config.store {
        warn_of_caps(&policies);
    }
    let profiles = profiles(&config)?;
    let runtime = Runtime::system();
    let options = postgres::Options {
        connections_max: usize::from(config.limits.store_connections_max),
        ..postgres::Options::default()
    };
    let store = opened::open_store(&config.store, &config.key_file, options, &runtime)?;
    let name = store.gateway_name(&config.key_file, &runtime);
    let policies = Arc::new(policies);
    let written = (store.share(), name.as_str());
    let adapters = adapters(&config, &policies, &profiles, &runtime, (written, built_in))?;
    let directory = adapters.as_ref().map(|(registry, _)| registry.directory().clone()).unwrap_or_default();
    let reception = house::reception_of(&store, policies, profiles, runtime, directory, name.as_str());
    let (stop, stopped) = Shutdown::new();
    block_on(async {
        tokio::spawn(stop_on_signal(stop));
        // Calls are written down to the last: what settlements and comparisons under way still ask is asked before the end.
        let (all_asked, ended) = Shutdown::new();
        let registry = adapters.map(|(registry, keeper)| {
            let looking = registry.serve(again_on_signal(), stopped.clone());
            (tokio::spawn(looking), tokio::spawn(keeper.serve(ended)))
        });
        let listeners = Listeners::bind(&config)?;
        let passes = opened::passes(&config.key_file)?;
        let front = Front { reading: http::Reading::Token, metrics, passes, recent: Arc::default() };
        serve(&config, listeners, reception, front, stopped).await?;
        match registry {
            Some((looking, keeping)) => {
                let broke_off = "适配器登记中断 | the registry of adapters broke off";
                looking.await.context(broke_off)?;
                // Nobody hears it where keeping broke off, which is told next.
                let _ = all_asked.send(true);
                keeping.await.context(broke_off)
            }
            None => Ok(()),
        }
    })?;
    store.close();
    // Stays that are still driven end with the process: until then nobody else may bear the name.
    std::mem::forget(name);
    Ok(Exit::Ok)
}

/// The folder of adapters, where there is one.
fn adapters(
    config: &Config,
    policies: &Arc<PolicyShelf>,
    profiles: &Profiles,
    runtime: &Runtime,
    ((book, gateway), built_in): ((Arc<dyn Ports>, &str), BuiltIn),
) -> anyhow::Result<Option<(Registry, Keeper)>> {
    let Some(folder) = config.adapters.clone() else { return Ok(None) };
    let setting = Setting {
        folder,
        given: config.given_to_adapters(),
        policies: Arc::clone(policies),
        hospitals: profiles.iter().map(|profile| Arc::clone(&profile.hospital.code)).collect(),
        trust: config.trust.clone(),
        book,
        gateway: Arc::from(gateway),
        calls_kept_for: SignedDuration::from_hours(24 * i64::from(config.limits.adapter_calls_days)),
        built_in,
    };
    Ok(Some(block_on(Registry::open(setting, runtime.clone()))?))
}

pub(super) fn policies(config: &Config) -> anyhow::Result<PolicyShelf> {
    match &config.policies {
        Some(folder) => policy::shelf_of_folder(folder),
        None => policy::shelf(&[]),
    }
}

pub(super) fn profiles(config: &Config) -> anyhow::Result<Profiles> {
    let files = house::toml_files_in(&config.hospitals)?;
    if files.is_empty() {
        bail!(
            "文件夹 {folder} 中没有医院配置（*.toml）| no hospital profile (*.toml) in {folder}",
            folder = config.hospitals.display()
        );
    }
    let profiles = house::profiles(&files)?;
    for profile in profiles.iter() {
        let Some(address) = &profile.return_address else { continue };
        if address.is_plain_beyond_loopback() && !config.plain_text_beyond_loopback {
            bail!(
                "医院 {code} 的 return_address = {address} 会将结算单明文发往本机以外：请改为 mllps://{address}，或写明 plain_text_beyond_loopback = true | return_address = {address} of hospital {code} takes bills beyond this machine in plain text: write mllps://{address}, or plain_text_beyond_loopback = true",
                code = profile.code()
            );
        }
    }
    Ok(profiles)
}

/// A SQLite file counts one gateway's settlements only: where a payer's own system does not count as well,
/// a cap may be passed elsewhere.
fn warn_of_caps(policies: &PolicyShelf) {
    for policy in policies.policies() {
        for payer in policy.payers().filter(|payer| payer.is_capped_by_gateway()) {
            telemetry::cap_counted_here_only(&policy.label(), &payer.code);
        }
    }
}

/// Both ports, bound before anything is served.
pub struct Listeners {
    pub http: TcpListener,
    pub mllp: TcpListener,
}

impl Listeners {
    fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind = |key: &str, address| {
            TcpListener::bind(address).map_err(|why| {
                let text = system::refused(&why);
                anyhow!("{key} = {address} {} | {key} = {address} {}", text.zh, text.en)
            })
        };
        Ok(Self {
            http: bind("http.listen", config.http.listen)?,
            mllp: bind("mllp.listen", config.mllp.listen)?,
        })
    }
}

/// What the HTTP port shows beside messages and bills.
pub struct Front {
    pub reading: http::Reading,
    pub metrics: PrometheusHandle,
    pub passes: http::Passes,
    /// Filled by the demonstration only.
    pub recent: Arc<http::Recent>,
}

fn mllp_acceptor(tls: &Tls) -> Result<TlsAcceptor, tls::TlsError> {
    Ok(TlsAcceptor::from(Arc::new(tls::server_config(tls, &[])?)))
}

/// Runs both ports and what goes on beside them until the signal to stop, then lets them finish what they hold.
pub async fn serve(
    config: &Config,
    listeners: Listeners,
    reception: Reception,
    front: Front,
    mut stopped: Shutdown,
) -> anyhow::Result<()> {
    let is_tls = config.tls.is_some();
    telemetry::listening(Channel::Mllp, listeners.mllp.local_addr()?, is_tls);
    telemetry::listening(Channel::Http, listeners.http.local_addr()?, is_tls);
    let reception = reception.up_to(config.limits.message_bytes_max);
    let gateway = reception.gateway();
    // Nothing new is taken in before everything this gateway held is in hand again.
    drive(gateway, gateway.rearm().await?);
    let outbox = Outbox::new(gateway.clone(), Arc::clone(reception.profiles()))?;
    let (halt, mut halted) = Shutdown::new();
    let timer = take_up_stays(gateway.clone(), halted.clone());
    let telling = outbox.serve(halted.clone());
    let upkeep = tokio::spawn(telemetry::keep_up(front.metrics.clone(), halted.clone()));
    let mllp = mllp_port(config, listeners.mllp, &reception, halted.clone())?;
    let http = http_port(config, listeners.http, &reception, front, halted.clone())?;
    let halting = async {
        tokio::select! {
            () = stopped.requested() => {}
            () = halted.requested() => {}
        }
        halt.send_replace(true);
    };
    let (http, mllp, timer, telling, ()) = tokio::join!(
        port(Channel::Http, http, &halt),
        port(Channel::Mllp, mllp, &halt),
        work(Work::TakingUp, timer, &halt),
        work(Work::Telling, telling, &halt),
        halting
    );
    upkeep.await.context("指标汇总中断 | summing up the metrics broke off")?;
    Ok(http.and(mllp).and(timer).and(telling)?)
}

fn mllp_port(
    config: &Config,
    listener: TcpListener,
    reception: &Reception,
    halted: Shutdown,
) -> anyhow::Result<impl Future<Output = io::Result<()>>> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let acceptor = config.tls.as_ref().map(mllp_acceptor).transpose()?;
    let settings = mllp::Settings {
        frame_bytes_max: config.limits.message_bytes_max,
        release: config.mllp.release,
        connections_max: config.limits.mllp_connections_max,
        idle: Duration::from_secs(config.limits.mllp_idle_s),
        patience: MLLP_PATIENCE,
        drain: Duration::from_secs(config.limits.drain_s),
        ..mllp::Settings::default()
    };
    let service = Arc::new(mllp::Service::new(reception.clone()));
    let stop = halted.receiver();
    Ok(async move {
        mllp::serve(listener, acceptor, settings, service, stop).await;
        Ok(())
    })
}

fn http_port(
    config: &Config,
    listener: TcpListener,
    reception: &Reception,
    front: Front,
    halted: Shutdown,
) -> anyhow::Result<impl Future<Output = io::Result<()>>> {
    let tls = config.tls.as_ref().map(|tls| tls::server_config(tls, tls::HTTP_PROTOCOLS)).transpose()?;
    let state = http::State {
        reception: reception.clone(),
        reading: front.reading,
        metrics: front.metrics,
        message_bytes_max: config.limits.message_bytes_max,
        waits: http::Waits::default(),
        requests_per_second_max: config.limits.requests_per_second_max,
        passes: front.passes,
        recent: front.recent,
    };
    let drain = Duration::from_secs(config.limits.drain_s);
    Ok(http::serve(listener, tls, state, config.http.workers, halted, drain))
}

/// Takes up stays whose time has come, until the signal to stop: charges gone quiet, payers to be asked again, and
/// what another gateway let lapse.
async fn take_up_stays(gateway: Gateway, mut stopped: Shutdown) {
    let mut tick = tokio::time::interval(QUIET_TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped.requested() => return,
            _ = tick.tick() => {}
        }
        let now = gateway.runtime().now();
        match gateway.due(now, PURSUITS_PAGE).await {
            Ok(pursuits) => drive(&gateway, pursuits),
            Err(error) => telemetry::stays_not_taken_up(&error),
        }
    }
}

/// Each stay is driven by itself: one whose payer is slow keeps no other waiting.
fn drive(gateway: &Gateway, pursuits: Vec<Pursuit>) {
    for pursuit in pursuits {
        let gateway = gateway.clone();
        tokio::spawn(async move { gateway.pursue_unheard(pursuit).await });
    }
}

/// Rings for every SIGHUP.
fn again_on_signal() -> Arc<Notify> {
    let again = Arc::<Notify>::default();
    #[cfg(unix)]
    if let Ok(mut hung_up) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        let again = Arc::clone(&again);
        tokio::spawn(async move {
            while hung_up.recv().await.is_some() {
                again.notify_one();
            }
        });
    }
    again
}

async fn stop_on_signal(stop: watch::Sender<bool>) {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let mut terminated = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminated) => terminated,
            Err(_) => return,
        };
        tokio::select! {
            _ = interrupted => {}
            _ = terminated.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupted.await;
    telemetry::stopping();
    let _ = stop.send(true);
}
