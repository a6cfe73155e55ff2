//! What is known of a stay: all that its messages said, and the newest bill. [`super::document`] is its
//! stored form.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use yizhan_contract::stay::{Discharge, Line, civil_date};
use yizhan_contract::{ChargeError, Exact, Finding, Money, PayerCode, Text};

use super::advanced::Borne;
use super::bill::{Bill, BillState};
use super::complete::Completed;
use super::delivery::Deferred;
use super::findings;
use super::message::{Hospital, Message, Mode};
use super::part::{Absorbed, Patch, Payment, StayPart, charged, check_paid_back};
use super::payers::Assigned;
use super::places::Dialect;
use super::refusals::LinePlaces;
use super::saga::{Course, Entry, Saga};
use super::shadow::ToCompare;
use super::unpriced::Unpriced;
use super::visits::Visits;
use crate::refusal::{self, Refusal};
use crate::store::Hold;

/// Tries after which a stay that waits for a payer is shown to a person.
const TRIES_ATTENTION: u32 = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StayRecord {
    pub stay_id: Uuid,
    pub phase: Phase,
    /// The sum of what all messages said.
    pub part: StayPart,
    /// The last message that spoke of the stay.
    pub last: LastMessage,
    /// What reading the messages noticed.
    pub findings: Vec<Finding>,
    /// Absent until a bill was quoted or settled.
    pub settlement: Option<Settlement>,
    /// Charges that came after settlement.
    pub late_lines: Vec<Line>,
    /// Payments of the patient that came after settlement.
    pub late_payments: Vec<Payment>,
    /// What closes visits of this hospital has come for this one.
    pub is_closed: bool,
    /// When a closed visit may be settled, if no charge comes until then.
    pub quiet_until: Option<Timestamp>,
    /// Lines that were sent again with equal content and counted once.
    pub repeated: usize,
    /// The stay waits for outside payers to be asked what they would pay.
    pub pricing: Option<Pricing>,
    /// Its charges went quiet, and it could not be priced.
    pub unpriced: Option<Unpriced>,
    /// The newest settlement's dealings with outside payers; absent where there were none.
    pub saga: Option<Saga>,
    /// Those of settlements before it, oldest first.
    pub former: Vec<Former>,
    /// What persons ordered of the stay while nothing of it was sent to payers, oldest first.
    pub orders: Vec<Entry>,
    /// What adapters that see visits were told of this one.
    pub visits: Visits,
    /// Since when nobody goes on with it, because no gateway that looked knows its hospital.
    pub no_profile_since: Option<Timestamp>,
    /// When and by whom the stay is looked at next; kept beside the document.
    pub hold: Hold,
}

/// Earlier settlements of a stay whose dealings with payers are kept; beyond, the oldest go.
const FORMER_MAX: usize = 20;

/// A settlement's dealings with outside payers once another has taken its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    pub settlement_id: Uuid,
    pub saga: Saga,
}

/// What is wanted of the outside payers' quotes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pricing {
    pub mode: Mode,
    pub since: Timestamp,
    /// The patient's share somebody agreed to; more than that is quoted again and not settled.
    pub expected_patient_share: Option<Money>,
    /// What was agreed to had expired when it was: it is quoted again, whatever it comes to.
    #[serde(default)]
    pub is_expired: bool,
    /// Why the last try came to nothing, and how many did.
    pub tries: u32,
    pub waits_for: Option<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMessage {
    pub message_id: String,
    pub sent_at: Timestamp,
    pub dialect: Dialect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Admitted, or gathering charges.
    Open,
    /// Discharged; its charges are not complete yet.
    AwaitingCharges,
    Quoted,
    /// Its payers are being asked to commit; nothing of it may change.
    Committing,
    Settled,
    /// Its payers are being asked to take their money back.
    Reversing,
    Reversed,
    /// The admission was cancelled (A11).
    Cancelled,
}

impl Pricing {
    pub fn new(mode: Mode, since: Timestamp, expected_patient_share: Option<Money>) -> Self {
        Self { mode, since, expected_patient_share, is_expired: false, tries: 0, waits_for: None }
    }

