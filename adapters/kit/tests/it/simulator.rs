//! The simulated payer: `tests/cases/simulator.toml` through one door, and what only happens side by side.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use yizhan_contract::payer::{
    Coverage, CoverageQuestion, Memo, Person, Quote, QuoteAnswer, Status, VisitEvent, Visited,
};
use yizhan_contract::protocol::{
    CommitRequest, CoverageRequest, Head, QuoteRequest, ReverseRequest, StatusRequest, VisitRequest,
};
use yizhan_contract::stay::civil_date;
use yizhan_contract::{IdNumber, Money, PayerCode, Personal};
use yizhan_kit::service::Verbs as _;
use yizhan_kit::simulate::{Magic, SimulateError, Simulated, Simulator};

use crate::said;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// It quotes no stay that it was not told of.
    #[serde(default)]
    sees_visits: bool,
    steps: Vec<String>,
}

/// One payer, what it quoted by the names the steps give, and the time it is.
struct Played {
    simulator: Simulator,
    /// Of each stay that was told of, what is to be handed back.
    memos: HashMap<String, Memo>,
    quotes: HashMap<String, Quote>,
    commits: HashMap<String, Vec<(PayerCode, Money)>>,
    at: Timestamp,
}

fn supplementary() -> PayerCode {
    "supplementary".parse().unwrap()
}

fn simulator(book: &Path, sees_visits: bool) -> Simulator {
    let simulated = Simulated::by_default(vec![supplementary()]).unwrap();
    Simulator::open(Simulated { sees_visits, ..simulated }, book).unwrap()
}

/// A magic name, or a number itself.
fn number(person: &str) -> IdNumber {
    let magic: Result<Magic, _> = serde_json::from_value(json!(person));
    magic.map_or_else(|_| person.parse().unwrap(), |magic| magic.number().clone())
}

/// The example of the protocol's description, for another person.
fn quote_request(person: &str, stay: &str, most: &str, head: Head) -> QuoteRequest {
    let openapi: Value =
        serde_json::from_str(include_str!("../../../../schemas/adapter.openapi.json")).unwrap();
    let content = &openapi["paths"]["/v1/quote"]["post"]["requestBody"]["content"]["application/json"];
    let mut request = content["examples"]["request"]["value"].clone();
    let ask = &mut request["ask"];
    ask["stay"] = json!(stay);
    ask["person"]["id_number"] = json!(number(person).as_str());
    ask["claim"]["insured_region"] = json!("999900");
    ask["claim"]["roster"] = json!({
        "region": "999900",
        "entitlements": [{"kind": "cover", "code": "supplementary", "from": "2020-01-01", "to": null}],
    });
    ask["paid_before"] = json!([{"payer": "basic", "amount": "8560.00"}]);
    ask["legs"] = json!([{
        "payer": "supplementary", "base": "2440.00", "in_scope_left": "2440.00", "out_of_scope_left": "1000.00",
        "pay_at_most": most,
    }]);
    let mut request: QuoteRequest = serde_json::from_value(request).unwrap();
    request.head = head;
    request
}

impl Played {
    fn open(book: &Path, sees_visits: bool) -> Self {
        Self {
            simulator: simulator(book, sees_visits),
            memos: HashMap::new(),
            quotes: HashMap::new(),
            commits: HashMap::new(),
            at: "2020-07-02T02:00:00Z".parse().unwrap(),
        }
    }

    fn head(&self) -> Head {
        Head::until(self.at + SignedDuration::from_secs(10))
    }

    async fn quote(&mut self, stay: &str, person: &str, most: &str) -> String {
        let mut request = quote_request(person, stay, most, self.head());
        request.ask.memo = self.memos.get(stay).cloned().unwrap_or_default();
        match self.simulator.quote(&request, self.at).await.unwrap() {
            QuoteAnswer::Quote(quote) => {
                let told = quote.amounts[0].amount.to_string();
                self.quotes.insert(stay.to_owned(), quote);
                told
            }
            QuoteAnswer::NotCovered => "not_covered".to_owned(),
            QuoteAnswer::Refused { code, .. } => format!("refused {code}"),
            QuoteAnswer::NotReady { what } => format!("not_ready: {}", what.split(" | ").last().unwrap()),
            other => format!("{other:?}"),
        }
    }

