//! The gateway, set up as an operator does, and the stays that are sent to it.

use std::net::SocketAddr;

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use yizhan::runtime::steady;
use yizhan_contract::person::IdNumber;

use super::Case;
use super::payer::{ADAPTER, Payer, SERVES, VERSION};
use crate::gateway::Sent;
use crate::http::client::{Ask, Reply};
use crate::process::{Process, run, yizhan};
use crate::project;
use crate::registry::bureau::{Bureau, Says};

const HOSPITAL: &str = "H37130001";
const TOKEN: &str = "demo-linyi";
const BY_RULES: [&str; 6] =
    ["basic", "critical_illness", "medical_assistance", "provider_waiver", "disaster", "accident"];
const PATIENCE_S: u64 = 90;

/// One stay of somebody who has no other.
pub(super) struct Stay {
    pub(super) person: String,
    sent: Sent,
}

/// What was told of one call, in the store and in the log.
pub(super) struct Said {
    pub(super) class: String,
    pub(super) log: Value,
}

pub(super) struct Site {
    folder: TempDir,
    pub(super) payer: Payer,
    gateway: Process,
    http: SocketAddr,
    stays: Vec<Stay>,
    cases: usize,
}

impl Site {
    /// For each case a stay, and one more beside each.
    pub(super) async fn open(cases: usize) -> Self {
        let (folder, payer) = (TempDir::new().unwrap(), Payer::open().await);
        let stays: Vec<Stay> = (0..=2 * cases).map(Stay::of).collect();
        registers(&folder, &stays);
        configuration(&folder, payer.address);
        let gateway = Process::start(yizhan(["serve", "--config", &at(&folder, "yizhan.toml")]));
        let http = gateway.says("listening for http on ").parse().unwrap();
        Self { folder, payer, gateway, http, stays, cases }
    }

    pub(super) fn stay(&self, nth: usize) -> &Stay {
        &self.stays[nth]
    }

    /// Of whom nothing bad is told.
    pub(super) fn spare(&self, nth: usize) -> &Stay {
        &self.stays[self.cases + nth]
    }

    async fn ask(&self, stay: &Stay) -> Reply {
        let ask = Ask::post("/v1/discharges", stay.sent.bytes().0).token(TOKEN);
        ask.with("prefer", "wait=30").send(self.http).await
    }

