//! `yizhan bench` as a process.

mod statements;
mod stored;

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn bench(more: &[&str]) -> Output {
    bench_for("1", more)
}

/// For so many seconds.
fn bench_for(seconds: &str, more: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    Command::new(env!("CARGO_BIN_EXE_yizhan"))
        .args(["bench", "--seconds", seconds])
        .args(["--turns", "1", "--warm-up", "0", "--people", "200", "--folder"])
        .arg(folder.path())
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn a_run_is_accounted_for_and_told_beside_the_machines_own_limits() {
    // On a slow machine nothing may be done in one.
    let output = bench_for("3", &["--clients", "4", "--json"]);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{complaints}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"]["is_valid"], true, "{report}");
    let (told, settled) = (&report["verdict"]["told"], &report["verdict"]["settled"]);
    assert!(settled.as_u64().unwrap() > 0 && told == settled, "{report}");
    let names: Vec<&str> =
        report["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bare_1", "bare_4_shared", "closed_4"]);
    for row in report["rows"].as_array().unwrap() {
        assert!(row["turns"][0]["per_second"].as_u64().unwrap() > 0, "{row}");
    }
}

#[test]
fn a_rate_is_kept_and_told_in_both_languages() {
    let output = bench(&["--rate", "5"]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for words in
        ["settlements at 5/s", "结算，恒定 5/s", "accounted for", "核对无误", "hospitals were told", "回送"]
    {
        assert!(shown.contains(words), "{words} is missing from\n{shown}");
    }
    assert_eq!(shown.contains("debug build"), cfg!(debug_assertions), "{shown}");
    assert!(!shown.contains("half of the peak"), "no goal is about any other rate\n{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours where nobody watches");
}

#[test]
fn what_outside_payers_take_is_told_apart() {
    let output = bench(&["--rate", "5", "--payers", "5ms", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["verdict"]["is_valid"]), (Some(0), &true.into()), "{report}");
    let median = |name: &str| {
        let row = report["rows"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
        row["turns"][0]["p50_us"].as_u64().unwrap()
    };
    assert!(median("open") > median("own_time") + 5_000, "{report}");
}

#[test]
fn a_run_that_nobody_answered_is_void() {
    let nobody = ["--http", "http://127.0.0.1:1", "--mllp", "127.0.0.1:1", "--token", "x", "--clients", "1"];
    let output = bench(&nobody);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{shown}");
    assert!(shown.contains("this run is void") && shown.contains("were not answered at all"), "{shown}");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_measured() {
    for more in [
        &["--rate", "0"][..],
        &["--rate", "5", "--clients", "2"],
        &["--http", "http://127.0.0.1:1"],
        &["--turns", "0"],
        &["--payers", "soon"],
    ] {
        assert_eq!(bench(more).status.code(), Some(2), "{more:?}");
    }
}

#[tokio::test]
async fn a_cluster_is_measured_by_its_own_pgbench() {
    let cluster = crate::cluster::shared();
    let database = cluster.database().await;
    let address = cluster.address(&database);
    let output = bench(&["--clients", "2", "--json", "--store", &address]);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{complaints}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"]["is_valid"], true, "{report}");
    let names: Vec<&str> =
        report["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bare_1", "pgbench_n_2", "pgbench_own_2", "closed_2"]);
    let client = cluster.client(&database).await;
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname = 'yizhan_limits'";
    assert_eq!(client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0, "tables stayed behind");
    let again = bench(&["--clients", "2", "--store", &address]);
    assert_eq!(again.status.code(), Some(2), "a used database was measured once more");
}
