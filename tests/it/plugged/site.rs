//! The processes of one test, set up as an operator does: certificates, registers, configuration, a folder of adapters.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use yizhan::intake::mllp::client::Sender;
use yizhan::runtime::{Clock as _, SystemClock};
use yizhan_contract::Money;
use yizhan_contract::protocol::Statement;
use yizhan_contract::stay::civil_date;
use yizhan_kit::simulate::Magic;

use super::until;
use crate::authority::Authority;
use crate::gateway::Sent;
use crate::http::client::{Ask, Reply};
use crate::process::{Process, run, yizhan};
use crate::project;
use crate::registry::bureau::{Bureau, Says};

/// In the order of an illness.
pub(super) const PAYERS: [&str; 5] =
    ["basic", "critical_illness", "medical_assistance", "provider_waiver", "supplementary"];
/// Where payers of accidents alone are left to the rules.
const BY_RULES: [&str; 2] = ["disaster", "accident"];
/// The sample hospital of the third level: what its stays cost leaves something for every payer.
const HOSPITAL: &str = "H37130001";
/// On no sample roster, but on this one.
const STRANGER: &str = "371323195001010015";
const TOKEN: &str = "demo-linyi";

/// One stay, as its hospital tells of it.
pub(super) struct Stay(Sent);

impl Stay {
    pub(super) fn of(who: &str, kind: &str, visit: &str) -> Self {
        Self(Sent {
            kind: kind.to_owned(),
            id: format!("{visit}-m"),
            hospital: Some(HOSPITAL.to_owned()),
            who: Some(who.to_owned()),
            visit: visit.to_owned(),
            admitted: Some("2020-06-24".to_owned()),
            discharged: Some("2020-07-02".to_owned()),
            lines: vec!["1 CG SUR09 10000.00".to_owned(), "2 CG DRU05 4000.00".to_owned()],
            ..Sent::default()
        })
    }

    /// Of a person whose number decides what payers do.
    pub(super) fn of_magic(magic: Magic, visit: &str) -> Self {
        let Self(sent) = Self::of("zhang", "json", visit);
        let card = Some(magic.number().as_str().to_owned());
        Self(Sent { card, mrn: Some(format!("M-{visit}")), region: Some("371302".to_owned()), ..sent })
    }
}

struct Payer {
    process: Process,
    address: SocketAddr,
}

pub(super) struct Site {
    folder: TempDir,
    authority: Authority,
    payers: BTreeMap<&'static str, Payer>,
    takes_ms: u16,
    gateway: Process,
    http: SocketAddr,
    mllp: SocketAddr,
}

impl Site {
    /// The payer that tests kill takes so long for each answer.
    pub(super) async fn open(takes_ms: u16) -> Self {
        tokio::task::spawn_blocking(move || Self::set_up(takes_ms)).await.unwrap()
    }

    fn set_up(takes_ms: u16) -> Self {
        let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
        authority.own_file();
        authority.issued("localhost");
        authority.issued("gateway");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let begun = |payer| (payer, Payer::begin(&folder, &authority, payer, any, takes_of(payer, takes_ms)));
        let payers = PAYERS.map(begun).into();
        registers(&folder);
        configuration(&folder, &authority, &payers);
        let (gateway, http, mllp) = serve(&folder);
        Self { folder, authority, payers, takes_ms, gateway, http, mllp }
    }

    pub(super) fn kill(&mut self, payer: &str) {
        self.payers.get_mut(payer).unwrap().process.kill();
    }

    /// At the address it had, with the book it had.
    pub(super) async fn restart(&mut self, payer: &'static str) {
        let address = self.payers[payer].address;
        let takes_ms = takes_of(payer, self.takes_ms);
        let begun = Payer::begin(&self.folder, &self.authority, payer, address, takes_ms);
        self.payers.insert(payer, begun);
    }

    pub(super) fn kill_gateway(&mut self) {
        self.gateway.kill();
    }

    pub(super) async fn restart_gateway(&mut self) {
        (self.gateway, self.http, self.mllp) = serve(&self.folder);
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        Ask::get(path).token(TOKEN).send(self.http).await
    }

    /// Sends the stay, which may have been sent before, and waits so long for its bill.
    pub(super) async fn ask(&self, stay: &Stay, wait_s: u32) -> Reply {
        let ask = Ask::post("/v1/discharges", stay.0.bytes().0).token(TOKEN);
        ask.with("prefer", &format!("wait={wait_s}")).send(self.http).await
    }

