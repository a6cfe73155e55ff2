//! What one payer's quote says of another (DESIGN: `also_paid`).

use yizhan_contract::{Accumulators, Claim, Money, PayerCode};
use yizhan_rules::{Chain, PolicyShelf, Turn};

use crate::asked::paid;
use crate::cases::policy_text;

const STAY: &str = r#"{"hospital_level":2,"hospital_region":"990101","insured_region":"990101",
    "class":"inpatient","admitted":"2020-06-24","discharged":"2020-07-02","cause":{"kind":"illness"},
    "third_party_liable":false,"referral":"none",
    "roster":{"region":null,"entitlements":[
        {"kind":"category","code":"entitled_out_of_poverty","from":"2020-01-01","to":null},
        {"kind":"cover","code":"supplementary","from":"2020-01-01","to":null}]},
    "buckets":{"total":"1500.00","self_funded":"200.00","over_limit":"0.00","upfront_copay":"0.00","in_scope":"1300.00"},
    "lines":[],"settled_elsewhere":[]}"#;

#[test]
fn another_payers_quote_may_settle_one_still_to_come() {
    let shelf = PolicyShelf::read([("plain.toml", &*policy_text("plain"))]).unwrap();
    let (claim, year): (Claim, _) = (serde_json::from_str(STAY).unwrap(), Accumulators::default());
    let outside: Vec<PayerCode> = vec!["basic".parse().unwrap()];
    let mut chain = Chain::start(&shelf.policies()[0], &claim, &year, &outside).unwrap();
    let leg = |payer: &str| yizhan_contract::stay::SettledElsewhere {
        payer: payer.parse().unwrap(),
        amount: Money::from_fen(10_000),
        reference: "YB-9".into(),
    };
    chain.turn().unwrap();
    chain.answer(paid(Money::from_fen(90_000))).unwrap();
    chain.settled_elsewhere(leg("critical_illness")).unwrap();
    assert!(chain.settled_elsewhere(leg("critical_illness")).is_err(), "it is settled already");
    assert!(chain.settled_elsewhere(leg("basic")).is_err(), "its turn is over");
    let line = match chain.turn().unwrap() {
        Turn::Computed(line) => format!("{} {} {:?}", line.payer, line.paid, line.state),
        turn => panic!("{turn:?}"),
    };
    assert_eq!(line, "critical_illness 100.00 SettledElsewhere");
    assert!(chain.finish().is_err(), "payers are still to come");
}
