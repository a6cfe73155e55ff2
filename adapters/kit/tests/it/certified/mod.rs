//! The kit is certified itself: by an adapter that passes everything, and by those that are wrong in one thing.

mod faults;
mod faulty;
mod front;
mod house;
mod memory;
mod told;
mod twisted;

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use yizhan_kit::certify::{Certify, Level, Outcome, Report, TestData, certify};

use faults::{CAUGHT, Fault};
use house::{Control, House};

/// Adapters certified at a time.
const AT_ONCE: usize = 4;

async fn certified(fault: Option<Fault>, load: Duration) -> Report {
    let house = House::of(fault).await;
    let asked = Certify {
        target: house.target(),
        data: TestData::default(),
        levels: Level::ALL.to_vec(),
        restart: Some(Box::new(Control(Arc::clone(&house)))),
        load,
        patience: Duration::from_secs(5),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_payer_passes_every_level() {
    let report = certified(None, Duration::from_secs(1)).await;
    let not_passed: Vec<_> = report.trials.iter().filter(|trial| trial.outcome != Outcome::Passed).collect();
    assert!(not_passed.is_empty(), "{not_passed:#?}");
    assert_eq!(report.reached(), Some(Level::L7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_caught_by_its_trial_and_by_no_other() {
    let caught = stream::iter(CAUGHT.iter().copied()).map(|(fault, id)| async move {
        (fault, id, certified(Some(fault), Duration::from_millis(100)).await)
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
