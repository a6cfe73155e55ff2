//! What the settlement side refuses, in the words of the desk and with the sender's own places.

use jiff::civil::Date;
use yizhan_contract::payer::{PrepareError, Unavailable};
use yizhan_contract::stay::Line;
use yizhan_contract::{Money, Text};
use yizhan_rules::{AdjudicateError, AssessError, Policy};

use super::bill::{Bill, Unbalanced};
use super::findings;
use super::message::{Hospital, Message};
use super::names::{Head, LineField};
use super::part::Payment;
use super::places::{Dialect, Places};
use super::record::Phase;
use super::saga::Why;
use crate::refusal::{Code, Refusal};

/// Where the sender wrote the lines; those of earlier messages go by their ids.
pub struct LinePlaces<'a> {
    lines: &'a [Line],
    payments: &'a [Payment],
    places: Option<&'a Places>,
}

impl<'a> LinePlaces<'a> {
    pub fn of(message: &'a Message) -> Self {
        let part = &message.part;
        Self { lines: &part.lines, payments: &part.payments, places: Some(&message.places) }
    }

    pub fn none() -> Self {
        Self { lines: &[], payments: &[], places: None }
    }

    /// Where the sender wrote a field of the line, if the message at hand has it.
    pub fn field(&self, line_id: &str, field: &str) -> Option<String> {
        let places = self.places.map_or(&[][..], |places| &places.lines);
        let written = self.lines.iter().zip(places).find(|(line, _)| line.id == line_id);
        written.map(|(_, place)| place.field(field))
    }

    /// The amount of the last payment that gives money back.
    pub fn paid_back(&self) -> Option<String> {
        let mut written = self.payments.iter().zip(&self.places?.payments);
        let (_, place) = written.rfind(|(payment, _)| payment.amount.is_negative())?;
        Some(place.field(LineField::Amount.word()))
    }

    /// Where the sender wrote the payment; of two with one id, the one of this amount.
    pub fn payment(&self, payment: &Payment) -> Option<String> {
        let places = &self.places?.payments;
        let written = self.payments.iter().zip(places).find(|(known, _)| *known == payment);
        written.map(|(_, place)| place.field(LineField::Id.word()))
    }
}

pub fn no_policy(region: &str, day: Date, place: String) -> Refusal {
    Refusal::new(
        Code::NoPolicy,
        format!("统筹区 {region} 在 {day} 没有生效的结算政策"),
        format!("region {region} has no settlement policy in force on {day}"),
    )
    .at(place)
}

/// A visit that the policy settles nothing of.
pub fn class_not_covered(policy: &Policy, place: String) -> Refusal {
    let covered: Vec<Text> = policy.settings().visit_classes.value.iter().map(|class| class.text()).collect();
    let zh = covered.iter().map(|class| &*class.zh).collect::<Vec<_>>().join("、");
    let en = covered.iter().map(|class| &*class.en).collect::<Vec<_>>().join(", ");
    Refusal::new(
        Code::ClassNotCovered,
        format!("本政策只结算{zh}，该次就诊不属于此类"),
        format!("the policy settles {en} visits only, and this is none"),
    )
    .at(place)
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
    .money(phase.money())
}

pub fn not_settled(phase: Phase) -> Refusal {
    let text = phase.text();
    Refusal::new(
        Code::NotOpen,
        format!("该次住院{}，没有可撤销的结算", text.zh),
        format!("the stay is {}; there is no settlement to reverse", text.en),
    )
    .money(phase.money())
}

/// `phase` is that of the stay by now.
pub fn replaced(phase: Phase) -> Refusal {
    Refusal::new(
        Code::NotOpen,
        "该结算已撤销，并由新的结算取代",
        "this settlement was reversed and replaced by another",
    )
    .money(phase.money())
}

