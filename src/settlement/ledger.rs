//! What a bill leaves in the ledger. Pure.
//!
//! What the payers and the patient owe the hospital is posted when the bill is settled and taken back when it is
//! reversed; where a later version says other amounts, only the difference is posted. Deposits and what is handed over
//! at the desk are no settlement and stand nowhere here.

use std::sync::Arc;

use yizhan_contract::Money;

use super::bill::Bill;
use crate::store::ledger::Balances;
use crate::store::{Account, Posting, PostingKind};

/// A bill whose money stands, and the region whose funds pay for it (统筹区 of the insured; empty where it was settled
/// before that was kept).
#[derive(Debug, Clone, Copy)]
pub struct Standing<'b> {
    pub bill: &'b Bill,
    pub insured_region: &'b str,
}

/// The postings that bring the ledger of a settlement from one bill to the next. Absent: nothing stands.
pub fn postings(before: Option<Standing<'_>>, after: Option<Standing<'_>>) -> Vec<Posting> {
    let Some(hospital) = after.or(before).map(|standing| &standing.bill.hospital) else { return Vec::new() };
    let kind = if after.is_some() { PostingKind::Settlement } else { PostingKind::Reversal };
    let mut change = after.map(owed).unwrap_or_default();
    for (account, amount) in before.map(owed).unwrap_or_default() {
        *change.entry(account).or_default() -= amount;
    }
    let hospital = Account::Hospital(Arc::clone(hospital));
    let posting = |(owing, amount): (Account, Money)| {
        let hospital = hospital.clone();
        let (debit, credit) = if amount.is_negative() { (hospital, owing) } else { (owing, hospital) };
        Posting { kind, debit, credit, amount: amount.abs() }
    };
    change.into_iter().filter(|(_, amount)| !amount.is_zero()).map(posting).collect()
}

/// Who owes the hospital what.
fn owed(Standing { bill, insured_region }: Standing<'_>) -> Balances {
    let region: Arc<str> = Arc::from(insured_region);
    let fund = |payer: &super::bill::BilledPayer| {
        (Account::Fund { payer: payer.payer.clone(), region: Arc::clone(&region) }, payer.paid)
    };
    bill.payers.iter().map(fund).chain([(Account::Patient, bill.patient_share)]).collect()
}
