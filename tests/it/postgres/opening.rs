//! Opening a store: keys, migrations, other people's databases.

use std::sync::Arc;

use yizhan::runtime::RandomIds;
use yizhan::store::postgres::{Options, Postgres};
use yizhan::store::seal::Key;
use yizhan::store::{Done, Store as _, StoreError};

use super::of;
use crate::cluster;
use crate::says_both;
use crate::stays::*;

#[tokio::test]
async fn a_wrong_or_missing_key_is_refused_by_name() {
    let cluster = cluster::shared();
    let address = cluster.address(&cluster.database().await);
    let (key, other) = (Key::ephemeral().unwrap(), Key::ephemeral().unwrap());
    let (id, other_id) = (key.id().to_string(), other.id().to_string());
    open_postgres(&address, key.clone()).await.unwrap();
    let open = async |key| {
        let parsed = address.parse().unwrap();
        Postgres::open(&parsed, key, Arc::new(RandomIds), Options::default()).await.err().unwrap()
    };
    for (refused, given) in [(open(Some(other)).await, other_id.as_str()), (open(None).await, "no key file")]
    {
        let said = refused.to_string();
        assert!(said.contains(&id) && said.contains(given), "{said}");
    }
    open_postgres(&address, key).await.unwrap();
}

#[tokio::test]
async fn a_new_store_without_a_key_is_not_made() {
    let cluster = cluster::shared();
    let name = cluster.database().await;
    let address = cluster.address(&name).parse().unwrap();
    let refused =
        Postgres::open(&address, None, Arc::new(RandomIds), Options::default()).await.err().unwrap();
    assert!(matches!(&refused, StoreError::NoKey(None)), "{refused}");
    let sql = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(cluster.client(&name).await.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_database_of_a_newer_or_another_program_is_refused() {
    let cluster = cluster::shared();
    let key = Key::ephemeral().unwrap();
    let newer = cluster.database().await;
    open_postgres(&cluster.address(&newer), key.clone()).await.unwrap();
    let sql = "INSERT INTO refinery_schema_history VALUES (999, 'later', '2030-01-01T00:00:00Z', '1')";
    cluster.client(&newer).await.batch_execute(sql).await.unwrap();
    let others = cluster.database().await;
    cluster.client(&others).await.batch_execute("CREATE TABLE mine (a integer)").await.unwrap();
    for name in [newer, others] {
        let refused = open_postgres(&cluster.address(&name), key.clone()).await.err().unwrap();
        assert!(matches!(refused, StoreError::Schema(_)) && says_both(&refused.to_string()), "{refused}");
    }
}

#[tokio::test]
async fn what_was_stored_is_there_for_the_next_gateway() {
    let cluster = cluster::shared();
    let address = cluster.address(&cluster.database().await);
    let key = Key::ephemeral().unwrap();
    let store = open_postgres(&address, key.clone()).await.unwrap();
    store.step(of(WANG, "1", "ZY1")).await.unwrap();
    store.close();
    let next = open_postgres(&address, key).await.unwrap();
    assert_eq!(next.step(of(WANG, "1", "ZY1")).await.unwrap(), Done::Repeated(b"one more".to_vec()));
}

/// A server whose default is to answer before a commit is durable.
#[tokio::test]
async fn a_commit_is_durable_whatever_the_servers_default_is() {
    let cluster = cluster::shared();
    let name = cluster.database().await;
    let admin = cluster.client("postgres").await;
    admin.batch_execute(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await.unwrap();
    let store = open_postgres(&cluster.address(&name), Key::ephemeral().unwrap()).await.unwrap();
    let position = async || {
        let sql = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint, (pg_current_wal_insert_lsn() - '0/0')::bigint";
        let row = admin.query_one(sql, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    for number in 0..5 {
        let (_, before) = position().await;
        store.step(of(WANG, &number.to_string(), "ZY1")).await.unwrap();
        let (flushed, _) = position().await;
        assert!(flushed > before, "answered before it was flushed");
    }
}