    /// Tells of a stay; `again`: with the memo of nobody, as after an answer that was lost.
    async fn tell(&mut self, kind: &str, stay: &str, again: bool) -> String {
        let ask = quote_request("covered", stay, "0.00", self.head()).ask;
        let is_over = kind == "discharged";
        let event = VisitEvent {
            kind: serde_json::from_value(json!(kind)).unwrap(),
            stay: ask.stay,
            hospital: ask.hospital,
            visit_number: None,
            person: ask.person,
            admitted: ask.claim.admitted,
            discharged: is_over.then_some(ask.claim.discharged),
            diagnoses: Vec::new(),
            lines: Vec::new(),
        };
        let memo = self.memos.get(stay).filter(|_| !again).cloned().unwrap_or_default();
        let request = VisitRequest { head: self.head(), event, memo };
        match self.simulator.visit(&request, self.at).await.unwrap() {
            Visited::Noted { memo } => {
                let told = format!("noted {}", String::from_utf8_lossy(&memo.0)).trim_end().to_owned();
                self.memos.insert(stay.to_owned(), memo);
                told
            }
            Visited::Unavailable(why) | Visited::NotSent(why) => {
                format!("unavailable: {}", why.why.split(" | ").last().unwrap())
            }
        }
    }

    fn commit_request(&self, id: &str, quote: &str, amount: Option<&str>) -> CommitRequest {
        let quoted = self.quotes.get(quote);
        let amounts = match amount {
            Some(amount) => vec![(supplementary(), amount.parse().unwrap())],
            None => quoted.unwrap().amounts.iter().map(|part| (part.payer.clone(), part.amount)).collect(),
        };
        CommitRequest {
            head: self.head(),
            operation_id: id.into(),
            stay: quote.into(),
            quote_id: Some(quoted.map_or("none", |quoted| &quoted.id).to_owned()),
            amounts,
        }
    }

    async fn commit(&mut self, id: &str, quote: &str, amount: Option<&str>) -> String {
        let request = self.commit_request(id, quote, amount);
        self.commits.insert(id.to_owned(), request.amounts.clone());
        said::performed(self.simulator.commit(&request, self.at).await)
    }

    async fn reverse(&self, id: &str, original: &str) -> String {
        let request = ReverseRequest {
            head: self.head(),
            operation_id: id.into(),
            original_operation_id: original.into(),
            stay: "q".into(),
            amounts: self.commits.get(original).cloned().unwrap_or_default(),
        };
        said::performed(self.simulator.reverse(&request, self.at).await)
    }

    async fn coverage(&self, person: &str) -> String {
        let person = Person { id_number: Some(Personal::new(number(person))), ..Person::default() };
        let question = CoverageQuestion { person, payers: vec![supplementary()], on: civil_date(self.at) };
        let request = CoverageRequest { head: self.head(), question };
        match self.simulator.coverage(&request, self.at).await.unwrap() {
            Coverage::Covers { covers } if covers[0].in_force => "in_force".to_owned(),
            Coverage::Covers { .. } => "not_in_force".to_owned(),
            Coverage::UnknownPerson => "unknown_person".to_owned(),
            other => format!("{other:?}"),
        }
    }

    async fn status(&self, id: &str) -> String {
        let request = StatusRequest { head: self.head(), operation_id: id.into() };
        match self.simulator.status(&request, self.at).await {
            Ok(Status::Unavailable(_)) => "unavailable".to_owned(),
            status => said::status(status),
        }
    }

