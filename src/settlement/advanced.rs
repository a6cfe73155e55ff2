//! Payers whose part their hospital advances: they quoted firmly and nobody knows in time whether they committed, so the
//! settlement stands with what they quoted, marked as not collected. What they say later never moves the patient's
//! share: what they refuse is the hospital's, and somebody has to look. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use yizhan_contract::step::PayerState;
use yizhan_contract::{Exact, Money, PayerCode, Text};

use super::bill::{BaseKind, Bill, BilledPayer, ComputedBy};
use super::decide::{Decided, Decision, Undecided};
use super::effect::Effect;
use super::findings;
use super::outcome::Outcome;
use super::record::{Moved, Settlement, StayRecord};
use super::saga::{Call, Saga, Sent};
use crate::store::PersonFacts;

/// The hospital in the place of payers that refused what it had advanced, in the list of who pays.
pub const HOSPITAL_ADVANCE: &str = "hospital_advance";

/// What payers refused after their hospital had advanced it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Borne {
    pub since: Timestamp,
    /// Payer by payer.
    pub parts: Vec<(PayerCode, Money)>,
    /// The last commit that was refused.
    pub operation: Arc<str>,
    /// Why, in the payer's words.
    pub why: Text,
    /// Somebody has looked at it.
    pub is_seen: bool,
}

impl Borne {
    pub fn owner(&self) -> Text {
        Text::new("医院收费处", "the hospital's billing desk")
    }

    /// What is the matter; `payers` as people call them.
    pub fn sentence(&self, payers: &Text) -> Text {
        let amount: Money = self.parts.iter().map(|(_, amount)| *amount).sum();
        Text::new(
            format!(
                "{}不予支付医院已垫付的 {amount} 元（{}），由医院承担，个人负担不变",
                payers.zh, self.why.zh
            ),
            format!(
                "{} does not pay the {amount} that the hospital advanced ({}); the hospital bears it, the patient's share \
                 stands",
                payers.en, self.why.en
            ),
        )
    }

    pub fn next_step(&self) -> Text {
        Text::new(
            "请与该支付方交涉；已确认由医院承担的，执行 yizhan attention resolve --not-done 结束此项；\
             应整笔重来的，请撤销结算后重新结算",
            "take it up with the payer; once it is clear that the hospital bears it, end this with yizhan attention resolve \
             --not-done; where all is to be done anew, reverse the settlement and settle again",
        )
    }
}

impl Bill {
    /// Lines whose payers are waited for by the hospital: paid, and not collected yet. One that has committed another
    /// amount takes it back first.
    pub(super) fn advance(&mut self, saga: &Saga) {
        for call in saga.advanced().filter(|call| !call.is_committed() || call.has_moved()) {
            for line in self.payers.iter_mut().filter(|line| call.payers().any(|payer| *payer == line.payer))
            {
                (line.state, line.payer_reference) = (PayerState::Deferred, None);
                let finding = line.paid.is_positive().then(|| findings::advanced(&line.name, line.paid));
                self.findings.extend(finding);
            }
        }
    }
}

/// A payer's part that was advanced, and what became of it.
struct Ended<'s> {
    payer: &'s PayerCode,
    amount: Money,
    call: &'s Call,
}

