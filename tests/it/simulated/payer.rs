//! The simulated payer over mutual TLS, asked as the gateway asks: `tests/cases/simulated_payer.toml` through one door.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use yizhan::runtime::{self, Clock as _, SystemClock};
use yizhan_contract::payer::{
    Ask, Memo, Operation, OperationKind, Payer as _, Performed, Prepared, Quote, QuoteAnswer, Status,
    VisitEvent, VisitEventKind, Visited,
};
use yizhan_contract::stay::civil_date;
use yizhan_contract::{Money, PayerCode};
use yizhan_kit::simulate::Magic;
use yizhan_remote::{Connection, Host, Journal, Remote, Target, TlsFiles};

use crate::certs::Certificates;
use crate::process::{Process, yizhan};

/// For an answer that comes, in milliseconds.
const PATIENCE_MS: i64 = 30_000;
/// Cases at a time: some are about answers that are waited for in vain.
const AT_ONCE: usize = 4;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Further arguments.
    #[serde(default)]
    run: String,
    /// Whose number asks; a magic name, or a number itself.
    person: String,
    region: String,
    steps: Vec<String>,
}

struct ThisMachine(Instant);

impl Host for ThisMachine {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn steady(&self) -> Duration {
        self.0.elapsed()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        runtime::fill_random(bytes);
    }
}

fn within(milliseconds: i64) -> Timestamp {
    SystemClock.now().saturating_add(SignedDuration::from_millis(milliseconds)).unwrap()
}

/// The gateway's client of a service, showing a certificate of `shows`.
async fn remote(url: &str, trusts: &Certificates, shows: &Certificates) -> Result<Remote, String> {
    let host: Arc<dyn Host> = Arc::new(ThisMachine(runtime::steady()));
    let (journal, _) = Journal::new(&*host);
    let (certificate, key) = (Some(shows.at("gateway.pem")), Some(shows.at("gateway-key.pem")));
    let tls = Some(TlsFiles { ca: trusts.at("ca.pem"), certificate, key });
    let target = Target { adapter: "acme".into(), base_url: url.to_owned(), tls };
    Remote::connect(&Connection { target, host, journal }, within(PATIENCE_MS))
        .await
        .map_err(|why| why.to_string())
}

fn ask(case: &Case, stay: &str) -> Ask {
    let page: Value = serde_json::from_str(include_str!("../../../schemas/adapter.openapi.json")).unwrap();
    let content = &page["paths"]["/v1/quote"]["post"]["requestBody"]["content"]["application/json"];
    let mut ask = content["examples"]["request"]["value"]["ask"].clone();
    let magic: Result<Magic, _> = serde_json::from_value(json!(case.person));
    let number = magic.map_or_else(|_| case.person.clone(), |magic| magic.number().as_str().to_owned());
    ask["stay"] = json!(stay);
    ask["person"]["id_number"] = json!(number);
    ask["paid_before"] = json!([{"payer": "basic", "amount": "5000.00"}]);
    ask["legs"] = json!([{
        "payer": "supplementary", "base": "6000.00", "in_scope_left": "6000.00", "out_of_scope_left": "1000.00",
        "pay_at_most": "6000.00",
    }]);
    ask["claim"]["insured_region"] = json!(case.region);
    ask["claim"]["roster"] = json!({
        "region": case.region,
        "entitlements": [
            {"kind": "category", "code": "entitled_out_of_poverty", "from": "2020-01-01", "to": null},
            {"kind": "cover", "code": "supplementary", "from": "2020-01-01", "to": null},
        ],
    });
    serde_json::from_value(ask).unwrap()
}

/// A service, its book, and what was asked of it so far.
struct Played<'c> {
    case: &'c Case,
    certificates: &'c Certificates,
    folder: TempDir,
    running: Option<Process>,
    /// Where it serves.
    url: String,
    remote: Remote,
    /// Of each stay it was told of, what it wants to have back.
    memos: HashMap<String, Memo>,
    quotes: HashMap<String, Quote>,
    sent: HashMap<String, (Operation, Prepared)>,
}

impl<'c> Played<'c> {
    async fn begin(case: &'c Case, certificates: &'c Certificates) -> Self {
        let folder = TempDir::new().unwrap();
        let (running, url, remote) = Self::started(case, certificates, &folder).await;
        let (memos, quotes, sent) = Default::default();
        Self { case, certificates, folder, running: Some(running), url, remote, memos, quotes, sent }
    }

