//! What only a file can show: shared commits, limits, keys, locks, backups.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use yizhan::runtime::RandomIds;
use yizhan::store::seal::Key;
use yizhan::store::sqlite::{Options, QUEUE_STEPS_MAX, Sqlite, restore};
use yizhan::store::{Changes, Decide, Done, Step, Store as _, StoreError};

use crate::says_both;
use crate::stays::*;

fn nothing(id: &str) -> Step {
    step(id, visit("ZY0", None), vec![id_number(WANG)], Box::new(|_| Some(Changes::default())))
}

/// Commits in the write-ahead log: frames that state the size of the database after them
/// (<https://www.sqlite.org/fileformat2.html#walformat>).
fn commits_in_log(store: &Path) -> usize {
    let log = std::fs::read(store.with_extension("db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let (page, salt) = (number(8) as usize, &log[16..24]);
    let frames = (32..).step_by(24 + page).take_while(|at| at + 24 + page <= log.len());
    frames.filter(|&at| &log[at + 8..at + 16] == salt && number(at + 4) > 0).count()
}

/// Lets a step lose twice, so that it decides in the writer's own transaction and holds the writer.
async fn hold_the_writer(store: &Arc<Sqlite>) -> (tokio::task::JoinHandle<Done>, Held) {
    let send = |id, decide| step(id, visit("ZY1", None), vec![id_number(LI)], decide);
    let (decide, mut held) = held(3, keep("ZY1", None, "held"));
    let (step, store) = (send("held", decide), Arc::clone(store));
    let working = Arc::clone(&store);
    let holding = tokio::spawn(async move { working.step(step).await.unwrap() });
    for id in ["faster", "faster again"] {
        held.begun().await;
        store.step(send(id, keep("ZY1", None, "faster"))).await.unwrap();
        held.go_on();
    }
    held.begun().await;
    (holding, held)
}

#[tokio::test]
async fn steps_that_wait_share_one_commit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = Arc::new(open(&path, Key::ephemeral().unwrap()).unwrap());
    let (holding, held) = hold_the_writer(&store).await;
    let (before, counted) = (commits_in_log(&path), store.commits());
    let waiting: Vec<_> = (0..40)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.step(nothing(&n.to_string())).await })
        })
        .collect();
    while store.waiting() < waiting.len() {
        tokio::task::yield_now().await;
    }
    held.go_on();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    holding.await.unwrap();
    assert_eq!(commits_in_log(&path) - before, 1);
    assert_eq!(store.commits() - counted, 1);
}

#[tokio::test]
async fn a_full_queue_says_so_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&directory.path().join("store.db"), Key::ephemeral().unwrap()).unwrap());
    let (holding, held) = hold_the_writer(&store).await;
    let mut waiting: Vec<_> = (0..QUEUE_STEPS_MAX).map(|_| store.ping()).collect();
    for one in &mut waiting {
        // Polled once, each stands in the queue.
        assert!(futures_poll(one.as_mut()).is_none());
    }
    assert!(matches!(store.step(nothing("one more")).await, Err(StoreError::Unavailable(_))));
    held.go_on();
    for one in waiting {
        one.await.unwrap();
    }
    holding.await.unwrap();
}

/// Rows of every table.
fn rows(path: &Path) -> BTreeMap<String, i64> {
    let connection = Connection::open(path).unwrap();
    let mut select = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let tables = select.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    let count =
        |table: &str| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
    tables.map(|table| (table.clone(), count(&table).unwrap())).collect()
}

