//! What was reached, signed: so that a gateway can tell who says so, of which adapter, and until when.
//!
//! Whoever ran the kit signs with a key of their own. Signed by the insurer itself it is a preview; to be a primary payer
//! of a gateway takes a key of that gateway's trust list, such as the bureau's.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use yizhan_contract::PayerCode;

use super::level::Level;
use super::report::Report;
use crate::given;

/// How long an attestation holds, where nothing else is asked for.
pub const VALID: SignedDuration = SignedDuration::from_hours(180 * 24);
/// Of a line of a PEM file.
const PEM_LINE_CHARS: usize = 64;

/// What is attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    pub kit_version: String,
    pub adapter: String,
    pub adapter_version: String,
    pub serves: Vec<PayerCode>,
    pub target: String,
    /// The highest level that was passed together with all below it.
    pub reached: Option<Level>,
    /// Every level that was passed.
    pub passed: Vec<Level>,
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

/// A public key in base64, as a trust list has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(pub String);

/// An attestation whose signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub attestation: Attestation,
    pub by: PublicKey,
    /// The key is on the list; else it is a preview.
    pub is_trusted: bool,
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
    #[error("不是评测证明文件（{0}）| is no attestation: {0}")]
    NoAttestation(serde_json::Error),
    #[error(
        "签名不符：内容已被改动，或并非由此密钥签署 | the signature is wrong: it was changed, or signed by another key"
    )]
    WrongSignature,
    #[error("证明已于 {0} 过期，请重新评测 | lapsed on {0}; certify the adapter again")]
    Lapsed(Timestamp),
    #[error("证明签发于未来（{0}），请检查时钟 | was issued in the future ({0}); see to the clocks")]
    NotYet(Timestamp),
}

/// Makes a key that signs attestations and writes it for its owner alone; answers its public half.
///
/// # Errors
/// The file is there already, or cannot be written.
pub fn make_key(path: &Path) -> Result<PublicKey, AttestationError> {
    let made =
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| AttestationError::NoRandom)?;
    let pair = Ed25519KeyPair::from_pkcs8(made.as_ref()).map_err(|_| AttestationError::NoRandom)?;
    let base64 = BASE64.encode(made.as_ref());
    let lines: Vec<_> = (0..base64.len())
        .step_by(PEM_LINE_CHARS)
        .map(|begin| &base64[begin..base64.len().min(begin + PEM_LINE_CHARS)])
        .collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let file = |why: io::Error| match why.kind() {
        io::ErrorKind::AlreadyExists => AttestationError::Exists(path.to_owned()),
        _ => AttestationError::File { path: path.to_owned(), why },
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(path).map_err(file)?;
    written.write_all(pem.as_bytes()).and_then(|()| written.sync_all()).map_err(file)?;
    Ok(public(&pair))
}

/// The public half of a key file, as a trust list has it.
///
/// # Errors
/// The key file cannot be read, or is no key.
pub fn public_key(path: &Path) -> Result<PublicKey, AttestationError> {
    pair_of(path).map(|pair| public(&pair))
}

fn pair_of(path: &Path) -> Result<Ed25519KeyPair, AttestationError> {
    let no_key = || AttestationError::NoKey(path.to_owned());
    let der = PrivatePkcs8KeyDer::from_pem_file(path).map_err(|_| no_key())?;
    let der = der.secret_pkcs8_der();
    let pair = Ed25519KeyPair::from_pkcs8(der).or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der));
    pair.map_err(|_| no_key())
}

fn public(pair: &Ed25519KeyPair) -> PublicKey {
    PublicKey(BASE64.encode(pair.public_key().as_ref()))
}

/// Signs what a report came to; the text of an attestation file.
///
/// # Errors
/// The key file cannot be read, or is no key.
pub fn sign(report: &Report, key: &Path, valid: SignedDuration) -> Result<String, AttestationError> {
    let pair = pair_of(key)?;
    let issued = given::now();
    let attestation = Attestation {
        kit_version: report.kit_version.to_owned(),
        adapter: report.adapter.clone(),
        adapter_version: report.version.clone(),
        serves: report.serves.clone(),
        target: report.target.clone(),
        reached: report.reached(),
        passed: report.passed(),
        transcript_sha256: report.transcript_sha256.clone(),
        issued,
        expires: issued.saturating_add(valid).unwrap_or(Timestamp::MAX),
    };
    let text = serde_json::to_string_pretty(&attestation).map_err(AttestationError::NoAttestation)?;
    let signature = BASE64.encode(pair.sign(text.as_bytes()).as_ref());
    let PublicKey(public_key) = public(&pair);
    let attestation = RawValue::from_string(text).map_err(AttestationError::NoAttestation)?;
    let signed = Signed { attestation, public_key, signature };
    serde_json::to_string_pretty(&signed).map_err(AttestationError::NoAttestation)
}

/// Reads an attestation file: signature, time, and whether its key is among those that are trusted.
///
/// # Errors
/// It is no attestation, was changed, has lapsed, or is not valid yet.
pub fn verify(text: &str, trusted: &[PublicKey], now: Timestamp) -> Result<Verified, AttestationError> {
    let signed: Signed = serde_json::from_str(text).map_err(AttestationError::NoAttestation)?;
    let wrong = || AttestationError::WrongSignature;
    let decode = |base64: &str| BASE64.decode(base64).map_err(|_| wrong());
    let (key, signature) = (decode(&signed.public_key)?, decode(&signed.signature)?);
    let said = signed.attestation.get();
    UnparsedPublicKey::new(&ED25519, key).verify(said.as_bytes(), &signature).map_err(|_| wrong())?;
    let attestation: Attestation = serde_json::from_str(said).map_err(AttestationError::NoAttestation)?;
    if attestation.expires <= now {
        return Err(AttestationError::Lapsed(attestation.expires));
    }
    if now < attestation.issued {
        return Err(AttestationError::NotYet(attestation.issued));
    }
    let by = PublicKey(signed.public_key);
    let is_trusted = trusted.contains(&by);
    Ok(Verified { attestation, by, is_trusted })
}
