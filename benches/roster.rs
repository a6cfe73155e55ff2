//! A province's roster, 2,013,800 people: import time and memory, and how long settlements take meanwhile.
//!
//! `cargo bench --bench roster [-- [PEOPLE] [--store postgres://…]]`, with an empty database in place of a SQLite file. The file is generated first and is not part of the time. The
//! first import runs alone. Then discharges of 60 lines come at a steady rate, each measured from the moment
//! it was meant to begin: for a while alone, while the next snapshot is imported, and while `yizhan roster import`
//! brings in another beside this process. Goal: p99 at most twice the quiet one. Memory is the peak of the whole process (`VmHWM`, Linux),
//! without that of a PostgreSQL server.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, ended by any failure")]

mod discharges;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use yizhan::intake::reception::Reception;
use yizhan::roster::{RosterFile, RosterMode};
use yizhan::runtime::{Clock as _, RandomIds, SystemClock};
use yizhan::store::Ports;
use yizhan::store::address::Address;
use yizhan::store::postgres::{self, Postgres};
use yizhan::store::registers::Import;
use yizhan::store::seal::Key;
use yizhan::store::sqlite::{self, Sqlite};

/// 建档立卡 population of the provincial plan.
const PEOPLE: u32 = 2_013_800;
/// Birth dates of the generated people.
const DAYS: u32 = 28 * 12 * 60;

/// Discharges a second.
const RATE: u32 = 100;
const QUIET: Duration = Duration::from_secs(20);

/// What is filled, and how another process finds it.
struct Filled {
    store: Arc<dyn Ports>,
    named: String,
    key: PathBuf,
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let people = words.iter().find_map(|word| word.parse().ok()).unwrap_or(PEOPLE);
    let named = words.iter().skip_while(|word| *word != "--store").nth(1).cloned();
    let directory = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let file = directory.path().join("roster.csv");
    generate(&file, people);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let named = named.unwrap_or_else(|| directory.path().join("store.db").display().to_string());
    runtime.block_on(async {
        let filled = Filled::open(named, directory.path().join("store.key")).await;
        let store = &*filled.store;
        import(store, &file, "first import", "2020-01-01").await;
        println!("store {} MiB", filled.bytes().await / 1024 / 1024);
        let reception = discharges::reception(Arc::clone(&filled.store)).await;
        let (stop, stopped) = watch::channel(false);
        let settling = tokio::spawn(settle_steadily(reception.clone(), stopped, 0));
        tokio::time::sleep(QUIET).await;
        stop.send(true).unwrap();
        let quiet = shown("quiet", settling.await.unwrap());
        let times = |busy: i128| {
            println!("busy p99 / quiet p99: {}.{:02} (goal 2.00)", busy / quiet, busy * 100 / quiet % 100);
        };
        let (stop, stopped) = watch::channel(false);
        let settling = tokio::spawn(settle_steadily(reception.clone(), stopped, 1_000_000));
        import(store, &file, "next snapshot, settling meanwhile", "2020-07-01").await;
        stop.send(true).unwrap();
        times(shown("while importing", settling.await.unwrap()));
        let (stop, stopped) = watch::channel(false);
        let settling = tokio::spawn(settle_steadily(reception, stopped, 2_000_000));
        tokio::task::spawn_blocking(move || import_beside(&filled, &file)).await.unwrap();
        stop.send(true).unwrap();
        times(shown("while another process imports", settling.await.unwrap()));
    });
}

impl Filled {
    async fn open(named: String, key: PathBuf) -> Self {
        let (made, ids) = (Some(Key::create(&key).unwrap()), Arc::new(RandomIds));
        let store: Arc<dyn Ports> = match named.parse().unwrap() {
            Address::File(path) => {
                Arc::new(Sqlite::open(&path, made, ids, sqlite::Options::default()).unwrap())
            }
            Address::Postgres(address) => {
                let options = postgres::Options::default();
                Arc::new(Postgres::open(&address, made, ids, options).await.unwrap())
            }
        };
        Self { store, named, key }
    }

    async fn bytes(&self) -> u64 {
        match self.named.parse().unwrap() {
            Address::File(path) => std::fs::metadata(path).unwrap().len(),
            Address::Postgres(address) => {
                let client = postgres::connection_to(&address).await.unwrap();
                let row = client.query_one("SELECT pg_database_size(current_database())", &[]).await.unwrap();
                row.get::<_, i64>(0).unsigned_abs()
            }
        }
    }
}

async fn import(store: &dyn Ports, file: &Path, round: &str, as_of: &str) {
    let begun = SystemClock.now();
    let import = Import {
        at: begun,
        file: "roster.csv".into(),
        rows: Box::new(RosterFile::open(file).unwrap()),
        progress: Arc::new(|_| {}),
    };
    let mode = RosterMode::Snapshot { as_of: as_of.parse().unwrap() };
    let imported = store.import_roster(import, mode).await.unwrap();
    let took = SystemClock.now().duration_since(begun);
    println!(
        "{round}: {} people in {}.{:01} s, peak {} MiB",
        imported.entries,
        took.as_secs(),
        took.subsec_millis() / 100,
        peak_mib(),
    );
}

fn import_beside(filled: &Filled, file: &Path) {
    let begun = SystemClock.now();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_yizhan"));
    command.args(["roster", "import", "--mode", "snapshot", "--as-of", "2020-09-01"]).arg(file);
    command.env("YIZHAN_STORE", &filled.named).env("YIZHAN_KEY_FILE", &filled.key);
    assert!(command.status().unwrap().success());
    let took = SystemClock.now().duration_since(begun);
    println!("a snapshot by another process: {}.{:01} s", took.as_secs(), took.subsec_millis() / 100);
}

/// Begins a discharge at every tick, however long those before it take; returns what each took, in µs.
async fn settle_steadily(reception: Reception, stopped: watch::Receiver<bool>, first: u64) -> Vec<i128> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut running = Vec::new();
    for number in first.. {
        if *stopped.borrow() {
            break;
        }
        let meant = ticks.tick().await;
        let reception = reception.clone();
        running.push(tokio::spawn(async move {
            discharges::settle(&reception, number).await;
            i128::try_from(meant.elapsed().as_micros()).unwrap()
        }));
    }
    let mut took = Vec::new();
    for one in running {
        took.push(one.await.unwrap());
    }
    took
}

/// Prints the percentiles and returns p99.
fn shown(when: &str, mut took: Vec<i128>) -> i128 {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!("settlements {when}: {}, p50 {} µs, p99 {} µs", took.len(), at(50), at(99));
    at(99)
}

/// People in no order of their numbers, as lists of a bureau are.
fn generate(path: &Path, people: u32) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(file, "id_number,name,region,kind,code,from,to").unwrap();
    let step = 1_000_003_u64;
    for count in 0..u64::from(people) {
        let number = (count * step % u64::from(people)) as u32;
        let (day, rest) = (number % DAYS, number / DAYS);
        let (year, month, date) = (1940 + day / 336, day / 28 % 12 + 1, day % 28 + 1);
        let seventeen = format!("{}{year}{month:02}{date:02}{:03}", 371_300 + rest % 20, rest / 20);
        let check = check_character(&seventeen);
        writeln!(
            file,
            "{seventeen}{check},王小明,371323,category,entitled_out_of_poverty,2019-12-31,2020-12-31"
        )
        .unwrap();
    }
    file.flush().unwrap();
}

/// GB 11643-1999 §4.
fn check_character(digits: &str) -> char {
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits.bytes().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    char::from(b"10X98765432"[(sum % 11) as usize])
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
