//! Settlements per second on SQLite, beside bare one-row durable commits on the same file system.
//!
//! `cargo bench --bench sqlite`. A settlement is a whole one: a JSON discharge of 60 lines and a new person
//! is read, priced by the shipped policy, sealed, and durable before it is answered. Both are measured in
//! turns of the same run; printed are medians of five turns with their spread, the bytes a settlement takes
//! in the store, and the ratios that have goals: 0.5 at 32 clients, 0.3 at one.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, ended by any failure")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use yizhan::catalogue::CatalogueFile;
use yizhan::intake::reception::{Arrival, Reception};
use yizhan::intake::{Format, Profile, Profiles};
use yizhan::runtime::{Clock as _, RandomIds, Runtime, SystemClock};
use yizhan::settlement::gateway::Gateway;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::registers::{Import, Registers as _};
use yizhan::store::seal::Key;
use yizhan::store::sqlite::{Options, Sqlite};
use yizhan::telemetry::Channel;
use yizhan_rules::PolicyShelf;

const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(3);
const LINES: usize = 60;
const HOSPITAL: &str = include_str!("../tests/samples/hospitals/H37132301.toml");
const CATALOGUE: &str = include_str!("../tests/samples/catalogue.csv");

fn main() {
    let directory = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let path = directory.path().join("store.db");
    let key = Some(Key::ephemeral().unwrap());
    let store = Arc::new(Sqlite::open(&path, key, Arc::new(RandomIds), Options::default()).unwrap());
    let reception = runtime.block_on(reception(&store));
    let bare = bare_store(&directory.path().join("bare.db"));
    let (mut bares, mut ones, mut manys, mut shares) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        bares.push(bare_commits(&bare));
        ones.push(runtime.block_on(settlements(&reception, 1)));
        let before = store.commits();
        let settled = runtime.block_on(settlements(&reception, 32));
        shares.push(settled * TURN.as_secs() * 100 / (store.commits() - before).max(1));
        manys.push(settled);
    }
    let bare = shown("bare one-row durable commits/s", bares);
    let one = shown("settlements/s at 1 client", ones);
    let many = shown("settlements/s at 32 clients", manys);
    shown("settlements per commit at 32 clients, hundredths", shares);
    println!("ratio at 1 client: {}.{:02} (goal 0.30)", one / bare, one * 100 / bare % 100);
    println!("ratio at 32 clients: {}.{:02} (goal 0.50)", many / bare, many * 100 / bare % 100);
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!("bytes per settlement in the store: {}", bytes / NUMBER.load(Ordering::Relaxed));
    // The pool's connections close on the runtime.
    let _entered = runtime.enter();
    drop((reception, store));
}

async fn reception(store: &Arc<Sqlite>) -> Reception {
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
    let store: Arc<dyn yizhan::store::Store> = Arc::<Sqlite>::clone(store);
    Reception::new(Gateway::new(store, policies, hospitals, Runtime::system()), profiles)
}

fn shown(what: &str, mut rates: Vec<u64>) -> u64 {
    rates.sort_unstable();
    let median = rates[rates.len() / 2];
    println!("{what}: {median} ({} to {})", rates[0], rates[rates.len() - 1]);
    median
}

fn is_over(begun: Timestamp) -> bool {
    SystemClock.now().duration_since(begun) >= jiff::SignedDuration::try_from(TURN).unwrap()
}

fn bare_store(path: &Path) -> Connection {
    let bare = Connection::open(path).unwrap();
    bare.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE one (a INTEGER)")
        .unwrap();
    bare
}

fn bare_commits(bare: &Connection) -> u64 {
    let begun = SystemClock.now();
    let mut insert = bare.prepare("INSERT INTO one VALUES (1)").unwrap();
    let mut count = 0;
    while !is_over(begun) {
        insert.execute([]).unwrap();
        count += 1;
    }
    count / TURN.as_secs()
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

async fn settlements(reception: &Reception, clients: usize) -> u64 {
    let begun = SystemClock.now();
    let working = (0..clients).map(|_| {
        let reception = reception.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while !is_over(begun) {
                let message = discharge(NUMBER.fetch_add(1, Ordering::Relaxed));
                let arrival = Arrival {
                    channel: Channel::File,
                    bytes: message.as_bytes(),
                    format: Format::Json,
                    charset: None,
                    mode: None,
                    only: None,
                };
                let outcome = reception.receive(arrival).await.outcome;
                assert!(matches!(outcome, Outcome::Bill(_)), "{outcome:?}");
                count += 1;
            }
            count
        })
    });
    let mut sum = 0;
    for one in working.collect::<Vec<_>>() {
        sum += one.await.unwrap();
    }
    sum / TURN.as_secs()
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
