//! What the desk says of a bill, in one sentence and in capital numerals.

use yizhan_contract::Money;

use super::capital::capital;
use super::figures::grouped;
use super::words::{Piece, Words, fill, pieces};
use crate::settlement::bill::{Bill, BillState};

/// What is said aloud at the desk: one sentence for each state, and it is true in that state.
pub fn sentence(bill: &Bill, words: &'static Words) -> Vec<Piece> {
    let said = match bill.state {
        BillState::AwaitingCharges => words.say_awaiting,
        BillState::Quoted => words.say_quoted,
        BillState::Settling => words.say_settling,
        BillState::Settled => words.say_settled,
        BillState::Reversing => words.say_reversing,
        BillState::Reversed => words.say_reversed,
        BillState::NeedsAttention => words.say_attention,
        BillState::Refused => words.say_refused,
    };
    let (ending, open) = ending(bill, words);
    let amounts = [
        ("total", grouped(bill.amounts.total)),
        ("paid", grouped(bill.paid_by_payers)),
        ("share", grouped(bill.patient_share)),
        ("deposit", grouped(bill.deposit)),
        ("open", grouped(open)),
    ];
    let amounts: Vec<_> = amounts.iter().map(|(name, amount)| (*name, amount.as_str())).collect();
    let mut spoken = pieces(said, &amounts);
    spoken.extend(pieces(ending, &amounts));
    spoken
}

/// What becomes of the deposit, where that is certain or asked for.
fn ending(bill: &Bill, words: &'static Words) -> (&'static str, Money) {
    match (says_what_changes_hands(bill), bill.to_refund.is_positive(), bill.to_collect.is_positive()) {
        (true, true, _) => (words.say_refund, bill.to_refund),
        (true, _, true) => (words.say_collect, bill.to_collect),
        (true, ..) => (words.say_even, bill.to_collect),
        (false, ..) => (words.say_end, Money::ZERO),
    }
}

/// Nobody collects or refunds on the word of a bill that does not stand.
fn says_what_changes_hands(bill: &Bill) -> bool {
    matches!(bill.state, BillState::Quoted | BillState::Settled)
}

/// The share, and what changes hands because of it, in capital numerals.
pub fn capitals(bill: &Bill, words: &'static Words) -> Vec<(&'static str, String)> {
    let open = says_what_changes_hands(bill).then(|| open(bill, words));
    [Some((words.patient_share, bill.patient_share)), open]
        .into_iter()
        .flatten()
        .filter_map(|(label, amount)| Some((label, capital(amount)?)))
        .collect()
}

/// What changes hands now: its label and amount.
pub fn open(bill: &Bill, words: &'static Words) -> (&'static str, Money) {
    match bill.to_refund.is_positive() {
        true => (words.to_refund, bill.to_refund),
        false => (words.to_collect, bill.to_collect),
    }
}

/// Parts equal the whole, asked of the bill itself.
pub fn tick(bill: &Bill) -> &'static str {
    if bill.check().is_ok() { "✓" } else { "✗" }
}

/// Parts equal the whole, said in one line.
pub fn balance(bill: &Bill, words: &'static Words) -> String {
    let (total, paid) = (grouped(bill.amounts.total), grouped(bill.paid_by_payers));
    let share = grouped(bill.patient_share);
    fill(words.balance, &[("total", &total), ("paid", &paid), ("share", &share)])
}
