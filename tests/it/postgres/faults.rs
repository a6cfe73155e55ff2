//! A server that is killed, and a pool that is empty.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use yizhan::runtime::RandomIds;
use yizhan::store::postgres::{Options, Postgres};
use yizhan::store::seal::Key;
use yizhan::store::{Done, Step, Store as _, StoreError};

use super::{counted, of, one_more, until_answered};
use crate::cluster::{self, Cluster};
use crate::says_both;
use crate::stays::*;

const WORKERS: usize = 6;

/// Steps of many messages while something is done to the server; then everything acknowledged is there, once.
async fn under_load(cluster: &Cluster, database: &str, trouble: impl AsyncFnOnce(&AtomicU32)) {
    let address = cluster.address(database);
    let store = Arc::new(open_postgres(&address, Key::ephemeral().unwrap()).await.unwrap());
    let (acknowledged, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (store, stop, acknowledged) =
                (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&acknowledged));
            // Half of them about one person: they race as well.
            let person = if worker % 2 == 0 { WANG } else { LI };
            tokio::spawn(async move {
                let mut sent = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let id = format!("{worker}-{}", sent.len());
                    let done = until_answered(&*store, || of(person, &id, "ZY1")).await;
                    // A message that was answered by an error and then found counts as one.
                    assert!(
                        matches!(&done, Done::Decided(said) | Done::Repeated(said) if said == b"one more")
                    );
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    sent.push((id, person));
                }
                sent
            })
        })
        .collect();
    trouble(&acknowledged).await;
    stop.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for worker in workers {
        sent.extend(worker.await.unwrap());
    }
    for person in [WANG, LI] {
        let count = sent.iter().filter(|(_, of)| *of == person).count();
        assert_eq!(counted(&*store, person).await, (count as u32, format!("{count}.00")), "{person}");
    }
    for (id, person) in &sent {
        let again =
            step(id, visit("ZY1", None), vec![id_number(person)], Box::new(|_| panic!("was not kept")));
        assert_eq!(store.step(again).await.unwrap(), Done::Repeated(b"one more".to_vec()), "{id}");
    }
}

async fn reach(count: &AtomicU32, more: u32) {
    let until = count.load(Ordering::Relaxed) + more;
    while count.load(Ordering::Relaxed) < until {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing_acknowledged_and_does_nothing_twice() {
    let cluster = Arc::new(Cluster::start());
    let database = cluster.database().await;
    under_load(&cluster, &database, async |acknowledged| {
        for _ in 0..3 {
            reach(acknowledged, 50).await;
            cluster.kill();
            let starting = Arc::clone(&cluster);
            tokio::task::spawn_blocking(move || starting.restart()).await.unwrap();
        }
        reach(acknowledged, 50).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_by_the_server_lose_nothing_and_do_nothing_twice() {
    let cluster = cluster::shared();
    let database = cluster.database().await;
    under_load(cluster, &database, async |acknowledged| {
        let admin = cluster.client("postgres").await;
        for _ in 0..40 {
            reach(acknowledged, 5).await;
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
            admin.execute(sql, &[&database]).await.unwrap();
        }
    })
    .await;
}

async fn with_connections(connections_max: usize, wait: Duration) -> Postgres {
    let cluster = cluster::shared();
    let address = cluster.address(&cluster.database().await).parse().unwrap();
    let options = Options { connections_max, wait, ..Options::default() };
    Postgres::open(&address, Some(Key::ephemeral().unwrap()), Arc::new(RandomIds), options).await.unwrap()
}

#[tokio::test]
async fn an_exhausted_pool_says_so_and_serves_again() {
    let store = with_connections(1, Duration::from_millis(20)).await;
    let (decide, mut deciding) = held(1, one_more("ZY1"));
    let slow = Step { decide, ..of(WANG, "slow", "ZY1") };
    let crowd = async {
        deciding.begun().await;
        let refused = store.step(of(LI, "fast", "ZY2")).await;
        assert!(
            matches!(&refused, Err(StoreError::Unavailable(why)) if why.zh.contains("全部占用") && why.en.contains("in use")),
            "{refused:?}"
        );
        let refused = store.person(vec![id_number(LI)]).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))));
        deciding.go_on();
    };
    let (slow, ()) = tokio::join!(store.step(slow), crowd);
    assert_eq!(slow.unwrap(), Done::Decided(b"one more".to_vec()));
    assert_eq!(store.step(of(LI, "fast", "ZY2")).await.unwrap(), Done::Decided(b"one more".to_vec()));
}

#[tokio::test]
async fn hospitals_are_told_while_settlements_have_all_connections() {
    let store = with_connections(1, Duration::from_millis(20)).await;
    let (decide, mut deciding) = held(1, one_more("ZY1"));
    let slow = Step { decide, ..of(WANG, "slow", "ZY1") };
    let telling = async {
        deciding.begun().await;
        assert!(store.person(vec![id_number(LI)]).await.is_err(), "there is no connection left");
        assert!(store.outbox_due(now(), vec![], 1).await.unwrap().is_empty());
        assert!(store.outbox_waiting(1).await.unwrap().is_empty());
        assert!(store.bill(uuid::Uuid::nil(), 1).await.unwrap().is_none());
        deciding.go_on();
    };
    let (slow, ()) = tokio::join!(store.step(slow), telling);
    assert_eq!(slow.unwrap(), Done::Decided(b"one more".to_vec()));
}

/// Of one connection.
const WAITING_MAX: usize = 16;

#[tokio::test]
async fn where_as_many_wait_as_may_one_more_is_answered_at_once() {
    let store = with_connections(1, Duration::from_secs(3600)).await;
    let (decide, mut deciding) = held(1, one_more("ZY1"));
    let slow = Step { decide, ..of(WANG, "slow", "ZY1") };
    let crowd = async {
        deciding.begun().await;
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| store.person(vec![id_number(LI)])).collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none(), "it waits for the connection");
        }
        let answered = store.person(vec![id_number(LI)]).now_or_never();
        assert!(
            matches!(&answered, Some(Err(StoreError::Unavailable(why))) if why.en.contains("in use")),
            "{answered:?}"
        );
        deciding.go_on();
        for one in waiting {
            one.await.unwrap();
        }
    };
    let (slow, ()) = tokio::join!(store.step(slow), crowd);
    assert_eq!(slow.unwrap(), Done::Decided(b"one more".to_vec()));
}

#[tokio::test]
async fn a_step_that_nobody_waits_for_any_more_gives_its_connection_back_whole() {
    let store = with_connections(1, Duration::from_secs(5)).await;
    for number in 0..20 {
        let id = number.to_string();
        let mut given_up = store.step(of(WANG, &id, "ZY1"));
        // Polled a few times, each step is given up at another place.
        for _ in 0..number {
            let _ = futures_poll(given_up.as_mut());
            tokio::task::yield_now().await;
        }
        drop(given_up);
    }
    for number in 0..20 {
        let id = number.to_string();
        let done = store.step(of(WANG, &id, "ZY1")).await.unwrap();
        assert!(matches!(done, Done::Decided(_) | Done::Repeated(_)));
    }
    assert_eq!(counted(&store, WANG).await, (20, "20.00".to_owned()));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("postgres:///none?host={}", folder.path().display());
    let refused = open_postgres(&address, Key::ephemeral().unwrap()).await.err().unwrap();
    assert!(matches!(&refused, StoreError::Unavailable(why) if why.en.contains("PostgreSQL")), "{refused}");
    assert!(says_both(&refused.to_string()), "{refused}");
}
