//! A gateway as an operator installs it, in a folder of its own: key, registers, configuration and adapters, and the program
//! that serves it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use yizhan::runtime::{Clock as _, SystemClock, steady};
use yizhan_contract::payer::Manifest;

use crate::gateway::Sent;
use crate::http::client::{Ask, Reply};
use crate::process::{Process, run, yizhan};
use crate::project;
use crate::registry::bureau::{Bureau, Says};

/// The sample hospital of the third level: what its stays cost leaves something for every payer.
pub(crate) const HOSPITAL: &str = "H37130001";
pub(crate) const TOKEN: &str = "demo-linyi";
const PAYERS: [&str; 7] = [
    "basic",
    "critical_illness",
    "medical_assistance",
    "provider_waiver",
    "supplementary",
    "disaster",
    "accident",
];
/// How long anything may take that has to come about.
const PATIENCE_S: u64 = 90;
const LOOK_AGAIN: jiff::SignedDuration = jiff::SignedDuration::from_millis(50);

/// Its folder, and whose word it takes.
pub(crate) struct Installed {
    folder: TempDir,
    pub(crate) bureau: Bureau,
}

/// The program while it runs, and where it takes messages in.
pub(crate) struct Serving {
    pub(crate) process: Process,
    pub(crate) http: SocketAddr,
    pub(crate) mllp: SocketAddr,
}

/// A stay that leaves every payer of an illness something to pay.
pub(crate) fn stay(who: &str, kind: &str, visit: &str) -> Sent {
    Sent {
        kind: kind.to_owned(),
        id: format!("{visit}-m"),
        hospital: Some(HOSPITAL.to_owned()),
        who: Some(who.to_owned()),
        visit: visit.to_owned(),
        admitted: Some("2020-06-24".to_owned()),
        discharged: Some("2020-07-02".to_owned()),
        lines: vec!["1 CG SUR09 10000.00".to_owned(), "2 CG DRU05 4000.00".to_owned()],
        ..Sent::default()
    }
}

impl Installed {
    /// People with these numbers are on the roster beside those of the sample, and insured; payers that are given to
    /// no adapter are computed.
    pub(crate) fn new(numbers: impl IntoIterator<Item = String>, given: &[(&str, &str)]) -> Self {
        let installed = Self { folder: TempDir::new().unwrap(), bureau: Bureau::open() };
        installed.registers(numbers);
        installed.configuration(given);
        installed
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn registers(&self, numbers: impl IntoIterator<Item = String>) {
        let entered = |number: String| {
            ["category,entitled_out_of_poverty", "cover,supplementary"]
                .map(|entry| format!("{number},张桂兰,371302,{entry},2020-01-01,2020-12-31\n"))
                .concat()
        };
        let entered: String = numbers.into_iter().map(entered).collect();
        let sample = std::fs::read_to_string(project("tests/samples/roster.csv")).unwrap();
        std::fs::write(self.path("roster.csv"), sample + &entered).unwrap();
        let catalogue = project("tests/samples/catalogue.csv").display().to_string();
        let (store, roster) = (self.at("yizhan.db"), self.at("roster.csv"));
        run(["key", "new", &self.at("yizhan.key")]);
        run(["roster", "import", &roster, "--mode", "delta", "--store", &store]);
        run(["catalogue", "import", &catalogue, "--store", &store]);
    }

    fn configuration(&self, given: &[(&str, &str)]) {
        for made in ["hospitals", "adapters.d"] {
            std::fs::create_dir(self.path(made)).unwrap();
        }
        let sample = format!("{HOSPITAL}.toml");
        std::fs::copy(project("tests/samples/hospitals").join(&sample), self.path("hospitals").join(&sample))
            .unwrap();
        let by = |payer: &str| given.iter().find(|(known, _)| *known == payer).map_or("rules", |(_, by)| by);
        let given = PAYERS.map(|payer| format!("{payer} = \"{}\"\n", by(payer))).concat();
        let keys = self.bureau.trusted().attestation_keys;
        let trusted: String = keys.iter().map(|(name, key)| format!("{name} = \"{key}\"\n")).collect();
        let text = format!(
            "store = \"yizhan.db\"\nkey_file = \"yizhan.key\"\nhospitals = \"hospitals\"\nadapters = \"adapters.d\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[mllp]\nlisten = \"127.0.0.1:0\"\n[payers]\n{given}\
             [trust.attestation_keys]\n{trusted}"
        );
        std::fs::write(self.path("yizhan.toml"), text).unwrap();
    }

    /// Puts the file of an adapter that says this of itself into the folder of adapters: it is attested, and decides.
    pub(crate) fn adapter(&self, name: &str, keys: &str, manifest: &Manifest) {
        let text = format!(
            "name = \"{name}\"\nmode = \"primary\"\notherwise = \"rules\"\nattestation = \"{name}.json\"\n{keys}"
        );
        let folder = self.path("adapters.d");
        std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
        self.bureau.attests(&folder.join(format!("{name}.json")), manifest, &Says::default());
    }

    pub(crate) fn serve(&self) -> Serving {
        self.serve_with(Path::new(env!("CARGO_BIN_EXE_yizhan")))
    }

    /// By a program of one's own.
    pub(crate) fn serve_with(&self, program: &Path) -> Serving {
        let mut command = Command::new(program);
        command.args(["serve", "--config", &self.at("yizhan.toml")]).env_remove("YIZHAN_STORE");
        command.current_dir(self.folder.path());
        let process = Process::start(command);
        let mllp = process.says("listening for mllp on ").parse().unwrap();
        let http = process.says("listening for http on ").parse().unwrap();
        Serving { process, http, mllp }
    }

    /// A command on its store.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let store = self.at("yizhan.db");
        yizhan(words.iter().copied().chain(["--store", &store]))
    }
}

impl Serving {
    /// Sends the stay, which may have been sent before, and waits so long for its bill.
    pub(crate) async fn ask(&self, stay: &Sent, wait_s: u32) -> Reply {
        let ask = Ask::post("/v1/discharges", stay.bytes().0).token(TOKEN);
        ask.with("prefer", &format!("wait={wait_s}")).send(self.http).await
    }

    /// What is said of a stay once nobody is at it.
    pub(crate) async fn told(&self, stay: &Sent) -> Value {
        let reply = self.ask(stay, 60).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// Its bill once it is settled, however often that has to be asked.
    pub(crate) async fn settled(&self, stay: &Sent) -> Value {
        until("it is settled", async || {
            let reply = self.ask(stay, 10).await;
            (reply.status == 200).then(|| reply.json()).filter(|bill| bill["state"] == "settled")
        })
        .await
    }

    pub(crate) async fn reverse(&self, bill: &Value, wait_s: u32) -> Reply {
        let path = format!("/v1/settlements/{}/reversal", bill["settlement_id"].as_str().unwrap());
        let ask = Ask::post(&path, json!({"reason": "test"}).to_string()).token(TOKEN);
        ask.with("prefer", &format!("wait={wait_s}")).send(self.http).await
    }

    pub(crate) async fn reversed(&self, bill: &Value, wait_s: u32) -> Value {
        let reply = self.reverse(bill, wait_s).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }
}

/// Looks again until it is so.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = steady();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        let waited_s = steady().duration_since(began).as_secs();
        assert!(waited_s < PATIENCE_S, "after {waited_s} s still not: {what}");
        SystemClock.sleep_until(SystemClock.now() + LOOK_AGAIN).await;
    }
}
