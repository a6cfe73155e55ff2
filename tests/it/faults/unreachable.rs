//! A database that is gone, or stands still with its connections open, and comes back.

use super::site::Site;
use super::trouble::through_trouble;
use super::until;
use crate::cluster::{Cluster, has_ended};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_is_said_and_when_it_is_back_everything_goes_on() {
    let cluster = Cluster::start();
    let site = Site::on_postgres(&cluster).await;
    let store = site.place.open().await;
    let restart = async || tokio::task::block_in_place(|| cluster.restart());
    let kill = async || {
        let left = cluster.kill();
        until("gone", async || left.iter().all(|process| has_ended(process)).then_some(())).await;
    };
    through_trouble(&site, store, kill, restart).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stands_still_is_said_and_when_it_goes_on_everything_does() {
    let cluster = Cluster::start();
    let site = Site::on_postgres(&cluster).await;
    let store = site.place.open().await;
    through_trouble(&site, store, async || cluster.pause(), async || cluster.resume()).await;
}
