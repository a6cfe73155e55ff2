//! Messages of hospitals through the whole gateway: the cases of `tests/cases/gateway.toml`, over a store in
//! memory and one on disk.

mod advance;
mod answers;
mod asked;
mod books;
mod chains;
mod corpus;
mod delivery;
mod found;
mod heard;
mod house;
mod insurer;
mod no_profile;
mod outside;
mod quotes;
mod random;
mod reserved;
mod sender;
mod stuck;
mod together;
mod told;
mod unpriced;
mod unreadable;
mod visits;
mod who_is_asked;
mod wire;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;
use yizhan::settlement::bill::{Bill, BillState};
use yizhan::settlement::gateway::{Order, Waiting};
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::PersonRef;
use yizhan_contract::{Accumulators, Finding, Personal};
use yizhan_rules::{PolicyShelf, SHIPPED};

use crate::{project, recompute};
pub(crate) use books::audit;
pub(crate) use house::{House, profiles};
pub(crate) use sender::Sent;
pub(crate) use together::runs;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Further lines of the county hospital's profile.
    #[serde(default)]
    profile: String,
    /// Without the agreement of the sample.
    agreements: Option<String>,
    /// A policy beside the shipped ones, such as a county's.
    #[serde(default)]
    policy: String,
    #[serde(default)]
    openings: String,
    step: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// When; absent: ten seconds after the step before.
    at: Option<String>,
    send: Option<Sent>,
    /// A file of `tests/samples`.
    file: Option<String>,
    /// `quote` or `settle`, where the sender asks for it.
    mode: Option<String>,
    /// Name of a settlement, in order of appearance: A, B, …
    commit: Option<String>,
    #[serde(default)]
    expected_share: String,
    reverse: Option<String>,
    read: Option<String>,
    /// Closes the stays whose charges went quiet.
    #[serde(default)]
    quiet: bool,
    /// Orders the stay with this visit number to be tried again, as a person does.
    retry: Option<String>,
    /// What waits for a person, and how much waits to be told.
    #[serde(default)]
    attention: bool,
    /// What the sums of the year are afterwards, by person: `admissions payer:base/paid …`.
    used: Option<[String; 2]>,
    expect: String,
}

/// Settlements by letter, so that a case can speak of them.
#[derive(Default)]
struct Letters(Vec<Uuid>);

impl Letters {
    fn of(&mut self, id: Uuid) -> char {
        let at = self.0.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.0.push(id);
            self.0.len() - 1
        });
        char::from(b'A' + u8::try_from(at).unwrap())
    }

    fn id(&self, letter: &str) -> Uuid {
        self.0[usize::from(letter.as_bytes()[0] - b'A')]
    }
}

fn codes(findings: &[Finding]) -> String {
    let word = |finding: &Finding| serde_json::to_value(finding.code).unwrap().as_str().unwrap().to_owned();
    // Every policy here is a sample.
    let words: Vec<String> = findings.iter().map(word).filter(|word| word != "sample_policy").collect();
    if words.is_empty() { String::new() } else { format!(" ! {}", words.join(" ")) }
}

fn bill(bill: &Bill, letters: &mut Letters) -> String {
    let letter = letters.of(bill.settlement_id);
    let mut text = format!(
        "{} {letter} v{} total {} share {} no {}",
        bill.state.word(),
        bill.version,
        bill.amounts.total,
        bill.patient_share,
        bill.admission_ordinal
    );
    for payer in bill.payers.iter().filter(|payer| !payer.paid.is_zero()) {
        text.push_str(&format!(" {} {}", payer.payer, payer.paid));
    }
    if !bill.deposit.is_zero() {
        text.push_str(&format!(" deposit {}", bill.deposit));
    }
    if let Some(replaces) = bill.replaces {
        text.push_str(&format!(" replaces {}", letters.of(replaces)));
    }
    assert!(bill.check().is_ok(), "{text} does not balance");
    recomputed(bill);
    assert_eq!(bill.valid_until.is_some(), bill.state == BillState::Quoted, "{text}");
    text + &codes(&bill.findings)
}

/// Panics where a figure of the bill does not follow from its JSON.
pub(crate) fn recomputed(bill: &Bill) {
    recompute::check(&serde_json::to_value(bill).unwrap());
}

fn shown(outcome: &Outcome, letters: &mut Letters) -> String {
    match outcome {
        Outcome::Bill(issued) => bill(issued, letters),
        Outcome::Noted(noted) => {
            let waived = if noted.beneficiary.deposit_waived { " deposit_waived" } else { "" };
            let (state, findings) = (noted.state.word(), codes(&noted.findings));
            format!("noted {state} lines {} total {}{waived}{findings}", noted.lines, noted.total)
        }
        Outcome::Refused(refused) => {
            let one = |refusal: &yizhan::refusal::Refusal| {
                let money = serde_json::to_value(refusal.money).unwrap();
                let place = refusal.place.as_deref().unwrap_or("-");
                let differs = refusal.detail.en.split_once("it differs in ").map_or("", |(_, what)| what);
                let text = format!("{} @ {place} money {}", refusal.code.slug(), money.as_str().unwrap());
                if differs.is_empty() { text } else { format!("{text} differs in {differs}") }
            };
            let mut text: Vec<String> = refused.refusals.iter().map(one).collect();
            text.extend(refused.quote.as_ref().map(|quote| bill(quote, letters)));
            format!("refused {}", text.join(" + "))
        }
    }
}

