//! What a stay means, apart from how and when it was sent: equal meaning is the same stay again.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use yizhan_contract::revealing;
use yizhan_contract::stay::{Discharge, Line};

use super::record::Known;

/// SHA-256 over the stay in canonical form: lines by id, numbers without trailing zeros (as their types
/// write them), without message id and time of sending.
pub fn meaning(discharge: &Discharge) -> [u8; 32] {
    let mut canonical = discharge.clone();
    canonical.message_id.clear();
    canonical.sent_at = jiff::Timestamp::UNIX_EPOCH;
    canonical.lines.sort_by(|a, b| a.id.cmp(&b.id));
    canonical.settled_elsewhere.sort_by(|a, b| a.payer.cmp(&b.payer));
    canonical.diagnoses.sort_by(|a, b| (&a.code, &a.name).cmp(&(&b.code, &b.name)));
    let document = revealing(|| serde_json::to_vec(&canonical)).unwrap_or_default();
    Sha256::digest(&document).into()
}

/// Ids of the lines in which two versions of a stay differ, and `visit`, `patient`, … for the rest.
pub fn differences(settled: &Discharge, sent: &Discharge) -> Vec<String> {
    let mut named = Vec::new();
    let mut compare = |name: &str, is_equal: bool| {
        if !is_equal {
            named.push(name.to_owned());
        }
    };
    compare("visit", settled.visit == sent.visit);
    compare("patient", settled.patient == sent.patient);
    compare("cause", settled.cause == sent.cause && settled.third_party_liable == sent.third_party_liable);
    compare("referral", settled.referral == sent.referral);
    compare("insured_region", settled.insured_region == sent.insured_region);
    compare("diagnoses", settled.diagnoses == sent.diagnoses);
    compare("settled_elsewhere", settled.settled_elsewhere == sent.settled_elsewhere);
    compare("stated", settled.stated == sent.stated);
    compare("deposit", settled.deposit == sent.deposit);
    let by_id = |lines: &[Line]| lines.iter().map(|l| (l.id.clone(), l.clone())).collect::<BTreeMap<_, _>>();
    let (before, after) = (by_id(&settled.lines), by_id(&sent.lines));
    let ids: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    named.extend(
        ids.into_iter().filter(|id| before.get(*id) != after.get(*id)).map(|id| format!("lines[{id}]")),
    );
    named
}

/// Whether a message speaks of another person than the stay's: other identity card, or, where one side
/// has none, another patient number of the hospital.
pub fn is_another_person(known: &Known, sent: &super::part::StayPart) -> bool {
    if let (Some(ours), Some(theirs)) = (&known.id_number, sent.id_number.set()) {
        return ours != theirs;
    }
    match (&known.mrn, sent.mrn.set()) {
        (Some(ours), Some(theirs)) => ours != theirs,
        _ => false,
    }
}
