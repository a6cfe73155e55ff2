//! `yizhan bench --stored`: stores that are filled once, kept, and measured beside each other.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

fn bench(folder: &Path, stores: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yizhan"));
    command.args(["bench", "--seconds", "1", "--turns", "1", "--warm-up", "0", "--rate", "10", "--json"]);
    command.arg("--folder").arg(folder);
    command.args(stores.iter().flat_map(|store| ["--stored", store])).output().unwrap()
}

/// What it printed, of a run that counts.
fn told(folder: &Path, stores: &[String]) -> Value {
    let output = bench(folder, stores);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{complaints}{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn stays(told: &Value) -> Vec<u64> {
    told["stores"].as_array().unwrap().iter().map(|store| store["stays"].as_u64().unwrap()).collect()
}

#[test]
fn a_filled_store_is_kept_and_what_an_interrupted_run_had_done_is_done_once() {
    let folder = TempDir::new().unwrap();
    let store = |stays: u64, name: &str| format!("{stays}={}", folder.path().join(name).display());
    let first = told(folder.path(), &[store(10, "small.db"), store(40, "full.db")]);
    assert_eq!(stays(&first), [10, 40], "{first}");
    let full = &first["stores"][1];
    assert!(full["bytes_per_settlement"].as_u64().unwrap() > 5_000, "{full}");
    assert!(full["depths"]["message"].as_u64().unwrap() >= 2, "{full}");
    let goals: Vec<&str> =
        first["goals"].as_array().unwrap().iter().map(|goal| goal["title"]["en"].as_str().unwrap()).collect();
    assert_eq!(goals, ["p99, last store ÷ first", "pages a settlement reads, against deeper indexes"]);

    // Killed when it had noted less than it had done.
    let note = folder.path().join("full.filled.json");
    let mut noted: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    noted["filled"] = 5.into();
    fs::write(&note, noted.to_string()).unwrap();
    let again = told(folder.path(), &[store(60, "full.db")]);
    assert_eq!(stays(&again), [60], "{again}");
    let settled: i64 = Connection::open(folder.path().join("full.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM settlement", [], |row| row.get(0))
        .unwrap();
    let sent =
        [&first["stores"][1], &again["stores"][0]].map(|store| store["verdict"]["settled"].as_i64().unwrap());
    assert_eq!(settled, 60 + sent.iter().sum::<i64>());
}

#[tokio::test]
async fn a_filled_database_tells_its_bytes_and_the_depth_of_its_indexes() {
    let cluster = crate::cluster::shared();
    let database = cluster.database().await;
    let folder = TempDir::new().unwrap();
    let told = told(folder.path(), &[format!("30={}", cluster.address(&database))]);
    let store = &told["stores"][0];
    assert_eq!(stays(&told), [30], "{told}");
    assert!(store["bytes_per_settlement"].as_u64().unwrap() > 5_000, "{store}");
    assert!(store["depths"]["message_pkey"].as_u64().unwrap() >= 1, "{store}");
}

#[test]
fn a_store_without_a_number_of_stays_is_refused() {
    let folder = TempDir::new().unwrap();
    for named in ["small.db", "0=small.db", "many=small.db", "10="] {
        assert_eq!(bench(folder.path(), &[named.to_owned()]).status.code(), Some(2), "{named}");
    }
    let both = Command::new(env!("CARGO_BIN_EXE_yizhan"))
        .args(["bench", "--stored", "10=small.db", "--store", "other.db"])
        .output()
        .unwrap();
    assert_eq!(both.status.code(), Some(2));
}
