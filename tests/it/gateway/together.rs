//! Four gateways on one PostgreSQL, each with connections of its own: one truth.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use yizhan::runtime::{Clock as _, CountedIds, FixedClock};
use yizhan::settlement::payers::Payers;
use yizhan::store::Ports;
use yizhan::store::seal::Key;
use yizhan::store::sqlite::Sqlite;
use yizhan_rules::PolicyShelf;

use super::insurer::Generous;
use super::random::{fifty_posts, many_of_one_person};
use super::{House, audit, profiles};
use crate::cluster;
use crate::stays::open_postgres;

const GATEWAYS: usize = 4;

async fn gateways(payers: impl Fn() -> Payers) -> Vec<Arc<House>> {
    let cluster = cluster::shared();
    let address = cluster.address(&cluster.database().await);
    let (key, ids) = (Key::ephemeral().unwrap(), Arc::new(CountedIds::default()));
    let mut houses = Vec::new();
    for nth in 0..GATEWAYS {
        let store = Arc::new(open_postgres(&address, key.clone()).await.unwrap());
        houses.push(Arc::new(house(store, payers(), &format!("gateway {nth}"), &ids)));
        tokio::spawn(runs(Arc::clone(&houses[nth].clock)));
    }
    houses[0].fill().await;
    houses
}

/// Time goes by: who meets a stay in the hands of another gateway looks again after a while.
pub(crate) async fn runs(clock: Arc<FixedClock>) {
    const TICK: Duration = Duration::from_millis(10);
    let mut ticks = tokio::time::interval(TICK);
    // No time goes by for gateways that do not get on: what a machine took from them is not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        clock.put(clock.now() + TICK);
    }
}

fn house(store: Arc<dyn Ports>, payers: Payers, name: &str, ids: &Arc<CountedIds>) -> House {
    House::over(store, PolicyShelf::shipped().unwrap(), profiles("", None), payers, name, ids.clone())
}

/// One gateway over a store in memory, filled.
async fn alone(payers: Payers) -> House {
    let ids = Arc::new(CountedIds::default());
    let house = house(Arc::new(Sqlite::in_memory(ids.clone()).unwrap()), payers, "alone", &ids);
    house.fill().await;
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_equal_posts_are_one_settlement() {
    fifty_posts(&gateways(Payers::none).await).await;
    let insurer = Generous::new(Duration::from_millis(5));
    fifty_posts(&gateways(|| insurer.payers()).await).await;
    assert_eq!(insurer.commits(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_settlements_of_one_person_equal_a_serial_order() {
    let houses = gateways(Payers::none).await;
    many_of_one_person(&houses, 200, &alone(Payers::none()).await).await;
    assert_eq!(audit(&*houses[0].store).await.1, []);
}

/// What others have sent a payer and not settled yet counts as well: nobody waits, and no cap is passed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_settlements_of_one_person_with_an_insurer_equal_a_serial_order() {
    let insurer = Generous::new(Duration::from_millis(5));
    let houses = gateways(|| insurer.payers()).await;
    let serial = alone(Generous::new(Duration::ZERO).payers()).await;
    many_of_one_person(&houses, 200, &serial).await;
    assert_eq!(insurer.holds(), "20000.00".parse().unwrap());
    assert_eq!(audit(&*houses[0].store).await.1, []);
}
