//! One row per payer, in the order of the chain.

use super::explain::{self, Line};
use super::figures::grouped;
use super::values;
use super::words::Lang;
use crate::settlement::bill::Bill;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayerRow<'a> {
    /// Place in the chain, from 1.
    pub number: usize,
    pub name: &'a str,
    pub state: &'static str,
    /// The state's shape, for those who cannot tell its colour.
    pub mark: &'static str,
    pub base: String,
    pub paid: String,
    pub pays_nothing: bool,
    /// What the patient would owe if the chain ended here.
    pub left: String,
    pub reference: Option<&'a str>,
    pub why: Option<&'static str>,
    pub steps: Vec<Line>,
}

pub fn payer_rows(bill: &Bill, lang: Lang) -> Vec<PayerRow<'_>> {
    let mut left = bill.amounts.total;
    let mut rows = Vec::with_capacity(bill.payers.len());
    for (index, payer) in bill.payers.iter().enumerate() {
        left -= payer.paid;
        rows.push(PayerRow {
            number: index + 1,
            name: lang.of(&payer.name),
            state: values::payer_state(payer.state).of(lang),
            mark: values::payer_state_mark(payer.state),
            base: grouped(payer.base),
            paid: grouped(payer.paid),
            pays_nothing: payer.paid.is_zero(),
            left: grouped(left),
            reference: payer.payer_reference.as_deref(),
            why: payer.reason.map(|reason| values::reason(reason).of(lang)),
            steps: payer.steps.iter().map(|step| explain::line(step, lang)).collect(),
        });
    }
    rows
}
