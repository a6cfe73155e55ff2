//! Whose word a gateway takes that an adapter may decide, and what of it has to be so.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use yizhan_contract::payer::Manifest;
use yizhan_contract::{PayerCode, Text};

use crate::key::PublicKey;
use crate::level::Level;
use crate::signed::{AttestationError, Verified, manifest_sha256};

/// What an adapter that decides must have reached, where nothing else is written down: it moves money over a network
/// and is told of people, so it must have shown that it does so once, comes back by itself, and lets nobody else in.
pub const LEVEL_NEEDED: Level = Level::L5;

/// `[trust]` of a gateway's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trust {
    /// What an adapter must have reached, together with all below it.
    pub level: Level,
    /// Keys that count, by the names their owners have here.
    pub attestation_keys: BTreeMap<String, PublicKey>,
}

impl Default for Trust {
    /// Nobody's.
    fn default() -> Self {
        Self { level: LEVEL_NEEDED, attestation_keys: BTreeMap::new() }
    }
}

/// Why an adapter may not decide.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    #[error("没有评测证明 | it has no attestation")]
    Missing,
    #[error(transparent)]
    Wrong(#[from] AttestationError),
    #[error(
        "评测证明由不受信任的密钥签署，只是预览 | its attestation is a preview, signed by a key that is not trusted here"
    )]
    UnknownKey(PublicKey),
    #[error(
        "评测证明所证明的是 {attested}，而适配器现为 {now} | its attestation is of {attested}, and the adapter is {now}"
    )]
    OtherAdapter { attested: String, now: String },
    #[error(
        "评测证明所证明的清单与适配器现在的清单不同 | its attestation is of another manifest than the adapter has now"
    )]
    OtherManifest,
    #[error("评测证明不含支付方 {0} | its attestation does not speak of payer {0}")]
    OtherPayer(PayerCode),
    #[error(
        "评测证明只到 {reached}，此处须达到 {needed} | its attestation reaches {reached}, and {needed} is needed here"
    )]
    TooLow { reached: String, needed: Level },
}

impl Untrusted {
    /// In both languages.
    pub fn text(&self) -> Text {
        let line = self.to_string();
        let (zh, en) = line.split_once("| ").unwrap_or((&line, &line));
        Text::new(zh.trim_end(), en)
    }

    /// What the operator does next.
    pub fn next(&self) -> Text {
        let (zh, en) = match self {
            Self::UnknownKey(key) => {
                return Text::new(
                    format!(
                        "请交由受信任方评测并签署；如密钥 {key} 确实可信，请列入 [trust] attestation_keys"
                    ),
                    format!(
                        "have it certified by somebody who is trusted, or list {key} in [trust] attestation_keys if it is"
                    ),
                );
            }
            Self::Missing => (
                "请用 yizhan adapter certify 评测，由受信任方签署，并在适配器文件中写明 attestation",
                "certify it by `yizhan adapter certify`, have that signed by somebody who is trusted, and name the file by attestation",
            ),
            Self::Wrong(_) => (
                "请换用由受信任方新签署的证明",
                "put one in its place that somebody who is trusted has signed anew",
            ),
            Self::OtherAdapter { .. } | Self::OtherManifest | Self::OtherPayer(_) => (
                "请重新评测现有版本，或恢复已评测的版本",
                "certify it as it is now, or bring back what was certified",
            ),
            Self::TooLow { .. } => {
                ("请修复未通过的评测后重新评测", "mend what has not passed and certify it again")
            }
        };
        Text::new(zh, en)
    }
}

impl Trust {
    /// Who says that an adapter may decide for these payers. `manifest` is what it says of itself now, where it has
    /// said so. Where it was tried is not compared: that is a place to try things at.
    ///
    /// # Errors
    /// Why nobody who is trusted does.
    pub fn vouches(
        &self,
        verified: &Verified,
        manifest: Option<&Manifest>,
        payers: &[PayerCode],
        now: Timestamp,
    ) -> Result<&str, Untrusted> {
        let Verified { attestation, by } = verified;
        let of_key = |(_, key): &(&String, &PublicKey)| *key == by;
        let Some((name, _)) = self.attestation_keys.iter().find(of_key) else {
            return Err(Untrusted::UnknownKey(*by));
        };
        attestation.holds_at(now)?;
        if let Some(manifest) = manifest {
            let Manifest { adapter, version, .. } = manifest;
            if (&attestation.adapter, &attestation.adapter_version) != (adapter, version) {
                let attested = format!("{} {}", attestation.adapter, attestation.adapter_version);
                return Err(Untrusted::OtherAdapter { attested, now: format!("{adapter} {version}") });
            }
            if attestation.manifest_sha256 != manifest_sha256(manifest) {
                return Err(Untrusted::OtherManifest);
            }
        }
        if let Some(other) = payers.iter().find(|payer| !attestation.serves.contains(payer)) {
            return Err(Untrusted::OtherPayer(other.clone()));
        }
        if attestation.reached < Some(self.level) {
            let reached = attestation.reached.map_or_else(|| "-".to_owned(), |level| level.to_string());
            return Err(Untrusted::TooLow { reached, needed: self.level });
        }
        Ok(name)
    }
}
