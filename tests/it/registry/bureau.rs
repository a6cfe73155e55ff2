//! Who vouches for adapters: a key that the gateway trusts, and one that it does not.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tempfile::TempDir;
use yizhan::runtime::{Clock as _, SystemClock};
use yizhan_attestation::{Attestation, Level, PublicKey, Trust, make_key, sign};

pub(crate) struct Bureau {
    folder: TempDir,
    public: PublicKey,
}

/// What is attested; whatever is not said is as the insurer is, and good.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Says {
    pub(crate) adapter: String,
    pub(crate) version: String,
    pub(crate) serves: Vec<String>,
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
            adapter: "yizhan-simulator".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            serves: vec!["supplementary".to_owned()],
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
    fn attestation(&self, now: Timestamp) -> Attestation {
        let reached = (!self.reaches_nothing).then_some(self.reached);
        let issued = now - SignedDuration::from_secs(self.issued_s_ago);
        Attestation {
            kit_version: "test".to_owned(),
            adapter: self.adapter.clone(),
            adapter_version: self.version.clone(),
            serves: self.serves.iter().map(|payer| payer.parse().unwrap()).collect(),
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

    /// Writes an attestation file.
    pub(crate) fn attests(&self, file: &Path, says: &Says) {
        let mut text = sign(&says.attestation(SystemClock.now()), &self.key(says)).unwrap();
        if let Some((from, to)) = &says.tampered {
            assert!(text.contains(from), "{from} stands nowhere in {text}");
            text = text.replace(from, to);
        }
        std::fs::write(file, text).unwrap();
    }
}
