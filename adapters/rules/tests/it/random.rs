//! Random valid policies and random stays: the crate, a second adjudicator and the bill's own steps must
//! agree to the fen.

use std::sync::Arc;

use proptest::prelude::*;
use yizhan_contract::stay::Line;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Accumulators, Buckets, Claim, Money, PayerCode};
use yizhan_rules::{AdjudicateError, Adjudication, Answered, Policy, PolicyShelf, adjudicate, assess};

use crate::asked::{self, Asked};
use crate::recompute;
use crate::second::{self, Outside, Said};
use crate::strategies::{lines, outside, policy, stay};

const CASES: u32 = 2_000;

fn read(text: &str) -> Arc<Policy> {
    PolicyShelf::read([("random.toml", text)]).unwrap().policies()[0].clone()
}

fn walk(
    policy: &Policy,
    claim: &Claim,
    used: &Accumulators,
    outside: &Outside,
) -> Result<(Adjudication, Asked), AdjudicateError> {
    let codes: Vec<PayerCode> = outside.keys().map(|code| code.parse().unwrap()).collect();
    asked::walk(policy, claim, used, &codes, |leg| match outside[leg.payer.as_str()] {
        Said::Quarters(quarters) => asked::paid(Money::from_fen(leg.pay_at_most.fen() * quarters / 4)),
        Said::Refuses => Answered::Refused,
        Said::Defers => Answered::Deferred,
    })
}

/// The outcome, with amounts settled elsewhere that this chain would refuse left out first.
fn outcome(
    policy: &Policy,
    claim: &mut Claim,
    used: &Accumulators,
    outside: &Outside,
) -> (Adjudication, Asked) {
    walk(policy, claim, used, outside).unwrap_or_else(|_| {
        claim.settled_elsewhere.clear();
        walk(policy, claim, used, outside).unwrap()
    })
}

fn agree(text: &str, mut claim: Claim, used: &Accumulators, outside: &Outside) {
    let (ours, asked) = outcome(&read(text), &mut claim, used, outside);
    let theirs = second::adjudicate(&toml::from_str(text).unwrap(), &claim, used, outside);
    assert_eq!(ours.payers.len(), theirs.payers.len());
    for (our, their) in ours.payers.iter().zip(&theirs.payers) {
        let is_elsewhere = claim.settled_elsewhere.iter().any(|leg| leg.payer == our.payer);
        let gains = ours.moves.iter().find(|(payer, _)| *payer == our.payer).map(|(_, gained)| *gained);
        let gains = gains.unwrap_or_default();
        let leg = asked.get(&our.payer);
        assert!(leg.is_none_or(|leg| leg.base == our.base));
        let written = second::Paid {
            payer: our.payer.to_string(),
            base: second::of(our.base),
            paid: second::of(our.paid),
            // What we say of a payer that settled 0.00 elsewhere is our view, not its.
            reason: their
                .reason
                .filter(|reason| serde_json::to_value(our.reason).unwrap() == **reason && !is_elsewhere),
            gains: (second::of(gains.base), second::of(gains.paid)),
            asked: leg.map(|leg| [leg.in_scope_left, leg.out_of_scope_left, leg.pay_at_most].map(second::of)),
        };
        assert_eq!(written, *their);
    }
    assert_eq!(second::of(ours.patient_share), theirs.share);
    let bill = serde_json::to_value(&ours).unwrap();
    let findings = bill["findings"].as_array().unwrap().iter();
    let mut findings: Vec<&str> = findings.map(|finding| finding["code"].as_str().unwrap()).collect();
    findings.sort_unstable();
    assert_eq!(findings, theirs.findings);
    assert_eq!(ours.paid_by_payers + ours.patient_share, ours.buckets.total);
    recompute::check(&bill);
}

/// What no policy and no stay may break, said without computing anything.
fn invariants(text: &str, mut claim: Claim, used: &Accumulators) {
    let policy = read(text);
    let (ours, _) = outcome(&policy, &mut claim, used, &Outside::new());
    for line in &ours.payers {
        let rule = policy.payer(&line.payer).unwrap();
        if line.state == PayerState::SettledElsewhere {
            continue;
        }
        let stays = [&rule.terms].into_iter().chain(rule.variants.iter().map(|variant| &variant.terms));
        let caps = stays.map(|terms| terms.annual_cap.as_ref().map(|cap| cap.value));
        if let Some(loosest) = caps.collect::<Option<Vec<Money>>>().and_then(|caps| caps.into_iter().max()) {
            assert!(line.paid <= (loosest - used.of(&line.payer).paid).or_zero());
        }
    }
    claim.lines.reverse();
    assert_eq!(adjudicate(&policy, &claim, used).unwrap(), ours);
    let json = serde_json::to_string(&ours).unwrap();
    assert_eq!(serde_json::from_str::<Adjudication>(&json).unwrap(), ours);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn two_adjudicators_and_the_steps_agree_to_the_fen(
        text in policy(), (claim, used) in stay(), outside in outside()
    ) {
        agree(&text, claim, &used, &outside);
    }

    #[test]
    fn caps_hold_and_the_order_of_lines_does_not_matter(text in policy(), (claim, used) in stay()) {
        invariants(&text, claim, &used);
    }

    #[test]
    fn two_assessments_agree_to_the_fen(mut lines in lines()) {
        let sums = |lines: &[Line]| {
            assess(lines, |_| None).ok().map(|assessment| {
                let Buckets { total, self_funded, over_limit, upfront_copay, in_scope } = assessment.buckets;
                [total, self_funded, over_limit, upfront_copay, in_scope].map(second::of)
            })
        };
        let ours = sums(&lines);
        prop_assert_eq!(ours, second::assess(&lines));
        lines.reverse();
        prop_assert_eq!(sums(&lines), ours);
    }
}
