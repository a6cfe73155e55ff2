//! Recomputes every amount of a bill from its JSON alone, step by step.

use serde_json::Value;

use crate::second::{YUAN, round, units};

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
    let mut left = (in_scope, total - in_scope);
    let mut sum = 0;
    for payer in bill["payers"].as_array().unwrap() {
        let paid = get(payer, "paid").unwrap();
        let steps = payer["steps"].as_array().unwrap();
        if !steps.is_empty() {
            let last = follow(payer, steps, left, in_scope);
            assert_eq!(last, paid, "{payer:#}");
        }
        let is_elsewhere = payer["state"] == "settled_elsewhere";
        let from_scope = match payer["base_kind"].as_str().unwrap() {
            "out_of_scope" if !is_elsewhere => 0,
            _ => paid.min(left.0),
        };
        left = (left.0 - from_scope, left.1 - (paid - from_scope));
        assert!(paid >= 0 && left.0 >= 0 && left.1 >= 0, "{payer:#}");
        // A payer that answers itself need not say why it pays nothing.
        let is_answered = ["committed", "refused", "deferred"].map(Value::from).contains(&payer["state"]);
        assert!(paid > 0 || is_elsewhere || is_answered || payer["reason"].is_string(), "{payer:#}");
        assert!(paid == 0 || payer["reason"].is_null(), "{payer:#}");
        sum += paid;
    }
    assert_eq!(get(bill, "paid_by_payers"), Some(sum));
    assert_eq!(get(bill, "patient_share"), Some(total - sum));
    assert_eq!(get(bill, "in_scope_left"), Some(left.0));
    assert_eq!(get(bill, "out_of_scope_left"), Some(left.1));
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
