//! Who vouches for adapters: a key that the gateway trusts, and one that it does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use yizhan::runtime::{Clock as _, SystemClock};
use yizhan_attestation::{Attestation, Level, PublicKey, Trust, make_key, manifest_sha256, sign};
use yizhan_contract::PayerCode;
use yizhan_contract::payer::Manifest;

pub(crate) struct Bureau {
    folder: TempDir,
    public: PublicKey,
}

/// What is attested; whatever is not said is as the insurer is, and good.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Says {
    pub(crate) adapter: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) serves: Option<Vec<PayerCode>>,
    /// What it promised while it was tried and promises no more.
    pub(crate) promised: BTreeMap<String, Value>,
    pub(crate) reached: Level,
    pub(crate) reaches_nothing: bool,
    pub(crate) not_applicable: Vec<String>,
    pub(crate) issued_s_ago: i64,
    pub(crate) lasts_s: i64,
    /// By the insurer itself.
    pub(crate) is_preview: bool,
    /// Changed after it was signed.
    pub(crate) tampered: Option<(String, String)>,
}

impl Default for Says {
    fn default() -> Self {
        Self {
            adapter: None,
            version: None,
            serves: None,
            promised: BTreeMap::new(),
            reached: Level::L5,
            reaches_nothing: false,
            not_applicable: Vec::new(),
            issued_s_ago: 3_600,
            lasts_s: 86_400,
            is_preview: false,
            tampered: None,
        }
    }
}

impl Says {
    fn attestation(&self, manifest: &Manifest, now: Timestamp) -> Attestation {
        let mut tried = serde_json::to_value(manifest).unwrap();
        for (promise, value) in &self.promised {
            tried[promise] = value.clone();
        }
        let tried: Manifest = serde_json::from_value(tried).unwrap();
        let reached = (!self.reaches_nothing).then_some(self.reached);
        let issued = now - SignedDuration::from_secs(self.issued_s_ago);
        Attestation {
            kit_version: "test".to_owned(),
            adapter: self.adapter.clone().unwrap_or_else(|| tried.adapter.clone()),
            adapter_version: self.version.clone().unwrap_or_else(|| tried.version.clone()),
            serves: self.serves.clone().unwrap_or_else(|| tried.serves.clone()),
            manifest_sha256: manifest_sha256(&tried),
            target: "https://try.example".to_owned(),
            reached,
            passed: reached.into_iter().flat_map(Level::and_below).collect(),
            not_applicable: self.not_applicable.clone(),
            transcript_sha256: "0".repeat(64),
            issued,
            expires: issued + SignedDuration::from_secs(self.lasts_s),
        }
    }
}

impl Bureau {
    pub(crate) fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let public = make_key(&folder.path().join("bureau.key")).unwrap();
        make_key(&folder.path().join("insurer.key")).unwrap();
        Self { folder, public }
    }

    /// What a gateway's configuration says of it.
    pub(crate) fn trusted(&self) -> Trust {
        Trust { attestation_keys: [("bureau".to_owned(), self.public)].into(), ..Trust::default() }
    }

    fn key(&self, says: &Says) -> PathBuf {
        self.folder.path().join(if says.is_preview { "insurer.key" } else { "bureau.key" })
    }

    /// Writes an attestation file of an adapter that says this of itself. A gateway reads the whole of it, or none.
    pub(crate) fn attests(&self, file: &Path, manifest: &Manifest, says: &Says) {
        let mut text = sign(&says.attestation(manifest, SystemClock.now()), &self.key(says)).unwrap();
        if let Some((from, to)) = &says.tampered {
            assert!(text.contains(from), "{from} stands nowhere in {text}");
            text = text.replace(from, to);
        }
        let written = file.with_extension("written");
        std::fs::write(&written, text).unwrap();
        std::fs::rename(written, file).unwrap();
    }
}