    /// Somebody commits a quote whose time is over.
    pub fn of_expired(since: Timestamp, expected: Money) -> Self {
        Self { is_expired: true, ..Self::new(Mode::Quote, since, Some(expected)) }
    }
}

impl Phase {
    /// Money has moved or is moving: what the stay is made of stays as it is.
    pub fn is_fixed(self) -> bool {
        matches!(self, Self::Committing | Self::Settled | Self::Reversing)
    }

    /// A payer's answer is awaited.
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Committing | Self::Reversing)
    }

    /// Where the money of a stay is in this phase; the one place where a refusal learns it from.
    pub fn money(self) -> refusal::Money {
        match self {
            Self::Settled => refusal::Money::Moved,
            Self::Committing | Self::Reversing => refusal::Money::BeingConfirmed,
            Self::Open | Self::AwaitingCharges | Self::Quoted | Self::Reversed | Self::Cancelled => {
                refusal::Money::NotMoved
            }
        }
    }

    pub fn text(self) -> Text {
        match self {
            Self::Open => Text::new("尚未出院结算", "open"),
            Self::AwaitingCharges => Text::new("等待费用", "awaiting charges"),
            Self::Quoted => Text::new("已试算", "quoted"),
            Self::Committing => Text::new("正在结算", "being settled"),
            Self::Settled => Text::new("已结算", "settled"),
            Self::Reversing => Text::new("正在撤销结算", "being reversed"),
            Self::Reversed => Text::new("已撤销结算", "reversed"),
            Self::Cancelled => Text::new("已取消入院", "cancelled"),
        }
    }
}

/// The newest bill, and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    pub id: Uuid,
    pub bill: Bill,
    pub discharge: Discharge,
    /// What it added to the year; a reversal takes exactly this back.
    pub moves: Vec<Moved>,
    /// The patient's share it is held to while payers commit: what somebody agreed to, else what it came to when they
    /// were sent their part. It may come out lower.
    pub agreed: Option<Money>,
    /// 统筹区 whose funds pay; empty where it was settled before this was kept.
    pub insured_region: String,
    /// What is owed to it by payers that were left out; absent where none is left.
    pub deferred: Option<Deferred>,
    /// What payers refused after the hospital had advanced it.
    pub borne: Option<Borne>,
    /// Who was asked for it; empty where nobody was, and where it was settled before this was kept.
    pub assigned: Assigned,
    /// What adapters are to be asked that are only compared; not kept.
    pub compared: Vec<ToCompare>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub payer: PayerCode,
    pub base: Exact,
    pub paid: Money,
}

impl StayRecord {
    pub fn open(stay_id: Uuid, message: &Message) -> Self {
        let part = StayPart {
            hospital: message.hospital.code.to_string(),
            visit_number: message.part.visit_number.clone(),
            ..StayPart::default()
        };
        Self {
            stay_id,
            phase: Phase::Open,
            part,
            last: LastMessage::of(message),
            findings: Vec::new(),
            settlement: None,
            late_lines: Vec::new(),
            late_payments: Vec::new(),
            is_closed: false,
            quiet_until: None,
            repeated: 0,
            pricing: None,
            unpriced: None,
            saga: None,
            former: Vec::new(),
            orders: Vec::new(),
            visits: Visits::new(),
            no_profile_since: None,
            hold: Hold::default(),
        }
    }

    /// Outside payers are being asked, for a quote or for their money.
    pub fn is_with_payers(&self) -> bool {
        self.pricing.is_some() || self.is_carried_out() || self.deferred().is_some()
    }

    pub fn is_cancelled(&self) -> bool {
        self.phase == Phase::Cancelled
    }

    /// Adapters believe in a visit that is over for them.
    pub fn is_to_be_called_off(&self) -> bool {
        self.visits.iter().any(|(adapter, known)| known.stands() && self.is_over_for(adapter))
    }

