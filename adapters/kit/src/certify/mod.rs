//! The conformance kit: what an adapter has to do, tried from outside as a gateway would.
//!
//! [`certify`] makes the `trials` (one file for each level) on a `bench` (messages) by a `caller` (HTTP, transcript)
//! or `raw` connections, and comes to a [`Report`], which is told as text, HTML, JSON and JUnit XML.
//! [`attestation`] signs what was reached. Nothing is believed of an adapter but what it answers.

mod asking;
pub mod attestation;
mod bench;
mod caller;
mod came;
mod data;
mod ended;
mod exchange;
mod named;
mod outcomes;
mod raw;
mod replay;
mod report;
mod restart;
mod target;
mod trials;
mod verdict;
mod visits;

use std::collections::HashSet;
use std::time::Duration;

use jiff::SignedDuration;
pub use yizhan_attestation::{Level, NoSuchLevel};
use yizhan_contract::Text;

use crate::given;
use bench::Bench;
use caller::Caller;
pub use data::{People, TestData, TestPerson};
pub use report::{LevelReport, Outcome, Progress, Report, Standing, Terminal, TrialReport};
pub use restart::{Commanded, Restart, Restarting, Said, StartError, Started};
pub use target::{ClientFiles, PairFiles, Target, TargetError};
use trials::Trial;
use verdict::{Stop, Verdict};

/// How long an adapter is kept busy at L6, where nothing else is asked for.
pub const LOAD: Duration = Duration::from_secs(60);
/// How long after a request its deadline lies, where nothing else is asked for; a gateway's is not later for any.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// For an adapter that runs already, before it is said not to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// What is tried, on whom.
pub struct Certify {
    pub target: Target,
    pub data: TestData,
    /// Those that are tried; L0 is always.
    pub levels: Vec<Level>,
    /// Without it the kit cannot end the adapter, and L4 is not reached; nor does it see what the adapter writes.
    pub restart: Option<Box<dyn Restart>>,
    pub load: Duration,
    pub patience: Duration,
}

/// Why nothing is tried.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("无法取得随机数（{0}）| no random numbers: {0}")]
    NoRandom(std::io::Error),
    #[error(
        "--start 的命令已经结束（{0}）：它须在前台运行适配器，不可放到后台（&、守护进程） | the command of --start has ended ({0}): it has to run the adapter in the foreground, not as a background job or daemon"
    )]
    NotInFront(String),
}

/// Tries an adapter, level by level. A level that was asked for brings those trials of lower ones with it that it
/// stands on.
///
/// # Errors
/// Where the adapter cannot be called at all as it was named, or what was to start it has ended.
pub async fn certify(certify: Certify, progress: &dyn Progress) -> Result<Report, CertifyError> {
    let began = given::steady();
    let Certify { target, data, levels, restart, load, patience } = certify;
    let address = target.url.clone();
    let caller = Caller::of(target.check()?, patience)?;
    let bench = Bench::of(caller, data, restart, load).map_err(CertifyError::NoRandom)?;
    // One that was just started needs a moment; if it never answers, L0-01 says so.
    let within = if bench.restart.is_some() { ended::STARTS_WITHIN } else { ANSWERS_WITHIN };
    let _ = bench.answers_again(within).await;
    // Whoever answers then is somebody else, or cannot be ended.
    if let Some(how) = bench.has_ended() {
        return Err(CertifyError::NotInFront(how));
    }
    let chosen: Vec<&Trial> = trials::all().filter(|trial| is_asked_for(trial, &levels)).collect();
    let mut made = Vec::with_capacity(chosen.len());
    let mut passed = HashSet::new();
    for (number, trial) in chosen.iter().enumerate() {
        progress.begins(trial.id, &Text::new(trial.zh, trial.en), number + 1, chosen.len());
        let report = tried(&bench, trial, &passed, &made).await;
        if matches!(report.outcome, Outcome::Passed | Outcome::NotApplicable { .. }) {
            passed.insert(trial.id);
        }
        progress.ended(&report);
        made.push(report);
    }
    made.sort_by_key(|trial| trial.id);
    let report = Report::of(&bench, address, &levels, made, began.elapsed());
    progress.finished(&report);
    Ok(report)
}

/// Asked for itself, or by one that is and shows nothing without it.
fn is_asked_for(trial: &Trial, levels: &[Level]) -> bool {
    let is_of_level = trial.level().is_some_and(|level| level == Level::L0 || levels.contains(&level));
    let stands_on_it = |other: &&Trial| other.after.contains(&trial.id);
    is_of_level || trials::all().filter(stands_on_it).any(|other| is_asked_for(other, levels))
}

async fn tried(
    bench: &Bench,
    trial: &Trial,
    passed: &HashSet<&'static str>,
    made: &[TrialReport],
) -> TrialReport {
    let began = given::steady();
    let readied = ready(bench, trial, passed, made).await;
    // Whatever it takes to be ready is no request of the trial's.
    let sent = bench.caller.sent_so_far();
    let (outcome, exchange) = match readied {
        Err(stop) => told(Err(stop)),
        Ok(()) => told((trial.check)(bench).await),
    };
    let shown = exchange.or_else(|| bench.caller.last_since(sent));
    TrialReport {
        id: trial.id,
        level: trial.level().unwrap_or(Level::L0),
        text: Text::new(trial.zh, trial.en),
        clause: format!("adapters/README.md#{}", trial.clause),
        outcome,
        took: SignedDuration::try_from(began.elapsed()).unwrap_or_default(),
        replay: shown.map(|exchange| exchange.replay(&bench.caller.called)),
    }
}

/// Whether a trial can show anything: what it stands on has passed, and the adapter answers.
async fn ready(
    bench: &Bench,
    trial: &Trial,
    passed: &HashSet<&'static str>,
    made: &[TrialReport],
) -> Verdict {
    let has_passed = |after: &&str| match after.parse::<Level>() {
        Ok(level) => made.iter().filter(|made| made.level == level).all(|made| passed.contains(made.id)),
        Err(_) => passed.contains(*after),
    };
    if let Some(missing) = trial.after.iter().find(|after| !has_passed(after)) {
        return verdict::not_run(
            format!("以 {missing} 通过为前提"),
            format!("shows nothing before {missing} passes"),
        );
    }
    if trial.after.is_empty() || bench.is_alive().await {
        return Ok(());
    }
    match &bench.restart {
        Some(_) => bench.revived().await,
        None => verdict::not_run("适配器已无应答", "the adapter answers no more"),
    }
}

fn told(verdict: Verdict) -> (Outcome, Option<std::sync::Arc<exchange::Exchange>>) {
    match verdict {
        Ok(()) => (Outcome::Passed, None),
        Err(Stop::NotRun(why)) => (Outcome::NotRun { why }, None),
        Err(Stop::NotApplicable(why)) => (Outcome::NotApplicable { why }, None),
        Err(Stop::Failed(failure)) => {
            let (expected, came) = (failure.expected, failure.came);
            (Outcome::Failed { expected, came }, failure.exchange)
        }
    }
}
