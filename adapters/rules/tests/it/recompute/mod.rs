//! Recomputes every amount of a bill from its JSON alone, step by step. It knows nothing of any crate of the project, so
//! that the tests of the whole gateway hold its bills to it as well.

pub(crate) mod fractions;

use serde_json::Value;

use fractions::{YUAN, round, rounded_to, units};

fn get(value: &Value, key: &str) -> Option<i128> {
    value.get(key).and_then(Value::as_str).map(units)
}

fn share(amount: i128, ratio: i128) -> i128 {
    amount * (ratio / (YUAN / 10_000)) / 10_000
}

/// Panics, naming the payer, where a figure does not follow from the figures before it.
pub(crate) fn check(bill: &Value) {
    let amounts = &bill["amounts"];
    let total = get(amounts, "total").unwrap();
    let in_scope = get(amounts, "in_scope").unwrap();
    let parts = ["self_funded", "over_limit", "upfront_copay", "in_scope"];
    assert_eq!(parts.iter().map(|part| get(amounts, part).unwrap()).sum::<i128>(), total);
    let mut findings = bill.get("findings").and_then(Value::as_array).into_iter().flatten();
    let passes_over = findings.any(|finding| finding["code"] == "payer_not_asked");
    let mut left = (in_scope, total - in_scope);
    for payer in bill["payers"].as_array().unwrap() {
        let paid = get(payer, "paid").unwrap();
        explained(payer, paid, left, (in_scope, passes_over));
        let from_scope = match payer["base_kind"].as_str().unwrap() {
            "out_of_scope" if payer["state"] != "settled_elsewhere" => 0,
            _ => paid.min(left.0),
        };
        left = (left.0 - from_scope, left.1 - (paid - from_scope));
        assert!(paid >= 0 && left.0 >= 0 && left.1 >= 0, "{payer:#}");
    }
    let sum = total - left.0 - left.1;
    assert_eq!(get(bill, "paid_by_payers"), Some(sum));
    assert_eq!(get(bill, "patient_share"), Some(left.0 + left.1));
    let covered = |part: i128, whole: i128| (whole > 0).then(|| quotient(part, whole));
    assert_eq!(get(&bill["coverage"], "in_scope"), covered(in_scope - left.0, in_scope), "{bill:#}");
    assert_eq!(get(&bill["coverage"], "total"), covered(sum, total), "{bill:#}");
    // What is left is said by the outcome of a chain, and follows from the rest on a bill.
    assert!(get(bill, "in_scope_left").is_none_or(|said| said == left.0));
    assert!(get(bill, "out_of_scope_left").is_none_or(|said| said == left.1));
}

/// To four decimals.
fn quotient(part: i128, whole: i128) -> i128 {
    rounded_to(whole, part * 10_000) / whole * (YUAN / 10_000)
}

/// Why a payer pays what it pays. One that settled or answers itself explains as much as it likes, and no more than it
/// pays.
fn explained(payer: &Value, paid: i128, left: (i128, i128), (in_scope, passes_over): (i128, bool)) {
    let answers = ["settled_elsewhere", "committed", "refused", "deferred"].map(Value::from);
    let is_its_own = match payer.get("computed_by").and_then(Value::as_str) {
        Some(by) => by == "payer",
        None => answers.contains(&payer["state"]),
    };
    let steps = payer["steps"].as_array().unwrap();
    let last = match steps.last() {
        None => None,
        Some(last) if is_its_own => get(last, "after"),
        Some(_) => Some(follow(payer, steps, left, in_scope)),
    };
    assert!(last.is_none_or(|last| last == paid), "{payer:#}");
    assert!(is_its_own || last.is_some() || paid == 0, "nothing explains it: {payer:#}");
    // A payer that the gateway does not ask has no reason of its own: the bill says why in a finding.
    let is_passed_over = payer["state"] == "not_applicable" && steps.is_empty() && passes_over;
    assert!(is_its_own || paid > 0 || payer["reason"].is_string() || is_passed_over, "{payer:#}");
    assert!(paid == 0 || payer["reason"].is_null(), "{payer:#}");
}

/// The steps of a payer come in this order.
const ORDER: [&str; 10] = [
    "base",
    "upfront_share",
    "deductible",
    "band",
    "target",
    "stay_cap",
    "annual_cap",
    "rounding",
    "remainder",
    "min_share",
];

fn of_items(step: &Value) -> i128 {
    let items = step.get("items").and_then(Value::as_array).into_iter().flatten();
    items.map(|item| share(get(item, "amount").unwrap(), get(item, "ratio").unwrap())).sum()
}

fn follow(payer: &Value, steps: &[Value], left: (i128, i128), in_scope: i128) -> i128 {
    let kind = payer["base_kind"].as_str().unwrap();
    let of_kind = match kind {
        "scope" => left.0,
        "out_of_scope" => left.1,
        _ => left.0 + left.1,
    };
    let (mut amount, mut base, mut already, mut deductible) = (0, 0, 0, 0);
    let mut is_graduated = false;
    let mut rank = 0;
    for step in steps {
        let after = get(step, "after").unwrap();
        let what = step["what"].as_str().unwrap();
        let own_rank = ORDER.iter().position(|known| *known == what).unwrap();
        assert!(own_rank > rank || what == "band" || what == "base", "out of order: {payer:#}");
        rank = own_rank;
        let figure = |key: &str| get(step, key).unwrap();
        amount = match what {
            "base" => {
                already = get(step, "already").unwrap_or(0);
                base = if kind == "items" { of_items(step).clamp(0, of_kind) } else { of_kind };
                base
            }
            "upfront_share" => {
                base = share(base, YUAN - figure("ratio"));
                base
            }
            "deductible" => {
                deductible = figure("amount");
                (already + base - deductible).max(0) - (already - deductible).max(0)
            }
            "band" => {
                let low = get(step, "from").unwrap_or(0).max(deductible).max(already);
                let high = get(step, "to").unwrap_or(i128::MAX).min(already + base);
                assert_eq!(high - low, figure("part"), "{payer:#}");
                let so_far = if is_graduated { amount } else { 0 };
                is_graduated = true;
                so_far + share(figure("part"), figure("ratio"))
            }
            "target" => {
                assert_eq!((figure("of"), figure("already")), (in_scope, in_scope - left.0));
                let open = (share(in_scope, figure("ratio")) - figure("already")).max(0);
                assert_eq!(open, figure("amount"));
                amount.min(open)
            }
            "stay_cap" => amount.min(figure("amount")),
            "annual_cap" => amount.min((figure("amount") - figure("already")).max(0)),
            "rounding" => round(amount),
            "remainder" => amount.min(of_kind),
            _ => {
                assert_eq!(figure("of"), left.0 + left.1);
                amount.min((left.0 + left.1 - figure("amount")).max(0))
            }
        };
        assert_eq!(amount, after, "{what}: {payer:#}");
    }
    assert_eq!(get(payer, "base"), Some(base), "{payer:#}");
    amount
}