    /// The admission was called off; or the stay is settled without the adapter, which was turned off or has fallen since it
    /// was asked.
    pub fn is_over_for(&self, adapter: &str) -> bool {
        let is_without = |settled: &Settlement| settled.assigned.by.values().all(|other| **other != *adapter);
        self.is_cancelled()
            || (self.is_settled_for_good() && self.settlement.as_ref().is_some_and(is_without))
    }

    /// Nothing is left to be done for its settlement.
    pub fn is_settled_for_good(&self) -> bool {
        self.phase == Phase::Settled && !self.is_with_payers()
    }

    /// The settlement stands, and payers that were left out are still to be asked.
    pub fn deferred(&self) -> Option<&Deferred> {
        let settlement = self.settlement.as_ref().filter(|_| self.phase == Phase::Settled)?;
        settlement.deferred.as_ref()
    }

    /// A settlement takes the place of the one before, whose dealings with payers are kept.
    pub(super) fn price_as(&mut self, settlement: Settlement) {
        let before =
            self.settlement.as_ref().map(|before| before.id).filter(|before| *before != settlement.id);
        if let Some((settlement_id, saga)) = before.zip(self.saga.take_if(|_| before.is_some())) {
            self.former.push(Former { settlement_id, saga: saga.as_evidence() });
            let beyond = self.former.len().saturating_sub(FORMER_MAX);
            self.former.drain(..beyond);
        }
        self.settlement = Some(settlement);
    }

    /// What payers refused after the hospital had advanced it, and nobody has looked at yet.
    pub fn borne(&self) -> Option<&Borne> {
        let settlement = self.settlement.as_ref().filter(|_| self.phase == Phase::Settled)?;
        settlement.borne.as_ref().filter(|borne| !borne.is_seen)
    }

    /// A payer that was left out was sent its part, or one whose part is advanced has not answered; the settlement stands
    /// meanwhile.
    pub fn is_delivering(&self) -> bool {
        self.phase == Phase::Settled && self.saga.as_ref().is_some_and(Saga::is_delivering)
    }

    /// Its saga is to be carried on.
    pub fn is_carried_out(&self) -> bool {
        self.phase.is_under_way() || self.is_delivering()
    }

    /// The state of a stay without a bill to show.
    pub fn noted_state(&self) -> BillState {
        match self.phase {
            _ if self.pricing.is_some() => BillState::Settling,
            Phase::Settled => BillState::Settled,
            Phase::Committing => BillState::Settling,
            Phase::Reversing => BillState::Reversing,
            _ if self.unpriced.is_some() => BillState::NeedsAttention,
            _ => BillState::AwaitingCharges,
        }
    }

