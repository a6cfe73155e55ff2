//! What the settlement side refuses, in the words of the desk and with the sender's own places.

use jiff::civil::Date;
use yizhan_contract::stay::Line;
use yizhan_contract::payer::{PrepareError, Unavailable};
use yizhan_contract::{Discharge, Money, PayerCode, Text};
use yizhan_rules::{AdjudicateError, AssessError, ElsewhereError, LineError};

use super::bill::Unbalanced;
use super::complete::Dialect;
use super::findings;
use super::message::{LinePlace, Message};
use super::names::Head;
use super::record::Phase;
use super::saga::Why;
use crate::refusal::{Code, Refusal};

/// Where the sender wrote the lines; those of earlier messages go by their ids.
pub struct LinePlaces<'a> {
    lines: &'a [Line],
    places: &'a [LinePlace],
}

impl<'a> LinePlaces<'a> {
    pub fn of(message: &'a Message) -> Self {
        Self { lines: &message.part.lines, places: &message.line_places }
    }

    pub fn none() -> Self {
        Self { lines: &[], places: &[] }
    }

    /// Where the sender wrote a field of the line.
    pub fn field(&self, line_id: &str, field: &str) -> String {
        let mut written = self.lines.iter().zip(self.places).filter(|(line, _)| line.id == line_id);
        match written.next() {
            Some((_, place)) => place.field(field),
            None => format!("lines(id={line_id}).{field}"),
        }
    }
}

pub fn no_policy(region: &str, day: Date, dialect: Dialect) -> Refusal {
    Refusal::new(
        Code::NoPolicy,
        format!("统筹区 {region} 在 {day} 没有生效的结算政策"),
        format!("region {region} has no settlement policy in force on {day}"),
    )
    .at(dialect.place_of(Head::InsuredRegion))
}

pub fn share_differs(stated: Money, ours: Money, dialect: Dialect) -> Refusal {
    Refusal::new(
        Code::ShareDiffers,
        format!("报文个人自付 {stated}，计算结果 {ours}"),
        format!("the message states a patient share of {stated}, it comes out as {ours}"),
    )
    .at(dialect.place_of(Head::StatedPatientShare))
}

pub fn no_such_stay() -> Refusal {
    Refusal::new(
        Code::NoSuchStay,
        "尚未收到该次住院的入院或费用消息",
        "no admission or charges of this stay have come yet",
    )
}

pub fn not_quoted(phase: Phase) -> Refusal {
    let text = phase.text();
    Refusal::new(
        Code::NotOpen,
        format!("该次住院{}，没有可确认的试算", text.zh),
        format!("the stay is {}; there is no quote to commit", text.en),
    )
}

pub fn not_settled(phase: Phase) -> Refusal {
    let text = phase.text();
    Refusal::new(
        Code::NotOpen,
        format!("该次住院{}，没有可撤销的结算", text.zh),
        format!("the stay is {}; there is no settlement to reverse", text.en),
    )
}

pub fn replaced() -> Refusal {
    Refusal::new(
        Code::NotOpen,
        "该结算已撤销，并由新的结算取代",
        "this settlement was reversed and replaced by another",
    )
}

pub fn quote_moved(is_expired: bool, expected: Money, now: Money) -> Refusal {
    let (zh, en) = if is_expired {
        ("报价已过期", "the quote has expired")
    } else {
        ("报价已变化", "the quote has moved")
    };
    Refusal::new(
        Code::QuoteMoved,
        format!("{zh}：个人自付原为 {expected}，现为 {now}"),
        format!("{en}: the patient's share was {expected} and is now {now}"),
    )
}

/// Payers are being asked: what is under way is not touched.
pub fn being_settled(phase: Phase) -> Refusal {
    let text = phase.text();
    Refusal::new(
        Code::BeingSettled,
        format!("该次住院{}，付款方的答复尚待确认", text.zh),
        format!("the stay is {}; a payer's answer is awaited", text.en),
    )
    .money(crate::refusal::Money::BeingConfirmed)
}

pub fn payer_unavailable(payer: &PayerCode, why: &Unavailable) -> Refusal {
    Refusal::new(
        Code::PayerUnavailable,
        format!("{payer} 暂时无法应答（{}）", why.why),
        format!("{payer} cannot be asked: {}", why.why),
    )
}

pub fn payer_not_ready(payer: &PayerCode, what: &str) -> Refusal {
    Refusal::new(Code::PayerNotReady, format!("{payer} 尚缺：{what}"), format!("{payer} must have first: {what}"))
}

/// An adapter that cannot make its own operation ready: nothing was sent.
pub fn not_prepared(adapter: &str, why: &PrepareError) -> Refusal {
    Refusal::new(
        Code::PayerRefused,
        format!("适配器 {adapter} 无法生成业务请求（{why}），未发送任何请求"),
        format!("adapter {adapter} cannot make its operation ready ({why}); nothing was sent"),
    )
}

