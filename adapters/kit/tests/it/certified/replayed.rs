//! The commands that send a trial's request again, run as they stand in the report.

use std::process::Command;
use std::time::Duration;

use yizhan_kit::certify::{Level, TestData};

use super::house::House;
use super::{tried, tried_at};

/// A report with each of its commands is read by people, and a command is one argument of a shell.
const REPLAY_BYTES_MAX: usize = 16 * 1024;

/// What is seen when the request of a trial is sent again.
struct Case {
    trial: &'static str,
    /// Parts of the command.
    holds: &'static [&'static str],
    lacks: &'static [&'static str],
    /// Parts of the answer; none: no answer comes.
    sees: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case { trial: "L0-06", holds: &[r"\315\365"], lacks: &[], sees: &[" 400", r#""type":"malformed""#] },
    Case { trial: "L0-08", holds: &["xml"], lacks: &[], sees: &[" 415", "unsupported_media_type"] },
    Case { trial: "L0-09", holds: &["head -c 4194305 /dev/zero"], lacks: &[], sees: &[" 413", "too_large"] },
    Case { trial: "L1-01", holds: &["+5 seconds"], lacks: &[], sees: &[" 200", r#""answer":"quote""#] },
    Case { trial: "L1-06", holds: &["/v1/status"], lacks: &[], sees: &[" 200", "not_found"] },
    Case { trial: "L5-01", holds: &["--cacert", "/v1/describe"], lacks: &["--cert", "--key"], sees: &[] },
    Case { trial: "L5-02", holds: &["openssl req -x509", "stranger.invalid"], lacks: &["caller"], sees: &[] },
    Case { trial: "L5-07", holds: &["expired.pem", "expired.key"], lacks: &["caller"], sees: &[] },
    Case { trial: "L5-08", holds: &["caller.pem"], lacks: &[], sees: &[" 200", "manifest"] },
    Case { trial: "L5-03", holds: &["'http://localhost:"], lacks: &["--cert", "--cacert"], sees: &[] },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_sends_the_request_again_as_it_was_sent() {
    let house = House::of(None).await;
    let [of_l1, of_l5] = [Level::L1, Level::L5].map(|level| tried_at(level, house.target()));
    let trials = [of_l1.await.unwrap().trials, of_l5.await.unwrap().trials].concat();
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("curl is not there: no command was run");
        return;
    }
    for Case { trial: id, holds, lacks, sees } in CASES {
        let trial = trials.iter().find(|trial| trial.id == *id).unwrap();
        let replay = trial.replay.as_deref().unwrap();
        assert!(holds.iter().all(|part| replay.contains(part)), "{id}: {replay}");
        assert!(!lacks.iter().any(|part| replay.contains(part)), "{id}: {replay}");
        let again = tokio::process::Command::new("sh").arg("-c").arg(replay).output().await.unwrap();
        let said = String::from_utf8_lossy(&again.stdout);
        let is_seen = match sees {
            [] => said.is_empty() && !again.status.success(),
            sees => sees.iter().all(|part| said.contains(part)),
        };
        assert!(is_seen, "{id}: {replay}\n{said}\n{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_replay_is_longer_than_can_be_run() {
    let report = tried(House::of(None).await, TestData::default(), Duration::from_millis(100)).await;
    let replays = || report.trials.iter().filter_map(|trial| Some((trial.id, trial.replay.as_ref()?.len())));
    let long: Vec<_> = replays().filter(|(_, bytes)| REPLAY_BYTES_MAX < *bytes).collect();
    assert_eq!(long, []);
    assert!(40 < replays().count(), "{:?}", replays().collect::<Vec<_>>());
}
