//! What a payer answers, held to what it was asked. Nothing odd goes further: it is named, and counts as no answer.

use jiff::Timestamp;
use yizhan_contract::payer::{
    Ask, Coverage, CoverageQuestion, PAYER_TEXT_CHARS_MAX, Performed, QUOTED_STEPS_MAX, Quote, QuoteAnswer,
    QuotedAmount, StatementLine, Status, Unavailable, Visited, cut, is_all_given_back,
};
use yizhan_contract::{Money, PayerCode, Text};

use crate::wire::LATER_S_MAX;

type Amounts = [(PayerCode, Money)];

/// What an operation was for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ordered<'o> {
    pub(crate) amounts: &'o Amounts,
    pub(crate) is_reversal: bool,
    /// The payer promised to commit what it quoted.
    pub(crate) is_firm: bool,
}

/// # Errors
/// What is odd about it.
pub(crate) fn quote(answer: &mut QuoteAnswer, ask: &Ask, now: Timestamp) -> Result<(), Text> {
    match answer {
        QuoteAnswer::Quote(quote) => check_quote(quote, ask, now)?,
        QuoteAnswer::NotCovered => {}
        QuoteAnswer::Refused { code, message } => {
            cut(code);
            cut(message);
        }
        QuoteAnswer::NotReady { what } => cut(what),
        QuoteAnswer::Unavailable(why) => later(why),
    }
    Ok(())
}

fn check_quote(quote: &Quote, ask: &Ask, now: Timestamp) -> Result<(), Text> {
    if quote.id.trim().is_empty() || quote.id.chars().count() > PAYER_TEXT_CHARS_MAX {
        return Err(Text::new(
            format!("试算号为空或超过 {PAYER_TEXT_CHARS_MAX} 字"),
            format!("the quote's id is empty or longer than {PAYER_TEXT_CHARS_MAX} characters"),
        ));
    }
    if quote.valid_until <= now {
        return Err(Text::new("试算到达时已过有效期", "the quote had expired when it came"));
    }
    let asked: Vec<_> = ask.legs.iter().map(|leg| &leg.payer).collect();
    each_once(&asked, quote.amounts.iter().map(|amount| &amount.payer))?;
    for quoted in quote.amounts.iter().chain(&quote.also_paid) {
        not_negative(&quoted.payer, quoted.amount)?;
        check_steps(quoted)?;
    }
    for leg in &ask.legs {
        let quoted = quote.amounts.iter().find(|amount| amount.payer == leg.payer);
        let amount = quoted.map(|quoted| quoted.amount).unwrap_or_default();
        if amount > leg.pay_at_most {
            let (payer, most) = (&leg.payer, leg.pay_at_most);
            return Err(Text::new(
                format!("{payer} 的金额 {amount} 超过上限 {most}"),
                format!("{amount} for {payer} is more than the {most} it may pay"),
            ));
        }
    }
    check_whole(quote, ask)
}

/// Payers share what is left when the first one's turn comes.
fn check_whole(quote: &Quote, ask: &Ask) -> Result<(), Text> {
    for (nth, also) in quote.also_paid.iter().enumerate() {
        let is_before = ask.paid_before.iter().any(|(payer, _)| *payer == also.payer);
        let is_asked = ask.legs.iter().any(|leg| leg.payer == also.payer);
        let is_repeated = quote.also_paid[..nth].iter().any(|other| other.payer == also.payer);
        if is_before || is_asked || is_repeated {
            return Err(Text::new(
                format!("also_paid 中的 {} 不是后续支付方，或重复", also.payer),
                format!("{} in also_paid is no later payer, or stands there twice", also.payer),
            ));
        }
    }
    let Some(first) = ask.legs.first() else { return Ok(()) };
    let left = (first.in_scope_left + first.out_of_scope_left).or_zero();
    let together: Money = quote.amounts.iter().chain(&quote.also_paid).map(|quoted| quoted.amount).sum();
    if together > left {
        return Err(Text::new(
            format!("合计 {together} 超过剩余费用 {left}"),
            format!("together {together}, which is more than the {left} that were left"),
        ));
    }
    Ok(())
}

fn check_steps(quoted: &QuotedAmount) -> Result<(), Text> {
    let QuotedAmount { payer, amount, steps } = quoted;
    if steps.len() > QUOTED_STEPS_MAX {
        return Err(Text::new(
            format!("{payer} 的步骤超过 {QUOTED_STEPS_MAX} 步"),
            format!("{payer} has more than {QUOTED_STEPS_MAX} steps"),
        ));
    }
    match steps.last() {
        Some(last) if last.after != amount.exact() => Err(Text::new(
            format!("{payer} 的步骤以 {} 结束，与金额 {amount} 不符", last.after),
            format!("the steps of {payer} end with {}, not with its amount {amount}", last.after),
        )),
        _ => Ok(()),
    }
}

/// # Errors
/// What is odd about it.
pub(crate) fn performed(answer: &mut Performed, ordered: Ordered<'_>) -> Result<(), Text> {
    match answer {
        Performed::Committed { amounts, reference } => {
            check_amounts(amounts, ordered)?;
            if ordered.is_firm && !ordered.is_reversal {
                check_equal(amounts, ordered.amounts)?;
            }
            cut(reference);
        }
        Performed::Refused { code, message } => {
            cut(code);
            cut(message);
        }
        Performed::Unknown { poll_after, why } => {
            cut(why);
            clamp(poll_after);
        }
    }
    Ok(())
}

