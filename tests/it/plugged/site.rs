//! The processes of one test, set up as an operator does: certificates, registers, configuration, a folder of adapters.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use yizhan::intake::mllp::client::Sender;
use yizhan::runtime::{Clock as _, SystemClock};
use yizhan_contract::Money;
use yizhan_contract::protocol::Statement;
use yizhan_contract::stay::civil_date;
use yizhan_kit::service::Verbs as _;
use yizhan_kit::simulate::{Magic, Simulated, Simulator};

use crate::authority::Authority;
use crate::gateway::Sent;
use crate::http::client::{Ask, Reply};
use crate::installed::{Installed, Serving, TOKEN, stay, until};
use crate::process::{Process, run, yizhan};

/// In the order of an illness.
pub(super) const PAYERS: [&str; 5] =
    ["basic", "critical_illness", "medical_assistance", "provider_waiver", "supplementary"];
/// They quote no stay that they were not told of.
const SEE_VISITS: [&str; 2] = ["basic", super::KILLED];
/// On no sample roster, but on this one.
pub(super) const STRANGERS: [&str; 4] =
    ["371323195001010015", "371323195001010023", "371323195001010031", "37132319500101004X"];

/// One stay, as its hospital tells of it.
pub(super) struct Stay(Sent);

impl Stay {
    pub(super) fn of(who: &str, kind: &str, visit: &str) -> Self {
        Self(stay(who, kind, visit))
    }

    /// Of a person whose number decides what payers do.
    pub(super) fn of_magic(magic: Magic, visit: &str) -> Self {
        Self::of_number(magic.number().as_str(), visit)
    }

    pub(super) fn of_number(number: &str, visit: &str) -> Self {
        let Self(sent) = Self::of("zhang", "json", visit);
        let card = Some(number.to_owned());
        Self(Sent { card, mrn: Some(format!("M-{visit}")), region: Some("371302".to_owned()), ..sent })
    }
}

struct Payer {
    process: Process,
    address: SocketAddr,
}

pub(super) struct Site {
    installed: Installed,
    authority: Authority,
    payers: BTreeMap<&'static str, Payer>,
    takes_ms: u16,
    gateway: Serving,
}

impl Site {
    /// The payer that tests kill takes so long for each answer.
    pub(super) async fn open(takes_ms: u16) -> Self {
        tokio::task::spawn_blocking(move || Self::set_up(takes_ms)).await.unwrap()
    }

    fn set_up(takes_ms: u16) -> Self {
        let magic = [Magic::TimesOut, Magic::LosesStatus, Magic::ReversalTimesOut];
        let magic = magic.map(|magic| magic.number().as_str().to_owned());
        let given = PAYERS.map(|payer| (payer, payer));
        let installed = Installed::new(magic.into_iter().chain(STRANGERS.map(str::to_owned)), &given);
        let authority = Authority::new();
        authority.own_file();
        authority.issued("localhost");
        authority.issued("gateway");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let begun = |payer| {
            let begun = Payer::begin(&installed, &authority, payer, any, takes_of(payer, takes_ms));
            let manifest = simulated(payer, takes_of(payer, takes_ms)).manifest();
            installed.adapter(payer, &keys(&authority, begun.address.port()), &manifest);
            (payer, begun)
        };
        let payers = PAYERS.map(begun).into();
        let gateway = installed.serve();
        Self { installed, authority, payers, takes_ms, gateway }
    }

    pub(super) fn kill(&mut self, payer: &str) {
        self.payers.get_mut(payer).unwrap().process.kill();
    }

    /// It takes in what it is sent and does nothing any more.
    pub(super) fn stands_still(&self, payer: &str) {
        self.payers[payer].process.stands_still();
    }

    /// At the address it had, with the book it had.
    pub(super) async fn restart(&mut self, payer: &'static str) {
        let address = self.payers[payer].address;
        let takes_ms = takes_of(payer, self.takes_ms);
        let begun = Payer::begin(&self.installed, &self.authority, payer, address, takes_ms);
        self.payers.insert(payer, begun);
    }

    /// Lines of today in the book of a payer that was killed, as it left it.
    pub(super) async fn booked_before_its_end(&self, payer: &str) -> usize {
        let simulated = Simulated::by_default(vec![payer.parse().unwrap()]).unwrap();
        // A copy: who opens a book has it, for a moment longer where a process is begun meanwhile.
        let copy = self.installed.path(&format!("{payer}.dead.book"));
        std::fs::copy(self.installed.path(&format!("{payer}.book")), &copy).unwrap();
        let dead = Simulator::open(simulated, &copy).unwrap();
        let now = SystemClock.now();
        dead.statement(civil_date(now), None, now).await.unwrap().lines.len()
    }

