//! What outside payers have said so far, and the walk along the chain with it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use yizhan_contract::opaque::Opaque;
use yizhan_contract::payer::{AskedLeg, Quote};
use yizhan_contract::stay::SettledElsewhere;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Accumulators, Claim, Money, PayerCode, Step, Text};
use yizhan_rules::{AdjudicateError, Adjudication, Answered, Chain, Policy, Turn};

use super::payers::Adapter;

/// Answers by payer.
pub type Given = BTreeMap<PayerCode, Answer>;

/// What one payer said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The leg it was asked about: asked about another one, the answer is void. Absent where it stands whatever
    /// is asked: a confirmed amount, and the further payers of an adapter whose first one was asked.
    pub asked: Option<AskedLeg>,
    pub answered: Answered,
    /// For payers later in the chain.
    pub also_paid: Vec<SettledElsewhere>,
    /// Of the quote it came with.
    pub quote_id: Option<String>,
    /// What the adapter wants to have again when that is committed.
    pub kept: Opaque,
    /// Until when that quote may be committed.
    pub valid_until: Option<Timestamp>,
    /// Why what the payer said could not be used.
    pub unusable: Option<Text>,
    /// Why what it said before of the person's cover could not be used.
    pub cover_unsaid: Option<Text>,
}

/// How far the chain could be walked.
#[derive(Debug)]
pub enum Walked {
    Done(Box<Adjudication>),
    /// This payer's answer is needed first.
    Ask {
        leg: AskedLeg,
        paid_before: Vec<(PayerCode, Money)>,
    },
}

impl Answer {
    pub fn quoted(asked: Option<AskedLeg>, amount: Money, steps: Vec<Step>) -> Self {
        let answered = Answered::Paid { amount, reference: None, state: PayerState::Quoted, steps };
        Self::said(asked, answered)
    }

    /// A fact: the payer committed this.
    pub fn confirmed(amount: Money, reference: Arc<str>) -> Self {
        let reference = Some(reference);
        let answered = Answered::Paid { amount, reference, state: PayerState::Committed, steps: Vec::new() };
        Self::said(None, answered)
    }

    pub fn refused(asked: Option<AskedLeg>) -> Self {
        Self::said(asked, Answered::Refused)
    }

    pub fn not_covered(asked: Option<AskedLeg>) -> Self {
        Self::said(asked, Answered::NotCovered)
    }

    /// Whatever is asked: it is not.
    pub fn left_out() -> Self {
        Self::said(None, Answered::LeftOut)
    }

    pub fn deferred(asked: Option<AskedLeg>) -> Self {
        Self::said(asked, Answered::Deferred)
    }

    fn said(asked: Option<AskedLeg>, answered: Answered) -> Self {
        let (quote_id, kept, valid_until) = (None, Opaque::default(), None);
        let (also_paid, unusable, cover_unsaid) = (Vec::new(), None, None);
        Self { asked, answered, also_paid, quote_id, kept, valid_until, unusable, cover_unsaid }
    }

    /// It stands in the place of what could not be used.
    #[must_use]
    pub fn instead_of(self, unusable: Text) -> Self {
        Self { unusable: Some(unusable), ..self }
    }

    #[must_use]
    pub fn under(self, quote: &Quote) -> Self {
        let (quote_id, kept) = (Some(quote.id.clone()), quote.kept.clone());
        Self { quote_id, kept, valid_until: Some(quote.valid_until), ..self }
    }

    #[must_use]
    pub fn also_paying(self, also_paid: Vec<SettledElsewhere>) -> Self {
        Self { also_paid, ..self }
    }

    /// Whether it is a quote, to be committed.
    pub fn is_quoted(&self) -> bool {
        matches!(self.answered, Answered::Paid { state: PayerState::Quoted, .. })
    }

    /// A fact, which stands whatever is asked.
    pub fn is_confirmed(&self) -> bool {
        matches!(self.answered, Answered::Paid { state: PayerState::Committed, .. })
    }

    fn fits(&self, leg: &AskedLeg) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked == leg)
    }
}

/// Until when all of the quotes may be committed; absent where there is none.
pub fn valid_until(given: &Given) -> Option<Timestamp> {
    given.values().filter_map(|answer| answer.valid_until).min()
}

/// Whether one of the quotes may not be committed any more.
pub fn has_lapsed(given: &Given, at: Timestamp) -> bool {
    valid_until(given).is_some_and(|until| until < at)
}

/// The payer whose quote says that `payer`, behind it, has paid.
pub fn said_by<'g>(given: &'g Given, payer: &PayerCode) -> Option<&'g PayerCode> {
    let says = |answer: &Answer| answer.also_paid.iter().any(|also| also.payer == *payer);
    given.iter().find(|(_, answer)| says(answer)).map(|(by, _)| by)
}

/// Walks the chain as far as the answers go.
///
/// # Errors
/// As [`Chain`]: an answer out of bounds names its payer.
pub fn walk(
    policy: &Policy,
    claim: &Claim,
    used: &Accumulators,
    outside: &[PayerCode],
    given: &Given,
) -> Result<Walked, AdjudicateError> {
    let mut chain = Chain::start(policy, claim, used, outside)?;
    let mut paid_before = Vec::new();
    loop {
        let leg = match chain.turn()? {
            Turn::Computed(line) => {
                paid_before.push((line.payer.clone(), line.paid));
                continue;
            }
            Turn::Done => return Ok(Walked::Done(Box::new(chain.finish()?))),
            Turn::Ask(leg) => leg,
        };
        let Some(answer) = given.get(&leg.payer).filter(|answer| answer.fits(&leg)) else {
            return Ok(Walked::Ask { leg, paid_before });
        };
        let line = chain.answer(answer.answered.clone())?;
        paid_before.push((line.payer.clone(), line.paid));
        for elsewhere in &answer.also_paid {
            chain.settled_elsewhere(elsewhere.clone())?;
        }
    }
}

/// The legs an adapter is asked about at once: the payer whose turn it is, and those it serves right after. What
/// those may pay depends on what the first pays; they are shown the most that can be theirs.
///
/// # Errors
/// As [`walk`].
pub fn legs(
    policy: &Policy,
    claim: &Claim,
    used: &Accumulators,
    outside: &[PayerCode],
    given: &Given,
    (adapter, first): (&Adapter, AskedLeg),
) -> Result<Vec<AskedLeg>, AdjudicateError> {
    let mut supposed = given.clone();
    let mut legs = vec![first];
    while let Some(last) = legs.last() {
        supposed.insert(last.payer.clone(), Answer::quoted(None, Money::ZERO, Vec::new()));
        match walk(policy, claim, used, outside, &supposed)? {
            Walked::Ask { leg, .. } if adapter.serves(&leg.payer) => legs.push(leg),
            Walked::Ask { .. } | Walked::Done(_) => break,
        }
    }
    Ok(legs)
}
