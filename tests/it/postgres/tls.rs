//! Over a network: encrypted, and only to the server whose certificate holds.

use std::sync::Arc;

use yizhan::runtime::RandomIds;
use yizhan::store::postgres::{Options, Postgres};
use yizhan::store::seal::Key;
use yizhan::store::{Store as _, StoreError};

use super::{counted, of};
use crate::authority::Authority;
use crate::cluster::Cluster;
use crate::stays::*;

#[tokio::test]
async fn a_store_is_reached_over_tls_and_nobody_elses_server_is_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (cluster, port) = Cluster::with_tls(&authority.configured(false));
    let at = |host: &str, more: &str| format!("postgres://yizhan@{host}:{port}/postgres?{more}");
    let trusting = |authority: &Authority| {
        let file = authority.own_file().display().to_string();
        format!("sslmode=verify-full&sslrootcert={}", file.replace('/', "%2F"))
    };
    let key = Key::ephemeral().unwrap();
    let open = async |address: String| {
        let (address, key) = (address.parse().unwrap(), Some(key.clone()));
        Postgres::open(&address, key, Arc::new(RandomIds), Options::default()).await
    };
    let store = open(at("localhost", &trusting(&authority))).await.unwrap();
    store.step(of(WANG, "1", "ZY1")).await.unwrap();
    assert_eq!(counted(&store, WANG).await, (1, "1.00".to_owned()));
    let sql = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
               WHERE ssl AND version = 'TLSv1.3' AND application_name = 'yizhan'";
    let encrypted: i64 = cluster.client("postgres").await.query_one(sql, &[]).await.unwrap().get(0);
    assert!(encrypted >= 1);

    // Signed by somebody else, issued to another name, not encrypted at all.
    for address in [
        at("localhost", &trusting(&other)),
        at("127.0.0.1", &trusting(&authority)),
        at("localhost", "sslmode=disable"),
    ] {
        let refused = open(address.clone()).await.err().unwrap();
        assert!(matches!(refused, StoreError::Unavailable(_)), "{address}: {refused}");
    }
}