/// A settlement that was given up; everything committed for it was taken back.
pub fn given_up(why: &Why) -> Refusal {
    let Text { zh, en } = findings::given_up(why).message;
    let code = if matches!(why, Why::ShareRose { .. }) { Code::QuoteMoved } else { Code::PayerRefused };
    Refusal::new(code, zh.to_string(), en.to_string())
}

pub fn not_reversible(adapter: &str) -> Refusal {
    Refusal::new(
        Code::NotReversible,
        format!("{adapter} 已确认的款项不支持撤销或已超过撤销期限，未发生资金变动"),
        format!("what {adapter} committed cannot be reversed, or not any more; no money moved"),
    )
}

/// Never seen; checked because money depends on it.
pub fn unbalanced(why: &Unbalanced) -> Refusal {
    Refusal::new(Code::Internal, "结算单不平衡，已停止结算", format!("{why}; nothing was settled"))
}

/// A charge that cannot be assessed, at its line and field.
pub fn assess(
    error: &AssessError,
    discharge: &Discharge,
    places: &LinePlaces<'_>,
    dialect: Dialect,
) -> Refusal {
    let lines = dialect.place_of_lines();
    let bad = |zh: String| Refusal::new(Code::BadCharges, zh, error.to_string());
    match error {
        AssessError::Line { line, field, why } => {
            let id = discharge.lines.get(*line).map_or("?", |line| line.id.as_str());
            Refusal::new(Code::BadCharges, line_error(why), why.to_string())
                .at(places.field(id, field.name()))
        }
        AssessError::NothingCharged(total) => bad(format!("费用合计为 {total}，必须大于 0")).at(lines),
        AssessError::TotalTooLarge(total) => bad(format!("费用合计 {total} 超过上限")).at(lines),
        AssessError::NegativeBucket { amount, .. } => {
            bad(format!("退费超过原费用，某一分类合计为 {amount}")).at(lines)
        }
        AssessError::StatedTotal { stated, lines } => Refusal::new(
            Code::TotalDiffers,
            format!("报文总费用 {stated}，明细合计 {lines}"),
            error.to_string(),
        )
        .at(dialect.place_of(Head::StatedTotal)),
    }
}

fn line_error(why: &LineError) -> String {
    match why {
        LineError::NoAmount => "缺少金额，也没有单价".to_owned(),
        LineError::AmountDiffers { stated, computed } => format!("金额 {stated} 与数量×单价 {computed} 不符"),
        LineError::ZeroQuantity => "数量为 0，而该项目有限价".to_owned(),
        LineError::RepeatedId(_) => "费用行号重复".to_owned(),
        LineError::CreditOfCharge => "只有退费行可以注明原费用行".to_owned(),
        LineError::CreditOfCredit(_) => "所注明的原费用行本身是退费".to_owned(),
        LineError::Number(_) => "数值无效".to_owned(),
    }
}

/// What the chain refuses: mostly what was settled elsewhere.
pub fn adjudicate(error: &AdjudicateError, dialect: Dialect) -> Refusal {
    match error {
        AdjudicateError::Elsewhere { payer, why } => Refusal::new(
            Code::BadSettledElsewhere,
            format!("{payer}：{}", elsewhere_error(why)),
            error.to_string(),
        )
        .at(dialect.place_of_elsewhere(payer.as_str())),
        AdjudicateError::StatedShare { stated, ours } => share_differs(*stated, *ours, dialect),
        AdjudicateError::Buckets { .. } | AdjudicateError::Number { .. } | AdjudicateError::Admissions(_) => {
            Refusal::new(Code::BadCharges, "金额超出可精确计算的范围", error.to_string())
                .at(dialect.place_of_lines())
        }
        AdjudicateError::AnswerOutOfBounds { .. }
        | AdjudicateError::OutOfTurn
        | AdjudicateError::Unbalanced { .. } => {
            Refusal::new(Code::Internal, "结算计算未能完成，已停止", format!("{error}; nothing was settled"))
        }
    }
}

fn elsewhere_error(why: &ElsewhereError) -> String {
    match why {
        ElsewhereError::MoreThanLeft { amount, left } => format!("金额 {amount} 超过轮到该方时的剩余 {left}"),
        ElsewhereError::NoReference => "缺少凭证号".to_owned(),
        ElsewhereError::Negative(amount) => format!("金额为负 {amount}"),
        ElsewhereError::OutsideOrder => "不在本次结算的支付顺序内".to_owned(),
        ElsewhereError::Twice => "重复出现".to_owned(),
    }
}
