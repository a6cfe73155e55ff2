//! The kit is certified itself: by an adapter that passes everything, and by those that are wrong in one thing.

mod careless;
mod cheaper;
mod ended;
mod faults;
mod faulty;
mod front;
mod house;
mod memory;
mod operated;
mod replayed;
mod told;
mod twisted;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use yizhan_kit::certify::{
    Certify, CertifyError, Level, Outcome, PairFiles, People, Report, Standing, Target, TestData, certify,
};
use yizhan_kit::service::{Bridge, Desk};

use careless::{Careless, Core};
use faults::{CAUGHT, Fault};
use house::{Control, House};

use crate::certificates::certificates;

/// Adapters certified at a time.
const AT_ONCE: usize = 4;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

async fn certified(fault: Option<Fault>, load: Duration) -> Report {
    tried(House::of(fault).await, TestData::default(), load).await
}

async fn tried(house: Arc<House>, data: TestData, load: Duration) -> Report {
    let asked = Certify {
        target: house.target(),
        data,
        levels: Level::ALL.to_vec(),
        restart: Some(Box::new(Control(Arc::clone(&house)))),
        load,
        patience: PATIENCE,
    };
    certify(asked, &()).await.unwrap()
}

fn failed(report: &Report) -> Vec<(&str, String)> {
    let failed = report.trials.iter().filter_map(|trial| match &trial.outcome {
        Outcome::Failed { expected, came } => Some((trial.id, format!("{} / {}", expected.en, came.en))),
        _ => None,
    });
    failed.collect()
}

/// What does not apply to an adapter that is told of no visits, whose quotes hold for half an hour, whose commits can be
/// reversed for a month, and that is not asked to pay nothing.
pub(crate) const OF_OTHERS: [&str; 6] = ["L1-11", "L1-12", "L1-13", LAPSES, "L1-16", CLOSES];
const LAPSES: &str = "L1-15";
const CLOSES: &str = "L1-17";

/// The trials that do not apply; every other one has passed, and with it every level.
pub(crate) fn left_out(report: &Report) -> Vec<&str> {
    let not_passed = report.trials.iter().filter(|trial| trial.outcome != Outcome::Passed);
    let (left_out, others): (Vec<_>, Vec<_>) =
        not_passed.partition(|trial| matches!(trial.outcome, Outcome::NotApplicable { .. }));
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(report.reached(), Some(Level::L7));
    left_out.iter().map(|trial| trial.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_payer_passes_every_level() {
    let report = certified(None, Duration::from_secs(1)).await;
    assert_eq!(left_out(&report), OF_OTHERS);
    // A trial that no adapter was ever seen to fail shows nothing.
    let shown: BTreeSet<&str> = CAUGHT.iter().map(|(_, id)| *id).collect();
    let made: BTreeSet<&str> = report.trials.iter().map(|trial| trial.id).collect();
    assert_eq!(made, shown);
}

/// It is told of every stay as a gateway would, or it would quote none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_one_that_must_see_visits() {
    let house = House::that_sees_visits().await;
    let report = tried(house, TestData::default(), Duration::from_secs(1)).await;
    assert_eq!(left_out(&report), [LAPSES, CLOSES]);
}

/// What a commit comes to counts, and not what was quoted, where the manifest says that it may be less.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_one_that_pays_less_than_it_quoted_and_says_so() {
    let house = House::of_quotes_that_are_not_firm().await;
    let report = tried(house, TestData::default(), Duration::from_secs(1)).await;
    assert_eq!(left_out(&report), OF_OTHERS);
}

/// Whoever asks for one request at a time is tried side by side all the same, and may say that it is busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_one_that_takes_one_request_at_a_time() {
    let house = House::that_takes_one_at_a_time().await;
    let report = tried(house, TestData::default(), Duration::from_secs(1)).await;
    assert_eq!((left_out(&report), report.at_once), (OF_OTHERS.to_vec(), 4));
}

