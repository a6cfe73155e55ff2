//! What was reached, signed.

use std::path::Path;

use jiff::SignedDuration;
pub use yizhan_attestation::{
    Attestation, AttestationError, PublicKey, VALID, Verified, make_key, public_key, verify,
};
use yizhan_contract::instant::later;

use super::report::Report;
use crate::given;

/// Signs what a report came to; the text of an attestation file.
///
/// # Errors
/// The key file cannot be read, or is no key.
pub fn sign(report: &Report, key: &Path, valid: SignedDuration) -> Result<String, AttestationError> {
    let issued = given::now();
    let attestation = Attestation {
        kit_version: report.kit_version.to_owned(),
        adapter: report.adapter.clone(),
        adapter_version: report.version.clone(),
        serves: report.serves.clone(),
        manifest_sha256: report.manifest_sha256.clone(),
        target: report.target.clone(),
        reached: report.reached(),
        passed: report.passed(),
        not_applicable: report.not_applicable(),
        transcript_sha256: report.transcript_sha256.clone(),
        issued,
        expires: later(issued, valid),
    };
    yizhan_attestation::sign(&attestation, key)
}
