//! What a stay means, apart from how and when it was sent: two messages mean the same stay if these
//! hashes are equal.

use sha2::{Digest, Sha256};
use yizhan_contract::revealing;
use yizhan_contract::stay::{Discharge, Line, Moment, Visit};

use super::complete::Dialect;
use super::message::Hospital;
use super::names::Head;

/// SHA-256 of a stay's canonical form: no message id, no time of sending, no ward or bed and no time of day
/// (two systems of one hospital differ in them, and no payer looks at them), lines in order of their ids,
/// diagnoses and payers settled elsewhere in order of their codes, numbers without trailing zeros.
///
/// # Errors
/// Where the form cannot be written: two stays of which none can be are not the same.
pub fn meaning(discharge: &Discharge) -> serde_json::Result<[u8; 32]> {
    let mut canonical = discharge.clone();
    canonical.message_id = String::new();
    canonical.sent_at = jiff::Timestamp::UNIX_EPOCH;
    canonical.visit = weighed(&discharge.visit);
    canonical.lines.sort_by(|a, b| a.id.cmp(&b.id));
    canonical.diagnoses.sort_by(|a, b| (&a.code, &a.name).cmp(&(&b.code, &b.name)));
    canonical.settled_elsewhere.sort_by(|a, b| a.payer.cmp(&b.payer));
    // Struct fields are written in their declared order and numbers print in one way only, so equal
    // values give equal bytes.
    let written = revealing(|| serde_json::to_vec(&canonical))?;
    Ok(Sha256::digest(&written).into())
}

/// What a payer looks at of a visit.
fn weighed(visit: &Visit) -> Visit {
    Visit {
        admitted: Moment::on(visit.admitted.date),
        discharged: Moment::on(visit.discharged.date),
        department: None,
        ward: None,
        bed: None,
        ..visit.clone()
    }
}

/// Ids of the lines in which two versions of a stay differ, in order: changed, added or taken away.
pub fn differing_lines(a: &Discharge, b: &Discharge) -> Vec<String> {
    let (a, b) = (sorted(&a.lines), sorted(&b.lines));
    let (mut at_a, mut at_b) = (0, 0);
    let mut differing = Vec::new();
    while at_a < a.len() || at_b < b.len() {
        match (a.get(at_a), b.get(at_b)) {
            (Some(left), Some(right)) if left.id == right.id => {
                if left != right {
                    differing.push(left.id.clone());
                }
                at_a += 1;
                at_b += 1;
            }
            (Some(left), right) if right.is_none_or(|right| left.id < right.id) => {
                differing.push(left.id.clone());
                at_a += 1;
            }
            (_, Some(right)) => {
                differing.push(right.id.clone());
                at_b += 1;
            }
            (_, None) => break,
        }
    }
    differing
}

fn sorted(lines: &[Line]) -> Vec<&Line> {
    let mut lines: Vec<&Line> = lines.iter().collect();
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    lines
}

/// Everything in which two versions of a stay differ, in the sender's terms: fields and sections by their
/// places, lines by their ids.
pub fn differences(
    settled: &Discharge,
    sent: &Discharge,
    hospital: &Hospital,
    dialect: Dialect,
) -> Vec<String> {
    let mut named = Vec::new();
    let (before, after) = (weighed(&settled.visit), weighed(&sent.visit));
    for (name, is_equal) in [
        (Head::Admitted, before.admitted == after.admitted),
        (Head::Discharged, before.discharged == after.discharged),
        (Head::VisitClass, before.class == after.class),
    ] {
        if !is_equal {
            named.push(hospital.place_of(dialect, name));
        }
    }
    let mut compare = |name: &str, is_equal: bool| {
        if !is_equal {
            named.push(name.to_owned());
        }
    };
    compare("patient", settled.patient == sent.patient);
    compare("cause", settled.cause == sent.cause && settled.third_party_liable == sent.third_party_liable);
    compare("referral", settled.referral == sent.referral);
    compare("insured_region", settled.insured_region == sent.insured_region);
    compare("diagnoses", settled.diagnoses == sent.diagnoses);
    compare("settled_elsewhere", settled.settled_elsewhere == sent.settled_elsewhere);
    compare("stated", settled.stated == sent.stated);
    compare("deposit", settled.deposit == sent.deposit);
    named.extend(differing_lines(settled, sent).iter().map(|id| dialect.place_of_line(id)));
    named
}
