//! What a message does to a stay: a pure function, no clock, no I/O.
//!
//! Phases and messages meet in [`receive`] only; [`Todo`] says what has to happen then.

use jiff::{SignedDuration, Timestamp};

use super::meaning::{differences, is_another_person, meaning};
use super::part::{Message, Mode, SettleOn, Trigger};
use super::record::{Added, Known, Phase, StayRecord};
use crate::refusal::{Code, Money, Refusal};

/// What must happen to a stay now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Todo {
    /// Kept; nothing to settle yet.
    Keep,
    /// Closed, but charges may still come until then (absent: until the first one comes).
    Wait {
        until: Option<Timestamp>,
    },
    Price(Mode),
    /// The stay means what it meant: the bill as issued, again.
    SameBill,
    /// Kept and reported; the issued bill stays as it is.
    Late,
    Reverse,
}

/// A stay after a message.
#[derive(Debug, Clone)]
pub struct Received {
    pub record: StayRecord,
    pub todo: Todo,
    pub added: Added,
}

impl Received {
    fn new(record: StayRecord, todo: Todo) -> Self {
        Self { record, todo, added: Added::default() }
    }
}

/// Applies a message. `mode` is what the sender asked for, else what the hospital's profile says.
pub fn receive(
    record: StayRecord,
    message: &Message,
    mode: Mode,
    at: Timestamp,
) -> Result<Received, Refusal> {
    if is_another_person(&record.known, &message.part) && !may_change_person(&record, message) {
        return Err(another_person(&record));
    }
    if record.phase == Phase::Cancelled && !matches!(message.trigger, Trigger::Admit | Trigger::Complete) {
        return Err(not_open("该次入院已取消", "the admission was cancelled"));
    }
    match message.trigger {
        Trigger::Admit => admit(record, message),
        Trigger::Update | Trigger::Account | Trigger::Merge => update(record, message),
        Trigger::Charges => charges(record, message, at),
        Trigger::Discharge => discharge(record, message, mode, at),
        Trigger::CloseAccount => close_account(record, message, mode, at),
        Trigger::Complete => complete(record, message, mode),
        Trigger::CancelDischarge => cancel_discharge(record),
        Trigger::CancelAdmit => cancel_admit(record),
    }
}

fn admit(mut record: StayRecord, message: &Message) -> Result<Received, Refusal> {
    if matches!(record.phase, Phase::Settled) {
        return settled_again(record, message);
    }
    if record.phase == Phase::Cancelled {
        record.phase = Phase::Open;
    }
    take(&mut record.known, message);
    Ok(Received::new(record, Todo::Keep))
}

fn update(mut record: StayRecord, message: &Message) -> Result<Received, Refusal> {
    if record.phase == Phase::Settled {
        return settled_again(record, message);
    }
    take(&mut record.known, message);
    let todo = if record.phase == Phase::Quoted { Todo::Price(Mode::Quote) } else { Todo::Keep };
    Ok(Received::new(record, todo))
}

fn charges(mut record: StayRecord, message: &Message, at: Timestamp) -> Result<Received, Refusal> {
    let repeated = message.hospital.repeated_line;
    if record.phase == Phase::Settled {
        return late_charges(record, message);
    }
    take(&mut record.known, message);
    let added = record.known.add_lines(&message.part.lines, repeated)?;
    let todo = match record.phase {
        Phase::AwaitingCharges => closing(&record, message, message.hospital.mode, at),
        Phase::Quoted => Todo::Price(Mode::Quote),
        Phase::Reversed => {
            record.phase = Phase::Open;
            Todo::Keep
        }
        Phase::Open | Phase::Settled | Phase::Cancelled => Todo::Keep,
    };
    if let Todo::Wait { .. } = todo {
        record.phase = Phase::AwaitingCharges;
    }
    Ok(Received { record, todo, added })
}

/// Lines already known are the same charges again; the others are kept apart from the settled stay.
fn late_charges(mut record: StayRecord, message: &Message) -> Result<Received, Refusal> {
    let mut all = record.known.clone();
    all.lines.extend(record.late_lines.iter().cloned());
    let added = all.add_lines(&message.part.lines, message.hospital.repeated_line)?;
    if added.new.is_empty() {
        return Ok(Received { record, todo: Todo::SameBill, added });
    }
    record.late_lines.extend(added.new.iter().cloned());
    Ok(Received { record, todo: Todo::Late, added })
}

fn discharge(
    mut record: StayRecord,
    message: &Message,
    mode: Mode,
    at: Timestamp,
) -> Result<Received, Refusal> {
    if record.phase == Phase::Settled {
        return settled_again(record, message);
    }
    take(&mut record.known, message);
    let added = record.known.add_lines(&message.part.lines, message.hospital.repeated_line)?;
    let todo = match message.hospital.settle_on {
        SettleOn::A03 => closing(&record, message, mode, at),
        SettleOn::Desk if record.known.lines.is_empty() => Todo::Wait { until: None },
        SettleOn::Desk => Todo::Price(Mode::Quote),
        SettleOn::BarP06 => Todo::Wait { until: None },
    };
    if let Todo::Wait { .. } = todo {
        record.phase = Phase::AwaitingCharges;
    }
    Ok(Received { record, todo, added })
}

