//! Findings of the settlement side; those of the policy come from the rules.

use jiff::civil::Date;
use yizhan_rules::Named;

use super::bill::Bill;
use super::payers::PassedOver;
use super::record::name_of;
use super::saga::{NOT_PREPARED, RESOLVED_AS_NOT_DONE, Why};
use super::unpriced::{Unpriced, said};
use yizhan_contract::{Finding, FindingCode, Money, Text, counted};

fn finding(code: FindingCode, zh: String, en: String) -> Finding {
    Finding { code, message: Text::new(zh, en), clause: None }
}

pub fn late_charges(lines: usize, total: Money) -> Finding {
    finding(
        FindingCode::LateCharges,
        format!("结算后又收到 {lines} 行费用，共 {total} 元；原结算单不变，如需计入请先撤销结算"),
        format!(
            "{}, {total}, came after settlement; the bill stands, reverse it to include them",
            counted(lines, "charge line", "charge lines")
        ),
    )
}

pub fn earlier_stay_reversed(count: u32) -> Finding {
    finding(
        FindingCode::EarlierStayReversed,
        format!("本年度较早的 {count} 次结算在此之后被撤销；本结算单金额不变"),
        format!(
            "earlier in the year {} reversed since; the amounts here stand",
            counted(count, "settlement was", "settlements were")
        ),
    )
}

pub fn reserved_by_other_stay(payer: &Text, less: Money) -> Finding {
    finding(
        FindingCode::ReservedByOtherStay,
        format!(
            "本人另一次住院正在结算，已预占本年度额度：{}因此少付 {less} 元；该次结算未成时请重新试算",
            payer.zh
        ),
        format!(
            "another stay of this person is being settled and has set part of the year aside: {} pays {less} less; \
             if that settlement falls through, price this one again",
            payer.en
        ),
    )
}

/// Everything that keeps a stay from being priced, one by one.
pub fn not_priced(unpriced: &Unpriced) -> impl Iterator<Item = Finding> {
    unpriced.refusals.iter().map(|refusal| {
        let (what, next) = (said(refusal), refusal.next_step());
        finding(
            FindingCode::NotPriced,
            format!("尚不能结算。{}。{}", what.zh, next.zh),
            format!("It cannot be settled yet. {}. {}", what.en, next.en),
        )
    })
}

/// Lines named in the finding; the rest is counted.
const LINES_NAMED_MAX: usize = 5;

/// Charges whose dates lie outside the stay, by their places.
pub fn lines_outside_stay(places: &[String], (admitted, discharged): (Date, Date)) -> Finding {
    let named = places.get(..LINES_NAMED_MAX).unwrap_or(places).join(", ");
    let (more_zh, more_en) = if places.len() > LINES_NAMED_MAX { (" 等", " and others") } else { ("", "") };
    let count = places.len();
    finding(
        FindingCode::LineOutsideStay,
        format!(
            "{count} 行费用的日期不在住院期间（{admitted} 至 {discharged}）：{named}{more_zh}；已照常计入，请核对日期"
        ),
        format!(
            "{} dated outside the stay ({admitted} to {discharged}): {named}{more_en}; settled all the same, check the dates",
            counted(count, "charge line is", "charge lines are")
        ),
    )
}

/// A kind of accident that no policy in force lists.
pub fn unknown_accident_type(place: &str, listed: &[Named]) -> Finding {
    let names =
        |of: fn(&Named) -> &str, between: &str| listed.iter().map(of).collect::<Vec<_>>().join(between);
    finding(
        FindingCode::UnknownAccidentType,
        format!(
            "意外类型（{place}）不在政策所列的特定意外之内（{}），只保特定意外的险种不予支付；如系误写，请更正后重新发送",
            names(|named| &named.name.zh, "、")
        ),
        format!(
            "the kind of accident at {place} is none of the specified accidents ({}), so insurance for these alone does \
             not pay; if it is mistyped, correct it and send the stay again",
            names(|named| &named.code, ", ")
        ),
    )
}

/// A payer at the end of the chain that could not be asked when the stay was settled.
pub fn deferred_payer(payer: &Text) -> Finding {
    finding(
        FindingCode::DeferredPayer,
        format!(
            "{}暂时无法应答，本次按未支付结算，由个人先行支付；其答复后出具新版结算单，所付金额退还个人",
            payer.zh
        ),
        format!(
            "{} could not be asked; the patient pays for now, and gets back what it grants: a new version of this \
             bill will say how much",
            payer.en
        ),
    )
}

