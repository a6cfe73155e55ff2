//! What an outside payer answers, within the bounds that the port names: nothing longer goes further, to a stay, a bill or
//! a finding.

use std::sync::Arc;

use yizhan_contract::Step;
use yizhan_contract::payer::{
    Coverage, KEPT_BYTES_MAX, PAYER_TEXT_CHARS_MAX, PREPARED_BYTES_MAX, Performed, PrepareError, Prepared,
    QUOTED_STEPS_MAX, Quote, QuoteAnswer, QuotedAmount, Status, Unavailable, Visited, cut,
};

pub(super) fn quote(mut answer: QuoteAnswer) -> QuoteAnswer {
    match &mut answer {
        QuoteAnswer::Quote(quote) => {
            let amounts = quote.amounts.iter_mut().chain(&mut quote.also_paid);
            amounts.flat_map(|amount| &mut amount.steps).for_each(cut_step);
        }
        QuoteAnswer::NotCovered => {}
        QuoteAnswer::Refused { code, message } => [code, message].into_iter().for_each(cut),
        QuoteAnswer::NotReady { what } => cut(what),
        QuoteAnswer::Unavailable(why) => cut(&mut why.why),
    }
    answer
}

pub(super) fn coverage(mut answer: Coverage) -> Coverage {
    if let Coverage::Unavailable(why) = &mut answer {
        cut(&mut why.why);
    }
    answer
}

/// A memo that is longer than it may be could not be kept, and the adapter would not know its visit again.
pub(super) fn visited(mut answer: Visited) -> Visited {
    match &mut answer {
        Visited::Noted { memo } if KEPT_BYTES_MAX < memo.0.len() => {
            let bytes = memo.0.len();
            let why = format!(
                "memo {bytes} 字节，超过 {KEPT_BYTES_MAX} 字节 | its memo has {bytes} bytes, more than {KEPT_BYTES_MAX}"
            );
            return Visited::Unavailable(Unavailable { why, retry_after: None });
        }
        Visited::Noted { .. } => {}
        Visited::Unavailable(why) | Visited::NotSent(why) => cut(&mut why.why),
    }
    answer
}

/// What is no sentence cannot be cut off: a quote under another id could not be committed. Steps that come to another
/// amount would explain a bill away.
pub(super) fn is_within_limits(quote: &Quote) -> bool {
    let ends_with_it = |of: &QuotedAmount| of.steps.last().is_none_or(|last| last.after == of.amount.exact());
    let mut amounts = quote.amounts.iter().chain(&quote.also_paid);
    (1..=PAYER_TEXT_CHARS_MAX).contains(&quote.id.chars().count())
        && quote.kept.len() <= KEPT_BYTES_MAX
        && amounts.all(|amount| amount.steps.len() <= QUOTED_STEPS_MAX && ends_with_it(amount))
}

pub(super) fn performed(mut answer: Performed) -> Performed {
    match &mut answer {
        Performed::Committed { reference, .. } => cut(reference),
        Performed::Refused { code, message } => [code, message].into_iter().for_each(cut),
        Performed::Unknown { why, .. } => cut(why),
    }
    answer
}

pub(super) fn status(mut answer: Status) -> Status {
    match &mut answer {
        Status::Done { reference, .. } => cut(reference),
        Status::Refused { code } => cut(code),
        Status::NotFound | Status::Pending => {}
        Status::Unavailable(why) => cut(&mut why.why),
    }
    answer
}

/// # Errors
/// Where it could not be stored with the intent.
pub(super) fn prepared(answer: Result<Prepared, PrepareError>) -> Result<Prepared, PrepareError> {
    let prepared = answer.map_err(|PrepareError(mut why)| {
        cut(&mut why);
        PrepareError(why)
    })?;
    match prepared.0.len() {
        0..=PREPARED_BYTES_MAX => Ok(prepared),
        bytes => Err(PrepareError(format!(
            "{bytes} 字节，超过 {PREPARED_BYTES_MAX} 字节 | {bytes} bytes, more than {PREPARED_BYTES_MAX}"
        ))),
    }
}

fn cut_step(step: &mut Step) {
    let words = step.clause.iter_mut().chain(step.items.iter_mut().map(|item| &mut item.category));
    for word in words {
        let mut short = word.to_string();
        cut(&mut short);
        if *short != **word {
            *word = Arc::from(short);
        }
    }
}