    pub(super) fn kill_gateway(&mut self) {
        self.gateway.process.kill();
    }

    pub(super) async fn restart_gateway(&mut self) {
        self.gateway = self.installed.serve();
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        Ask::get(path).token(TOKEN).send(self.gateway.http).await
    }

    pub(super) async fn ask(&self, stay: &Stay, wait_s: u32) -> Reply {
        self.gateway.ask(&stay.0, wait_s).await
    }

    pub(super) async fn settled(&self, stay: &Stay) -> Value {
        self.gateway.settled(&stay.0).await
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
        let mut sender = Sender::connect(&self.gateway.mllp.to_string()).await.unwrap();
        let (id, kind) = (format!("{}-p03", stay.0.visit), "DFT^P03".to_owned());
        let charges = Sent { kind, id: id.clone(), discharged: None, ..stay.0.clone() };
        assert_eq!(sender.send(&charges.bytes().0, &id).await.unwrap().code, "AA");
        let bytes = Sent { lines: Vec::new(), ..stay.0.clone() }.bytes().0;
        let id = until("settled over MLLP", async || {
            // What was not answered in time is sent again, as a hospital does it.
            let Ok(said) = sender.send(&bytes, &stay.0.id).await else {
                sender = Sender::connect(&self.gateway.mllp.to_string()).await.unwrap();
                return None;
            };
            assert_eq!(said.code, "AA", "{}", String::from_utf8_lossy(&said.bytes));
            settlement_of(&String::from_utf8_lossy(&said.bytes))
        })
        .await;
        self.get(&format!("/v1/settlements/{id}")).await.json()
    }

    pub(super) async fn reverse(&self, bill: &Value, wait_s: u32) -> Reply {
        self.gateway.reverse(bill, wait_s).await
    }

    pub(super) async fn reversed(&self, bill: &Value, wait_s: u32) -> Value {
        self.gateway.reversed(bill, wait_s).await
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
        let others = PAYERS.into_iter().filter(|payer| *payer != but);
        join_all(others.map(async |payer| {
            let booked = async || (self.lines(payer).await == lines).then_some(());
            until(&format!("{payer} has booked {lines}"), booked).await;
        }))
        .await;
    }
}

impl Site {
    /// Each payer's own book, the bills that stand and the ledger say the same of it, and nothing else is in them.
    pub(super) async fn agrees(&self, standing: &[Value]) {
        let store = ["--store".to_owned(), self.installed.at("yizhan.db")];
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
        installed: &Installed,
        authority: &Authority,
        payer: &str,
        at_address: SocketAddr,
        takes_ms: u16,
    ) -> Self {
        let file = |name: &str| authority.written_at(name).display().to_string();
        let [certificate, key, ca] = ["localhost.pem", "localhost-key.pem", "ca.pem"].map(file);
        let (listen, takes_ms) = (at_address.to_string(), takes_ms.to_string());
        let book = installed.at(&format!("{payer}.book"));
        let words =
            ["simulate", "payer", "--payer", payer, "--required", "--listen", &listen, "--book", &book];
        let tls = ["--certificate", &certificate, "--key", &key, "--client-ca", &ca, "--takes-ms", &takes_ms];
        let visits = SEE_VISITS.contains(&payer).then_some(&"--sees-visits");
        let process = Process::start(yizhan(words.iter().chain(&tls).chain(visits)));
        let address = process.says("https://").parse().unwrap();
        Self { process, address }
    }
}

/// What such a process simulates.
fn simulated(payer: &str, takes_ms: u16) -> Simulated {
    let by_default = Simulated::by_default(vec![payer.parse().unwrap()]).unwrap();
    let takes = Duration::from_millis(takes_ms.into());
    Simulated { optional: false, sees_visits: SEE_VISITS.contains(&payer), takes, ..by_default }
}

/// Of a payer's file: where it is reached, and by whose certificates.
fn keys(authority: &Authority, port: u16) -> String {
    let file = |name: &str| authority.written_at(name).display().to_string();
    let [ca, certificate, key] = ["ca.pem", "gateway.pem", "gateway-key.pem"].map(file);
    format!(
        "url = \"https://localhost:{port}\"\nca = \"{ca}\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n"
    )
}
