//! A gateway that is killed: everything it acknowledged is there, and its lock is free.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use yizhan::store::seal::Key;
use yizhan::store::{Done, Store as _, StoreError};

use crate::says_both;
use crate::stays::*;

const STORE: &str = "YIZHAN_TEST_CRASH_STORE";
const KILLED_AFTER: usize = 25;

/// The child: writes steps and says which were acknowledged until it is killed. Does nothing of itself.
#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let path = Path::new(&path);
    let store = open(path, Key::read(&path.with_extension("key")).unwrap()).unwrap();
    for number in 0_u64.. {
        let step =
            step(&number.to_string(), visit("ZY1", None), vec![id_number(WANG)], keep("ZY1", None, "kept"));
        store.step(step).await.unwrap();
        // Standard error: the test harness keeps standard output to itself.
        writeln!(std::io::stderr(), "acknowledged {number}").unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let key = Key::create(&path.with_extension("key")).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_writes_until_it_is_killed", "--nocapture"])
        .env(STORE, &path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut acknowledged = lines.filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned));
    let seen: Vec<String> = acknowledged.by_ref().take(KILLED_AFTER).collect();
    let second = open(&path, key.clone()).err();
    // SIGKILL on Unix: no destructor, no last word.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        matches!(&second, Some(taken @ StoreError::Taken(_)) if says_both(&taken.to_string())),
        "{second:?}"
    );
    let seen: Vec<String> = seen.into_iter().chain(acknowledged).collect();
    assert!(seen.len() >= KILLED_AFTER);

    let store = open(&path, key).unwrap();
    for number in seen {
        let again = step(&number, visit("ZY1", None), vec![], Box::new(|_| panic!("was not kept")));
        assert_eq!(store.step(again).await.unwrap(), Done::Repeated(b"kept".to_vec()), "{number}");
    }
}
