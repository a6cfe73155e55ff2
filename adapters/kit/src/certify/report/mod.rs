//! What came of the trials, for people and for machines.

mod html;
mod junit;
mod terminal;

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};
use yizhan_attestation::{Level, manifest_sha256};
use yizhan_contract::{PayerCode, Text};

use super::bench::Bench;
use super::caller::at_once;
pub use terminal::Terminal;

/// Hears of the trials as they are made.
pub trait Progress: Sync {
    fn begins(&self, id: &str, text: &Text, number: usize, of: usize);
    fn ended(&self, trial: &TrialReport);
    fn finished(&self, report: &Report);
}

/// Nobody listens.
impl Progress for () {
    fn begins(&self, _: &str, _: &Text, _: usize, _: usize) {}
    fn ended(&self, _: &TrialReport) {}
    fn finished(&self, _: &Report) {}
}

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub kit_version: &'static str,
    /// As `describe` says.
    pub adapter: String,
    pub version: String,
    pub serves: Vec<PayerCode>,
    /// Of all its promises.
    pub manifest_sha256: String,
    pub target: String,
    /// How many requests were sent side by side, at most.
    pub at_once: u16,
    pub began: Timestamp,
    #[serde(rename = "took_ms", serialize_with = "in_ms")]
    pub took: SignedDuration,
    pub levels: Vec<LevelReport>,
    pub trials: Vec<TrialReport>,
    /// SHA-256 of the transcript, in hexadecimal.
    pub transcript_sha256: String,
    /// A line for everything that was sent and came back, by digests: nothing of a person.
    #[serde(skip)]
    pub transcript: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct LevelReport {
    pub level: Level,
    pub text: Text,
    pub standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Every trial of it passed, or does not apply.
    Passed,
    Failed,
    /// One of its trials could not be made.
    Incomplete,
    /// Nobody asked for it.
    NotAsked,
}

#[derive(Debug, Clone, Serialize)]
pub struct TrialReport {
    pub id: &'static str,
    pub level: Level,
    pub text: Text,
    /// The heading that asks for it.
    pub clause: String,
    #[serde(flatten)]
    pub outcome: Outcome,
    #[serde(rename = "took_ms", serialize_with = "in_ms")]
    pub took: SignedDuration,
    /// A command that sends the request again that shows the outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed {
        expected: Text,
        came: Text,
    },
    /// It could not be tried; its level is not reached.
    NotRun {
        why: Text,
    },
    /// It asks for what this adapter does not promise.
    NotApplicable {
        why: Text,
    },
}

impl Outcome {
    pub fn text(&self) -> Text {
        let (zh, en) = match self {
            Self::Passed => ("通过", "passed"),
            Self::Failed { .. } => ("未通过", "failed"),
            Self::NotRun { .. } => ("未测", "not run"),
            Self::NotApplicable { .. } => ("不适用", "not applicable"),
        };
        Text::new(zh, en)
    }

    /// Why it was not tried.
    pub fn why(&self) -> Option<&Text> {
        match self {
            Self::NotRun { why } | Self::NotApplicable { why } => Some(why),
            Self::Passed | Self::Failed { .. } => None,
        }
    }
}

impl Standing {
    pub fn text(self) -> Text {
        let (zh, en) = match self {
            Self::Passed => ("通过", "passed"),
            Self::Failed => ("未通过", "failed"),
            Self::Incomplete => ("未测完", "incomplete"),
            Self::NotAsked => ("未评测", "not asked for"),
        };
        Text::new(zh, en)
    }
}

fn in_ms<S: Serializer>(duration: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i128(duration.as_millis())
}

impl Report {
    pub(super) fn of(
        bench: &Bench,
        target: String,
        asked: &[Level],
        trials: Vec<TrialReport>,
        took: Duration,
    ) -> Self {
        let manifest = bench.manifest();
        let (transcript, transcript_sha256) = bench.caller.transcribed();
        let standing = |level: Level| {
            if level != Level::L0 && !asked.contains(&level) {
                return Standing::NotAsked;
            }
            let of_level = || trials.iter().filter(|trial| trial.level == level).map(|trial| &trial.outcome);
            if of_level().any(|outcome| matches!(outcome, Outcome::Failed { .. })) {
                Standing::Failed
            } else if of_level().any(|outcome| matches!(outcome, Outcome::NotRun { .. })) {
                Standing::Incomplete
            } else {
                Standing::Passed
            }
        };
        let level = |level: Level| LevelReport { level, text: level.text(), standing: standing(level) };
        Self {
            kit_version: env!("CARGO_PKG_VERSION"),
            adapter: manifest.adapter.clone(),
            version: manifest.version.clone(),
            serves: manifest.serves.clone(),
            manifest_sha256: manifest_sha256(manifest),
            target,
            at_once: at_once(manifest),
            began: bench.began,
            took: SignedDuration::try_from(took).unwrap_or_default(),
            levels: Level::ALL.map(level).to_vec(),
            transcript_sha256,
            transcript,
            trials,
        }
    }

    /// The highest level that was passed together with all below it.
    pub fn reached(&self) -> Option<Level> {
        let passed = self.levels.iter().take_while(|level| level.standing == Standing::Passed);
        passed.last().map(|level| level.level)
    }

    /// Every level that was passed, whatever the ones below it came to.
    pub fn passed(&self) -> Vec<Level> {
        let passed = self.levels.iter().filter(|level| level.standing == Standing::Passed);
        passed.map(|level| level.level).collect()
    }

    /// The trials that count as passed because they do not apply.
    pub fn not_applicable(&self) -> Vec<String> {
        let left_out =
            self.trials.iter().filter(|trial| matches!(trial.outcome, Outcome::NotApplicable { .. }));
        left_out.map(|trial| trial.id.to_owned()).collect()
    }

    /// Whether everything that was asked for has passed.
    pub fn is_good(&self) -> bool {
        self.levels.iter().all(|level| matches!(level.standing, Standing::Passed | Standing::NotAsked))
    }

    /// Writes `report.html`, `report.json`, `junit.xml` and `transcript.txt` into a folder, which is made where it is not there.
    ///
    /// # Errors
    /// The folder or a file cannot be written.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("report.html"), self.html())?;
        fs::write(folder.join("report.json"), self.json())?;
        fs::write(folder.join("junit.xml"), self.junit())?;
        fs::write(folder.join("transcript.txt"), &self.transcript)
    }

    /// For machines.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
