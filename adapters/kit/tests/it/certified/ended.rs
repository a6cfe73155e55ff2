//! Whether an adapter was ended at all: what does not end it, or is not it, is told for what it is.

use std::time::Duration;

use yizhan_kit::certify::{
    Certify, Commanded, Level, Outcome, Report, Restart, Standing, Started, Target, TestData, certify,
};

use super::PATIENCE;
use super::house::House;

/// The levels up to L4.
async fn tried(target: Target, restart: Box<dyn Restart>) -> Result<Report, String> {
    let asked = Certify {
        target,
        data: TestData::default(),
        levels: vec![Level::L4],
        restart: Some(restart),
        load: Duration::ZERO,
        patience: PATIENCE,
    };
    certify(asked, &()).await.map_err(|why| why.to_string())
}

/// An adapter that keeps everything in memory would pass, had it only to answer after a command that does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_not_ended_has_not_survived_it() {
    let house = House::of(None).await;
    let report = tried(house.target(), Box::new(Commanded("true".to_owned()))).await.unwrap();
    let level = report.levels.iter().find(|level| level.level == Level::L4).unwrap();
    assert_eq!(level.standing, Standing::Incomplete);
    let says = [("L4-04", "the adapter was not ended"), ("L4-05", "L4-04"), ("L4-06", "L4-04")];
    for (id, says) in says {
        let trial = report.trials.iter().find(|trial| trial.id == id).unwrap();
        let Outcome::NotRun { why } = &trial.outcome else { panic!("{trial:?}") };
        assert!(why.en.contains(says), "{trial:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_is_not_started_where_somebody_answers() {
    let house = House::of(None).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(log.path(), "of a run before").unwrap();
    let why = Started::begin("exit 1", log.path(), &house.target()).unwrap_err().to_string();
    let port = house.address.port().to_string();
    assert!(why.contains(&port) && why.contains("somebody answers there already"), "{why}");
    assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "of a run before");
}

/// Commands that are over while somebody answers, and how they ended.
const OVER: &[(&str, &str)] = &[("exit 3", "exit status: 3"), ("sleep 60 &", "exit status: 0")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_does_not_stay_is_told_with_how_it_ended() {
    let log = tempfile::NamedTempFile::new().unwrap();
    for (command, how) in OVER {
        let house = House::of(None).await;
        let target = house.target();
        house.end().await;
        let started = Started::begin(command, log.path(), &target).unwrap();
        while started.has_ended().is_none() {
            tokio::task::yield_now().await;
        }
        house.begin().await;
        let why = tried(target, Box::new(started)).await.unwrap_err();
        assert!(why.contains(how) && why.contains("in the foreground"), "{command}: {why}");
    }
}
