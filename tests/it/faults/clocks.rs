//! A clock that somebody sets while payers are being asked: leases lapse at once or last for long, and nothing is done
//! by half or twice for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use yizhan::runtime::{Clock, Sleep};

use super::hospitals::Hospitals;
use super::house::House;
use super::pass_ms;
use super::payer::{Temper, any_chain, kept};
use super::process::Hurried;
use super::reckoning::{quiet, reckon};
use super::site::Site;
use crate::simulation::dice::Dice;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// Back one hour, forward one day, back and forth; the last one beyond all before, so that what waits comes due.
const JUMPS_S: [i64; 8] = [-HOUR_S, DAY_S, -HOUR_S, HOUR_S, DAY_S, -DAY_S, -HOUR_S, 2 * DAY_S];
const HURRY: i32 = 10;
const DESKS: u64 = 4;

/// Who sleeps sleeps on: only what the clock says is another.
struct Jumping {
    even: Hurried,
    ahead_s: AtomicI64,
}

impl Jumping {
    fn ahead(&self) -> SignedDuration {
        SignedDuration::from_secs(self.ahead_s.load(Ordering::SeqCst))
    }
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        self.even.now() + self.ahead()
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep<'_> {
        self.even.sleep_until(at.saturating_sub(self.ahead()).unwrap())
    }
}

async fn under_jumps(seed: u64, site: Site) {
    let mut dice = Dice::of(seed);
    let chain = any_chain(&mut dice);
    let store = site.place.open().await;
    let clock = Arc::new(Jumping { even: Hurried::times(HURRY), ahead_s: AtomicI64::new(0) });
    let house = |temper| {
        let clock = Arc::clone(&clock) as Arc<dyn Clock>;
        House::open(Arc::clone(&store) as _, clock, (chain, temper, seed), site.folder.path())
    };
    let first = house(Temper::Fickle);
    let doors = watch::Sender::new(vec![first.doors]);
    let hospitals = Hospitals::new(doors.subscribe());
    let desks: Vec<_> = (0..DESKS).map(|nth| tokio::spawn(Arc::clone(&hospitals).desk(nth, seed))).collect();
    for by_s in JUMPS_S {
        pass_ms(dice.between(200, 900)).await;
        clock.ahead_s.fetch_add(by_s, Ordering::SeqCst);
    }
    hospitals.close();
    let second = house(Temper::Calm);
    doors.send_replace(vec![second.doors]);
    for desk in desks {
        desk.await.unwrap();
    }
    first.close().await;
    let visits = hospitals.told.lock().unwrap().visits.clone();
    let look = quiet(&*store, &visits).await;
    let told = std::mem::take(&mut *hospitals.told.lock().unwrap());
    let sum = reckon(&*store, &kept(chain, site.folder.path()), &told, &look).await;
    let sum = sum.unwrap_or_else(|why| panic!("{why}\nchain {chain}, seed {seed}"));
    assert!(sum.operations > 0, "{sum:?}");
    second.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_leaves_nothing_one_sided() {
    for seed in [1, 2, 3] {
        under_jumps(seed, Site::on_file().await).await;
    }
}
