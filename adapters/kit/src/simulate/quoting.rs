//! What a policy makes of an ask: the chain is walked as the gateway walks it, with the amounts of the payers before.

use yizhan_contract::payer::{Ask, AskedLeg, QuotedAmount};
use yizhan_contract::stay::SettledElsewhere;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Accumulators, Claim, Exact, Money, PayerCode, Reason, Step, StepKind};
use yizhan_rules::{AdjudicateError, Answered, Chain, PayerLine, Policy, Turn};

use super::magic::Magic;

/// What one payer would pay, and what that rests on.
pub(super) struct Leg {
    pub(super) quoted: QuotedAmount,
    /// What counts towards the year's bases.
    pub(super) base: Exact,
    pub(super) cap: Option<Money>,
    /// The person holds nothing of this payer.
    pub(super) is_barred: bool,
}

/// A payer's line of the chain and its yearly cap by the policy.
struct Turned {
    line: PayerLine,
    cap: Option<Money>,
}

/// One leg for each asked about.
///
/// # Errors
/// The claim does not add up, or asks about a payer that is not in the policy's order.
pub(super) fn legs(
    policy: &Policy,
    ask: &Ask,
    used: &Accumulators,
    magic: Option<Magic>,
) -> Result<Vec<Leg>, String> {
    let turned = turns(policy, ask, used).map_err(|why| why.to_string())?;
    let of = |asked: &AskedLeg| {
        let turned = turned.iter().find(|turned| turned.line.payer == asked.payer);
        let turned = turned.ok_or_else(|| format!("{} is not in the order of this policy", asked.payer))?;
        Ok(leg(policy, asked, turned, used, magic))
    };
    ask.legs.iter().map(of).collect()
}

fn leg(policy: &Policy, asked: &AskedLeg, turned: &Turned, used: &Accumulators, magic: Option<Magic>) -> Leg {
    let Turned { line, cap } = turned;
    let cap = [*cap, magic.and_then(Magic::annual_cap)].into_iter().flatten().min();
    let left = cap.map(|cap| (cap - used.of(&asked.payer).paid).or_zero());
    let most = left.map_or(asked.pay_at_most, |left| left.min(asked.pay_at_most));
    let amount = line.paid.min(most);
    let mut steps = line.steps.clone();
    if amount < line.paid {
        // Our own cap, or what the gateway says may be paid at most.
        let what = if left == Some(amount) { StepKind::AnnualCap } else { StepKind::Remainder };
        steps.push(Step { amount: Some(amount.exact()), ..Step::new(what, amount.exact()) });
    }
    let is_cumulative = policy.payer(&asked.payer).is_some_and(|rule| rule.cumulative.value);
    Leg {
        quoted: QuotedAmount { payer: asked.payer.clone(), amount, steps },
        base: if is_cumulative { line.base } else { Exact::ZERO },
        cap,
        is_barred: matches!(line.reason, Some(Reason::NotEntitled | Reason::CoverNotInForce)),
    }
}

/// Walks the chain. Payers before are taken at their word; one whose amount our view of the year does not allow is a
/// fact, as if it had settled elsewhere.
fn turns(policy: &Policy, ask: &Ask, used: &Accumulators) -> Result<Vec<Turned>, AdjudicateError> {
    let asked = |payer: &PayerCode| ask.legs.iter().any(|leg| leg.payer == *payer);
    let order = policy.order(ask.claim.cause.kind);
    let outside: Vec<_> = order.iter().map(|rule| rule.code.clone()).filter(|payer| !asked(payer)).collect();
    let mut claim = ask.claim.clone();
    loop {
        match walk(policy, ask, &claim, used, &outside) {
            Err(AdjudicateError::AnswerOutOfBounds { payer, amount, .. })
                if claim.settled_elsewhere.iter().all(|leg| leg.payer != payer) =>
            {
                let reference = "paid before".to_owned();
                claim.settled_elsewhere.push(SettledElsewhere { payer, amount, reference });
            }
            walked => return walked,
        }
    }
}

fn walk(
    policy: &Policy,
    ask: &Ask,
    claim: &Claim,
    used: &Accumulators,
    outside: &[PayerCode],
) -> Result<Vec<Turned>, AdjudicateError> {
    let mut chain = Chain::start(policy, claim, used, outside)?;
    let mut turned: Vec<Turned> = Vec::with_capacity(ask.legs.len());
    while turned.len() < ask.legs.len() {
        let payer = match chain.turn()? {
            Turn::Done => break,
            Turn::Computed(line) => {
                if ask.legs.iter().any(|leg| leg.payer == line.payer) {
                    turned.push(Turned { line: line.clone(), cap: None });
                }
                continue;
            }
            Turn::Ask(leg) => leg.payer,
        };
        let before = ask.paid_before.iter().find(|(before, _)| *before == payer);
        let amount = before.map_or(Money::ZERO, |(_, amount)| *amount);
        let (state, reference, steps) = (PayerState::Committed, None, Vec::new());
        chain.answer(Answered::Paid { amount, reference, state, steps })?;
    }
    for turned in &mut turned {
        turned.cap = chain.annual_cap(&turned.line.payer);
    }
    Ok(turned)
}
