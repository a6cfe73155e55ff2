//! What waits for a person, and what a person may order of it.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;
use yizhan_contract::Text;

use super::pursue::{Drive, Seen, Stop};
use super::standing::record;
use super::{Gateway, no_profile};
use crate::refusal::Refusal;
use crate::settlement::advanced::Borne;
use crate::settlement::carried::Carry;
use crate::settlement::record::StayRecord;
use crate::settlement::saga::attention::{Attention, Owner};
use crate::settlement::saga::event::{Event, Expected, Held, Resolution};
use crate::settlement::saga::{Entry, evidence};
use crate::settlement::unpriced::Unpriced;
use crate::store::{Due, Hold, StayRef, StoreError};

/// One stay that waits for a person.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub stay_id: Uuid,
    /// Absent: no payer was asked to commit yet.
    pub settlement_id: Option<Uuid>,
    pub hospital: String,
    pub visit_number: String,
    pub since: Timestamp,
    pub owner: Text,
    pub what: Text,
    pub next_step: Text,
    /// The operation nobody knows the outcome of.
    pub operation: Option<Arc<str>>,
    /// What was sent, asked and answered, oldest first.
    pub log: Vec<Entry>,
    /// The same of earlier settlements of the stay.
    pub former: Vec<(Uuid, Vec<Entry>)>,
    /// What keeps the stay from being priced, where that is the matter.
    pub refusals: Vec<Refusal>,
}

/// What a person orders.
#[derive(Debug, Clone)]
pub enum Order {
    /// Ask again now, and send again what was refused.
    Retry { reason: String },
    /// The payer was asked by other means: this is what became of the operation.
    Resolve { operation: Arc<str>, as_: Resolution, reason: String },
}

