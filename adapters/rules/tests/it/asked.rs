//! A chain whose outside payers answer as the test says.

use std::collections::BTreeMap;

use yizhan_contract::payer::AskedLeg;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Accumulators, Claim, Money, PayerCode};
use yizhan_rules::{AdjudicateError, Adjudication, Answered, Chain, Policy, Turn};

use crate::said;

/// What each payer was asked.
pub(crate) type Asked = BTreeMap<PayerCode, AskedLeg>;

pub(crate) fn paid(amount: Money) -> Answered {
    let reference = Some("POS-1".into());
    Answered::Paid { amount, reference, state: PayerState::Committed, steps: Vec::new() }
}

/// Walks to the end. Every payer is first answered for with more than it may pay, and with less than nothing:
/// both are refused and leave its turn open.
pub(crate) fn walk(
    policy: &Policy,
    claim: &Claim,
    used: &Accumulators,
    outside: &[PayerCode],
    answer: impl Fn(&AskedLeg) -> Answered,
) -> Result<(Adjudication, Asked), AdjudicateError> {
    let mut chain = Chain::start(policy, claim, used, outside)?;
    let mut asked = Asked::new();
    loop {
        let leg = match chain.turn()? {
            Turn::Done => break,
            Turn::Computed(_) => continue,
            Turn::Ask(leg) => leg,
        };
        for beyond in [leg.pay_at_most + Money::FEN, -Money::FEN] {
            let why = chain.answer(paid(beyond)).unwrap_err();
            assert!(matches!(why, AdjudicateError::AnswerOutOfBounds { .. }), "{why}");
            said::in_both("beyond", &why.text(policy));
            let again = chain.turn()?;
            assert!(matches!(&again, Turn::Ask(same) if *same == leg), "asking again changes nothing");
        }
        chain.answer(answer(&leg))?;
        assert!(matches!(chain.answer(answer(&leg)), Err(AdjudicateError::OutOfTurn)), "nobody was asked");
        asked.insert(leg.payer.clone(), leg);
    }
    Ok((chain.finish()?, asked))
}
