//! `yizhan serve` as a process, over a store of its own, with the sample policies, two hospitals and a folder of adapters.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use jiff::SignedDuration;
use tempfile::TempDir;
use yizhan::runtime::{Clock as _, SystemClock};
use yizhan_attestation::{Attestation, Level, VALID, make_key, manifest_sha256, sign};
use yizhan_contract::payer::Manifest;

use crate::hospitals;

/// One payer's adapter: its file beyond what all have in common.
pub(crate) struct Adapter {
    pub(crate) payer: &'static str,
    pub(crate) port: u16,
    pub(crate) mode: &'static str,
    pub(crate) manifest: Manifest,
}

pub(crate) struct House {
    child: Child,
    /// `http://127.0.0.1:…`
    pub(crate) http: String,
    folder: PathBuf,
    store: String,
}

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples");
const PAYERS: [&str; 7] = [
    "basic",
    "critical_illness",
    "medical_assistance",
    "provider_waiver",
    "supplementary",
    "disaster",
    "accident",
];

fn yizhan() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yizhan"));
    command.env_remove("YIZHAN_STORE");
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// On the file system of the working folder: what is durable there is what is measured.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new().prefix("yizhan-outside-").tempdir_in(std::env::current_dir().unwrap()).unwrap()
}

impl House {
    /// `certificates`: the folder with the authority's and the gateway's.
    pub(crate) fn open(
        folder: &Path,
        store: Option<&str>,
        certificates: &Path,
        adapters: &[Adapter],
    ) -> Self {
        let path = |name: &str| folder.join(name);
        let store = store.map_or_else(|| path("yizhan.db").display().to_string(), str::to_owned);
        for name in ["hospitals", "adapters.d"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        for file in std::fs::read_dir(format!("{SAMPLES}/hospitals")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), path("hospitals").join(file.file_name())).unwrap();
        }
        for adapter in adapters {
            let file = path("adapters.d").join(format!("{}.toml", adapter.payer));
            std::fs::write(file, adapter.file(certificates)).unwrap();
        }
        let attested = attested(folder, adapters);
        std::fs::write(path("yizhan.toml"), configuration(&store, adapters) + &attested).unwrap();
        std::fs::write(path("roster.csv"), hospitals::roster()).unwrap();
        run(yizhan().args(["key", "new"]).arg(path("yizhan.key")));
        let import = |register: &str, file: &Path, further: &[&str]| {
            let mut command = yizhan();
            command.args([register, "import"]).arg(file).args(["--store", &store]).args(further);
            run(command.arg("--key").arg(path("yizhan.key")));
        };
        import("roster", &path("roster.csv"), &["--mode", "delta"]);
        import("catalogue", &Path::new(SAMPLES).join("catalogue.csv"), &[]);
        Self::serve(folder, store)
    }

    fn serve(folder: &Path, store: String) -> Self {
        let mut command = yizhan();
        command.arg("serve").arg("--config").arg(folder.join("yizhan.toml")).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let line = log.next();
            assert!(line.is_some(), "the gateway ended:\n{}", said.join("\n"));
            let line = line.unwrap().unwrap();
            if let Some((_, address)) = line.split_once("listening for http on ") {
                break address.split(['"', ' ']).next().unwrap().to_owned();
            }
            said.push(line);
        };
        // Read on to the end: a full pipe would stop the gateway.
        std::thread::spawn(move || log.for_each(drop));
        Self { child, http: format!("http://{address}"), folder: folder.to_owned(), store }
    }

    /// Stops it, and sees that its books agree.
    pub(crate) fn close(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut check = yizhan();
        check.args(["ledger", "check", "--store", &self.store]);
        run(check.arg("--key").arg(self.folder.join("yizhan.key")));
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(store: &str, adapters: &[Adapter]) -> String {
    let given = |payer: &&str| {
        let is_asked = adapters.iter().any(|adapter| adapter.payer == *payer);
        format!("{payer} = {:?}\n", if is_asked { payer } else { "rules" })
    };
    let given: String = PAYERS.iter().map(given).collect();
    format!(
        "store = {store:?}\nkey_file = \"yizhan.key\"\nhospitals = \"hospitals\"\nadapters = \"adapters.d\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[mllp]\nlisten = \"127.0.0.1:0\"\n\
         [limits]\nrequests_per_second_max = 1000000\n[payers]\n{given}"
    )
}

/// Vouches for what the adapters are, so that they decide; whose word that is, as the configuration has it.
fn attested(folder: &Path, adapters: &[Adapter]) -> String {
    let key = folder.join("bureau.key");
    let public = make_key(&key).unwrap();
    let issued = SystemClock.now() - SignedDuration::from_mins(1);
    for Adapter { payer, manifest, .. } in adapters {
        let attestation = Attestation {
            kit_version: env!("CARGO_PKG_VERSION").to_owned(),
            adapter: manifest.adapter.clone(),
            adapter_version: manifest.version.clone(),
            serves: manifest.serves.clone(),
            manifest_sha256: manifest_sha256(manifest),
            target: "-".to_owned(),
            reached: Some(Level::L7),
            passed: Level::ALL.to_vec(),
            not_applicable: Vec::new(),
            transcript_sha256: "-".to_owned(),
            issued,
            expires: issued + VALID,
        };
        let file = folder.join("adapters.d").join(format!("{payer}.json"));
        std::fs::write(file, sign(&attestation, &key).unwrap()).unwrap();
    }
    format!("[trust.attestation_keys]\nbench = \"{public}\"\n")
}

impl Adapter {
    /// Its budget is never used up: one that is not asked any more shows nothing.
    fn file(&self, certificates: &Path) -> String {
        let at = |name: &str| certificates.join(name).display().to_string();
        let [ca, certificate, key] = ["ca.pem", "gateway.pem", "gateway-key.pem"].map(at);
        let Self { payer, port, mode, .. } = self;
        format!(
            "name = \"{payer}\"\nurl = \"https://localhost:{port}\"\nca = \"{ca}\"\ncertificate = \"{certificate}\"\n\
             key = \"{key}\"\nattestation = \"{payer}.json\"\n{mode}\notherwise = \"rules\"\n\
             [budget]\ncalls_min = 1000\nfailed_percent_max = 100\nslow_percent_max = 100\n"
        )
    }
}