/// Why an order was not carried out; nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error("nothing waits for a person under this id")]
    NothingWaits,
    #[error("no operation {0} of this settlement is open")]
    NoSuchOperation(Arc<str>),
    #[error("{}", .0.en)]
    OtherAmounts(Text),
    #[error("the gateway is working on this stay; try again in a moment")]
    Busy,
    #[error("{}", no_profile::sentence(.hospital).en)]
    NoProfile { hospital: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OrderError {
    /// The same for the operator, in both languages.
    pub fn text(&self) -> Text {
        let zh = match self {
            Self::NothingWaits => {
                "没有以此编号等待人工处理的业务，请用 yizhan attention list 查看".to_owned()
            }
            Self::NoSuchOperation(id) => {
                format!("该结算没有待定的业务号 {id}，请用 yizhan attention show 查看")
            }
            Self::OtherAmounts(text) => return text.clone(),
            Self::Busy => "网关正在处理该次住院，请稍后再试".to_owned(),
            Self::NoProfile { hospital } => return no_profile::sentence(hospital),
            Self::Store(error) => return error.text(),
        };
        Text::new(zh, self.to_string())
    }
}

impl Gateway {
    /// Stays that wait for a person, oldest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn attention(&self, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        let mut waiting = Vec::new();
        for stay_id in self.store().attention(limit).await? {
            waiting.extend(self.waiting(stay_id).await?);
        }
        Ok(waiting)
    }

    /// One of them, by the id of its stay or of its settlement.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn waiting(&self, id: Uuid) -> Result<Option<Waiting>, StoreError> {
        let Some((stay_id, _, record, _)) = self.found(id).await? else { return Ok(None) };
        let settlement_id = record.settlement.as_ref().map(|settlement| settlement.id);
        let hospital = record.part.hospital.clone();
        let visit_number = record.part.visit_number.clone();
        let of_saga = record.saga.as_ref().and_then(|saga| saga.attention.as_ref());
        let of_saga = of_saga.map(|attention| Waited::of(attention, &record.names_of(&attention.payers)));
        let of_quote = || {
            let pricing = record.pricing.as_ref()?;
            pricing.waits_for.as_ref().map(|what| Waited::for_quote(what, pricing.since))
        };
        let of_hospital = || record.unpriced.as_ref().map(Waited::for_hospital);
        let of_delivery = || {
            let deferred = record.deferred().filter(|deferred| deferred.is_overdue)?;
            deferred.waits_for.as_ref().map(|what| Waited::for_delivery(what, deferred.since))
        };
        let of_advance = || {
            let borne = record.borne()?;
            Some(Waited::for_advance(borne, &record.names_of(borne.parts.iter().map(|(payer, _)| payer))))
        };
        let of_profile = record.no_profile_since.map(|since| Waited::for_profile(&hospital, since));
        let about = of_profile
            .or(of_saga)
            .or_else(of_quote)
            .or_else(of_hospital)
            .or_else(of_delivery)
            .or_else(of_advance);
        let mut log = record.saga.map(|saga| saga.log).unwrap_or_default();
        log.extend(record.orders);
        log.sort_by_key(|entry| entry.at);
        let former =
            record.former.into_iter().map(|former| (former.settlement_id, former.saga.log)).collect();
        let refusals = record.unpriced.map(|unpriced| unpriced.refusals).unwrap_or_default();
        Ok(about.map(|Waited { since, owner, what, next_step, operation }| Waiting {
            stay_id,
            settlement_id,
            hospital,
            visit_number,
            since,
            owner,
            what,
            next_step,
            operation,
            log,
            former,
            refusals,
        }))
    }

    /// Carries a person's order out: durable when this returns, acted upon by the serving gateway at once.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub async fn order(&self, id: Uuid, order: Order, operator: String) -> Result<(), OrderError> {
        let Some((stay_id, person_id, record, hold)) = self.found(id).await? else {
            return Err(OrderError::NothingWaits);
        };
        let now = self.runtime().now();
        if hold.held_by.is_some() && hold.due_at.is_some_and(|end| now < end) {
            return Err(OrderError::Busy);
        }
        let due = Due {
            stay_id,
            person_id,
            epoch: hold.epoch,
            due_at: hold.due_at,
            is_held: hold.held_by.is_some(),
        };
        let is_carried_out = record.is_carried_out();
        let until = self.lease_end();
        let take = async || {
            let lease = self.store().take(due.clone(), Arc::clone(self.name()), until).await?;
            let lease = lease.ok_or(OrderError::Busy)?;
            Ok::<_, OrderError>(Drive::new(self, lease, until))
        };
        if !is_carried_out {
            let (note, has_seen) = noted(&record, &order, &operator)?;
            return take().await?.noted(note, has_seen).await;
        }
        let Some(saga) = record.saga else { return Err(OrderError::NothingWaits) };
        let event = match order {
            Order::Retry { reason } => Event::RetryOrdered { operator, reason },
            Order::Resolve { operation, as_, reason } => {
                if !saga.is_for_a_person(&operation) {
                    return Err(OrderError::NoSuchOperation(operation));
                }
                if let Some(expected) = saga.unlike(&operation, &as_) {
                    return Err(OrderError::OtherAmounts(other_amounts(&expected, &as_)));
                }
                Event::Resolved { operation, as_, operator, reason }
            }
        };
        take().await?.ordered(event).await
    }

    async fn found(&self, id: Uuid) -> Result<Option<(Uuid, Uuid, StayRecord, Hold)>, StoreError> {
        let stored = match self.store().stay(StayRef::Stay(id)).await? {
            Some(stored) => Some(stored),
            None => self.store().stay(StayRef::Settlement(id)).await?,
        };
        let Some(stored) = stored else { return Ok(None) };
        let (stay_id, person_id, hold) = (stored.stay_id, stored.person_id, stored.hold.clone());
        let record = record(&stored)?;
        Ok(Some((stay_id, person_id, record, hold)))
    }
}

/// What is written down of an order where nothing was sent to payers: to be tried again now, or that what the hospital
/// bears was seen, is all there is to order.
fn noted(record: &StayRecord, order: &Order, operator: &str) -> Result<(Text, bool), OrderError> {
    let is_open = record.pricing.is_some() || record.unpriced.is_some() || record.deferred().is_some();
    match (order, record.borne()) {
        (Order::Resolve { operation, as_: as_ @ Resolution::NotDone, reason }, Some(borne))
            if *operation == borne.operation =>
        {
            Ok((evidence::resolved(as_, operator, reason), true))
        }
        (Order::Resolve { operation, .. }, borne) if is_open || borne.is_some() => {
            Err(OrderError::NoSuchOperation(Arc::clone(operation)))
        }
        (Order::Retry { reason }, _) if is_open => Ok((evidence::retry_ordered(operator, reason), false)),
        _ => Err(OrderError::NothingWaits),
    }
}

impl Drive<'_> {
    /// Keeps an order of a stay of which nothing is sent, and lets the stay go.
    async fn noted(&self, note: Text, has_seen: bool) -> Result<(), OrderError> {
        let seen = self.look().await.map_err(stopped)?.ok_or(OrderError::NothingWaits)?;
        let hold = self.hold_until(self.gateway.runtime().now(), false);
        let kept = self.carry(&seen, Carry::Ordered { note, has_seen, hold }).await.map_err(stopped)?;
        kept.map(|_| ()).ok_or(OrderError::Busy)
    }

    /// Keeps what an order makes of the saga, and lets the stay go, to be taken up at once.
    async fn ordered(&self, event: Event) -> Result<(), OrderError> {
        let seen: Seen = self.look().await.map_err(stopped)?.ok_or(OrderError::NothingWaits)?;
        let saga = seen.record.saga.clone().ok_or(OrderError::NothingWaits)?;
        let now = self.gateway.runtime().now();
        let saga = self.gateway.stepping().0(saga, event, now).saga;
        let hold = self.hold_until(now, false);
        let kept = self.carry(&seen, Carry::Kept { saga, given: None, hold }).await.map_err(stopped)?;
        kept.map(|_| ()).ok_or(OrderError::Busy)
    }
}

