//! A database that is gone, and comes back.

use super::site::Site;
use super::trouble::through_trouble;
use crate::cluster::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_is_said_and_when_it_is_back_everything_goes_on() {
    let cluster = Cluster::start();
    let site = Site::on_postgres(&cluster).await;
    let store = site.place.open().await;
    let restart = async || tokio::task::block_in_place(|| cluster.restart());
    through_trouble(&site, store, async || cluster.kill(), restart).await;
}