impl Settlement {
    fn advances_of<'s>(&self, saga: &'s Saga) -> Vec<Ended<'s>> {
        let is_waited_for = |payer: &PayerCode| self.bill.deferred().any(|line| line.payer == *payer);
        let parts = saga.advanced().flat_map(|call| call.legs.iter().map(move |leg| (call, leg)));
        parts
            .filter(|(_, (payer, _))| is_waited_for(payer))
            .map(|(call, (payer, amount))| Ended { payer, amount: *amount, call })
            .collect()
    }

    /// The next version: who committed has, and what others refused is the hospital's.
    fn end_advances(&mut self, ended: &[Ended<'_>], at: Timestamp) -> Vec<Moved> {
        let mut given_back = Vec::new();
        for Ended { payer, amount, call } in ended {
            let Some(line) = self.bill.payers.iter_mut().find(|line| line.payer == **payer) else { continue };
            let outdated = findings::advanced(&line.name, line.paid);
            let is_paid = call.is_committed() && !call.is_clear();
            self.bill.findings.retain(|finding| *finding != outdated);
            if amount.is_positive() {
                self.bill.findings.push(findings::advance_ended(&line.name, *amount, is_paid));
            }
            if let (true, Sent::Done { reference, .. }) = (is_paid, &call.commit.state) {
                (line.state, line.payer_reference) = (PayerState::Committed, Some(reference.as_str().into()));
                continue;
            }
            (line.state, line.paid) = (PayerState::Refused, Money::ZERO);
            // They come to what it had quoted.
            line.steps.clear();
            if amount.is_zero() {
                continue;
            }
            self.bill.borne_by_hospital(*amount);
            self.bear(payer, *amount, call, at);
            given_back.extend(self.give_back(payer, *amount));
        }
        self.bill.version += 1;
        self.bill.issued_at = at;
        given_back
    }

    fn bear(&mut self, payer: &PayerCode, amount: Money, call: &Call, at: Timestamp) {
        let why = match &call.commit.state {
            Sent::Refused { code, message } => findings::refused(code, message),
            _ => Text::new("其业务已冲正", "its commit was taken back"),
        };
        let operation = Arc::clone(&call.commit.id);
        let new =
            || Borne { since: at, parts: Vec::new(), operation: operation.clone(), why, is_seen: false };
        self.borne.get_or_insert_with(new).parts.push((payer.clone(), amount));
        if let Some(deferred) = &mut self.deferred {
            deferred.borne.push((payer.clone(), amount));
        }
    }

    /// What the payer does not pay it has not paid this year; the hospital's part stands under its own name.
    fn give_back(&mut self, payer: &PayerCode, amount: Money) -> Vec<Moved> {
        let code = hospital();
        let mut moved = Vec::new();
        for known in self.moves.iter_mut().filter(|known| known.payer == *payer) {
            moved.push(Moved { payer: payer.clone(), base: known.base.negated(), paid: -known.paid });
            (known.base, known.paid) = (Exact::default(), Money::ZERO);
        }
        moved.push(Moved { payer: code.clone(), base: Exact::default(), paid: amount });
        match self.moves.iter_mut().find(|known| known.payer == code) {
            Some(known) => known.paid += amount,
            None => self.moves.push(Moved { payer: code, base: Exact::default(), paid: amount }),
        }
        moved
    }
}

fn hospital() -> PayerCode {
    HOSPITAL_ADVANCE.parse().unwrap_or_else(|_| unreachable!("a code of small letters"))
}

impl Bill {
    /// What payers refused after it was advanced, on a line of the hospital's own: the parts make the whole.
    fn borne_by_hospital(&mut self, amount: Money) {
        let payer = hospital();
        if let Some(line) = self.payers.iter_mut().find(|line| line.payer == payer) {
            line.paid += amount;
            line.base = line.paid.exact();
            return;
        }
        self.payers.push(BilledPayer {
            payer,
            name: Text::new(
                "医疗机构承担（支付方拒付的垫付款）",
                "Borne by the hospital (advanced and refused)",
            ),
            state: PayerState::Committed,
            base_kind: BaseKind::Patient,
            base: amount.exact(),
            paid: amount,
            payer_reference: None,
            reason: None,
            computed_by: ComputedBy::Payer,
            steps: Vec::new(),
        });
    }
}

impl Decision {
    /// Payers whose part was advanced have committed, or hold no money and never will; absent where there are none.
    pub(super) fn advances_over(
        &self,
        record: &StayRecord,
        saga: &Saga,
        owner: &PersonFacts,
    ) -> Option<Decided> {
        let before = record.settlement.as_ref()?;
        let ended = before.advances_of(saga);
        if ended.is_empty() {
            return None;
        }
        let mut after = before.clone();
        let moved = after.end_advances(&ended, self.at);
        after.bill.name_unusable(saga);
        if let Err(why) = after.bill.check() {
            return Some(Err(Undecided::defect(why)));
        }
        let effect = Effect::by_delivering(before, &after, &moved);
        let mut record = record.clone();
        (record.settlement, record.saga) = (Some(after), Some(saga.clone()));
        self.owe_delivery(&mut record);
        Some(self.write(record, owner, effect, Outcome::Bill))
    }
}
