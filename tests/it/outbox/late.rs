//! A database that takes long to begin a delivery.

use yizhan::runtime::{CountedIds, Runtime};
use yizhan::settlement::gateway::Gateway;
use yizhan::settlement::payers::Payers;
use yizhan_rules::PolicyShelf;

use super::*;
use crate::http::served::Gate;

/// Takes deliveries at its own pace.
struct Slow {
    house: House,
    worker: Worker,
    told: Arc<Told>,
    _listening: watch::Sender<bool>,
}

impl Slow {
    /// Of one bill for the county hospital.
    async fn start(takes: SignedDuration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Told::answering(&[]);
        let _listening = listen(listener, Arc::clone(&told)).await;
        let house = house(&[(COUNTY, address.to_string())]).await;
        settle(&house, COUNTY, "V1").await;
        let gate = Gate::before(Arc::clone(&house.store) as _);
        gate.hold_up_deliveries(Arc::clone(&house.clock), takes);
        let profiles = Arc::clone(house.reception.profiles());
        let known = Arc::clone(&profiles);
        let hospitals =
            Arc::new(move |code: &str| known.of_hospital(code).map(|found| Arc::clone(&found.hospital)));
        let (policies, payers) = (Arc::new(PolicyShelf::shipped().unwrap()), Arc::new(Payers::none()));
        let runtime = Runtime { clock: Arc::clone(&house.clock) as _, ids: Arc::<CountedIds>::default() };
        let gateway = Gateway::new(Arc::new(gate), policies, hospitals, payers, "slow".into(), runtime);
        let worker = Worker::over(gateway, profiles);
        Self { house, worker, told, _listening }
    }
}

/// Another gateway may have taken it by the time it has come, and begun what comes after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_is_begun_only_where_it_can_end_while_it_is_nobody_elses() {
    let Slow { house, worker, told, _listening } = Slow::start(SignedDuration::from_secs(11)).await;
    for attempts in 1..=3 {
        outbox(&house, |waiting| waiting.iter().any(|entry| entry.attempts == attempts)).await;
        later(&house);
    }
    worker.stop().await;
    assert!(told.ids().is_empty(), "{:?}", told.ids());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_can_just_end_in_time_is_begun() {
    let Slow { house, worker, told, _listening } = Slow::start(SignedDuration::from_secs(10)).await;
    told.reach(1).await;
    outbox(&house, <[_]>::is_empty).await;
    worker.stop().await;
}
