//! Random valid policies and random stays: the crate, a second adjudicator and the bill's own steps must
//! agree to the fen.

use std::sync::Arc;

use proptest::prelude::*;
use yizhan_contract::stay::Line;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Accumulators, Buckets, Claim, ClaimLine, Money, PayerCode};
use yizhan_rules::{
    AdjudicateError, Adjudication, Answered, AssessError, Assessment, ElsewhereError, Policy, PolicyShelf,
    adjudicate, assess,
};

use crate::asked::{self, Asked};
use crate::recompute;
use crate::second::{self, Assessed, Catalogue, Outside, Said};
use crate::spoilt::{any_lines, any_stay};
use crate::strategies::{catalogue, items, outside, policy, stay};

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

/// Why it is refused, in the second adjudicator's words.
fn refused(why: &AdjudicateError) -> String {
    match why {
        AdjudicateError::Elsewhere { payer, why } => {
            let what = match why {
                ElsewhereError::MoreThanLeft { .. } => "more than left",
                ElsewhereError::NoReference => "no reference",
                ElsewhereError::Negative(_) => "negative",
                ElsewhereError::OutsideOrder => "outside the order",
                ElsewhereError::Twice => "twice",
            };
            format!("{payer} {what}")
        }
        AdjudicateError::Buckets { .. } => "buckets".to_owned(),
        AdjudicateError::Admissions(_) => "admissions".to_owned(),
        other => panic!("{other}"),
    }
}

/// One bill, or refused by both for what is wrong; without what was settled elsewhere they must agree as well.
fn agree(text: &str, mut claim: Claim, used: &Accumulators, outside: &Outside) {
    let ours = walk(&read(text), &claim, used, outside);
    match (ours, second::adjudicate(&toml::from_str(text).unwrap(), &claim, used, outside)) {
        (Ok((ours, asked)), Ok(theirs)) => same_bill(&claim, &ours, &asked, &theirs),
        (Err(why), Err(wrong)) => {
            assert!(wrong.contains(&refused(&why)), "{why}; {wrong:?}");
            if !claim.settled_elsewhere.is_empty() {
                claim.settled_elsewhere.clear();
                agree(text, claim, used, outside);
            }
        }
        (ours, theirs) => panic!("ours {:?}, theirs {:?}", ours.err(), theirs.err()),
    }
}

fn same_bill(claim: &Claim, ours: &Adjudication, asked: &Asked, theirs: &second::Bill) {
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
    assert!(ours.agrees_with(None).is_ok() && ours.agrees_with(Some(ours.patient_share)).is_ok());
    assert!(ours.agrees_with(Some(ours.patient_share + Money::FEN)).is_err());
    let bill = serde_json::to_value(ours).unwrap();
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
    // What this chain would refuse is left out first.
    let ours = adjudicate(&policy, &claim, used).unwrap_or_else(|_| {
        claim.settled_elsewhere.clear();
        adjudicate(&policy, &claim, used).unwrap()
    });
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

/// What is wrong with charges, in the second adjudicator's words.
fn wrong(why: &AssessError) -> String {
    match why {
        AssessError::Line { line, field, .. } => format!("{line} {}", field.name()),
        AssessError::NothingCharged(_) => "nothing".to_owned(),
        AssessError::TotalTooLarge(_) => "too much".to_owned(),
        AssessError::NegativeBucket { .. } => "credits".to_owned(),
        AssessError::StatedTotal { .. } => panic!("{why}"),
    }
}

fn assessed(ours: Assessment) -> Assessed {
    let Buckets { total, self_funded, over_limit, upfront_copay, in_scope } = ours.buckets;
    let line = |line: ClaimLine| {
        let parts = [line.amount, line.self_funded, line.over_limit, line.upfront_copay, line.in_scope];
        (line.category.map(|category| category.to_string()), parts.map(second::of))
    };
    Assessed {
        sums: [total, self_funded, over_limit, upfront_copay, in_scope].map(second::of),
        lines: ours.lines.into_iter().map(line).collect(),
        has_unknown: !ours.findings.is_empty(),
    }
}

/// The sums, where both have them; else both refuse for what is wrong.
fn agreed(lines: &[Line], catalogue: &Catalogue) -> Option<[i128; 5]> {
    match (assess(lines, items(catalogue)), second::assess(lines, catalogue)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(assessed(ours), theirs);
            Some(theirs.sums)
        }
        (Err(why), Err(all)) => {
            assert!(all.contains(&wrong(&why)), "{why}; {all:?}");
            None
        }
        (ours, theirs) => panic!("ours {:?}, theirs {:?}", ours.err(), theirs.err()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn two_adjudicators_and_the_steps_agree_to_the_fen(
        text in policy(), (claim, used) in any_stay(), outside in outside()
    ) {
        agree(&text, claim, &used, &outside);
    }

    #[test]
    fn caps_hold_and_the_order_of_lines_does_not_matter(text in policy(), (claim, used) in stay()) {
        invariants(&text, claim, &used);
    }

    #[test]
    fn two_assessments_agree_to_the_fen(mut lines in any_lines(), catalogue in catalogue()) {
        let sums = agreed(&lines, &catalogue);
        lines.reverse();
        prop_assert_eq!(agreed(&lines, &catalogue), sums);
    }
}
