//! What a stay means, apart from how and when it was sent: two messages mean the same stay if these
//! hashes are equal.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use yizhan_contract::PayerCode;
use yizhan_contract::revealing;
use yizhan_contract::stay::{Discharge, Line, Moment, Visit};

use super::message::Hospital;
use super::names::Head;
use super::part::charged;
use super::places::Dialect;

/// SHA-256 of a stay's canonical form: no message id, no time of sending, no ward or bed and no time of day
/// (two systems of one hospital differ in them, and no payer looks at them), lines in order of their ids,
/// diagnoses and payers settled elsewhere in order of their codes, numbers without trailing zeros; no stated total
/// that is what the lines add up to, because not every channel states one.
///
/// # Errors
/// Where the form cannot be written: two stays of which none can be are not the same.
pub fn meaning(discharge: &Discharge) -> serde_json::Result<[u8; 32]> {
    let canonical = canonical(discharge);
    // Struct fields are written in their declared order and numbers print in one way only, so equal
    // values give equal bytes.
    let written = revealing(|| serde_json::to_vec(&canonical))?;
    Ok(Sha256::digest(&written).into())
}

fn canonical(discharge: &Discharge) -> Discharge {
    let mut canonical = discharge.clone();
    canonical.message_id = String::new();
    canonical.sent_at = jiff::Timestamp::UNIX_EPOCH;
    canonical.visit = weighed(&discharge.visit);
    canonical.stated.total = discharge.stated.total.filter(|total| charged(&discharge.lines) != Ok(*total));
    canonical.lines.sort_by(|a, b| a.id.cmp(&b.id));
    canonical.diagnoses.sort_by(|a, b| (&a.code, &a.name).cmp(&(&b.code, &b.name)));
    canonical.settled_elsewhere.sort_by(|a, b| a.payer.cmp(&b.payer));
    canonical
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

/// Everything in which two versions of a stay that mean something else differ, each by its place in the sender's terms.
pub fn differences(
    settled: &Discharge,
    sent: &Discharge,
    hospital: &Hospital,
    dialect: Dialect,
) -> Vec<String> {
    let (before, after) = (canonical(settled), canonical(sent));
    let fields = differing_fields(&before, &after);
    let mut named: Vec<String> = fields.map(|name| hospital.place_of(dialect, name)).collect();
    if before.diagnoses != after.diagnoses {
        named.push(hospital.place_of_diagnoses(dialect).to_owned());
    }
    let payers = differing_payers(&before, &after);
    named.extend(payers.iter().map(|payer| dialect.place_of_elsewhere(payer.as_str())));
    named.extend(differing_lines(&before, &after).iter().map(|id| hospital.place_of_line(dialect, id)));
    named
}

fn differing_fields(a: &Discharge, b: &Discharge) -> impl Iterator<Item = Head> {
    let differ = [
        (Head::InsuredRegion, a.insured_region != b.insured_region),
        (Head::Admitted, a.visit.admitted != b.visit.admitted),
        (Head::Discharged, a.visit.discharged != b.visit.discharged),
        (Head::VisitClass, a.visit.class != b.visit.class),
        (Head::IdNumber, a.patient.id_number != b.patient.id_number),
        (Head::Mrn, a.patient.mrn != b.patient.mrn),
        (Head::PatientName, a.patient.name != b.patient.name),
        (Head::Sex, a.patient.sex != b.patient.sex),
        (Head::Birth, a.patient.birth != b.patient.birth),
        (Head::Card, a.patient.card != b.patient.card),
        (Head::CauseKind, a.cause.kind != b.cause.kind),
        (Head::AccidentType, a.cause.accident_type != b.cause.accident_type),
        (Head::ThirdPartyLiable, a.third_party_liable != b.third_party_liable),
        (Head::Referral, a.referral != b.referral),
        (Head::StatedTotal, a.stated.total != b.stated.total),
        (Head::StatedPatientShare, a.stated.patient_share != b.stated.patient_share),
        (Head::Deposit, a.deposit != b.deposit),
    ];
    differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name)
}

/// Payers of whom one says that they have paid, and the other does not, or something else.
fn differing_payers<'d>(a: &'d Discharge, b: &'d Discharge) -> BTreeSet<&'d PayerCode> {
    let only = |of: &'d Discharge, other: &'d Discharge| {
        of.settled_elsewhere
            .iter()
            .filter(move |one| !other.settled_elsewhere.contains(one))
            .map(|one| &one.payer)
    };
    only(a, b).chain(only(b, a)).collect()
}