    /// Payers as people call them; one that is on no bill of the stay goes by its code.
    pub fn names_of<'p>(&self, payers: impl IntoIterator<Item = &'p PayerCode>) -> Text {
        names_of(self.settlement.as_ref().map(|settlement| &settlement.bill), payers)
    }

    /// Somebody is at it this moment: neither waiting for a payer to be there again nor for a person.
    pub fn is_asked_now(&self) -> bool {
        let is_priced_now = self.pricing.as_ref().is_some_and(|pricing| pricing.tries == 0);
        is_priced_now || (self.phase.is_under_way() && !self.needs_attention())
    }

    /// The settlement holds money of outside payers.
    pub fn is_committed_outside(&self) -> bool {
        let holds = |saga: &Saga| matches!(saga.course, Course::Committed | Course::Delivering);
        self.saga.as_ref().is_some_and(holds)
    }

    /// Whether nothing goes on before a person has looked.
    pub fn needs_attention(&self) -> bool {
        let is_stuck = self.saga.as_ref().is_some_and(|saga| saga.attention.is_some());
        is_stuck
            || self.no_profile_since.is_some()
            || self.deferred().is_some_and(|deferred| deferred.is_overdue)
            || self.unpriced.is_some()
            || self.borne().is_some()
            || self.pricing.as_ref().is_some_and(|pricing| TRIES_ATTENTION <= pricing.tries)
    }

    /// ADT^A13: the patient has not left.
    pub fn cancel_discharge(&mut self) {
        self.phase = Phase::Open;
        self.part.discharged = Patch::Clear;
        self.is_closed = false;
        self.quiet_until = None;
        self.call_back();
        self.unpriced = None;
    }

    /// Whoever asks the payers asks for what is not wanted any more: the lease is theirs no longer, so that they
    /// answer with the stay as it is by then.
    pub fn call_back(&mut self) {
        if self.pricing.take().is_some() {
            self.hold.epoch += 1;
        }
    }

    /// The bill to answer with. A quote that charges have come after is none.
    pub fn standing_bill(&self) -> Option<&Bill> {
        let bill = &self.settlement.as_ref().filter(|_| self.pricing.is_none())?.bill;
        (bill.state != BillState::Quoted || self.phase == Phase::Quoted).then_some(bill)
    }

    /// The day on which a person's standing on the roster counts for the stay.
    pub fn day_of_standing(&self, now: Timestamp) -> Date {
        let known = self.part.discharged.value().or(self.part.admitted.value());
        known.map_or_else(|| civil_date(now), |moment| moment.date)
    }

    /// What is said of a stay without a bill: what its messages noticed, lines that one of them repeated,
    /// charges that came too late for its bill, and what is in the way.
    ///
    /// # Errors
    /// As [`charged`].
    pub fn noted_findings(&self, repeated: usize) -> Result<Vec<Finding>, ChargeError> {
        let mut noted = self.findings.clone();
        if repeated > 0 {
            noted.push(findings::repeated_lines(repeated));
        }
        if self.phase.is_fixed() && !self.late_lines.is_empty() {
            noted.push(findings::late_charges(self.late_lines.len(), charged(&self.late_lines)?));
        }
        noted.extend(self.unpriced.iter().flat_map(findings::not_priced));
        noted.extend(self.waits_for().map(findings::quote_awaited));
        Ok(noted)
    }

    /// Why a payer's quote is waited for.
    pub fn waits_for(&self) -> Option<&Text> {
        self.pricing.as_ref()?.waits_for.as_ref()
    }

    /// Adds what a message says; unchanged where it is refused.
    pub fn take(&mut self, message: &Message) -> Result<Absorbed, Refusal> {
        let places = LinePlaces::of(message);
        let absorbed = self.part.absorb(message.part.clone(), message.hospital.repeated_line, &places)?;
        check_paid_back(&self.part.payments, &[], &places)?;
        self.repeated += absorbed.repeated;
        self.last = LastMessage::of(message);
        for finding in &message.findings {
            if !self.findings.contains(finding) {
                self.findings.push(finding.clone());
            }
        }
        Ok(absorbed)
    }

    /// The stay as a discharge, or everything that is missing, in the words of the last message's format.
    pub fn complete(&self, hospital: &Hospital) -> Result<Completed, Vec<Refusal>> {
        let LastMessage { message_id, sent_at, dialect } = &self.last;
        self.part.complete(hospital, message_id, *sent_at, *dialect)
    }
}

/// The same on a bill at hand.
pub(super) fn names_of<'p>(bill: Option<&Bill>, payers: impl IntoIterator<Item = &'p PayerCode>) -> Text {
    let names: Vec<Text> = payers.into_iter().map(|payer| name_of(bill, payer)).collect();
    let joined = |of: fn(&Text) -> &str, between| names.iter().map(of).collect::<Vec<_>>().join(between);
    Text::new(joined(|name| &name.zh, "、"), joined(|name| &name.en, ", "))
}

/// A payer as the bill calls it, else by its code.
pub(super) fn name_of(bill: Option<&Bill>, payer: &PayerCode) -> Text {
    let line = bill.and_then(|bill| bill.payers.iter().find(|line| line.payer == *payer));
    line.map_or_else(|| Text::new(payer.as_str(), payer.as_str()), |line| line.name.clone())
}

impl LastMessage {
    fn of(message: &Message) -> Self {
        Self { message_id: message.message_id.clone(), sent_at: message.sent_at, dialect: message.dialect }
    }
}