    async fn book(&self) -> String {
        let page = self.simulator.statement(civil_date(self.at), None, self.at).await.unwrap();
        let line =
            |line: &yizhan_contract::payer::StatementLine| format!("{} {}", line.operation_id, line.amount);
        page.lines.iter().map(line).collect::<Vec<_>>().join(", ")
    }

    async fn play(&mut self, asked: &[&str]) -> String {
        match asked {
            ["quote", stay, person] => self.quote(stay, person, "100000.00").await,
            ["quote", stay, person, most] => self.quote(stay, person, most).await,
            ["commit", id, quote] => self.commit(id, quote, None).await,
            ["pay", id, quote, amount] => self.commit(id, quote, Some(amount)).await,
            ["reverse", id, original] => self.reverse(id, original).await,
            [kind @ ("admitted" | "charged" | "discharged" | "cancelled"), stay] => {
                self.tell(kind, stay, false).await
            }
            [kind, stay, "again"] => self.tell(kind, stay, true).await,
            // As if its last answer had never come.
            ["forget", stay] => {
                self.memos.remove(*stay);
                String::new()
            }
            ["coverage", person] => self.coverage(person).await,
            ["status", id] => self.status(id).await,
            ["book"] => self.book().await,
            other => panic!("{other:?} is no step"),
        }
    }
}

async fn check(case: &Case, book: &Path) {
    let mut played = Played::open(book, case.sees_visits);
    for step in &case.steps {
        if step == "restart" {
            let Played { simulator, memos, quotes, commits, at } = played;
            drop(simulator);
            played = Played { memos, quotes, commits, at, ..Played::open(book, case.sees_visits) };
        } else if let Some(minutes) = step.strip_prefix("later ") {
            played.at += SignedDuration::from_mins(minutes.parse().unwrap());
        } else {
            let (asked, expected) = step.split_once("->").unwrap();
            let asked: Vec<_> = asked.split_whitespace().collect();
            assert_eq!(played.play(&asked).await, expected.trim(), "{}: {step}", case.name);
        }
    }
}

/// Waits are the clock's of the test: nobody waits.
#[tokio::test(start_paused = true)]
async fn it_answers_as_its_numbers_say() {
    let cases: Cases = toml::from_str(include_str!("../cases/simulator.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (number, case) in cases.case.iter().enumerate() {
        check(case, &folder.path().join(format!("{number}.book"))).await;
    }
}

#[tokio::test]
async fn commits_side_by_side_never_pass_a_cap() {
    let folder = tempfile::tempdir().unwrap();
    let mut played = Played::open(&folder.path().join("book"), false);
    for number in 0..20 {
        assert_eq!(played.quote(&format!("q{number}"), "capped", "300.00").await, "300.00");
    }
    let played = Arc::new(played);
    let commit = |number: usize| {
        let played = Arc::clone(&played);
        tokio::spawn(async move {
            let request = played.commit_request(&format!("op{number}"), &format!("q{number}"), None);
            said::performed(played.simulator.commit(&request, played.at).await)
        })
    };
    let mut done = 0;
    for commit in (0..20).map(commit).collect::<Vec<_>>() {
        match commit.await.unwrap().as_str() {
            "done 300.00" => done += 1,
            other => assert_eq!(other, "refused cap_reached"),
        }
    }
    assert_eq!(done, 3, "1000.00 is three times 300.00 and a rest");
    let mut played = Arc::into_inner(played).unwrap();
    assert_eq!(played.quote("rest", "capped", "300.00").await, "100.00");
}

#[test]
fn a_payer_that_no_policy_has_is_not_simulated() {
    let folder = tempfile::tempdir().unwrap();
    let simulated = Simulated::by_default(vec!["pension".parse().unwrap()]).unwrap();
    let why = Simulator::open(simulated, &folder.path().join("book")).unwrap_err();
    assert!(matches!(why, SimulateError::NoSuchPayer(_)), "{why}");
    let none = Simulated::by_default(Vec::new()).unwrap();
    assert!(matches!(Simulator::open(none, &folder.path().join("book")), Err(SimulateError::NoPayer)));
}