/// A message on a stay that is settled, or being settled, with other content.
pub fn settled_otherwise(phase: Phase, differs_in: &str) -> Refusal {
    let code = if phase.is_under_way() { Code::BeingSettled } else { Code::StayAlreadySettled };
    let text = phase.text();
    Refusal::new(
        code,
        format!("该次住院{}，内容与本次发送的不同，不同之处：{differs_in}", text.zh),
        format!("the stay is {} with other content; it differs in {differs_in}", text.en),
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

/// Somebody commits what is settled, or being settled, for another share than they expect.
pub fn settled_for_another_share(phase: Phase, expected: Money, share: Money) -> Refusal {
    let code = if phase.is_under_way() { Code::BeingSettled } else { Code::StayAlreadySettled };
    let text = phase.text();
    Refusal::new(
        code,
        format!("该次住院{}，个人自付 {share}，与所确认的 {expected} 不同；请以所附结算单为准收费", text.zh),
        format!(
            "the stay is {} with a patient share of {share}, not the expected {expected}; collect what the bill says",
            text.en
        ),
    )
    .money(phase.money())
}

/// Payers are being asked: what is under way is not touched.
pub fn being_settled(phase: Phase) -> Refusal {
    let text = phase.text();
    Refusal::new(
        Code::BeingSettled,
        format!("该次住院{}，支付方的答复尚待确认", text.zh),
        format!("the stay is {}; a payer's answer is awaited", text.en),
    )
    // Also of one that is settled, while a payer that was left out is asked to commit.
    .money(crate::refusal::Money::BeingConfirmed)
}

pub fn payer_unavailable(payer: &Text, why: &Unavailable) -> Refusal {
    let why = Text::of_line(&why.why);
    Refusal::new(
        Code::PayerUnavailable,
        format!("{}暂时无法应答（{}）", payer.zh, why.zh),
        format!("{} cannot be asked: {}", payer.en, why.en),
    )
}

pub fn payer_not_ready(payer: &Text, what: &str) -> Refusal {
    let what = Text::of_line(what);
    Refusal::new(
        Code::PayerNotReady,
        format!("{}尚缺：{}", payer.zh, what.zh),
        format!("{} must have first: {}", payer.en, what.en),
    )
}

/// An adapter that cannot make its own operation ready: nothing was sent, and no payer said no.
pub fn not_prepared(adapter: &str, why: &PrepareError) -> Refusal {
    let text = cannot_prepare(adapter, why);
    Refusal::new(
        Code::Internal,
        format!("{}，未发送任何请求", text.zh),
        format!("{}; nothing was sent", text.en),
    )
}

pub fn cannot_prepare(adapter: &str, why: &PrepareError) -> Text {
    let why = Text::of_line(&why.0);
    Text::new(
        format!("适配器 {adapter} 无法生成业务请求（{}）", why.zh),
        format!("adapter {adapter} cannot make its operation ready ({})", why.en),
    )
}

/// A settlement that was given up; everything committed for it was taken back.
pub fn given_up(why: &Why, bill: Option<&Bill>) -> Refusal {
    let Text { zh, en } = findings::given_up(why, bill).message;
    let code = if matches!(why, Why::ShareRose { .. }) { Code::QuoteMoved } else { Code::PayerRefused };
    Refusal::new(code, zh.to_string(), en.to_string())
}

pub fn not_reversible(payers: &Text) -> Refusal {
    Refusal::new(
        Code::NotReversible,
        format!("{}已确认的款项不支持撤销或已超过撤销期限，各方款项维持不变", payers.zh),
        format!(
            "what {} committed cannot be reversed, or not any more; all of it stands as it is",
            payers.en
        ),
    )
    .money(Phase::Settled.money())
}

/// A document of ours that cannot be written. Never seen; checked because money depends on it.
pub fn defect(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Internal, "网关内部错误，已停止处理", format!("an error inside the gateway: {why}"))
}

/// Never seen; checked because money depends on it.
pub fn unbalanced(why: &Unbalanced) -> Refusal {
    Refusal::new(Code::Internal, "结算单不平衡，已停止结算", format!("{why}; nothing was settled"))
}

/// A charge that cannot be assessed, at its line and field.
pub fn assess(
    error: &AssessError,
    places: &LinePlaces<'_>,
    hospital: &Hospital,
    dialect: Dialect,
) -> Refusal {
    let bad = |text: Text| Refusal::new(Code::BadCharges, &*text.zh, &*text.en);
    match error {
        AssessError::Line { line, field, why } => {
            let field = field.name();
            let place = places.field(line, field);
            let place = place.unwrap_or_else(|| hospital.place_of_line_field(dialect, line, field));
            bad(why.text()).at(place)
        }
        AssessError::NothingCharged(_)
        | AssessError::TotalTooLarge(_)
        | AssessError::NegativeBucket { .. } => bad(error.text()).at(hospital.place_of_lines(dialect)),
        AssessError::StatedTotal { .. } => Refusal { code: Code::TotalDiffers, ..bad(error.text()) }
            .at(hospital.place_of(dialect, Head::StatedTotal)),
    }
}

/// What the chain refuses: mostly what was settled elsewhere.
pub fn adjudicate(
    error: &AdjudicateError,
    policy: &Policy,
    hospital: &Hospital,
    dialect: Dialect,
) -> Refusal {
    let text = error.text(policy);
    let refused = |code| Refusal::new(code, &*text.zh, &*text.en);
    match error {
        AdjudicateError::Elsewhere { payer, .. } => {
            refused(Code::BadSettledElsewhere).at(dialect.place_of_elsewhere(payer.as_str()))
        }
        AdjudicateError::StatedShare { .. } => {
            refused(Code::ShareDiffers).at(hospital.place_of(dialect, Head::StatedPatientShare))
        }
        AdjudicateError::Buckets { .. } | AdjudicateError::Number { .. } | AdjudicateError::Admissions(_) => {
            refused(Code::BadCharges).at(hospital.place_of_lines(dialect))
        }
        AdjudicateError::AnswerOutOfBounds { .. }
        | AdjudicateError::OutOfTurn
        | AdjudicateError::Unbalanced { .. } => Refusal::new(
            Code::Internal,
            format!("结算计算未能完成，已停止：{}", text.zh),
            format!("{}; nothing was settled", text.en),
        ),
    }
}