fn stopped(stop: Stop) -> OrderError {
    match stop {
        Stop::LeaseLost => OrderError::Busy,
        Stop::Store(error) => OrderError::Store(error),
        Stop::NoProfile { hospital } => OrderError::NoProfile { hospital },
    }
}

/// What is to be said of an operation, in the terms of the command.
fn other_amounts(expected: &Expected, as_: &Resolution) -> Text {
    let named: Vec<String> =
        expected.amounts.iter().map(|(payer, amount)| format!("--done {payer}={amount}")).collect();
    let named = named.join(" ");
    let (zh, en) = match (expected.to, as_) {
        (Held::Quoted, Resolution::Done { .. }) => (
            "；金额须与其固定试算一致。支付方确实按其他金额支付的，请加 --differs，该笔结算随后全部退回",
            "; the amounts are those of its firm quote. Where it really committed another amount, add --differs: all of \
             the settlement is then taken back",
        ),
        (Held::Asked, Resolution::Done { .. }) => (
            "；金额须与要求退回的一致。支付方此前按其他金额支付、现已全部退回的，请加 --differs",
            "; the amounts are those it was asked to give back. Where it had committed another amount and has given all of \
             that back, add --differs",
        ),
        (Held::Paid, _) => (
            "；须为其已付的全部金额。支付方只退回一部分的，请在其余部分退妥后再登记",
            "; all that it paid has to have come back. Where it gave back a part, agree the rest with it first",
        ),
        (Held::Quoted | Held::Asked, _) => ("", ""),
        (Held::Confirmed, _) => (
            "；金额以支付方确认的为准，不得为负",
            "; the amounts are those the payer confirms, none of them negative",
        ),
    };
    Text::new(
        format!("该业务所问的支付方与金额为 {named}：每个支付方写且只写一次{zh}"),
        format!("this operation is about {named}: name each of these payers once, and no other{en}"),
    )
}

/// The words of one reason to wait.
struct Waited {
    since: Timestamp,
    owner: Text,
    what: Text,
    next_step: Text,
    operation: Option<Arc<str>>,
}

impl Waited {
    fn of(attention: &Attention, payers: &Text) -> Self {
        Self {
            since: attention.since,
            owner: attention.owner.text(),
            what: attention.sentence(payers),
            next_step: attention.next_step(),
            operation: Some(Arc::clone(&attention.operation)),
        }
    }

    fn for_advance(borne: &Borne, payers: &Text) -> Self {
        Self {
            since: borne.since,
            owner: borne.owner(),
            what: borne.sentence(payers),
            next_step: borne.next_step(),
            operation: Some(Arc::clone(&borne.operation)),
        }
    }

    fn for_profile(hospital: &str, since: Timestamp) -> Self {
        let (owner, what) = (no_profile::owner(), no_profile::sentence(hospital));
        Self { since, owner, what, next_step: no_profile::next_step(), operation: None }
    }

    fn for_hospital(unpriced: &Unpriced) -> Self {
        Self {
            since: unpriced.since,
            owner: unpriced.owner(),
            what: unpriced.sentence(),
            next_step: unpriced.next_step(),
            operation: None,
        }
    }

    fn for_delivery(what: &Text, since: Timestamp) -> Self {
        Self {
            since,
            owner: Owner::Operator.text(),
            what: what.clone(),
            next_step: Text::new(
                "结算单有效，该支付方尚未支付，由个人先行支付；请恢复与该支付方的连接，网关会继续询问，或执行 yizhan attention retry",
                "the bill stands and the patient has paid for this payer; restore the connection to it: the gateway goes on \
                 asking, or run yizhan attention retry",
            ),
            operation: None,
        }
    }

    fn for_quote(what: &Text, since: Timestamp) -> Self {
        Self {
            since,
            owner: Owner::Operator.text(),
            what: what.clone(),
            next_step: Text::new(
                "未发生资金变动；请恢复与该支付方的连接，网关会自动重试，或执行 yizhan attention retry",
                "no money moved; restore the connection to this payer: the gateway tries again by itself, or run yizhan attention retry",
            ),
            operation: None,
        }
    }
}
