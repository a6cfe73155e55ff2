//! Mistakes with what a hospital advances.

use serde_json::{Value, json};
use yizhan::settlement::advanced::HOSPITAL_ADVANCE;
use yizhan::store::{Account, BillWrite, Changes, Pot};
use yizhan_contract::step::PayerState;
use yizhan_contract::{Exact, Money, Used};

use super::at_store::edit;

/// What was refused is put on the patient.
pub(super) fn raise_the_share(changes: &mut Changes) {
    let Some(bill) = changes.bill.as_mut().filter(|bill| bill.state == "settled") else { return };
    let is_hospitals = |line: &yizhan::store::LegWrite| line.payer.as_str() == HOSPITAL_ADVANCE;
    let amount: Money = bill.legs.iter().filter(|line| is_hospitals(line)).map(|line| line.paid).sum();
    if amount.is_zero() {
        return;
    }
    bill.legs.retain(|line| !is_hospitals(line));
    bill.patient_share += amount;
    rewrite(bill, |document| {
        if let Some(lines) = document["payers"].as_array_mut() {
            lines.retain(|line| line["payer"] != HOSPITAL_ADVANCE);
        }
        for (figure, more) in [("patient_share", amount), ("to_collect", amount), ("paid_by_payers", -amount)]
        {
            let before: Money = document[figure].as_str().unwrap().parse().unwrap();
            document[figure] = (before + more).to_string().into();
        }
    });
    for posting in &mut changes.postings {
        for account in [&mut posting.debit, &mut posting.credit] {
            if matches!(account, Account::Fund { payer, .. } if payer.as_str() == HOSPITAL_ADVANCE) {
                *account = Account::Patient;
            }
        }
    }
}

/// What is not collected yet is shown as if it were.
pub(super) fn take_for_paid(changes: &mut Changes) {
    let Some(bill) = changes.bill.as_mut().filter(|bill| bill.state == "settled") else { return };
    for line in bill.legs.iter_mut().filter(|line| line.state == PayerState::Deferred) {
        line.state = PayerState::Committed;
    }
    rewrite(bill, |document| {
        for line in document["payers"].as_array_mut().into_iter().flatten() {
            if line["state"] == "deferred" && line["paid"] != "0.00" {
                line["state"] = json!("committed");
            }
        }
    });
}

/// What has come in is counted once more: the step that says so moves nothing of the year.
pub(super) fn count_it_twice(changes: &mut Changes) {
    let Some(bill) = changes.bill.as_ref().filter(|bill| bill.state == "settled") else { return };
    let has_come_in = |line: &&yizhan::store::LegWrite| {
        matches!(line.payer.as_str(), "supplementary" | "provider_waiver")
            && line.state == PayerState::Committed
    };
    let came_in = bill.legs.iter().filter(has_come_in);
    let came_in: Vec<_> =
        came_in.map(|line| (line.payer.clone(), Used { base: Exact::ZERO, paid: line.paid })).collect();
    for moved in &mut changes.accumulators {
        if (moved.pot, moved.admissions) == (Pot::Settled, 0) && moved.payers.is_empty() {
            moved.payers.clone_from(&came_in);
        }
    }
}

/// Nobody is told what their hospital bears.
pub(super) fn bear_in_silence(changes: &mut Changes) {
    let is_borne = changes.bill.as_ref().is_some_and(|bill| {
        bill.legs.iter().any(|line| line.payer.as_str() == HOSPITAL_ADVANCE && line.paid.is_positive())
    });
    if is_borne {
        edit(changes, "/settlement/borne/is_seen", true.into());
        changes.stay.iter_mut().for_each(|stay| stay.needs_attention = false);
    }
}

fn rewrite(bill: &mut BillWrite, change: impl FnOnce(&mut Value)) {
    let mut document: Value = serde_json::from_slice(&bill.document).unwrap();
    change(&mut document);
    bill.document = serde_json::to_vec(&document).unwrap();
}
