//! Whole discharges for benches: people nobody knew, 60 lines each, through the reception.

use std::sync::Arc;
use std::time::Duration;

use yizhan::catalogue::CatalogueFile;
use yizhan::intake::reception::{Arrival, Reception};
use yizhan::intake::{Format, Profile, Profiles};
use yizhan::refusal::{Code, Refusal};
use yizhan::runtime::{Clock as _, Runtime, SystemClock};
use yizhan::settlement::gateway::Gateway;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::Ports;
use yizhan::store::registers::Import;
use yizhan::telemetry::Channel;
use yizhan_rules::PolicyShelf;

const LINES: usize = 60;
const HOSPITAL: &str = include_str!("../../tests/samples/hospitals/H37132301.toml");
const CATALOGUE: &str = include_str!("../../tests/samples/catalogue.csv");

/// A store that is busy is tried again so much later, as hospitals do; that is part of the time a stay takes.
const TRIED_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Sends the discharge with a number until it is settled.
pub(crate) async fn settle(reception: &Reception, number: u64) {
    let message = discharge(number);
    let arrival = Arrival {
        channel: Channel::File,
        bytes: message.as_bytes(),
        format: Format::Json,
        charset: None,
        mode: None,
        only: None,
    };
    let mut outcome = reception.receive(arrival).await.outcome;
    while matches!(&outcome, Outcome::Refused(refused) if refused.refusals.iter().all(is_busy)) {
        tokio::time::sleep(TRIED_AGAIN_AFTER).await;
        outcome = reception.receive(arrival).await.outcome;
    }
    assert!(matches!(outcome, Outcome::Bill(_)), "{outcome:?}");
}

fn is_busy(refusal: &Refusal) -> bool {
    refusal.code == Code::StoreUnavailable
}

/// The sample hospital over a store, with the sample catalogue.
pub(crate) async fn reception(store: Arc<dyn Ports>) -> Reception {
    let rows = CatalogueFile::shipped(CATALOGUE).unwrap();
    let import = Import {
        at: SystemClock.now(),
        file: "catalogue.csv".into(),
        rows: Box::new(rows),
        progress: Arc::new(|_| {}),
    };
    store.import_catalogue(import).await.unwrap();
    let profiles = Arc::new(Profiles::new(vec![Profile::from_toml(HOSPITAL).unwrap()]).unwrap());
    let known = Arc::clone(&profiles);
    let hospitals =
        Arc::new(move |code: &str| known.of_hospital(code).map(|profile| Arc::clone(&profile.hospital)));
    let policies = Arc::new(PolicyShelf::shipped().unwrap());
    Reception::new(
        Gateway::new(store, policies, hospitals, Arc::default(), Arc::from("bench"), Runtime::system()),
        profiles,
    )
}

const ITEMS: [(&str, &str); 6] = [
    ("BED01", "普通床位费"),
    ("DRU01", "头孢呋辛"),
    ("DRU05", "低分子肝素"),
    ("LAB07", "生化全套"),
    ("NUR01", "二级护理"),
    ("MAT09", "进口止血材料"),
];

/// A one-shot discharge of a person nobody knew, 60 lines.
fn discharge(number: u64) -> String {
    let lines: Vec<String> = (0..LINES)
        .map(|at| {
            let (code, name) = ITEMS[at % ITEMS.len()];
            let amount = 1_000 + (number * 7 + at as u64 * 131) % 9_000;
            format!(
                "{{\"id\":\"{at}\",\"date\":\"2020-06-{:02}\",\"code\":\"{code}\",\"name\":\"{name}\",\"quantity\":\"3\",\
                 \"amount\":\"{}.{:02}\"}}",
                24 + at % 6,
                amount / 100,
                amount % 100
            )
        })
        .collect();
    format!(
        "{{\"message_id\":\"M{number}\",\"sent_at\":\"2020-07-02T10:15:00+08:00\",\"hospital\":\"H37132301\",\
         \"visit\":{{\"number\":\"ZY{number}\",\"admitted\":\"2020-06-24\",\"discharged\":\"2020-07-02\",\
         \"department\":\"普外科\",\"bed\":\"12\"}},\
         \"patient\":{{\"mrn\":\"P{number}\",\"name\":\"张{number}\",\"sex\":\"female\",\"birth\":\"1953-04-12\"}},\
         \"diagnoses\":[{{\"code\":\"K35.900\",\"name\":\"急性阑尾炎\",\"principal\":true}}],\
         \"lines\":[{}]}}",
        lines.join(",")
    )
}