    /// What is said of a stay once nobody is at it.
    pub(super) async fn first(&self, stay: &Stay) -> Value {
        let reply = self.ask(stay).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// Its bill, however often it has to be asked for.
    pub(super) async fn settled(&self, stay: &Stay) -> Value {
        let began = steady();
        loop {
            let document = self.first(stay).await;
            if document["state"] == "settled" {
                return document;
            }
            assert!(steady().duration_since(began).as_secs() < PATIENCE_S, "{document}");
        }
    }

    pub(super) async fn reversed(&self, bill: &Value) -> Value {
        let path = format!("/v1/settlements/{}/reversal", bill["settlement_id"].as_str().unwrap());
        let ask = Ask::post(&path, json!({"reason": "test"}).to_string()).token(TOKEN);
        let reply = ask.with("prefer", "wait=30").send(self.http).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// Ends the gateway, and tells what it has said of the calls of each case.
    pub(super) async fn close(self, cases: &[Case]) -> Vec<Said> {
        let Self { folder, payer, gateway, stays, .. } = self;
        let (log, exit) = gateway.stop();
        assert_eq!(exit, Some(0), "{log}");
        run(["ledger", "check", "--store", &at(&folder, "yizhan.db")]);
        let told: Vec<Value> = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| {
                line["message"].as_str().is_some_and(|said| said.contains("no answer that can be used"))
            })
            .collect();
        let store = Connection::open(folder.path().join("yizhan.db")).unwrap();
        let mut quotes = told.iter().filter(|line| line["verb"] == "quote");
        let mut classes = classes(&store, "verb = 'quote' AND class <> 'answered'").into_iter();
        let of = |(case, stay): (&Case, &Stay)| {
            if case.verb == "quote" {
                let log = quotes.next().unwrap_or_else(|| panic!("{}: {log}", case.name)).clone();
                return Said { class: classes.next().unwrap(), log };
            }
            let operations = payer.operations(&stay.person, case.verb == "reverse");
            let [id] = &operations[..] else { panic!("{}: {operations:?}", case.name) };
            let is_it =
                |line: &&Value| line["operation_id"] == id.as_str() && line["verb"] == case.verb.as_str();
            let verb = &case.verb;
            let which = format!("operation_id = '{id}' AND verb = '{verb}' AND class <> 'answered'");
            let class = self::classes(&store, &which).concat();
            let log = told.iter().find(is_it).unwrap_or_else(|| panic!("{}: {log}", case.name)).clone();
            Said { class, log }
        };
        cases.iter().zip(&stays).map(of).collect()
    }
}

/// In the order of the calls.
fn classes(store: &Connection, which: &str) -> Vec<String> {
    let sql = format!("SELECT class FROM adapter_call WHERE {which} ORDER BY at");
    let mut asked = store.prepare(&sql).unwrap();
    asked.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

impl Stay {
    fn of(nth: usize) -> Self {
        let digits = format!("37132319530412{nth:03}");
        let whole = "0123456789X".chars().map(|last| format!("{digits}{last}"));
        let person = whole.into_iter().find(|number| number.parse::<IdNumber>().is_ok()).unwrap();
        let sent = Sent {
            kind: "json".to_owned(),
            id: format!("N{nth}-m"),
            hospital: Some(HOSPITAL.to_owned()),
            who: Some("zhang".to_owned()),
            card: Some(person.clone()),
            mrn: Some(format!("M-{nth}")),
            visit: format!("N{nth}"),
            admitted: Some("2020-06-24".to_owned()),
            discharged: Some("2020-07-02".to_owned()),
            lines: vec!["1 CG SUR09 10000.00".to_owned(), "2 CG DRU05 4000.00".to_owned()],
            ..Sent::default()
        };
        Self { person, sent }
    }
}

fn at(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// Key, people and catalogue.
fn registers(folder: &TempDir, stays: &[Stay]) {
    let entered = |stay: &Stay| {
        ["category,entitled_out_of_poverty", "cover,supplementary"]
            .map(|entry| format!("{},张桂兰,371302,{entry},2020-01-01,2020-12-31\n", stay.person))
            .concat()
    };
    let entered: String = stays.iter().map(entered).collect();
    let sample = std::fs::read_to_string(project("tests/samples/roster.csv")).unwrap();
    std::fs::write(folder.path().join("roster.csv"), sample + &entered).unwrap();
    let catalogue = project("tests/samples/catalogue.csv").display().to_string();
    let (store, roster) = (at(folder, "yizhan.db"), at(folder, "roster.csv"));
    run(["key", "new", &at(folder, "yizhan.key")]);
    run(["roster", "import", &roster, "--mode", "delta", "--store", &store]);
    run(["catalogue", "import", &catalogue, "--store", &store]);
}

fn configuration(folder: &TempDir, payer: SocketAddr) {
    let (hospitals, adapters) = (folder.path().join("hospitals"), folder.path().join("adapters.d"));
    for made in [&hospitals, &adapters] {
        std::fs::create_dir(made).unwrap();
    }
    let sample = format!("{HOSPITAL}.toml");
    std::fs::copy(project("tests/samples/hospitals").join(&sample), hospitals.join(&sample)).unwrap();
    let adapter = format!(
        "name = \"{ADAPTER}\"\nmode = \"primary\"\notherwise = \"rules\"\nurl = \"http://{payer}\"\n\
         attestation = \"{ADAPTER}.json\"\n[budget]\ncalls_min = 1000\n"
    );
    std::fs::write(adapters.join(format!("{ADAPTER}.toml")), adapter).unwrap();
    let bureau = Bureau::open();
    let says = Says { adapter: ADAPTER.to_owned(), version: VERSION.to_owned(), ..Says::default() };
    bureau.attests(&adapters.join(format!("{ADAPTER}.json")), &says);
    let by_rules = BY_RULES.map(|payer| format!("{payer} = \"rules\"\n")).concat();
    let trusted: String =
        bureau.trusted().attestation_keys.iter().map(|(name, key)| format!("{name} = \"{key}\"\n")).collect();
    let text = format!(
        "store = \"yizhan.db\"\nkey_file = \"yizhan.key\"\nhospitals = \"hospitals\"\nadapters = \"adapters.d\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[mllp]\nlisten = \"127.0.0.1:0\"\n[payers]\n{by_rules}\
         {SERVES} = \"{ADAPTER}\"\n[trust.attestation_keys]\n{trusted}"
    );
    std::fs::write(folder.path().join("yizhan.toml"), text).unwrap();
}
