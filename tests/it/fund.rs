//! A program of one's own with a payer in it (`adapters/examples/fund.rs`): it is a gateway, and settles with that payer.

use std::collections::BTreeSet;

use rusqlite::Connection;
use yizhan_contract::payer::Manifest;

use crate::handbook::fund;
use crate::installed::{Installed, stay};
use crate::passed_over;

/// Verb, class and kind of its calls, each once.
fn calls(installed: &Installed) -> BTreeSet<String> {
    let store = Connection::open(installed.path("yizhan.db")).unwrap();
    let sql =
        "SELECT verb || ' ' || (operation_id IS NOT NULL) || ' ' || class || ' ' || answer FROM adapter_call
               WHERE adapter = 'fund'";
    let mut asked = store.prepare(sql).unwrap();
    asked.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// What the fund says of itself.
fn manifest() -> Manifest {
    Manifest {
        quotes_are_firm: true,
        commits_are_idempotent: true,
        reverse_window_s: Some(30 * 24 * 3600),
        concurrency_max: 16,
        ..Manifest::cautious("fund", "1.0.0", vec!["supplementary".parse().unwrap()])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_settles_takes_back_and_writes_its_calls_down_like_any_other() {
    if !fund().exists() {
        return passed_over("adapters/examples/fund.rs was not built: cargo build --examples");
    }
    let installed = Installed::new([], &[("supplementary", "fund")]);
    installed.adapter("fund", "built_in = true\n", &manifest());
    let gateway = installed.serve_with(&fund());
    let bill = gateway.settled(&stay("zhang", "json", "F1")).await;
    let line =
        bill["payers"].as_array().unwrap().iter().find(|line| line["payer"] == "supplementary").unwrap();
    assert_eq!((&line["computed_by"], &line["payer_reference"]), (&"payer".into(), &"F-1".into()), "{bill}");
    assert_ne!(line["paid"], "0.00");
    let reversed = gateway.reversed(&bill, 30).await;
    assert_eq!(reversed["state"], "reversed", "{reversed}");
    let (log, exit) = gateway.process.stop();
    assert_eq!(exit, Some(0), "{log}");
    let done = |words: &str| words.to_owned();
    assert_eq!(
        calls(&installed),
        ["commit 1 answered done", "quote 0 answered quote", "reverse 1 answered done"].map(done).into()
    );
    assert!(installed.command(&["ledger", "check"]).status().unwrap().success());
}
