//! What a person has to look at: whose turn it is, what is known, what to do next.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use yizhan_contract::{PayerCode, Text};

use super::event::{Expected, Part, Resolution};
use super::{Call, Saga, Sent, UNKNOWN_ATTENTION};

/// A settlement that does not go on by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attention {
    pub since: Timestamp,
    pub operation: Arc<str>,
    pub adapter: Arc<str>,
    pub payers: Vec<PayerCode>,
    pub cause: Cause,
    /// Who has to act.
    pub owner: Owner,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nobody knows whether the payer committed.
    CommitUnknown,
    /// Nobody knows whether the payer took its money back.
    UndoUnknown,
    /// The payer refuses to take its money back.
    UndoRefused { code: String },
    /// The commit can be neither found, sent again nor fenced off.
    Stuck,
    /// The payer committed what it had not quoted, and cannot take it back.
    Irreversible,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// Whoever runs the gateway: ask the payer what became of the operation.
    Operator,
    /// The payer: it broke the contract.
    Payer,
}

impl Owner {
    pub fn text(self) -> Text {
        match self {
            Self::Operator => Text::new("网关管理员", "the gateway's operator"),
            Self::Payer => Text::new("支付方", "the payer"),
        }
    }
}

impl Attention {
    /// What is the matter, in one sentence; `payers` as people call them.
    pub fn sentence(&self, payers: &Text) -> Text {
        let (Text { zh, en }, operation) = (payers, &self.operation);
        match &self.cause {
            Cause::CommitUnknown => Text::new(
                format!("{zh}是否已确认支付（业务号 {operation}）至今未知，网关仍在查询"),
                format!(
                    "whether {en} committed operation {operation} is still unknown; the gateway goes on asking"
                ),
            ),
            Cause::UndoUnknown => Text::new(
                format!("{zh}是否已退回款项（业务号 {operation}）至今未知，网关仍在查询"),
                format!(
                    "whether {en} took operation {operation} back is still unknown; the gateway goes on asking"
                ),
            ),
            Cause::UndoRefused { code } => Text::new(
                format!("{zh}拒绝退回款项（业务号 {operation}，代码 {code}）"),
                format!("{en} refuses to take its payment back (operation {operation}, code {code})"),
            ),
            Cause::Stuck => Text::new(
                format!("{zh}查无此业务（业务号 {operation}），且该支付方既不能重发也不能撤销"),
                format!(
                    "{en} does not know operation {operation}, and it can be neither sent again nor reversed"
                ),
            ),
            Cause::Irreversible => Text::new(
                format!("{zh}确认的金额与试算不符且不支持撤销（业务号 {operation}）"),
                format!(
                    "{en} committed another amount than it quoted and cannot take it back (operation {operation})"
                ),
            ),
        }
    }

    /// What to do next.
    pub fn next_step(&self) -> Text {
        match &self.cause {
            Cause::CommitUnknown | Cause::UndoUnknown | Cause::Stuck => Text::new(
                "请向该支付方核实此业务号的处理结果，然后执行 yizhan attention resolve；对方恢复后也可执行 yizhan attention retry",
                "ask the payer what became of this operation, then run yizhan attention resolve; once the payer answers again, yizhan attention retry",
            ),
            Cause::UndoRefused { .. } | Cause::Irreversible => Text::new(
                "请与该支付方确认退款，办妥后执行 yizhan attention resolve；若对方已可受理，执行 yizhan attention retry",
                "agree the refund with the payer and run yizhan attention resolve; where it accepts reversals again, yizhan attention retry",
            ),
        }
    }
}

impl Saga {
    /// Whether a person may say what became of this operation.
    pub fn is_for_a_person(&self, operation: &str) -> bool {
        self.found(operation).is_some_and(|(call, part)| self.is_in_doubt(call, part))
    }

