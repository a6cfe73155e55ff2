//! A command that writes beside the gateway that serves the file: both get on.

use std::process::{Command, Stdio};
use std::sync::Arc;

use yizhan::store::seal::Key;
use yizhan::store::{Done, Store as _};

use crate::imports::{entry, numbered, roster_of};
use crate::stays::*;

const PEOPLE: u32 = 30_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_go_on_while_another_process_imports_a_roster() {
    let directory = tempfile::tempdir().unwrap();
    let (path, file) = (directory.path().join("store.db"), directory.path().join("roster.csv"));
    let store = Arc::new(open(&path, Key::create(&directory.path().join("store.key")).unwrap()).unwrap());
    roster_of(&file, PEOPLE, "low_income");
    let mut importing = Command::new(env!("CARGO_BIN_EXE_yizhan"))
        .args(["roster", "import", "--mode", "delta", "--store"])
        .arg(&path)
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let rows = rusqlite::Connection::open(&path).unwrap();
    let written = || rows.query_row("SELECT count(*) FROM roster", [], |row| row.get::<_, u32>(0)).unwrap();
    // How many people of the file were written while one step waited, of those that met the import.
    let (mut done, mut waited) = (0, Vec::new());
    while importing.try_wait().unwrap().is_none() {
        let before = written();
        let id = format!("M{done}");
        let sent = step(&id, visit("ZY1", None), vec![id_number(WANG)], keep("ZY1", None, "stay"));
        assert_eq!(store.step(sent).await.unwrap(), Done::Decided(b"stay".to_vec()));
        waited.push(written() - before);
        done += 1;
    }
    assert!(importing.wait().unwrap().success());
    assert_eq!(entry(&*store, &numbered(77)).await.entitlements.len(), 1);
    waited.retain(|people| *people > 0);
    // Where the importer did not give way, each waited for pieces of 4000 people, ten times as long. Now and then one
    // waits for the machine as well.
    let long = waited.iter().filter(|people| 4000 <= **people).count();
    assert!(!waited.is_empty() && long * 10 <= waited.len(), "of {done} steps: {waited:?}");
}