impl Step {
    async fn run(&self, house: &House, letters: &mut Letters) -> String {
        let mode = self.mode.as_deref().map(|mode| match mode {
            "quote" => Mode::Quote,
            "settle" => Mode::Settle,
            other => panic!("no mode {other}"),
        });
        let gateway = house.reception.gateway();
        if self.attention {
            return waiting(house).await;
        }
        let outcomes = match self {
            Self { retry: Some(visit), .. } => {
                let waiting = gateway.attention(100).await.unwrap();
                let one = waiting.iter().find(|one| one.visit_number == *visit).unwrap();
                gateway
                    .order(one.stay_id, Order::Retry { reason: "它恢复了".to_owned() }, "desk 7".to_owned())
                    .await
                    .unwrap();
                vec![]
            }
            Self { send: Some(sent), .. } => {
                let (bytes, format) = sent.bytes();
                vec![house.receive(&bytes, format, mode).await.outcome]
            }
            Self { file: Some(file), .. } => {
                let bytes = std::fs::read(project("tests/samples").join(file)).unwrap();
                let format = yizhan::intake::Format::detect(&bytes).unwrap();
                vec![house.receive(&bytes, format, mode).await.outcome]
            }
            Self { commit: Some(letter), .. } => {
                let id = letters.id(letter);
                vec![gateway.commit(id, self.expected_share.parse().unwrap()).await.outcome]
            }
            Self { reverse: Some(letter), .. } => {
                let id = letters.id(letter);
                vec![gateway.reverse(id, "费用有误".to_owned(), "desk 7".to_owned()).await.outcome]
            }
            Self { read: Some(letter), .. } => {
                let found = gateway.settlement(letters.id(letter)).await.unwrap();
                vec![Outcome::Bill(Box::new(found.unwrap().settlement.bill))]
            }
            Self { quiet: true, .. } => {
                let now = gateway.runtime().now();
                let mut outcomes = Vec::new();
                for pursuit in gateway.due(now, 100).await.unwrap() {
                    outcomes.push(gateway.pursue(pursuit).await);
                }
                outcomes
            }
            _ => vec![],
        };
        let shown: Vec<String> = outcomes.iter().map(|outcome| shown(outcome, letters)).collect();
        shown.join(" & ")
    }
}

async fn waiting(house: &House) -> String {
    let waiting = house.reception.gateway().attention(100).await.unwrap();
    let one = |one: &Waiting| format!("{}: {}: {}", one.visit_number, one.owner.en, one.what.en);
    let told = house.store.outbox_waiting(100).await.unwrap().len();
    let shown: Vec<String> = waiting.iter().map(one).collect();
    format!("{} told {told}", shown.join(" & "))
}

/// A person's sums of a year, as the store has them.
pub(crate) async fn sums(house: &House, who: &str, year: i16) -> Accumulators {
    let people = sender::people();
    let person = match people[who].card {
        "" => PersonRef::Mrn { hospital: "H37132301".into(), mrn: Personal::new(people[who].mrn.to_owned()) },
        card => PersonRef::IdNumber(Personal::new(card.parse().unwrap())),
    };
    let facts = house.store.person(vec![person]).await.unwrap();
    facts.and_then(|facts| facts.years.get(&year).cloned()).unwrap_or_default()
}

async fn used(house: &House, who: &str) -> String {
    let (who, year) = who.split_once(' ').unwrap_or((who, "2020"));
    let year = sums(house, who, year.parse().unwrap()).await;
    let mut text = year.admissions.to_string();
    for (payer, used) in year.payers.iter().filter(|(_, used)| !used.base.is_zero() || !used.paid.is_zero()) {
        text.push_str(&format!(" {payer}:{}/{}", used.base, used.paid));
    }
    text
}

async fn run(case: &Case, on_disk: bool) -> Vec<String> {
    let profiles = profiles(&case.profile, case.agreements.as_deref());
    let county = [("county.toml", &*case.policy)].into_iter().filter(|(_, text)| !text.is_empty());
    let policies = PolicyShelf::read(SHIPPED.iter().copied().chain(county)).unwrap();
    let house = House::under(policies, profiles, on_disk).await;
    if !case.openings.is_empty() {
        house.openings(&case.openings).await;
    }
    let mut letters = Letters::default();
    let mut now: Timestamp = "2020-07-02T10:00:00+08:00".parse().unwrap();
    let mut failures = Vec::new();
    for (number, step) in (1..).zip(&case.step) {
        now = step.at.as_ref().map_or(now + jiff::SignedDuration::from_secs(10), |at| at.parse().unwrap());
        house.clock.put(now);
        let mut compare = |what: &str, got: String, wanted: &str| {
            if got != wanted {
                let place =
                    format!("{} ({}) step {number}", case.name, if on_disk { "disk" } else { "memory" });
                failures.push(format!("{place}{what}\n     got {got}\n  wanted {wanted}"));
            }
        };
        compare("", step.run(&house, &mut letters).await, &step.expect);
        if let Some([who, wanted]) = &step.used {
            compare(" sums", used(&house, who).await, wanted);
        }
    }
    failures
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(project("tests/cases/gateway.toml")).unwrap();
    let cases: Cases = toml::from_str(&text).unwrap();
    let mut names = BTreeMap::new();
    for case in &cases.case {
        assert!(names.insert(case.name.clone(), ()).is_none(), "two cases are called {}", case.name);
    }
    cases.case
}

async fn check(on_disk: bool) {
    let mut failures = Vec::new();
    for case in cases() {
        failures.extend(run(&case, on_disk).await);
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[tokio::test]
async fn cases_in_memory() {
    check(false).await;
}

#[tokio::test]
async fn cases_on_disk() {
    check(true).await;
}