    async fn started(
        case: &Case,
        certificates: &Certificates,
        folder: &TempDir,
    ) -> (Process, String, Remote) {
        let book = folder.path().join("payer.book");
        let files = ["payer-supplementary.pem", "payer-supplementary-key.pem", "ca.pem"];
        let [certificate, key, ca] = files.map(|name| certificates.text(name));
        let mut arguments = vec!["simulate", "payer", "--payer", "supplementary", "--listen", "127.0.0.1:0"];
        arguments.extend(["--book", book.to_str().unwrap()]);
        arguments.extend(["--certificate", &certificate, "--key", &key, "--client-ca", &ca]);
        arguments.extend(case.run.split_whitespace());
        let running = Process::start(yizhan(arguments));
        let url = format!("https://{}", running.says("https://"));
        let remote = remote(&url, certificates, certificates).await.unwrap();
        (running, url, remote)
    }

    async fn kill(&mut self) {
        self.running.take().unwrap().kill();
        let (running, url, remote) = Self::started(self.case, self.certificates, &self.folder).await;
        (self.running, self.url, self.remote) = (Some(running), url, remote);
    }

    /// Tells of the stay as a gateway does before it asks.
    async fn tell(&mut self, stay: &str) -> String {
        let Ask { stay: id, hospital, visit_number, person, claim, .. } = ask(self.case, stay);
        let admitted = VisitEvent {
            kind: VisitEventKind::Admitted,
            stay: id,
            hospital,
            visit_number,
            person,
            admitted: claim.admitted,
            discharged: None,
            diagnoses: Vec::new(),
            lines: Vec::new(),
        };
        let charged = VisitEvent { kind: VisitEventKind::Charged, ..admitted.clone() };
        let discharged = Some(claim.discharged);
        let discharged = VisitEvent { kind: VisitEventKind::Discharged, discharged, ..admitted.clone() };
        let mut kept = Memo::default();
        for event in [admitted, charged, discharged] {
            match self.remote.visit(&event, kept, within(PATIENCE_MS)).await {
                Visited::Noted { memo } => kept = memo,
                Visited::Unavailable(why) | Visited::NotSent(why) => {
                    return format!("unavailable: {}", why.why);
                }
            }
        }
        self.memos.insert(stay.to_owned(), kept);
        "noted".to_owned()
    }

    async fn quote(&mut self, stay: &str) -> String {
        let memo = self.memos.get(stay).cloned().unwrap_or_default();
        let asked = Ask { memo, ..ask(self.case, stay) };
        match self.remote.quote(&asked, within(PATIENCE_MS)).await {
            QuoteAnswer::Quote(quote) => {
                let amount = quote.amounts[0].amount.to_string();
                self.quotes.insert(stay.to_owned(), quote);
                amount
            }
            QuoteAnswer::Refused { code, .. } => format!("refused {code}"),
            QuoteAnswer::NotCovered => "not_covered".to_owned(),
            QuoteAnswer::NotReady { what } => format!("not_ready: {what}"),
            other => format!("{other:?}"),
        }
    }

    async fn perform(&mut self, operation: Operation, milliseconds: i64) -> String {
        let prepared = self.remote.prepare(&operation).unwrap();
        let answer = self.remote.perform(&prepared, within(milliseconds)).await;
        self.sent.insert(operation.id.to_string(), (operation, prepared));
        match answer {
            Performed::Committed { amounts, .. } => format!("done {}", money(&amounts)),
            Performed::Refused { code, .. } => format!("refused {code}"),
            Performed::Unknown { .. } => "unknown".to_owned(),
        }
    }

    async fn commit(&mut self, id: &str, stay: &str, milliseconds: i64) -> String {
        let quote = &self.quotes[stay];
        let operation = Operation {
            id: id.into(),
            stay: stay.into(),
            kind: OperationKind::Commit,
            quote_id: Some(quote.id.clone()),
            kept: quote.kept.clone(),
            amounts: quote.amounts.iter().map(|leg| (leg.payer.clone(), leg.amount)).collect(),
        };
        self.perform(operation, milliseconds).await
    }

