//! Settlements per second on SQLite, beside bare one-row durable commits on the same file system.
//!
//! `cargo bench --bench sqlite`. Both are measured in turns of the same run; printed are medians of five
//! turns with their spread, and the ratios that DESIGN sets goals for: 0.5 at 32 clients, 0.3 at one.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, ended by any failure")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use yizhan::runtime::{Clock as _, Ids as _, RandomIds, SystemClock};
use yizhan::store::seal::Key;
use yizhan::store::sqlite::{Options, Sqlite};
use yizhan::store::{
    AccumulatorMove, BillWrite, Changes, Done, LegWrite, MessageClaim, PersonRef, StayRef, StayWrite, Step,
    Store as _,
};
use yizhan_contract::step::PayerState;
use yizhan_contract::{Money, PayerCode, Personal, Used};

const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(3);
const RAW_BYTES: usize = 9 * 1024;
const STAY_BYTES: usize = 12 * 1024;
const BILL_BYTES: usize = 10 * 1024;
const PAYERS: [&str; 7] = [
    "disaster",
    "basic",
    "critical_illness",
    "medical_assistance",
    "provider_waiver",
    "accident",
    "supplementary",
];

fn main() {
    let directory = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let store = Sqlite::open(
        &directory.path().join("store.db"),
        Some(Key::ephemeral().unwrap()),
        Arc::new(RandomIds),
        Options::default(),
    );
    let store = Arc::new(store.unwrap());
    let bare = bare_store(&directory.path().join("bare.db"));
    let (mut bares, mut ones, mut manys, mut shares) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        bares.push(bare_commits(&bare));
        ones.push(runtime.block_on(settlements(&store, 1)));
        let before = store.commits();
        let settled = runtime.block_on(settlements(&store, 32));
        shares.push(settled * TURN.as_secs() * 100 / (store.commits() - before).max(1));
        manys.push(settled);
    }
    let bare = shown("bare one-row durable commits/s", bares);
    let one = shown("settlements/s at 1 client", ones);
    let many = shown("settlements/s at 32 clients", manys);
    shown("settlements per commit at 32 clients, hundredths", shares);
    println!("ratio at 1 client: {}.{:02} (goal 0.30)", one / bare, one * 100 / bare % 100);
    println!("ratio at 32 clients: {}.{:02} (goal 0.50)", many / bare, many * 100 / bare % 100);
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

async fn settlements(store: &Arc<Sqlite>, clients: usize) -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let begun = SystemClock.now();
    let working = (0..clients).map(|_| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut count = 0;
            while !is_over(begun) {
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                assert!(matches!(store.step(settlement(number)).await.unwrap(), Done::Decided(_)));
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

/// A one-shot discharge of a new person: message, stay, bill, seven legs, seven accumulators.
fn settlement(number: u64) -> Step {
    let at = SystemClock.now();
    let person = PersonRef::Mrn { hospital: "H37132301".into(), mrn: Personal::new(format!("P{number}")) };
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    let claim = MessageClaim {
        sender: "HIS|H37132301|DFT".to_owned(),
        message_id: number.to_string(),
        digest,
        raw: vec![b'r'; RAW_BYTES],
    };
    let visit: Arc<str> = format!("ZY{number}").into();
    let admitted = Some("2020-06-24".parse().unwrap());
    let stay = StayRef::Visit { hospital: "H37132301".into(), number: Arc::clone(&visit), admitted };
    let decide = Box::new(move |facts: yizhan::store::Facts| {
        let (stay_id, settlement_id) = (RandomIds.next(at), RandomIds.next(at));
        let person_id = facts.person.unwrap().person_id;
        let payers = PAYERS.map(|payer| payer.parse::<PayerCode>().unwrap());
        let paid = Money::from_fen(131_304);
        let legs =
            payers.iter().map(|payer| LegWrite { payer: payer.clone(), state: PayerState::Committed, paid });
        let used = payers.iter().map(|payer| (payer.clone(), Used { base: paid.exact(), paid }));
        Some(Changes {
            bill: Some(BillWrite {
                settlement_id,
                stay_id,
                version: 1,
                hospital: "H37132301".into(),
                state: "settled",
                day: "2020-07-02".parse().unwrap(),
                total: Money::from_fen(1_200_000),
                patient_share: Money::from_fen(163_200),
                legs: legs.collect(),
                document: vec![b'b'; BILL_BYTES],
            }),
            accumulators: vec![AccumulatorMove { year: 2020, admissions: 1, payers: used.collect() }],
            stay: Some(StayWrite {
                stay_id,
                person_id,
                hospital: "H37132301".into(),
                visit_number: visit,
                admitted,
                document: vec![b's'; STAY_BYTES],
                due_at: None,
            }),
            person_aliases: Vec::new(),
            answer: vec![b'a'; 512],
        })
    });
    Step { at, claim: Some(claim), stay, persons: vec![person], decide }
}
