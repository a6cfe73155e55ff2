//! A gateway as a process: this test binary, run again, which serves as `yizhan serve` does, with outside payers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use yizhan::cli::gateway_name::GatewayName;
use yizhan::cli::serve::{Front, Listeners, serve};
use yizhan::config::Config;
use yizhan::http::{Passes, Reading};
use yizhan::intake::reception::Reception;
use yizhan::runtime::{Clock, RandomIds, Runtime, Shutdown, Sleep, SystemClock};
use yizhan::settlement::gateway::Gateway;
use yizhan::settlement::payers::Payers;
use yizhan::store::Ports;
use yizhan::store::Store;
use yizhan::telemetry;

use super::payer::{Temper, payers};
use super::site::Place;
use crate::away::policies;
use crate::gateway::profiles;

const SETTING: &str = "YIZHAN_TEST_GATEWAY";
/// When the stays of the tests are settled.
const TODAY: &str = "2020-07-02T02:00:00Z";

/// Everything a gateway is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) place: Place,
    pub(crate) payers: PathBuf,
    pub(crate) chain: usize,
    pub(crate) temper: Temper,
    pub(crate) seed: u64,
    pub(crate) clock: Hurried,
    /// Its hospitals advance what optional payers have quoted firmly.
    pub(crate) advances: bool,
    /// Where the hospital that sends is told.
    pub(crate) return_address: Option<String>,
}

/// A clock that runs faster than the machine's, or slower: every process that knows when it began has the same.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Hurried {
    began: Timestamp,
    times: i32,
    slower: i32,
}

impl Hurried {
    pub(crate) fn times(times: i32) -> Self {
        Self { began: SystemClock.now(), times, slower: 1 }
    }

    pub(crate) fn slower(slower: i32) -> Self {
        Self { slower, ..Self::times(1) }
    }

    pub(crate) fn today() -> Timestamp {
        TODAY.parse().unwrap()
    }
}

impl Clock for Hurried {
    fn now(&self) -> Timestamp {
        Self::today() + SystemClock.now().duration_since(self.began) * self.times / self.slower
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep<'_> {
        let since = SignedDuration::from_micros(
            (at.as_microsecond() - Self::today().as_microsecond()) * i64::from(self.slower)
                / i64::from(self.times),
        );
        let at = self.began.saturating_add(since).unwrap();
        Box::pin(async move { SystemClock.sleep_until(at).await })
    }
}

/// The child: serves until it is killed, or until whoever started it is gone. Does nothing of itself.
#[test]
fn child_that_serves_until_it_is_killed() {
    let Ok(setting) = std::env::var(SETTING) else { return };
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(serve_as(serde_json::from_str(&setting).unwrap()));
}

async fn serve_as(setting: Setting) {
    let Setting { place, payers: folder, chain, temper, seed, clock, advances, return_address } = setting;
    let runtime = Runtime { clock: Arc::new(clock), ids: Arc::new(RandomIds) };
    let name = match &place {
        Place::File { .. } => GatewayName::only(),
        Place::Postgres { .. } => GatewayName::lasting(place.key_file(), &runtime),
    };
    let store: Arc<dyn Ports> = place.open().await;
    let payers = Payers::new(payers(chain, &folder, &runtime, (temper, seed))).unwrap();
    let advances = advances.then(|| "hospital_advances = true\n".to_owned());
    let told_at = return_address.map(|address| format!("return_address = {address:?}\n"));
    let profile = advances.unwrap_or_default() + &told_at.unwrap_or_default();
    let reception = reception(store, payers, name.as_str(), (runtime, &profile));
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = Listeners { http: listen(), mllp: listen() };
    let ports = [&listeners.http, &listeners.mllp].map(|listener| listener.local_addr().unwrap());
    // Standard error: the test harness keeps standard output to itself.
    writeln!(std::io::stderr(), "serving {} {}", ports[0], ports[1]).unwrap();
    let (_stop, stopped) = Shutdown::new();
    serve(&config(), listeners, reception, front(), stopped).await.unwrap();
}

/// A gateway with the sample hospitals, and policies in which a payer that may be left out has nobody behind it. `profile`
/// are further lines of the hospital that sends.
pub(crate) fn reception(
    store: Arc<dyn Store>,
    payers: Payers,
    name: &str,
    (runtime, profile): (Runtime, &str),
) -> Reception {
    let policies = policies();
    payers.check(&policies).unwrap();
    let profiles = Arc::new(profiles(profile, None));
    let known = Arc::clone(&profiles);
    let hospitals =
        Arc::new(move |code: &str| known.of_hospital(code).map(|profile| Arc::clone(&profile.hospital)));
    let gateway = Gateway::new(store, Arc::new(policies), hospitals, Arc::new(payers), name.into(), runtime);
    Reception::new(gateway, profiles)
}

pub(crate) fn config() -> Config {
    let keys =
        "store = \"-\"\nkey_file = \"-\"\nhospitals = \"-\"\n[limits]\nrequests_per_second_max = 1000000\n";
    Config::parse(keys, "test", []).unwrap()
}

pub(crate) fn front() -> Front {
    let (metrics, passes) = (telemetry::start_metrics(), Passes::new(&[7; 32]));
    Front { reading: Reading::Token, metrics, passes, recent: Arc::default() }
}

/// Where a gateway takes messages in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doors {
    pub(crate) http: SocketAddr,
    pub(crate) mllp: SocketAddr,
}

/// A child that serves.
pub(crate) struct Running {
    child: Child,
    /// It ends with this.
    _input: ChildStdin,
    pub(crate) doors: Doors,
}

impl Running {
    /// Returns when it has bound its ports; messages wait there until it serves.
    pub(crate) async fn start(setting: &Setting) -> Self {
        let setting = serde_json::to_string(setting).unwrap();
        tokio::task::spawn_blocking(move || Self::start_with(&setting)).await.unwrap()
    }

    fn start_with(setting: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "faults::process::child_that_serves_until_it_is_killed", "--nocapture"])
            .env(SETTING, setting)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut said = Vec::new();
        let doors = loop {
            let line = lines.next().unwrap_or_else(|| panic!("the gateway ended: {}", said.join("\n")));
            if let Some(ports) = line.strip_prefix("serving ") {
                let (http, mllp) = ports.split_once(' ').unwrap();
                break Doors { http: http.parse().unwrap(), mllp: mllp.parse().unwrap() };
            }
            said.push(line);
        };
        // What it says from now on is of a panic.
        std::thread::spawn(move || {
            for line in lines {
                let _ = writeln!(std::io::stderr(), "a gateway says: {line}");
            }
        });
        Self { child, _input: input, doors }
    }

    /// SIGKILL on Unix: no destructor, no last word.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
