//! The gateway, set up as an operator does, and the stays that are sent to it.

use std::collections::VecDeque;

use rusqlite::Connection;
use serde_json::Value;
use yizhan::registry::mapped;
use yizhan::runtime::Runtime;
use yizhan_contract::payer::{Manifest, Payer as _};
use yizhan_contract::person::IdNumber;

use super::Case;
use super::payer::{ADAPTER, Payer, SERVES, manifest};
use crate::gateway::Sent;
use crate::installed::{Installed, Serving, stay};
use crate::process::run;

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

/// How the gateway comes to the insurer.
pub(super) enum Reached {
    ByProtocol,
    /// `mapping.toml` describes its interface.
    ByMapping,
}

impl Reached {
    /// Keys of the adapter's file, and what it is then.
    fn leads_to(self, installed: &Installed, payer: &Payer) -> (String, Manifest) {
        match self {
            Self::ByProtocol => (format!("url = \"http://{}\"\n", payer.address), manifest()),
            Self::ByMapping => {
                let mapping = include_str!("mapping.toml").replace("{payer}", &payer.address.to_string());
                std::fs::write(installed.path("mapping.toml"), mapping).unwrap();
                let (mapped, _) = mapped(&installed.path("mapping.toml"), Runtime::system()).unwrap();
                (format!("mapping = \"{}\"\n", installed.at("mapping.toml")), mapped.manifest().clone())
            }
        }
    }
}

pub(super) struct Site {
    installed: Installed,
    pub(super) payer: Payer,
    gateway: Serving,
    stays: Vec<Stay>,
    cases: usize,
}

impl Site {
    /// For each case a stay, and one more beside each.
    pub(super) async fn open(cases: usize, reached: Reached) -> Self {
        let payer = Payer::open().await;
        let stays: Vec<Stay> = (0..=2 * cases).map(Stay::of).collect();
        let numbers = stays.iter().map(|stay| stay.person.clone());
        let installed = Installed::new(numbers, &[(SERVES, ADAPTER)]);
        let (keys, manifest) = reached.leads_to(&installed, &payer);
        installed.adapter(ADAPTER, &(keys + "[budget]\ncalls_min = 1000\n"), &manifest);
        let gateway = installed.serve();
        Self { installed, payer, gateway, stays, cases }
    }

    pub(super) fn stay(&self, nth: usize) -> &Stay {
        &self.stays[nth]
    }

    /// Of whom nothing bad is told.
    pub(super) fn spare(&self, nth: usize) -> &Stay {
        &self.stays[self.cases + nth]
    }

    /// What is said of a stay once nobody is at it.
    pub(super) async fn told(&self, stay: &Stay) -> Value {
        self.gateway.told(&stay.sent).await
    }

    pub(super) async fn settled(&self, stay: &Stay) -> Value {
        self.gateway.settled(&stay.sent).await
    }

    pub(super) async fn reversed(&self, bill: &Value) -> Value {
        self.gateway.reversed(bill, 30).await
    }

    /// Ends the gateway, and tells what it has said of the calls of each case.
    pub(super) async fn close(self, cases: &[Case]) -> Vec<Said> {
        let Self { installed, payer, gateway, stays, .. } = self;
        let (log, exit) = gateway.process.stop();
        assert_eq!(exit, Some(0), "{log}");
        run(["ledger", "check", "--store", &installed.at("yizhan.db")]);
        let told: Vec<Value> = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| {
                line["message"].as_str().is_some_and(|said| said.contains("no answer that can be used"))
            })
            .collect();
        let store = Connection::open(installed.path("yizhan.db")).unwrap();
        // Questions have no operation: they are told in the order of the cases.
        let mut asked = ["coverage", "visit", "quote"].map(|verb| {
            let told = told.iter().filter(move |line| line["verb"] == verb);
            let classes = classes(&store, &format!("verb = '{verb}' AND class <> 'answered'"));
            (verb, told.cloned().zip(classes).collect::<VecDeque<_>>())
        });
        let of = |(case, stay): (&Case, &Stay)| {
            if let Some((_, told)) = asked.iter_mut().find(|(verb, _)| *verb == case.verb) {
                let (log, class) = told.pop_front().unwrap_or_else(|| panic!("{}: {log}", case.name));
                return Said { class, log };
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
        let (card, mrn) = (Some(person.clone()), Some(format!("M-{nth}")));
        let sent = Sent { card, mrn, ..stay("zhang", "json", &format!("N{nth}")) };
        Self { person, sent }
    }
}