    /// What has to be named of this operation instead, where `as_` cannot be true of it.
    pub fn unlike(&self, operation: &str, as_: &Resolution) -> Option<Expected> {
        self.found(operation).and_then(|(call, part)| self.calls[call].unlike(part, as_))
    }

    pub(super) fn is_in_doubt(&self, call: usize, part: Part) -> bool {
        !self.is_over() && self.calls[call].is_in_doubt(part, self.is_given_up(call))
    }

    /// Sets or clears what a person has to look at, as things stand at `at`.
    pub(super) fn look_for_attention(&mut self, at: Timestamp) {
        let of = |(nth, call): (usize, &Call)| call.attention(at, self.is_given_up(nth));
        let found = self.calls.iter().enumerate().find_map(of);
        let since = self.attention.as_ref().map(|attention| attention.since);
        self.attention = found.map(|found| Attention { since: since.unwrap_or(found.since), ..found });
    }

    /// When an unknown outcome turns into something for a person.
    pub(super) fn attention_due(&self) -> Option<Timestamp> {
        let due = self.calls.iter().filter_map(|call| call.in_doubt()).map(|(_, due)| due).min();
        due.filter(|_| self.attention.is_none())
    }
}

impl Call {
    /// Whether a person may say what became of it: nobody knows, or the payer does not take its money back. A
    /// commit whose fence is on its way is the fence's.
    fn is_in_doubt(&self, part: Part, is_given_up: bool) -> bool {
        match (part, &self.commit.state, self.undo.as_ref().map(|undo| &undo.state)) {
            (Part::Commit, Sent::Done { .. }, None) => is_given_up && self.terms.reverse_window_s.is_none(),
            (Part::Commit, Sent::Unknown { .. }, undo) => matches!(undo, None | Some(Sent::Refused { .. })),
            (Part::Undo, _, undo) => matches!(undo, Some(Sent::Unknown { .. } | Sent::Refused { .. })),
            _ => false,
        }
    }

    /// The operation that decides while nobody knows what the payer did, and when that is for a person to look at. A
    /// commit that is being fenced off waits for its fence.
    fn in_doubt(&self) -> Option<(Part, Timestamp)> {
        if self.is_clear() {
            return None;
        }
        let part = if self.undo.is_some() { Part::Undo } else { Part::Commit };
        let since = match self.operation(part)?.state {
            Sent::Unknown { since, .. } => since,
            Sent::Intended | Sent::Awaited => self.in_doubt_since?,
            _ => return None,
        };
        Some((part, since.checked_add(UNKNOWN_ATTENTION).ok()?))
    }

    fn attention(&self, at: Timestamp, is_given_up: bool) -> Option<Attention> {
        if self.is_clear() {
            return None;
        }
        let attention = |since: Timestamp, part: Part, cause: Cause, owner: Owner| {
            let operation = Arc::clone(&self.operation(part)?.id);
            let payers = self.legs.iter().map(|(payer, _)| payer.clone()).collect();
            let adapter = Arc::clone(&self.adapter);
            Some(Attention { since, operation, adapter, payers, cause, owner })
        };
        match (&self.commit.state, self.undo.as_ref().map(|undo| &undo.state)) {
            (_, Some(Sent::Refused { code, .. })) => {
                return attention(at, Part::Undo, Cause::UndoRefused { code: code.clone() }, Owner::Payer);
            }
            (Sent::Done { .. }, None) if is_given_up && self.terms.reverse_window_s.is_none() => {
                return attention(at, Part::Commit, Cause::Irreversible, Owner::Operator);
            }
            _ => {}
        }
        let (part, due) = self.in_doubt().filter(|(_, due)| *due <= at)?;
        let is_stuck = self.terms.reverse_window_s.is_none() && !self.terms.commits_are_idempotent;
        let cause = match part {
            Part::Undo => Cause::UndoUnknown,
            Part::Commit if is_stuck => Cause::Stuck,
            Part::Commit => Cause::CommitUnknown,
        };
        attention(due, part, cause, Owner::Operator)
    }
}