/// A payer that quoted firmly, and of whose commit nobody knows yet: its hospital does not let the patient wait for it.
pub fn advanced(payer: &Text, amount: Money) -> Finding {
    finding(
        FindingCode::DeferredPayer,
        format!("{}应付的 {amount} 元尚未确认，由医院垫付，个人无需支付；其确认后出具新版结算单", payer.zh),
        format!(
            "{} has not confirmed its {amount} yet; the hospital advances it and the patient does not pay it: a new \
             version of this bill will say what became of it",
            payer.en
        ),
    )
}

/// What became of it.
pub fn advance_ended(payer: &Text, amount: Money, is_paid: bool) -> Finding {
    let (zh, en) = if is_paid {
        (
            format!("{}已确认支付医院垫付的 {amount} 元，个人负担不变", payer.zh),
            format!(
                "{} has confirmed the {amount} that the hospital advanced; the patient's share stands",
                payer.en
            ),
        )
    } else {
        (
            format!("{}不予支付医院垫付的 {amount} 元，由医院承担，个人负担不变", payer.zh),
            format!(
                "{} does not pay the {amount} that the hospital advanced: the hospital bears it, and the patient's share \
                 stands",
                payer.en
            ),
        )
    };
    finding(FindingCode::DeferredPayer, zh, en)
}

/// A payer whose adapter is not asked, and what stands in its place.
pub fn payer_not_asked(payer: &Text, passed_over: &PassedOver) -> Finding {
    let PassedOver { adapter, is_left_out, why, .. } = passed_over;
    let (zh, en) = if *is_left_out {
        (
            format!(
                "{}由适配器 {adapter} 承办，{}：本次按未支付结算，由个人负担；如应支付，请另行向其申请",
                payer.zh, why.zh
            ),
            format!(
                "{} is asked through adapter {adapter}, and {}: it pays nothing here and the patient does; where it should \
                 have paid, claim it there",
                payer.en, why.en
            ),
        )
    } else {
        (
            format!("{}由适配器 {adapter} 承办，{}：本次由网关按政策计算，未经其确认", payer.zh, why.zh),
            format!(
                "{} is asked through adapter {adapter}, and {}: the gateway computed it by the policy, and nobody there has \
                 confirmed it",
                payer.en, why.en
            ),
        )
    };
    finding(FindingCode::PayerNotAsked, zh, en)
}

/// A payer's quote that could not be used, and without which the stay is settled.
pub fn unusable_quote(payer: &Text, why: &Text) -> Finding {
    finding(
        FindingCode::PayerAnswerUnusable,
        format!("{}未给出可用的试算（{}），未采用其任何内容", payer.zh, why.zh),
        format!("{} gave no quote that can be used ({}); nothing was taken from it", payer.en, why.en),
    )
}

/// What a payer said of the person's cover, where it could not be used.
pub fn unusable_cover(payer: &Text, why: &Text) -> Finding {
    finding(
        FindingCode::PayerAnswerUnusable,
        format!("{}未给出可用的参保答复（{}），未采用其任何内容，以其试算为准", payer.zh, why.zh),
        format!(
            "{} did not say in a way that can be used whether it covers the person ({}); nothing was taken from it, and \
             its quote counts",
            payer.en, why.en
        ),
    )
}

/// A payer's quote that could not be used, and is waited for.
pub fn quote_awaited(waits_for: &Text) -> Finding {
    finding(
        FindingCode::PayerAnswerUnusable,
        format!("尚待支付方试算：{}；网关会自动再次询问", waits_for.zh),
        format!("a payer's quote is waited for: {}; the gateway asks again by itself", waits_for.en),
    )
}

/// The same, once it was asked again and gave one.
pub fn quote_came_late(waits_for: &Text) -> Finding {
    finding(
        FindingCode::PayerAnswerUnusable,
        format!("试算曾推迟：{}；其后已得到可用的试算", waits_for.zh),
        format!("pricing had to wait: {}; a quote that can be used has come since", waits_for.en),
    )
}

/// What a payer answered to its commit, its reversal or a question about one, where it could not be used.
pub fn unusable_answer(payer: &Text, why: &Text) -> Finding {
    finding(
        FindingCode::PayerAnswerUnusable,
        format!("{}未给出可用的应答（{}），未采用其任何内容，以其对查询的答复为准", payer.zh, why.zh),
        format!(
            "{} gave no answer that can be used ({}); nothing was taken from it, and what it says when it is asked again counts",
            payer.en, why.en
        ),
    )
}

