//! What became of the stays that a simulated hospital told of.

use serde::Serialize;
use uuid::Uuid;
use yizhan_contract::Money;

use crate::cli::Exit;
use crate::cli::workload::Stay;

/// One stay.
#[derive(Debug, Serialize)]
pub(super) struct Told<'s> {
    visit: &'s str,
    hospital: &'s str,
    dialect: &'static str,
    pub(super) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) settlement_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) patient_share: Option<Money>,
    /// In the gateway's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip)]
    pub(super) exit: Exit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Settled,
    /// Taken in; its bill was not in the answer.
    Acknowledged,
    Refused,
    Lost,
}

impl<'s> Told<'s> {
    /// Nothing was refused so far.
    pub(super) fn of(stay: &'s Stay<'_>) -> Self {
        Self {
            visit: &stay.visit,
            hospital: &stay.hospital.code,
            dialect: stay.dialect.word(),
            state: State::Acknowledged,
            settlement_id: None,
            patient_share: None,
            why: None,
            exit: Exit::Ok,
        }
    }

    /// Nothing more is sent of it.
    pub(super) fn ended(self, state: State, why: String, exit: Exit) -> Self {
        Self { state, why: Some(why), exit, ..self }
    }

    /// For people; what was refused says why in a line of its own.
    pub(super) fn line(&self) -> String {
        let state = match self.state {
            State::Settled => "已结算 settled",
            State::Acknowledged => "已接收 acknowledged",
            State::Refused => "被拒绝 refused",
            State::Lost => "无应答 no answer",
        };
        let bill = match (self.patient_share, self.settlement_id) {
            (Some(share), Some(id)) => format!("  个人 patient {share}  {id}"),
            _ => String::new(),
        };
        let why = self.why.as_ref().map(|why| format!("\n    {why}")).unwrap_or_default();
        format!("{:<8}  {}  {:<11}  {state}{bill}{why}", self.visit, self.hospital, self.dialect)
    }
}

/// All of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    stays: u64,
    settled: u64,
    acknowledged: u64,
    refused: u64,
    lost: u64,
    /// Not begun, because the run ended before.
    unsent: u64,
    patient_shares: Money,
}

impl Summary {
    pub(super) fn of(stays: u64) -> Self {
        Self { stays, unsent: stays, ..Self::default() }
    }

    pub(super) fn count(&mut self, told: &Told<'_>) {
        self.unsent -= 1;
        *match told.state {
            State::Settled => &mut self.settled,
            State::Acknowledged => &mut self.acknowledged,
            State::Refused => &mut self.refused,
            State::Lost => &mut self.lost,
        } += 1;
        self.patient_shares += told.patient_share.unwrap_or_default();
    }

    pub(super) fn lines(&self) -> String {
        let Self { stays, settled, acknowledged, refused, lost, unsent, patient_shares } = self;
        format!(
            "共 {stays} 次住院：结算 {settled}，仅接收 {acknowledged}，被拒绝 {refused}，无应答 {lost}，未发送 {unsent}；\
             个人支付合计 {patient_shares} 元\n\
             {stays} stays: {settled} settled, {acknowledged} acknowledged, {refused} refused, {lost} without an answer, \
             {unsent} not sent; patients pay {patient_shares}"
        )
    }

    /// What to do about stays of which the answer alone does not say it.
    pub(super) fn advice(&self) -> Vec<&'static str> {
        let mut advice = Vec::new();
        if self.acknowledged > 0 {
            advice.push(
                "“已接收”的应答中没有结算单：医院配置有 bill_in_ack = \"ZBL\"，MLLP 应答才附结算单；settle_on = \"bar_p06\" 的医院，HL7 须用 \
                 --dialects hl7-bar 或 --profile；settle_on = \"desk\" 的医院由窗口确认；charges_quiet_s 未到、\
                 或正在询问外部支付方的住院稍后才有结果 | acknowledged is \
                 without a bill in the answer: over MLLP it needs bill_in_ack = \"ZBL\" in the hospital's profile; a hospital with settle_on = \
                 \"bar_p06\" needs --dialects hl7-bar or --profile for HL7, and with \"desk\" somebody agrees to the quote; a stay whose \
                 charges_quiet_s is not over, or whose outside payers are asked, is settled later",
            );
        }
        if self.lost > 0 {
            advice.push(
                "没有应答的报文也可能已送达；网关恢复后原样再运行一次即可，已结算的得到同一结算单 | a message without an answer may have \
                 arrived all the same; run the same command again once the gateway is up: what is settled is answered by the same bill",
            );
        }
        advice
    }
}