fn close_account(
    mut record: StayRecord,
    message: &Message,
    mode: Mode,
    at: Timestamp,
) -> Result<Received, Refusal> {
    if record.phase == Phase::Settled {
        return settled_again(record, message);
    }
    take(&mut record.known, message);
    let todo = match message.hospital.settle_on {
        SettleOn::BarP06 => closing(&record, message, mode, at),
        SettleOn::A03 | SettleOn::Desk => Todo::Keep,
    };
    if let Todo::Wait { .. } = todo {
        record.phase = Phase::AwaitingCharges;
    }
    Ok(Received::new(record, todo))
}

/// A closed visit is priced at once, unless its charges are missing or must have been quiet for a while.
fn closing(record: &StayRecord, message: &Message, mode: Mode, at: Timestamp) -> Todo {
    match message.hospital.charges_quiet_s {
        Some(quiet_s) => Todo::Wait { until: at.checked_add(SignedDuration::from_secs(quiet_s.into())).ok() },
        None if record.known.lines.is_empty() => Todo::Wait { until: None },
        None if message.hospital.settle_on == SettleOn::Desk => Todo::Price(Mode::Quote),
        None => Todo::Price(mode),
    }
}

/// One document that says everything: it replaces what was gathered before settlement.
fn complete(mut record: StayRecord, message: &Message, mode: Mode) -> Result<Received, Refusal> {
    if record.phase == Phase::Settled {
        return settled_again(record, message);
    }
    let gathered = std::mem::take(&mut record.known);
    record.known.hospital = gathered.hospital;
    record.known.visit_number = gathered.visit_number;
    take(&mut record.known, message);
    let added = record.known.add_lines(&message.part.lines, message.hospital.repeated_line)?;
    let is_same_quote = record.phase == Phase::Quoted
        && mode == Mode::Quote
        && record.settlement.as_ref().is_some_and(|quoted| means_the_same(&record.known, &quoted.discharge));
    let todo = if is_same_quote { Todo::SameBill } else { Todo::Price(mode) };
    Ok(Received { record, todo, added })
}

/// A message on a settled stay: the same meaning is answered with the same bill, another is refused.
fn settled_again(record: StayRecord, message: &Message) -> Result<Received, Refusal> {
    let Some(settlement) = &record.settlement else {
        return Err(not_open("结算记录不完整", "the settlement's record is incomplete"));
    };
    let mut sent = if message.trigger == Trigger::Complete {
        Known {
            hospital: record.known.hospital.clone(),
            visit_number: record.known.visit_number.clone(),
            ..Known::default()
        }
    } else {
        record.known.clone()
    };
    take(&mut sent, message);
    let added = sent.add_lines(&message.part.lines, message.hospital.repeated_line)?;
    let sent = sent.complete().map_err(|mut missing| missing.remove(0))?;
    if meaning(&sent) == meaning(&settlement.discharge) {
        return Ok(Received { record, todo: Todo::SameBill, added });
    }
    let named = differences(&settlement.discharge, &sent);
    let shown = named.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    Err(Refusal::new(
        Code::StayAlreadySettled,
        format!("该次住院已按其他内容结算，不同之处：{shown}"),
        format!("the stay is settled with other content; it differs in {shown}"),
    )
    .money(Money::Moved))
}

fn cancel_discharge(mut record: StayRecord) -> Result<Received, Refusal> {
    let todo = if record.phase == Phase::Settled { Todo::Reverse } else { Todo::Keep };
    record.phase = Phase::Open;
    record.known.discharged = None;
    Ok(Received::new(record, todo))
}

fn cancel_admit(mut record: StayRecord) -> Result<Received, Refusal> {
    if record.phase == Phase::Settled {
        return Err(not_open(
            "该次住院已结算，请先撤销结算",
            "the stay is settled; reverse the settlement first",
        )
        .money(Money::Moved));
    }
    record.phase = Phase::Cancelled;
    Ok(Received::new(record, Todo::Keep))
}

fn take(known: &mut Known, message: &Message) {
    known.message_id.clone_from(&message.message_id);
    known.sent_at = message.sent_at.or(known.sent_at);
    known.take_statements(&message.part);
    for finding in &message.findings {
        if !known.findings.contains(finding) {
            known.findings.push(finding.clone());
        }
    }
}

fn means_the_same(known: &Known, discharge: &yizhan_contract::Discharge) -> bool {
    known.complete().is_ok_and(|now| meaning(&now) == meaning(discharge))
}

/// Before commit an update or a merge may correct whose stay it is.
fn may_change_person(record: &StayRecord, message: &Message) -> bool {
    matches!(message.trigger, Trigger::Update | Trigger::Merge) && record.phase != Phase::Settled
}

fn another_person(record: &StayRecord) -> Refusal {
    let money = if record.phase == Phase::Settled { Money::Moved } else { Money::NotMoved };
    Refusal::new(
        Code::AnotherPerson,
        "报文中的身份与该次住院登记的患者不符",
        "the message names another person than the one this stay belongs to",
    )
    .money(money)
}

fn not_open(zh: &str, en: &str) -> Refusal {
    Refusal::new(Code::NotOpen, zh, en)
}