/// What became of a payer that was deferred; absent amount: it refused.
pub fn delivered(payer: &Text, paid: Option<Money>) -> Finding {
    let (zh, en) = match paid {
        Some(paid) if paid.is_positive() => (
            format!("{}已补付 {paid} 元，请退还个人（已计入应退）；其余各项不变", payer.zh),
            format!(
                "{} has paid {paid} since: give it back to the patient (in to_refund); all else stands",
                payer.en
            ),
        ),
        Some(_) => (
            format!("{}核定支付 0.00 元，个人负担不变，无需退款", payer.zh),
            format!("{} grants 0.00; the patient's share stands and nothing is to be given back", payer.en),
        ),
        None => (
            format!("{}不予支付，个人负担不变，无需退款", payer.zh),
            format!(
                "{} refuses to pay; the patient's share stands and nothing is to be given back",
                payer.en
            ),
        ),
    };
    finding(FindingCode::DeferredPayer, zh, en)
}

pub fn nothing_to_cancel() -> Finding {
    finding(
        FindingCode::NothingToCancel,
        "未收到过该次住院，没有可取消的内容；请核对住院号".to_owned(),
        "nothing is known of this stay, so there was nothing to cancel; check the visit number".to_owned(),
    )
}

pub fn cancelled_charges(lines: usize, total: Money) -> Finding {
    finding(
        FindingCode::CancelledCharges,
        format!(
            "入院已取消，此前收到的 {lines} 行费用（共 {total} 元）及预交款不再计入；再次入院后仍有效的，请以新的消息号重新发送"
        ),
        format!(
            "the admission is cancelled: {}, {total}, and payments before it count no more; \
             send again, under new message ids, what belongs to a new admission",
            counted(lines, "charge line", "charge lines")
        ),
    )
}

pub fn repeated_lines(lines: usize) -> Finding {
    finding(
        FindingCode::RepeatedLines,
        format!("{lines} 行费用重复发送，只计一次"),
        counted(
            lines,
            "charge line was sent again and counts once",
            "charge lines were sent again and count once",
        ),
    )
}

/// Why a settlement under way was given up; nobody owes or is owed anything by it.
pub fn given_up(why: &Why, bill: Option<&Bill>) -> Finding {
    let (zh, en) = match why {
        Why::Refused { payer, code, message } => {
            let (payer, said) = (name_of(bill, payer), refused(code, message));
            (
                format!("{}拒绝支付（{}），整笔结算未成立，已确认的款项均已退回", payer.zh, said.zh),
                format!(
                    "{} refused ({}); nothing was settled, and what was committed is taken back",
                    payer.en, said.en
                ),
            )
        }
        Why::ShareRose { from, to } => (
            format!("支付方确认的金额与试算不同，个人负担将由 {from} 元升至 {to} 元，已全部退回"),
            format!(
                "a payer confirmed another amount and the patient's share would rise from {from} to {to}; all is taken back"
            ),
        ),
        Why::Breach { payer, quoted, committed } => {
            let payer = name_of(bill, payer);
            (
                format!("{}确认 {committed} 元，与其固定试算 {quoted} 元不符，已全部退回", payer.zh),
                format!(
                    "{} committed {committed} against its firm quote of {quoted}; all is taken back",
                    payer.en
                ),
            )
        }
        Why::NoQuote { payer, why } => {
            let payer = name_of(bill, payer);
            let because = |of: fn(&Text) -> &str, before, behind| {
                why.as_ref().map(|why| format!("{before}{}{behind}", of(why))).unwrap_or_default()
            };
            let (zh, en) = (because(|why| &why.zh, "（", "）"), because(|why| &why.en, " (", ")"));
            (
                format!("{}确认的金额与试算不同，其后的支付方无法重新试算{zh}，已全部退回", payer.zh),
                format!(
                    "{} confirmed another amount than it quoted, and the payers behind it could not be asked \
                     again{en}; all is taken back",
                    payer.en
                ),
            )
        }
    };
    finding(FindingCode::GivenUp, zh, en)
}

/// A payer's refusal in its own words; the two that are not its own in ours.
pub fn refused(code: &str, message: &str) -> Text {
    let said = Text::of_line(message);
    match code {
        NOT_PREPARED => Text::new(
            format!("业务请求无法生成：{}", said.zh),
            format!("its operation could not be made ready: {}", said.en),
        ),
        RESOLVED_AS_NOT_DONE => Text::new(
            format!("经人工核实未办理：{}", said.zh),
            format!("somebody found out that it was not done: {}", said.en),
        ),
        _ if message == code || message.is_empty() => {
            Text::new(format!("代码 {code}"), format!("code {code}"))
        }
        _ => Text::new(format!("代码 {code}：{}", said.zh), format!("code {code}: {}", said.en)),
    }
}
