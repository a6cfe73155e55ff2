//! What is attested, and the file that says so under a signature.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use yizhan_contract::payer::Manifest;
use yizhan_contract::{PayerCode, Text};

use crate::key::{PublicKey, read_key};
use crate::level::Level;

/// How long an attestation holds, where nothing else is asked for.
pub const VALID: SignedDuration = SignedDuration::from_hours(180 * 24);

/// What is attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    pub kit_version: String,
    pub adapter: String,
    pub adapter_version: String,
    pub serves: Vec<PayerCode>,
    /// Of all that it promised while it was tried, as [`manifest_sha256`] says it.
    #[serde(default)]
    pub manifest_sha256: String,
    /// Where it was tried, which is seldom where it works.
    pub target: String,
    /// The highest level that was passed together with all below it.
    pub reached: Option<Level>,
    /// Every level that was passed.
    pub passed: Vec<Level>,
    /// Trials that did not apply, by their ids: the levels count as passed without them.
    #[serde(default)]
    pub not_applicable: Vec<String>,
    pub transcript_sha256: String,
    pub issued: Timestamp,
    pub expires: Timestamp,
}

/// The file: what is signed stands in it letter by letter.
#[derive(Serialize, Deserialize)]
struct Signed {
    attestation: Box<RawValue>,
    /// Ed25519, base64.
    public_key: String,
    signature: String,
}

/// An attestation whose signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub attestation: Attestation,
    pub by: PublicKey,
}

#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    #[error("{path}：无法读写（{why}）| {path}: cannot be read or written: {why}")]
    File { path: PathBuf, why: io::Error },
    #[error("{0}：已存在，不覆盖 | {0}: is there already and is not overwritten")]
    Exists(PathBuf),
    #[error("{0}：不是 Ed25519 私钥（PKCS#8 PEM）| {0}: is no Ed25519 private key in PKCS#8 PEM")]
    NoKey(PathBuf),
    #[error("无法生成密钥 | no key can be made")]
    NoRandom,
    #[error("不是评测证明文件（{0}）| it is no attestation: {0}")]
    NoAttestation(serde_json::Error),
    #[error(
        "签名不符：内容已被改动，或并非由此密钥签署 | its signature is wrong: it was changed, or signed by another key"
    )]
    WrongSignature,
    #[error("证明已于 {0} 过期，请重新评测 | it lapsed on {0}; certify the adapter again")]
    Lapsed(Timestamp),
    #[error("证明签发于未来（{0}），请检查时钟 | it was issued in the future ({0}); see to the clocks")]
    NotYet(Timestamp),
}

impl Attestation {
    /// Whether it is good at this time.
    ///
    /// # Errors
    /// It has lapsed, or is not valid yet.
    pub fn holds_at(&self, now: Timestamp) -> Result<(), AttestationError> {
        if self.expires <= now {
            return Err(AttestationError::Lapsed(self.expires));
        }
        if now < self.issued {
            return Err(AttestationError::NotYet(self.issued));
        }
        Ok(())
    }

    /// What it does not vouch for within the levels that were passed. Absent: every trial applied.
    pub fn left_out(&self) -> Option<Text> {
        let ids = &self.not_applicable;
        let text = || {
            let (zh, en) = (ids.join("、"), ids.join(", "));
            Text::new(format!("不适用而未试 {zh}"), format!("not applicable and not tried: {en}"))
        };
        (!ids.is_empty()).then(text)
    }
}

/// What stands for a manifest: SHA-256 in hexadecimal of its JSON as the contract writes it, with its members in that order
/// and without those that say nothing.
pub fn manifest_sha256(manifest: &Manifest) -> String {
    let written = serde_json::to_vec(manifest).unwrap_or_default();
    digest(&SHA256, &written).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text of an attestation file, signed by the key in this file.
///
/// # Errors
/// The key file cannot be read, or is no key.
pub fn sign(attestation: &Attestation, key: &Path) -> Result<String, AttestationError> {
    let pair = read_key(key)?;
    let public_key = PublicKey::of(&pair).map_err(|_| AttestationError::NoKey(key.to_owned()))?.to_string();
    let text = serde_json::to_string_pretty(attestation).map_err(AttestationError::NoAttestation)?;
    let signature = BASE64.encode(pair.sign(text.as_bytes()).as_ref());
    let attestation = RawValue::from_string(text).map_err(AttestationError::NoAttestation)?;
    let signed = Signed { attestation, public_key, signature };
    serde_json::to_string_pretty(&signed).map_err(AttestationError::NoAttestation)
}

/// Reads an attestation file. Whether it holds now, and whether its key counts for anything, is for the reader to see.
///
/// # Errors
/// It is no attestation, or was changed.
pub fn verify(text: &str) -> Result<Verified, AttestationError> {
    let signed: Signed = serde_json::from_str(text).map_err(AttestationError::NoAttestation)?;
    let wrong = || AttestationError::WrongSignature;
    let by: PublicKey = signed.public_key.parse().map_err(|_| wrong())?;
    let signature = BASE64.decode(&signed.signature).map_err(|_| wrong())?;
    let said = signed.attestation.get();
    UnparsedPublicKey::new(&ED25519, by.bytes()).verify(said.as_bytes(), &signature).map_err(|_| wrong())?;
    let attestation = serde_json::from_str(said).map_err(AttestationError::NoAttestation)?;
    Ok(Verified { attestation, by })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest::cautious("acme", "1", vec!["supplementary".parse().unwrap()])
    }

    /// Files that were signed hold as long as this does: a promise that is new has to be left out where it says nothing.
    #[test]
    fn a_manifest_of_today_has_the_digest_it_had() {
        let of_today = "53e161ef9ef55d047da4e177cd284c57952c4a6cf3d7a01b56e6f954e77fe3a5";
        assert_eq!(manifest_sha256(&manifest()), of_today);
    }

    #[test]
    fn no_promise_can_be_another_one_under_the_same_digest() {
        let whole = Manifest {
            reverse_window_s: Some(60),
            requests_per_second_max: Some(9),
            coverage_valid_s: Some(60),
            ..manifest()
        };
        let written = serde_json::to_value(&whole).unwrap();
        for (key, value) in written.as_object().unwrap() {
            let other = match value {
                serde_json::Value::Bool(flag) => serde_json::json!(!flag),
                serde_json::Value::Number(_) => serde_json::json!(7),
                serde_json::Value::String(_) => serde_json::json!("other"),
                _ if key == "needs" => serde_json::json!(["id_number"]),
                _ => serde_json::json!(["accident"]),
            };
            let mut changed = written.clone();
            changed[key] = other;
            let changed: Manifest = serde_json::from_value(changed).unwrap();
            assert_ne!(manifest_sha256(&changed), manifest_sha256(&whole), "{key}");
        }
    }
}