    pub(super) async fn post(&self, stay: &Stay) -> Value {
        let reply = self.ask(stay, 60).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// Its bill once it is settled, however often that has to be asked.
    pub(super) async fn settled(&self, stay: &Stay) -> Value {
        until("it is settled", async || {
            let reply = self.ask(stay, 10).await;
            (reply.status == 200).then(|| reply.json()).filter(|bill| bill["state"] == "settled")
        })
        .await
    }

    /// A payer was asked in vain: nobody drives the stay for now.
    pub(super) async fn is_left_waiting(&self, stay: &Stay) {
        until("it is left waiting", async || {
            let reply = self.ask(stay, 10).await;
            (reply.status == 200 && reply.json()["state"] == "settling").then_some(())
        })
        .await;
    }

    /// Its charges and its discharge over MLLP, until the acknowledgement shows that it is settled; then the bill itself.
    pub(super) async fn hl7(&self, stay: &Stay) -> Value {
        let mut sender = Sender::connect(&self.mllp.to_string()).await.unwrap();
        let (id, kind) = (format!("{}-p03", stay.0.visit), "DFT^P03".to_owned());
        let charges = Sent { kind, id: id.clone(), discharged: None, ..stay.0.clone() };
        assert_eq!(sender.send(&charges.bytes().0, &id).await.unwrap().code, "AA");
        let bytes = Sent { lines: Vec::new(), ..stay.0.clone() }.bytes().0;
        let id = until("settled over MLLP", async || {
            let said = sender.send(&bytes, &stay.0.id).await.unwrap();
            assert_eq!(said.code, "AA", "{}", String::from_utf8_lossy(&said.bytes));
            settlement_of(&String::from_utf8_lossy(&said.bytes))
        })
        .await;
        self.get(&format!("/v1/settlements/{id}")).await.json()
    }

    pub(super) async fn reverse(&self, bill: &Value, wait_s: u32) -> Reply {
        let path = format!("/v1/settlements/{}/reversal", bill["settlement_id"].as_str().unwrap());
        let ask = Ask::post(&path, json!({"reason": "test"}).to_string()).token(TOKEN);
        ask.with("prefer", &format!("wait={wait_s}")).send(self.http).await
    }

    pub(super) async fn reversed(&self, bill: &Value, wait_s: u32) -> Value {
        let reply = self.reverse(bill, wait_s).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// A payer's own book of today, as it tells it to the gateway.
    async fn statement(&self, payer: &str) -> Statement {
        let day = civil_date(SystemClock.now());
        let ask = Ask::get(&format!("/v1/statement?day={day}"));
        let stream = TcpStream::connect(self.payers[payer].address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.authority.client(true, &[]).connect(name, stream).await.unwrap();
        let reply = ask.over(stream).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        serde_json::from_slice(&reply.body).unwrap()
    }

    async fn lines(&self, payer: &str) -> usize {
        self.statement(payer).await.lines.len()
    }

    pub(super) async fn all_have_booked(&self, lines: usize) {
        self.others_have_booked("", lines).await;
    }

    /// All but one have so many lines in their books.
    pub(super) async fn others_have_booked(&self, but: &str, lines: usize) {
        for payer in PAYERS.into_iter().filter(|payer| *payer != but) {
            let booked = async || (self.lines(payer).await == lines).then_some(());
            until(&format!("{payer} has booked {lines}"), booked).await;
        }
    }
}

impl Site {
    /// Each payer's own book, the bills that stand and the ledger say the same of it, and nothing else is in them.
    pub(super) async fn agrees(&self, standing: &[&Value]) {
        let store = ["--store".to_owned(), self.path("yizhan.db")];
        run(["ledger".to_owned(), "check".to_owned()].iter().chain(&store));
        let day = civil_date(SystemClock.now()).to_string();
        let report = ["report", "--json", "--day", &day].map(str::to_owned);
        let report = run(report.iter().chain(&store));
        for payer in PAYERS {
            let lines = self.statement(payer).await.lines;
            let billed = standing.iter().map(|bill| line_of(bill, payer));
            let mut sum = Money::ZERO;
            for (paid, reference) in billed {
                sum += paid;
                let line = lines.iter().find(|line| line.reference == reference);
                assert_eq!(line.map(|line| line.amount), Some(paid), "{payer}: {reference} in {lines:?}");
            }
            let booked: Money = lines.iter().map(|line| line.amount).sum();
            assert_eq!((booked, in_report(&report, payer)), (sum, sum), "{payer}: {lines:?}\n{report}");
        }
    }

    fn path(&self, name: &str) -> String {
        at(&self.folder, name)
    }
}

fn at(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// What a bill says that a payer paid, under which of the payer's references.
fn line_of<'b>(bill: &'b Value, payer: &str) -> (Money, &'b str) {
    let mut lines = bill["payers"].as_array().unwrap().iter();
    let line = lines.find(|line| line["payer"] == payer).unwrap();
    (line["paid"].as_str().unwrap().parse().unwrap(), line["payer_reference"].as_str().unwrap())
}

/// What the day's postings come to for a payer: what was settled less what was taken back.
fn in_report(report: &str, payer: &str) -> Money {
    let lines = report.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_payer = lines.filter(|line| line["payer"] == payer);
    of_payer
        .map(|line| {
            let paid: Money = line["paid"].as_str().unwrap().parse().unwrap();
            if line["state"] == "reversed" { -paid } else { paid }
        })
        .sum()
}

/// The settlement's id, where the patient's segment of an acknowledgement says that it is settled.
fn settlement_of(acknowledgement: &str) -> Option<String> {
    let mut segments = acknowledgement.split('\r').map(|segment| segment.split('|').collect::<Vec<_>>());
    let patient = segments.find(|fields| fields[0] == "ZBL" && fields.get(2) == Some(&"patient"))?;
    (patient.get(5) == Some(&"settled")).then(|| patient[6].to_owned())
}

fn takes_of(payer: &str, takes_ms: u16) -> u16 {
    if payer == super::KILLED { takes_ms } else { 0 }
}

impl Payer {
    fn begin(
        folder: &TempDir,
        authority: &Authority,
        payer: &str,
        at_address: SocketAddr,
        takes_ms: u16,
    ) -> Self {
        let file = |name: &str| authority.written_at(name).display().to_string();
        let [certificate, key, ca] = ["localhost.pem", "localhost-key.pem", "ca.pem"].map(file);
        let (listen, takes_ms) = (at_address.to_string(), takes_ms.to_string());
        let book = at(folder, &format!("{payer}.book"));
        let words =
            ["simulate", "payer", "--payer", payer, "--required", "--listen", &listen, "--book", &book];
        let tls = ["--certificate", &certificate, "--key", &key, "--client-ca", &ca, "--takes-ms", &takes_ms];
        let process = Process::start(yizhan(words.iter().chain(&tls)));
        let address = process.says("https://").parse().unwrap();
        Self { process, address }
    }
}

/// Key, people and catalogue.
fn registers(folder: &TempDir) {
    let magic = [Magic::TimesOut, Magic::LosesStatus].map(|magic| magic.number().as_str());
    let entered = |number: &str| {
        ["category,entitled_out_of_poverty", "cover,supplementary"]
            .map(|entry| format!("{number},张桂兰,371302,{entry},2020-01-01,2020-12-31\n"))
            .concat()
    };
    let entered: String = magic.into_iter().chain([STRANGER]).map(entered).collect();
    let sample = std::fs::read_to_string(project("tests/samples/roster.csv")).unwrap();
    std::fs::write(folder.path().join("roster.csv"), sample + &entered).unwrap();
    let catalogue = project("tests/samples/catalogue.csv").display().to_string();
    let (store, roster) = (at(folder, "yizhan.db"), at(folder, "roster.csv"));
    run(["key", "new", &at(folder, "yizhan.key")]);
    run(["roster", "import", &roster, "--mode", "delta", "--store", &store]);
    run(["catalogue", "import", &catalogue, "--store", &store]);
}

fn configuration(folder: &TempDir, authority: &Authority, payers: &BTreeMap<&'static str, Payer>) {
    let made = |name: &str| {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        folder.path().join(name)
    };
    let (hospitals, adapters) = (made("hospitals"), made("adapters.d"));
    let sample = format!("{HOSPITAL}.toml");
    std::fs::copy(project("tests/samples/hospitals").join(&sample), hospitals.join(&sample)).unwrap();
    let bureau = Bureau::open();
    for (payer, Payer { address, .. }) in payers {
        std::fs::write(adapters.join(format!("{payer}.toml")), adapter(authority, payer, address.port()))
            .unwrap();
        let says = Says { serves: vec![(*payer).to_owned()], ..Says::default() };
        bureau.attests(&adapters.join(format!("{payer}.json")), &says);
    }
    let given = PAYERS.map(|payer| format!("{payer} = \"{payer}\"\n")).concat();
    let by_rules = BY_RULES.map(|payer| format!("{payer} = \"rules\"\n")).concat();
    let trusted: String =
        bureau.trusted().attestation_keys.iter().map(|(name, key)| format!("{name} = \"{key}\"\n")).collect();
    let text = format!(
        "store = \"yizhan.db\"\nkey_file = \"yizhan.key\"\nhospitals = \"hospitals\"\nadapters = \"adapters.d\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[mllp]\nlisten = \"127.0.0.1:0\"\n[payers]\n{given}{by_rules}\
         [trust.attestation_keys]\n{trusted}"
    );
    std::fs::write(folder.path().join("yizhan.toml"), text).unwrap();
}

fn adapter(authority: &Authority, payer: &str, port: u16) -> String {
    let file = |name: &str| authority.written_at(name).display().to_string();
    let [ca, certificate, key] = ["ca.pem", "gateway.pem", "gateway-key.pem"].map(file);
    format!(
        "name = \"{payer}\"\nmode = \"primary\"\notherwise = \"rules\"\nurl = \"https://localhost:{port}\"\n\
         ca = \"{ca}\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nattestation = \"{payer}.json\"\n"
    )
}

/// The gateway, and where it takes messages in over HTTP and over MLLP.
fn serve(folder: &TempDir) -> (Process, SocketAddr, SocketAddr) {
    let process = Process::start(yizhan(["serve", "--config", &at(folder, "yizhan.toml")]));
    let mllp = process.says("listening for mllp on ").parse().unwrap();
    let http = process.says("listening for http on ").parse().unwrap();
    (process, http, mllp)
}