    async fn reverse(&mut self, id: &str, original: &str, milliseconds: i64) -> String {
        let (commit, prepared) = self.sent[original].clone();
        let kind = OperationKind::Reverse { original: commit.id.clone(), prepared };
        self.perform(Operation { id: id.into(), kind, ..commit }, milliseconds).await
    }

    async fn status(&self, id: &str) -> String {
        match self.remote.status(&self.sent[id].1, within(PATIENCE_MS)).await {
            Status::Done { amounts, .. } => format!("done {}", money(&amounts)),
            Status::Refused { code } => format!("refused {code}"),
            Status::NotFound => "not_found".to_owned(),
            Status::Unavailable(_) => "unavailable".to_owned(),
            Status::Pending => "pending".to_owned(),
        }
    }

    async fn book(&self) -> String {
        let lines = self.remote.statement(civil_date(SystemClock.now()), within(PATIENCE_MS)).await.unwrap();
        lines
            .iter()
            .map(|line| format!("{} {}", line.operation_id, line.amount))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn manifest(&self) -> String {
        let manifest = self.remote.manifest();
        let payers: Vec<_> = manifest.serves.iter().map(ToString::to_string).collect();
        let per_second = manifest.requests_per_second_max;
        let is_optional = if manifest.optional { "optional" } else { "required" };
        let at_a_time = manifest.concurrency_max;
        let visits = if manifest.sees_visits { " sees visits" } else { "" };
        let p95 = manifest.quote_p95_ms;
        format!("{} {is_optional} {at_a_time} {per_second:?} {p95}{visits}", payers.join("+"))
    }

    async fn play(&mut self, asked: &[&str]) -> String {
        match asked {
            ["describe"] => self.manifest(),
            ["tell", stay] => self.tell(stay).await,
            ["quote", stay] => self.quote(stay).await,
            ["commit", id, stay] => self.commit(id, stay, PATIENCE_MS).await,
            // Whoever sends it waits no longer than this.
            ["commit", id, stay, milliseconds] => self.commit(id, stay, milliseconds.parse().unwrap()).await,
            ["reverse", id, original] => self.reverse(id, original, PATIENCE_MS).await,
            ["reverse", id, original, milliseconds] => {
                self.reverse(id, original, milliseconds.parse().unwrap()).await
            }
            ["status", id] => self.status(id).await,
            ["book"] => self.book().await,
            other => panic!("{other:?} is no step"),
        }
    }
}

fn money(amounts: &[(PayerCode, Money)]) -> String {
    amounts.iter().map(|(_, amount)| amount.to_string()).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_answers_as_its_numbers_say_and_remembers_past_kill_9() {
    let certificates = Certificates::made(&[]);
    let cases: Cases = toml::from_str(include_str!("../../cases/simulated_payer.toml")).unwrap();
    let checks = stream::iter(&cases.case).for_each_concurrent(AT_ONCE, |case| check(case, &certificates));
    checks.await;
}

async fn check(case: &Case, certificates: &Certificates) {
    let mut played = Played::begin(case, certificates).await;
    for step in &case.steps {
        if step == "kill -9, restart" {
            played.kill().await;
            continue;
        }
        let (asked, expected) = step.split_once("->").unwrap();
        let asked: Vec<_> = asked.split_whitespace().collect();
        assert_eq!(played.play(&asked).await, expected.trim(), "{}: {step}", case.name);
    }
    let (said, exit) = played.running.take().unwrap().stop();
    assert_eq!(exit, Some(0), "{}: {said}", case.name);
    for part in ["模拟支付方 supplementary", "simulates supplementary", "已停止 | stopped"] {
        assert!(said.contains(part), "{part:?} is missing from\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_knows_whom_it_serves_and_is_known() {
    let (certificates, strangers) = (Certificates::made(&[]), Certificates::made(&[]));
    let cases: Cases = toml::from_str(include_str!("../../cases/simulated_payer.toml")).unwrap();
    let played = Played::begin(&cases.case[0], &certificates).await;
    let url = played.url.clone();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    for (trusts, shows, is_served) in [
        (&certificates, &certificates, true),
        (&certificates, &strangers, false),
        (&strangers, &certificates, false),
    ] {
        assert_eq!(remote(&url, trusts, shows).await.is_ok(), is_served);
    }
}