/// Passes every level by the service over it.
async fn passes(make: fn(Arc<Mutex<Core>>) -> Careless) {
    let core: Arc<Mutex<Core>> = Arc::default();
    let house = House::with(move |book| {
        let payer = make(Arc::clone(&core));
        Arc::new(Desk::of(Bridge::open(Arc::new(payer), book).unwrap()))
    });
    let mut data = TestData { no_annual_cap: true, ..TestData::default() };
    data.people = People { not_covered: None, refused: None, unknown: None, capped: None, ..data.people };
    let report = tried(house.await, data, Duration::from_secs(1)).await;
    let expected = [&["L1-04", "L1-05", "L1-09"][..], &OF_OTHERS, &["L1-18", "L3-01", "L3-02"]].concat();
    assert_eq!(left_out(&report), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lapses_soon_is_waited_for() {
    let house = House::of_short_terms().await;
    let report = tried_at(Level::L1, house.target()).await.unwrap();
    for id in [LAPSES, CLOSES] {
        let trial = report.trials.iter().find(|trial| trial.id == id).unwrap();
        assert_eq!((&trial.outcome, report.reached()), (&Outcome::Passed, Some(Level::L1)), "{id}");
    }
}

/// The simulated payer, by a kit that shows these as a certificate that has expired, and as one that follows its own.
async fn tried_with(expired: Option<PairFiles>, next: Option<PairFiles>) -> Result<Report, CertifyError> {
    let house = House::of(None).await;
    let mut target = house.target();
    let tls = target.tls.as_mut().unwrap();
    (tls.expired, tls.next) = (expired, next);
    tried_at(Level::L5, target).await
}

async fn tried_at(level: Level, target: Target) -> Result<Report, CertifyError> {
    let asked = Certify {
        target,
        data: TestData::default(),
        levels: vec![level],
        restart: None,
        load: Duration::ZERO,
        patience: PATIENCE,
    };
    certify(asked, &()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_certificates_are_shown_where_they_are_what_they_are_given_for() {
    let report = tried_with(None, None).await.unwrap();
    // Nor does it see what one writes that it did not start.
    for id in ["L5-07", "L5-08", "L5-09"] {
        let trial = report.trials.iter().find(|trial| trial.id == id).unwrap();
        assert!(matches!(trial.outcome, Outcome::NotApplicable { .. }), "{trial:?}");
    }
    let level = report.levels.iter().find(|level| level.level == Level::L5).unwrap();
    assert_eq!(level.standing, Standing::Passed);
    let path = |name: &str| certificates().path(name);
    let pair =
        |of: &str| PairFiles { certificate: path(&format!("{of}.pem")), key: path(&format!("{of}.key")) };
    let why = tried_with(Some(pair("caller")), None).await.unwrap_err().to_string();
    assert!(why.contains("caller.pem") && why.contains("has not expired"), "{why}");
    for of in ["expired", "stranger"] {
        let why = tried_with(None, Some(pair(of))).await.unwrap_err().to_string();
        assert!(why.contains(&format!("{of}.pem")) && why.contains("is not good under --ca"), "{why}");
    }
}

/// Whoever is served by the crate need not think of being asked twice, nor of being killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_careless_payer_passes_every_level() {
    passes(Careless::with).await;
}

/// What never reached a system that books twice what is sent twice ends by a reversal, as the gateway ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_does_one_that_loses_what_must_not_be_sent_again() {
    passes(Careless::losing_some).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_caught_by_its_trial_and_by_no_other() {
    let caught = stream::iter(CAUGHT.iter().copied()).map(|(fault, id)| async move {
        // Who is slow or busy under load is so only beside others, whom a slow machine brings together in a while.
        let load_ms = if id.starts_with("L6") { 1_000 } else { 100 };
        (fault, id, certified(Some(fault), Duration::from_millis(load_ms)).await)
    });
    let caught: Vec<_> = caught.buffer_unordered(AT_ONCE).collect().await;
    let mut wrong = Vec::new();
    for (fault, id, report) in &caught {
        let failed = failed(report);
        if failed.iter().map(|(failed, _)| *failed).ne([*id]) {
            wrong.push(format!("{fault:?} should fail {id}, fails {failed:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
