//! Whether an adapter may decide: what its attestation says, against whom this gateway trusts and what the adapter is now.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use yizhan_attestation::{AttestationError, Untrusted, Verified, verify};
use yizhan_contract::Text;
use yizhan_contract::payer::Manifest;
use yizhan_contract::stay::civil_date;
use yizhan_remote::{ConnectError, Remote};
use yizhan_rules::toml_file::Mistake;

use super::looking::ASKED_AT_ONCE_MAX;
use super::reach::{Reach, Shared, nonsense};
use super::{Entry, Good, Registry};
use crate::telemetry;

/// How often a service is asked again what it is: one that is another version now is no longer what was attested.
pub const DESCRIBE_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// What stands in the file, once its signature is seen to be right.
#[derive(Debug, Clone)]
pub(super) struct Attested(Result<Arc<Verified>, Arc<Untrusted>>);

/// Whether an adapter that means to decide may.
pub(super) enum Proof {
    /// Who says so, until when.
    Vouched(Text),
    /// Why it is only compared.
    Unproven(Arc<str>, Unproven),
}

/// Why an adapter may not decide, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unproven {
    pub(super) why: Text,
    pub(super) next: Text,
}

impl Unproven {
    fn of(untrusted: &Untrusted) -> Self {
        Self { why: untrusted.text(), next: untrusted.next() }
    }

    /// For an operator.
    pub(super) fn text(&self) -> Text {
        let Self { why, next } = self;
        Text::new(
            format!("{}，按 shadow 运行：{}", why.zh, next.zh),
            format!("{}, so it is only compared: {}", why.en, next.en),
        )
    }
}

/// Reads an attestation file; whose word it is nobody has said yet.
///
/// # Errors
/// It cannot be read, is none, or was changed.
pub(super) fn read(file: &Path) -> Result<Verified, AttestationError> {
    let text =
        fs::read_to_string(file).map_err(|why| AttestationError::File { path: file.to_owned(), why })?;
    verify(&text)
}

impl Attested {
    pub(super) fn read(file: Option<&Path>) -> Self {
        let Some(file) = file else { return Self(Err(Arc::new(Untrusted::Missing))) };
        Self(read(file).map(Arc::new).map_err(|why| Arc::new(why.into())))
    }
}

/// A service that is to be asked again what it is.
struct Again {
    path: PathBuf,
    remote: Arc<Remote>,
    shared: Shared,
}

impl Again {
    /// Its time begins with its turn.
    async fn asked(self) -> (PathBuf, Result<Manifest, ConnectError>) {
        let answer = self.remote.describe(self.shared.deadline()).await;
        (self.path, answer)
    }
}

impl Registry {
    /// Absent: it does not mean to decide.
    pub(super) fn proof(&self, good: &Good) -> Option<Proof> {
        if !good.file.mode.decides() {
            return None;
        }
        let unproven =
            |why: &Untrusted| Some(Proof::Unproven(Arc::clone(&good.file.name), Unproven::of(why)));
        let verified = match &good.attested.0 {
            Ok(verified) => verified,
            Err(why) => return unproven(why),
        };
        let manifest = good.said.as_ref().map(|(manifest, _)| manifest);
        match self.setting.trust.vouches(verified, manifest, &good.serves, self.runtime.now()) {
            Ok(name) => Some(Proof::Vouched(vouched(name, verified))),
            Err(why) => unproven(&why),
        }
    }

    /// Told once, when it changes.
    pub(super) fn tell_proof(&mut self, name: &Arc<str>, proof: Option<&Proof>) {
        match proof {
            Some(Proof::Unproven(_, unproven)) => {
                let text = unproven.text();
                if self.unproven.get(name) != Some(&text) {
                    telemetry::adapter_unproven(name, &text.line());
                    self.unproven.insert(Arc::clone(name), text);
                }
            }
            Some(Proof::Vouched(by)) => {
                if self.unproven.remove(name).is_some() {
                    telemetry::adapter_proven(name, &by.line());
                }
            }
            None => {
                self.unproven.remove(name);
            }
        }
    }

    /// Asks services what they are that have not been asked for a while; the files of those that are something else now.
    pub(super) async fn changed_of_themselves(&mut self) -> BTreeSet<PathBuf> {
        let now = self.runtime.now();
        let due = self.entries.iter().filter_map(|(path, entry)| {
            let good = entry.good.as_ref()?;
            let Reach::Protocol(remote) = &good.reach else { return None };
            let (_, at) = good.said.as_ref()?;
            // A clock that was set back must not keep them unasked.
            let is_due = now < *at || DESCRIBE_EVERY <= now.duration_since(*at);
            let (path, remote, shared) = (path.clone(), Arc::clone(remote), self.shared.clone());
            is_due.then_some(Again { path, remote, shared })
        });
        let due: Vec<Again> = due.collect();
        let asked = stream::iter(due).map(Again::asked).buffered(ASKED_AT_ONCE_MAX);
        let mut changed = BTreeSet::new();
        for (path, answer) in asked.collect::<Vec<_>>().await {
            if self.entries.get_mut(&path).is_some_and(|entry| entry.says(answer, now)) {
                changed.insert(path);
            }
        }
        changed
    }
}

impl Entry {
    /// Whether its service is another one now. What cannot be replaces nothing, and is told.
    fn says(&mut self, answer: Result<Manifest, ConnectError>, now: Timestamp) -> bool {
        let Some(Good { file, reach, said: Some((manifest, at)), .. }) = &mut self.good else { return false };
        *at = now;
        let name = Arc::clone(&file.name);
        match answer {
            Ok(other) => {
                let is_other = reach.known().is_some_and(|payer| *payer.manifest() != other);
                if other != *manifest {
                    telemetry::adapter_changed(&name, &other.version);
                    *manifest = other;
                }
                self.is_amiss(&name, None);
                is_other
            }
            Err(why) => {
                if let Some(nonsense) = nonsense(&why) {
                    self.is_amiss(&name, Some(nonsense));
                }
                false
            }
        }
    }

    /// Told once, when it changes.
    pub(super) fn is_amiss(&mut self, name: &Arc<str>, amiss: Option<Mistake>) {
        match (&self.amiss, &amiss) {
            (before, Some(now)) if before.as_ref() != Some(now) => {
                telemetry::adapter_describes_nonsense(name, now);
            }
            (Some(_), None) => telemetry::adapter_describes_itself(name),
            (_, _) => {}
        }
        self.amiss = amiss;
    }
}

fn vouched(name: &str, verified: &Verified) -> Text {
    let attestation = &verified.attestation;
    let level = attestation.reached.map_or_else(|| "-".to_owned(), |level| level.to_string());
    let until = civil_date(attestation.expires);
    let (zh, en) = attestation.left_out().map_or_else(Default::default, |left_out| {
        (format!("；{}", left_out.zh), format!("; {}", left_out.en))
    });
    Text::new(
        format!("由 {name} 证明达到 {level}，有效期至 {until}{zh}"),
        format!("{name} vouches for {level} until {until}{en}"),
    )
}
