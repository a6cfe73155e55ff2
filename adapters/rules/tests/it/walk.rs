//! The chain with outside payers asked in between.

use yizhan_contract::step::PayerState;
use yizhan_contract::{Accumulators, Claim, Money, PayerCode};
use yizhan_rules::{Answered, Chain, PolicyShelf, Turn};

use crate::cases::policy_text;

fn claim(text: &str) -> Claim {
    serde_json::from_str(text).unwrap()
}

const STAY: &str = r#"{"hospital_level":2,"hospital_region":"990101","insured_region":"990101",
    "class":"inpatient","admitted":"2020-06-24","discharged":"2020-07-02","cause":{"kind":"illness"},
    "third_party_liable":false,"referral":"none",
    "roster":{"region":null,"entitlements":[
        {"kind":"category","code":"entitled_out_of_poverty","from":"2020-01-01","to":null},
        {"kind":"cover","code":"supplementary","from":"2020-01-01","to":null}]},
    "buckets":{"total":"1500.00","self_funded":"200.00","over_limit":"0.00","upfront_copay":"0.00","in_scope":"1300.00"},
    "lines":[],"settled_elsewhere":[]}"#;

fn paid(fen: i64) -> Answered {
    let reference = Some("POS-1".into());
    Answered::Paid {
        amount: Money::from_fen(fen),
        reference,
        state: PayerState::Committed,
        steps: Vec::new(),
    }
}

#[test]
fn outside_payers_are_asked_in_their_turn_and_bounded() {
    let shelf = PolicyShelf::read([("plain.toml", &*policy_text("plain"))]).unwrap();
    let policy = &shelf.policies()[0];
    let (claim, year) = (claim(STAY), Accumulators::default());
    let outside: Vec<PayerCode> = ["basic", "supplementary"].map(|code| code.parse().unwrap()).to_vec();
    let mut chain = Chain::start(policy, &claim, &year, &outside).unwrap();

    let Turn::Ask(ask) = chain.turn().unwrap() else { panic!("basic is to be asked") };
    let again = chain.turn().unwrap();
    assert!(matches!(&again, Turn::Ask(same) if *same == ask), "asking again changes nothing");
    assert_eq!(ask.payer.as_str(), "basic");
    assert_eq!((ask.base.to_string(), ask.pay_at_most.to_string()), ("1300.00".into(), "1300.00".into()));
    assert_eq!(
        (ask.in_scope_left.to_string(), ask.out_of_scope_left.to_string()),
        ("1300.00".into(), "200.00".into())
    );

    for beyond in [130_001, -1] {
        let why = chain.answer(paid(beyond)).unwrap_err().to_string();
        assert!(why.contains("may pay between 0.00 and 1300.00"), "{why}");
    }
    let line = chain.answer(paid(90_000)).unwrap();
    assert_eq!((line.paid.to_string(), line.state), ("900.00".into(), PayerState::Committed));
    assert!(chain.answer(paid(1)).is_err(), "nobody was asked");

    for expected in ["critical_illness 0.00", "medical_assistance 280.00", "provider_waiver 20.00"] {
        let Turn::Computed(line) = chain.turn().unwrap() else { panic!("{expected} is computed") };
        assert_eq!(format!("{} {}", line.payer, line.paid), expected);
    }
    // 90 % of 1300.00 is 1170.00, and 1180.00 is paid: nothing may be paid, so nobody is asked.
    let Turn::Computed(line) = chain.turn().unwrap() else { panic!("nothing to ask for") };
    assert_eq!((line.paid, line.state), (Money::ZERO, PayerState::NotApplicable));
    assert_eq!(line.reason, Some(yizhan_contract::Reason::TargetReached));
    assert!(matches!(chain.turn().unwrap(), Turn::Done));
    let ours = chain.finish().unwrap();
    assert_eq!(ours.patient_share.to_string(), "300.00");
    assert_eq!(ours.moves.len(), 4);
}

#[test]
fn a_refused_payer_counts_as_nothing_and_later_ones_go_on_from_there() {
    let shelf = PolicyShelf::read([("plain.toml", &*policy_text("plain"))]).unwrap();
    let (claim, year) = (claim(STAY), Accumulators::default());
    let outside: Vec<PayerCode> = vec!["basic".parse().unwrap()];
    let mut chain = Chain::start(&shelf.policies()[0], &claim, &year, &outside).unwrap();
    assert!(matches!(chain.turn().unwrap(), Turn::Ask(_)));
    assert_eq!(chain.answer(Answered::Refused).unwrap().state, PayerState::Refused);
    while let Turn::Computed(_) = chain.turn().unwrap() {}
    let ours = chain.finish().unwrap();
    let assistance = ours.payers.iter().find(|line| line.payer.as_str() == "medical_assistance").unwrap();
    assert_eq!(assistance.paid.to_string(), "910.00");
    assert!(ours.moves.iter().all(|(payer, _)| payer.as_str() != "basic"));
}

#[test]
fn another_payers_quote_may_settle_one_still_to_come() {
    let shelf = PolicyShelf::read([("plain.toml", &*policy_text("plain"))]).unwrap();
    let (claim, year) = (claim(STAY), Accumulators::default());
    let outside: Vec<PayerCode> = vec!["basic".parse().unwrap()];
    let mut chain = Chain::start(&shelf.policies()[0], &claim, &year, &outside).unwrap();
    let leg = |payer: &str| yizhan_contract::stay::SettledElsewhere {
        payer: payer.parse().unwrap(),
        amount: Money::from_fen(10_000),
        reference: "YB-9".into(),
    };
    chain.turn().unwrap();
    chain.answer(paid(90_000)).unwrap();
    chain.settled_elsewhere(leg("critical_illness")).unwrap();
    assert!(chain.settled_elsewhere(leg("basic")).is_err(), "its turn is over");
    assert!(chain.finish().is_err(), "payers are still to come");
}
