//! Settlements per second on SQLite, beside bare one-row durable commits on the same file system.
//!
//! `cargo bench --bench sqlite`. A settlement is a whole one: a JSON discharge of 60 lines and a new person
//! is read, priced by the shipped policy, sealed, and durable before it is answered. Both are measured in
//! turns of the same run; printed are medians of five turns with their spread, the bytes a settlement takes
//! in the store, and the ratios that have goals: 0.5 at 32 clients, 0.3 at one.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, ended by any failure")]

mod discharges;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use yizhan::intake::reception::Reception;
use yizhan::runtime::{Clock as _, RandomIds, SystemClock};
use yizhan::store::seal::Key;
use yizhan::store::sqlite::{Options, Sqlite};

const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(3);

fn main() {
    let directory = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let path = directory.path().join("store.db");
    let key = Some(Key::ephemeral().unwrap());
    let store = Arc::new(Sqlite::open(&path, key, Arc::new(RandomIds), Options::default()).unwrap());
    let reception = runtime.block_on(discharges::reception(Arc::clone(&store) as _));
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

/// Discharges sent so far.
static NUMBER: AtomicU64 = AtomicU64::new(0);

async fn settlements(reception: &Reception, clients: usize) -> u64 {
    let begun = SystemClock.now();
    let working = (0..clients).map(|_| {
        let reception = reception.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while !is_over(begun) {
                discharges::settle(&reception, NUMBER.fetch_add(1, Ordering::Relaxed)).await;
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