/// What a payer says when it is asked is a fact: only whether it can be one is looked at, not whether it was promised.
///
/// # Errors
/// What is odd about it.
pub(crate) fn status(answer: &mut Status, ordered: Ordered<'_>) -> Result<(), Text> {
    match answer {
        Status::Done { amounts, reference } => {
            check_amounts(amounts, ordered)?;
            cut(reference);
        }
        Status::Refused { code } => cut(code),
        Status::NotFound | Status::Pending => {}
        Status::Unavailable(why) => later(why),
    }
    Ok(())
}

/// A reversal gives back what was asked for, or had nothing to give back, whatever its payer promised.
fn check_amounts(amounts: &Amounts, ordered: Ordered<'_>) -> Result<(), Text> {
    if ordered.is_reversal && is_all_given_back(amounts, ordered.amounts) {
        return Ok(());
    }
    let asked: Vec<_> = ordered.amounts.iter().map(|(payer, _)| payer).collect();
    each_once(&asked, amounts.iter().map(|(payer, _)| payer))?;
    amounts.iter().try_for_each(|(payer, amount)| not_negative(payer, *amount))?;
    if ordered.is_reversal { check_equal(amounts, ordered.amounts) } else { Ok(()) }
}

fn check_equal(amounts: &Amounts, ordered: &Amounts) -> Result<(), Text> {
    for (payer, asked) in ordered {
        let done = amounts.iter().find(|(other, _)| other == payer).map(|(_, amount)| *amount);
        if let Some(done) = done.filter(|done| done != asked) {
            return Err(Text::new(
                format!("{payer} 办理的金额 {done} 与要求的 {asked} 不符"),
                format!("{done} was done for {payer} where {asked} was asked for"),
            ));
        }
    }
    Ok(())
}

/// # Errors
/// What is odd about it.
pub(crate) fn coverage(answer: &mut Coverage, question: &CoverageQuestion) -> Result<(), Text> {
    match answer {
        Coverage::Covers { covers } => {
            let asked: Vec<_> = question.payers.iter().collect();
            each_once(&asked, covers.iter().map(|cover| &cover.payer))?;
            for cover in covers {
                let is_backwards = cover.from.zip(cover.to).is_some_and(|(from, to)| to < from);
                let lies_outside = cover.from.is_some_and(|from| question.on < from)
                    || cover.to.is_some_and(|to| to < question.on);
                if is_backwards || (cover.in_force && lies_outside) {
                    return Err(Text::new(
                        format!("{} 的保障期间与所问日期自相矛盾", cover.payer),
                        format!("the period of {} contradicts what is said of the day", cover.payer),
                    ));
                }
            }
        }
        Coverage::UnknownPerson | Coverage::NotSaid => {}
        Coverage::Unavailable(why) => later(why),
    }
    Ok(())
}

/// # Errors
/// What is odd about it.
pub(crate) fn visited(answer: &mut Visited, memo_bytes_max: usize) -> Result<(), Text> {
    match answer {
        Visited::Noted { memo } if memo.0.len() > memo_bytes_max => Err(Text::new(
            format!("memo 超过 {memo_bytes_max} 字节"),
            format!("the memo is longer than {memo_bytes_max} bytes"),
        )),
        Visited::Noted { .. } => Ok(()),
        Visited::Unavailable(why) | Visited::NotSent(why) => {
            later(why);
            Ok(())
        }
    }
}

/// # Errors
/// What is odd about it.
pub(crate) fn statement_line(line: &mut StatementLine, serves: &[PayerCode]) -> Result<(), Text> {
    if !serves.contains(&line.payer) {
        return Err(not_asked(&line.payer));
    }
    if line.operation_id.is_empty() || line.operation_id.chars().count() > PAYER_TEXT_CHARS_MAX {
        return Err(Text::new(
            format!("对账单中的业务号为空或超过 {PAYER_TEXT_CHARS_MAX} 字"),
            format!("an operation id of the book is empty or longer than {PAYER_TEXT_CHARS_MAX} characters"),
        ));
    }
    cut(&mut line.reference);
    Ok(())
}

fn each_once<'p>(
    asked: &[&PayerCode],
    answered: impl Iterator<Item = &'p PayerCode> + Clone,
) -> Result<(), Text> {
    if let Some(other) = answered.clone().find(|payer| !asked.contains(payer)) {
        return Err(not_asked(other));
    }
    for payer in asked {
        let count = answered.clone().filter(|other| other == payer).count();
        if count != 1 {
            return Err(Text::new(
                format!("{payer} 应恰有一项，实有 {count} 项"),
                format!("{payer} must be answered once, and is {count} times"),
            ));
        }
    }
    Ok(())
}

fn not_asked(payer: &PayerCode) -> Text {
    Text::new(format!("答了未询问的支付方 {payer}"), format!("speaks of {payer}, which was not asked about"))
}

fn not_negative(payer: &PayerCode, amount: Money) -> Result<(), Text> {
    if amount.is_negative() {
        return Err(Text::new(
            format!("{payer} 的金额 {amount} 为负"),
            format!("{amount} for {payer} is negative"),
        ));
    }
    Ok(())
}

fn later(why: &mut Unavailable) {
    cut(&mut why.why);
    clamp(&mut why.retry_after);
}

fn clamp(wait: &mut Option<jiff::SignedDuration>) {
    let most = jiff::SignedDuration::from_secs(i64::try_from(LATER_S_MAX).unwrap_or(i64::MAX));
    if let Some(wait) = wait {
        *wait = (*wait).min(most);
    }
}

/// An answer that is another operation's.
pub(crate) fn another_operations() -> Text {
    Text::new(
        "应答中的业务号与所问不符，是另一笔业务的应答",
        "the answer names another operation than the one it was asked about",
    )
}