#[tokio::test]
async fn an_undecided_step_adds_no_row_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = open(&path, Key::ephemeral().unwrap()).unwrap();
    store.step(nothing("1")).await.unwrap();
    let before = rows(&path);
    let left = step("2", visit("ZY1", None), vec![id_number(WANG), mrn("P1")], Box::new(|_| None));
    assert_eq!(store.step(left).await.unwrap(), Done::Undecided);
    assert_eq!(rows(&path), before);
    assert_eq!(before.get("message_claim"), Some(&1));
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_half_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let options = Options { file_bytes_max: Some(512 * 1024) };
    let store = Sqlite::open(&path, Some(Key::ephemeral().unwrap()), Arc::new(RandomIds), options).unwrap();
    let big = |n: u32| -> Step {
        let decide: Decide = Box::new(move |facts| {
            let mut stay = stay_write(&facts, "ZY1", None, "");
            // Packed to nothing, a step might find room where the one before it did not.
            stay.document = unpackable(n.into(), 20_000);
            Some(Changes { stay: Some(stay), answer: vec![n as u8], ..Changes::default() })
        });
        let mut step = step(&n.to_string(), visit("ZY1", None), vec![id_number(WANG)], decide);
        step.claim.as_mut().unwrap().raw = unpackable(n.into(), 20_000);
        step
    };
    let mut kept = 0;
    let refused = loop {
        match store.step(big(kept)).await {
            Ok(_) => kept += 1,
            Err(why) => break why,
        }
    };
    assert!(matches!(&refused, StoreError::Unavailable(why) if why.en.contains("full")), "{refused}");
    assert!(says_both(&refused.to_string()), "{refused}");
    assert!(kept > 3);
    // What was answered is there; what failed may be sent again, and is not taken for a repetition.
    assert_eq!(store.step(big(kept - 1)).await.unwrap(), Done::Repeated(vec![(kept - 1) as u8]));
    assert!(matches!(store.step(big(kept)).await, Err(StoreError::Unavailable(_))));
    store.close().await;
    let check: String =
        Connection::open(&path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

/// A log of commits that were not moved into the file, beside another store of that name.
#[tokio::test]
async fn a_backup_is_not_restored_into_the_log_of_the_store_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let (path, copy) = (directory.path().join("store.db"), directory.path().join("copy.db"));
    let key = Key::ephemeral().unwrap();
    let store = open(&path, key.clone()).unwrap();
    store.backup(&copy, |_| {}).await.unwrap();
    store.step(nothing("1")).await.unwrap();
    let log = std::fs::read(path.with_extension("db-wal")).unwrap();
    assert!(log.len() > 4096);
    store.close().await;
    std::fs::remove_file(&path).unwrap();
    // As after kill -9: nobody moved the log into the file.
    std::fs::write(path.with_extension("db-wal"), log).unwrap();
    let refused = restore(&copy, &path, Some(&key), |_| {}).unwrap_err().to_string();
    assert!(refused.contains("store.db-wal"), "{refused}");
    for ending in ["db-wal", "db-shm"] {
        // The index of the log is there or not, by which connection was closed last.
        let _ = std::fs::remove_file(path.with_extension(ending));
    }
    restore(&copy, &path, Some(&key), |_| {}).unwrap();
    let check = |sql: &str| -> String {
        Connection::open(&path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(check("PRAGMA integrity_check"), "ok");
    assert_eq!(check("SELECT 'messages ' || count(*) FROM message"), "messages 0");
}

#[tokio::test]
async fn a_new_store_without_a_key_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let refused = Sqlite::open(&path, None, Arc::new(RandomIds), Options::default()).err().unwrap();
    assert!(matches!(&refused, StoreError::NoKey(None)), "{refused}");
    let refused = Sqlite::open_beside(&path, None, Arc::new(RandomIds)).err().unwrap();
    assert!(matches!(&refused, StoreError::NoKey(None)), "{refused}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_wrong_or_missing_key_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let key = Key::create(&directory.path().join("right.key")).unwrap();
    let id = key.id().to_string();
    open(&path, key).unwrap().close().await;

    let other = Key::create(&directory.path().join("other.key")).unwrap();
    let other_id = other.id().to_string();
    let missing = || Sqlite::open(&path, None, Arc::new(RandomIds), Options::default());
    for (refused, given) in [(open(&path, other), other_id.as_str()), (missing(), "no key file")] {
        let said = refused.err().unwrap().to_string();
        assert!(said.contains(&id) && said.contains(given), "{said}");
    }
    // The right id with other key bytes is no better.
    let text = std::fs::read_to_string(directory.path().join("other.key")).unwrap();
    std::fs::write(directory.path().join("forged.key"), text.replace(&other_id, &id)).unwrap();
    let forged = Key::read(&directory.path().join("forged.key")).unwrap();
    assert!(
        matches!(open(&path, forged).err().unwrap(), StoreError::WrongKey { expected, .. } if expected == id)
    );

    let right = Key::read(&directory.path().join("right.key")).unwrap();
    open(&path, right).unwrap().close().await;
}

#[test]
fn a_key_file_is_the_owners_alone_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.key");
    Key::create(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(Key::create(&path).unwrap_err().to_string().contains("exists already"));
    std::fs::write(&path, "id = \"00\"\nkey = \"secret\"\n").unwrap();
    let said = Key::read(&path).unwrap_err().to_string();
    assert!(said.contains("12 hexadecimal digits") && !said.contains("secret"), "{said}");
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let key = Key::ephemeral().unwrap();
    open(&path, key.clone()).unwrap().close().await;
    let sql = "INSERT INTO refinery_schema_history VALUES (999, 'later', '2030-01-01T00:00:00Z', '1')";
    Connection::open(&path).unwrap().execute(sql, []).unwrap();
    let newer = open(&path, key).err().unwrap();
    let other = directory.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE mine (a)").unwrap();
    let foreign = open(&other, Key::ephemeral().unwrap()).err().unwrap();
    for refused in [newer, foreign] {
        assert!(matches!(refused, StoreError::Schema(_)) && says_both(&refused.to_string()), "{refused}");
    }
}

/// Bytes that stay as long as they are when they are packed.
fn unpackable(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(next).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_steps_are_written_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (path, copy, restored) = (
        directory.path().join("store.db"),
        directory.path().join("copy.db"),
        directory.path().join("restored.db"),
    );
    let key = Key::ephemeral().unwrap();
    let store = Arc::new(open(&path, key.clone()).unwrap());
    for n in 0..200 {
        let mut step =
            step(&n.to_string(), visit("ZY1", None), vec![id_number(WANG)], keep("ZY1", None, "stay"));
        step.claim.as_mut().unwrap().raw = unpackable(n, 40_000);
        store.step(step).await.unwrap();
    }
    let seen = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (writing, counting) = (Arc::clone(&store), Arc::clone(&seen));
    let handle = tokio::runtime::Handle::current();
    let progress = move |progress: yizhan::store::sqlite::CopyProgress| {
        // A step between any two parts of the copy.
        let number = counting.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1000;
        handle
            .block_on(writing.step(step(
                &number.to_string(),
                visit("ZY1", None),
                vec![id_number(WANG)],
                keep("ZY1", None, "later"),
            )))
            .unwrap();
        assert!(progress.done <= progress.of);
    };
    store.backup(&copy, progress).await.unwrap();
    assert!(seen.load(std::sync::atomic::Ordering::Relaxed) > 1);
    assert!(matches!(store.backup(&copy, |_| {}).await, Err(StoreError::Taken(_))));
    Arc::into_inner(store).unwrap().close().await;

    assert!(matches!(restore(&copy, &path, Some(&key), |_| {}), Err(StoreError::Taken(_))));
    let wrong = Key::ephemeral().unwrap();
    assert!(matches!(restore(&copy, &restored, Some(&wrong), |_| {}), Err(StoreError::WrongKey { .. })));
    assert!(!restored.exists());
    // What a gateway that was killed left behind: its log would be played into whatever takes the store's name.
    let beside = |ending: &str| directory.path().join(format!("restored.db{ending}"));
    for ending in ["-wal", "-shm", "-journal"] {
        std::fs::write(beside(ending), b"left behind").unwrap();
        let refused = restore(&copy, &restored, Some(&key), |_| {}).unwrap_err().to_string();
        assert!(refused.contains(&format!("restored.db{ending}")) && says_both(&refused), "{refused}");
        std::fs::remove_file(beside(ending)).unwrap();
        // Of a restoring that broke off.
        std::fs::write(beside(&format!("-partial{ending}")), b"left behind").unwrap();
    }
    assert!(!restored.exists());
    restore(&copy, &restored, Some(&key), |_| {}).unwrap();
    let rows = |path: &Path| -> BTreeSet<(Vec<u8>, Vec<u8>)> {
        let connection = Connection::open(path).unwrap();
        let mut select = connection.prepare("SELECT message_id, raw FROM message").unwrap();
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let (copied, all) = (rows(&copy), rows(&path));
    assert_eq!(copied.len(), 200, "the copy is of the moment it was asked for");
    assert!(copied == rows(&restored) && copied.is_subset(&all) && all.len() > 200);
    let store = open(&restored, key).unwrap();
    assert_eq!(
        store
            .step(step("199", visit("ZY1", None), vec![], Box::new(|_| panic!("decided twice"))))
            .await
            .unwrap(),
        Done::Repeated(b"stay".to_vec())
    );
}
