//! Gateways, and the database under them, killed at random moments while hospitals send: afterwards nothing is lost, and
//! nothing is done by half or twice.
//!
//! `YIZHAN_TEST_KILLS=200 cargo test --test it faults::kills` kills so often on each store; `YIZHAN_TEST_SEED` begins
//! with another seed.

use std::io::Write as _;
use std::sync::Arc;

use tokio::sync::watch;
use yizhan::runtime::steady;

use super::hospitals::Hospitals;
use super::letters::{Form, Receiver};
use super::pass_ms;
use super::payer::{Temper, any_chain, kept};
use super::process::{Doors, Hurried, Running, Setting};
use super::reckoning::{Sum, quiet, reckon};
use super::site::Site;
use crate::cluster::{self, Cluster};
use crate::simulation::chains::OPTIONAL;
use crate::simulation::dice::Dice;

/// Kills between two reckonings.
const KILLS_IN_A_SIEGE: u64 = 12;
const DESKS: u64 = 4;
/// A gateway's seconds in one of ours: its deadlines and leases are long.
const HURRY: i32 = 10;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victims {
    Gateways,
    Server,
}

/// One store, one chain of payers, and so many kills.
struct Siege<'c> {
    seed: u64,
    kills: u64,
    gateways: usize,
    victims: Victims,
    cluster: Option<&'c Cluster>,
}

/// Gateways of a siege; some of them lie dead.
struct Gateways {
    running: Vec<Option<Running>>,
    setting: Setting,
    doors: watch::Sender<Vec<Doors>>,
}

impl Gateways {
    fn new(count: usize, setting: Setting) -> Self {
        let running = (0..count).map(|_| None).collect();
        Self { running, setting, doors: watch::Sender::default() }
    }

    async fn start_all(&mut self, seed: u64) {
        for nth in 0..self.running.len() {
            if self.running[nth].is_none() {
                self.setting.seed = seed ^ nth as u64;
                self.running[nth] = Some(Running::start(&self.setting).await);
            }
        }
        self.tell();
    }

    fn kill(&mut self, nth: usize) {
        let killed = self.running[nth].take();
        self.tell();
        if let Some(killed) = killed {
            killed.kill();
        }
    }

    fn tell(&self) {
        self.doors.send_replace(self.running.iter().flatten().map(|running| running.doors).collect());
    }
}

impl Siege<'_> {
    /// Every other one has a payer that may be left out and asked later, by turns at a hospital that advances its part
    /// and at one that does not.
    fn may_leave_out(&self) -> bool {
        self.seed % 2 == 1
    }

    /// By turns, and on one store as on another.
    fn is_told(&self) -> Form {
        if (self.seed + self.gateways as u64).is_multiple_of(2) { Form::Document } else { Form::Message }
    }

    async fn run(&self) -> Sum {
        let mut dice = Dice::of(self.seed);
        let chain = if self.may_leave_out() { OPTIONAL[0] } else { any_chain(&mut dice) };
        let site = match self.cluster {
            Some(cluster) => Site::on_postgres(cluster).await,
            None => Site::on_file().await,
        };
        let advances = self.seed % 4 == 1;
        let setting = site.setting(chain, Temper::Fickle, self.seed, Hurried::times(HURRY));
        let receiver = Receiver::fickle(self.is_told()).await;
        let return_address = Some(receiver.address.clone());
        let setting = Setting { advances, return_address, ..setting };
        let mut gateways = Gateways::new(self.gateways, setting);
        gateways.start_all(dice.throw()).await;
        let hospitals = Hospitals::new(gateways.doors.subscribe());
        hospitals.told.lock().unwrap().advances = advances;
        let desks = (0..DESKS).map(|nth| tokio::spawn(Arc::clone(&hospitals).desk(nth, self.seed)));
        let desks: Vec<_> = desks.collect();
        for _ in 0..self.kills {
            pass_ms(dice.between(100, 1_200)).await;
            self.strike(&mut gateways, &mut dice).await;
        }
        // The last ones have payers that do as they are told.
        gateways.setting.temper = Temper::Calm;
        (0..self.gateways).for_each(|nth| gateways.kill(nth));
        gateways.start_all(dice.throw()).await;
        hospitals.close();
        for desk in desks {
            desk.await.unwrap();
        }
        let visits = hospitals.told.lock().unwrap().visits.clone();
        let store = site.place.open_beside().await;
        let look = quiet(&*store, &visits).await;
        (0..self.gateways).for_each(|nth| gateways.kill(nth));
        let told = std::mem::take(&mut *hospitals.told.lock().unwrap());
        let payers = kept(chain, site.folder.path());
        let fault = |why: String| -> Sum { panic!("{why}\nchain {chain}, YIZHAN_TEST_SEED={}", self.seed) };
        let sum = reckon(&*store, &payers, &told, &look).await.unwrap_or_else(fault);
        receiver.reckon(&look).map_or_else(fault, |(letters, told_again)| Sum { letters, told_again, ..sum })
    }

    async fn strike(&self, gateways: &mut Gateways, dice: &mut Dice) {
        if let (Victims::Server, Some(cluster)) = (self.victims, self.cluster) {
            cluster.kill();
            pass_ms(dice.below(500)).await;
            tokio::task::block_in_place(|| cluster.restart());
            return;
        }
        gateways.kill(dice.index(self.gateways));
        // Among several, one may stay away for longer than its leases last.
        if self.gateways == 1 || dice.percent(70) {
            gateways.start_all(dice.throw()).await;
        }
    }
}

/// As many kills as are asked for, in sieges of their own.
async fn besiege(what: &str, few: u64, gateways: usize, victims: Victims, cluster: Option<&Cluster>) {
    let named = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let kills = named("YIZHAN_TEST_KILLS").unwrap_or(few);
    let mut seed = named("YIZHAN_TEST_SEED").unwrap_or(1);
    let (began, mut sum, mut done) = (steady(), Sum::default(), 0);
    while done < kills {
        let more = KILLS_IN_A_SIEGE.min(kills - done);
        sum.add(Siege { seed, kills: more, gateways, victims, cluster }.run().await);
        (done, seed) = (done + more, seed + 1);
        let took = steady().duration_since(began);
        let _ = writeln!(std::io::stderr(), "{what}: {done} kills in {took:.1?}, nothing lost: {sum:?}");
    }
    assert!(sum.acknowledged > 0 && sum.operations > 0 && sum.letters > 0, "{sum:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_on_sqlite_that_is_killed_loses_nothing_and_leaves_nothing_one_sided() {
    besiege("gateway on SQLite", KILLS_IN_A_SIEGE, 1, Victims::Gateways, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_on_postgresql_that_are_killed_lose_nothing_and_leave_nothing_one_sided() {
    besiege("two gateways on PostgreSQL", KILLS_IN_A_SIEGE, 2, Victims::Gateways, Some(cluster::shared()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_is_killed_loses_nothing_and_leaves_nothing_one_sided() {
    besiege("PostgreSQL itself", 4, 1, Victims::Server, Some(&Cluster::start())).await;
}
