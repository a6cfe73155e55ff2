//! An operator and the adapters of a gateway that serves: `tests/cases/operated.toml`, one step after the other. Files are
//! changed and the gateway is told so, an insurer goes and comes, commands are run beside it, and stays go on.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use yizhan_contract::person::IdNumber;
use yizhan_kit::simulate::Simulated;

use crate::gateway::Sent;
use crate::installed::{Installed, Serving, stay, until};
use crate::process::{Process, yizhan};
use crate::project;
use crate::registry::bureau::Says;

#[derive(Deserialize)]
struct Cases {
    step: Vec<Step>,
}

/// What is done, in this order, and what is seen then.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Step {
    name: String,
    /// The insurer's process ends, or comes back.
    insurer: Option<Insurer>,
    /// Files of the folder of adapters: what stands in them from now on; empty: they are taken away.
    put: Vec<(String, String)>,
    /// Stays that come meanwhile and are not waited for.
    stays: usize,
    /// A command on the gateway's store, run again and again until it ends and speaks like this.
    run: String,
    exit: i32,
    says: Vec<String>,
    never: Vec<String>,
    /// What the gateway has logged by then.
    log: Option<String>,
    /// Who computes the insurance of a stay that comes now, and what a finding says of it.
    computed_by: Option<String>,
    finding: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Insurer {
    Goes,
    Comes,
    /// As one that takes its time.
    ComesSlow,
}

/// What one that takes its time takes for each answer.
const SLOW_MS: u16 = 1_500;

struct Operated {
    installed: Installed,
    gateway: Serving,
    insurer: Option<Process>,
    address: SocketAddr,
    sent: usize,
}

impl Operated {
    fn open(put: &[(String, String)], numbers: Vec<String>) -> Self {
        let installed = Installed::new(numbers, &[("supplementary", "acme")]);
        let (insurer, address) = begin(&installed, SocketAddr::from(([127, 0, 0, 1], 0)), 0);
        write(&installed, address, put);
        let gateway = installed.serve();
        Self { installed, gateway, insurer: Some(insurer), address, sent: 0 }
    }

    fn next(&mut self) -> Sent {
        self.sent += 1;
        let (nth, card) = (self.sent, Some(number(self.sent)));
        Sent { card, mrn: Some(format!("M-{nth}")), ..stay("zhang", "json", &format!("O{nth}")) }
    }

    fn insurer(&mut self, does: Insurer) {
        // Two of them have no room at one address.
        self.insurer = None;
        self.insurer = match does {
            Insurer::Goes => None,
            Insurer::Comes => Some(begin(&self.installed, self.address, 0).0),
            Insurer::ComesSlow => Some(begin(&self.installed, self.address, SLOW_MS).0),
        };
    }

    async fn runs(&self, step: &Step) {
        let words: Vec<&str> = step.run.split(' ').collect();
        let mut last = String::new();
        until(&step.name, async || {
            let output = self.installed.command(&words).output().unwrap();
            let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
            let is_so = output.status.code() == Some(step.exit)
                && step.says.iter().all(|part| said.contains(part))
                && !step.never.iter().any(|part| said.contains(part));
            if !is_so && said != last {
                println!("{}: {:?}\n{said}", step.name, output.status.code());
                last = said;
            }
            is_so.then_some(())
        })
        .await;
    }

    async fn computes(&mut self, step: &Step, by: &str) {
        let stay = self.next();
        let bill = self.gateway.settled(&stay).await;
        let lines = bill["payers"].as_array().unwrap();
        let line = lines.iter().find(|line| line["payer"] == "supplementary").unwrap();
        assert_eq!(line["computed_by"], by, "{}: {bill}", step.name);
        let findings = bill["findings"].to_string();
        let finding = step.finding.as_deref().unwrap_or_default();
        assert!(findings.contains(finding), "{}: {findings}", step.name);
    }
}

/// A simulated insurer, at the address it had, with the book it had, attested as it is now.
fn begin(installed: &Installed, at: SocketAddr, takes_ms: u16) -> (Process, SocketAddr) {
    let by_default = Simulated::by_default(vec!["supplementary".parse().unwrap()]).unwrap();
    let takes = Duration::from_millis(takes_ms.into());
    let manifest = Simulated { optional: false, takes, ..by_default }.manifest();
    let (book, listen, takes_ms) = (installed.at("acme.book"), at.to_string(), takes_ms.to_string());
    let words = ["simulate", "payer", "--payer", "supplementary", "--required"];
    let here = ["--listen", &listen, "--book", &book, "--takes-ms", &takes_ms];
    let process = Process::start(yizhan(words.into_iter().chain(here)));
    let address = process.says("http://").parse().unwrap();
    let says = Says { not_applicable: vec!["L1-11".to_owned(), "L5-08".to_owned()], ..Says::default() };
    installed.bureau.attests(&installed.path("adapters.d/acme.json"), &manifest, &says);
    (process, address)
}

fn write(installed: &Installed, insurer: SocketAddr, put: &[(String, String)]) {
    for (name, text) in put {
        let path = installed.path("adapters.d").join(name);
        match text.as_str() {
            "" => std::fs::remove_file(path).unwrap(),
            text => std::fs::write(path, text.replace("{insurer}", &insurer.to_string())).unwrap(),
        }
    }
}

/// Of somebody who is insured, and has one stay.
fn number(nth: usize) -> String {
    let digits = format!("37132319530412{nth:03}");
    let whole = "0123456789X".chars().map(|last| format!("{digits}{last}"));
    whole.into_iter().find(|number| number.parse::<IdNumber>().is_ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_does_with_adapters_takes_effect_and_is_told() {
    let text = std::fs::read_to_string(project("tests/cases/operated.toml")).unwrap();
    let Cases { step: steps } = toml::from_str(&text).unwrap();
    let stays: usize = steps.iter().map(|step| step.stays + usize::from(step.computed_by.is_some())).sum();
    let mut operated = Operated::open(&steps[0].put, (1..=stays).map(number).collect());
    for (nth, step) in steps.iter().enumerate() {
        if let Some(does) = step.insurer {
            operated.insurer(does);
        }
        if nth > 0 && !step.put.is_empty() {
            write(&operated.installed, operated.address, &step.put);
            operated.gateway.process.hang_up();
        }
        for _ in 0..step.stays {
            let stay = operated.next();
            operated.gateway.ask(&stay, 10).await;
        }
        if !step.run.is_empty() {
            operated.runs(step).await;
        }
        if let Some(log) = &step.log {
            operated.gateway.process.says(log);
        }
        if let Some(by) = &step.computed_by {
            operated.computes(step, by).await;
        }
    }
    let (log, exit) = operated.gateway.process.stop();
    assert_eq!(exit, Some(0), "{log}");
}
