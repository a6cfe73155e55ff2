//! What a message does to a stay: a pure function, no clock, no I/O.
//!
//! Phases and messages meet in [`receive`] only; [`Todo`] says what has to happen then.

use jiff::{SignedDuration, Timestamp};

use super::meaning::{differences, is_another_person, meaning};
use super::message::{Hospital, Message, Mode, SettleOn, Trigger};
use super::part::{Absorbed, Patch};
use super::record::{Phase, StayRecord};
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
    pub absorbed: Absorbed,
}

/// Applies a message. `mode` is what the sender asked for, else what the hospital's profile says.
pub fn receive(
    mut record: StayRecord,
    message: &Message,
    mode: Mode,
    at: Timestamp,
) -> Result<Received, Vec<Refusal>> {
    if is_another_person(&record.part, &message.part) && !may_change_person(&record, message) {
        return Err(vec![another_person(&record)]);
    }
    if record.phase == Phase::Cancelled && !matches!(message.trigger, Trigger::Admit | Trigger::Complete) {
        return Err(vec![not_open("该次入院已取消", "the admission was cancelled")]);
    }
    match message.trigger {
        Trigger::CancelDischarge => return Ok(cancel_discharge(record)),
        Trigger::CancelAdmit => return cancel_admit(record).map_err(|refusal| vec![refusal]),
        Trigger::Charges if record.phase == Phase::Settled => {
            return late_charges(record, message).map_err(|refusal| vec![refusal]);
        }
        _ if record.phase == Phase::Settled => return settled_again(record, message),
        Trigger::Complete => start_over(&mut record),
        _ => {}
    }
    let quoted = record.settlement.as_ref().filter(|_| record.phase == Phase::Quoted);
    let quoted = quoted.map(|settlement| meaning(&settlement.discharge));
    let absorbed = record.take(message).map_err(|refusal| vec![refusal])?;
    let todo = match message.trigger {
        Trigger::Complete
            if mode == Mode::Quote && quoted.is_some() && quoted == meaning_of(&record, message) =>
        {
            Todo::SameBill
        }
        Trigger::Complete => Todo::Price(mode),
        Trigger::Discharge => close_if(&record, message, SettleOn::A03, mode, at),
        Trigger::CloseAccount => close_if(&record, message, SettleOn::BarP06, mode, at),
        Trigger::Charges if record.phase == Phase::AwaitingCharges => {
            closing(&record, &message.hospital, mode, at)
        }
        _ if record.phase == Phase::Quoted => Todo::Price(Mode::Quote),
        _ => Todo::Keep,
    };
    record.phase = match (&todo, record.phase) {
        (Todo::Wait { .. }, _) => Phase::AwaitingCharges,
        (Todo::Keep, Phase::Reversed | Phase::Cancelled) => Phase::Open,
        (_, phase) => phase,
    };
    Ok(Received { record, todo, absorbed })
}

/// One document that says everything replaces what was gathered before settlement.
fn start_over(record: &mut StayRecord) {
    let gathered = std::mem::take(&mut record.part);
    record.part.hospital = gathered.hospital;
    record.part.visit_number = gathered.visit_number;
    record.findings.clear();
}

/// The event that closes visits of this hospital closes this one; at the desk a discharge is quoted first.
fn close_if(record: &StayRecord, message: &Message, event: SettleOn, mode: Mode, at: Timestamp) -> Todo {
    match message.hospital.settle_on {
        settle_on if settle_on == event => closing(record, &message.hospital, mode, at),
        SettleOn::Desk if event == SettleOn::A03 => closing(record, &message.hospital, Mode::Quote, at),
        SettleOn::BarP06 | SettleOn::Desk if event == SettleOn::A03 => Todo::Wait { until: None },
        _ if record.phase == Phase::Quoted => Todo::Price(Mode::Quote),
        _ => Todo::Keep,
    }
}

/// A closed visit is priced at once, unless its charges are missing or must have been quiet for a while.
fn closing(record: &StayRecord, hospital: &Hospital, mode: Mode, at: Timestamp) -> Todo {
    let mode = if hospital.settle_on == SettleOn::Desk { Mode::Quote } else { mode };
    match hospital.charges_quiet_s {
        0 if hospital.settle_on == SettleOn::BarP06 && record.phase == Phase::AwaitingCharges => {
            Todo::Price(mode)
        }
        0 if record.part.lines.is_empty() => Todo::Wait { until: None },
        0 => Todo::Price(mode),
        quiet_s => Todo::Wait { until: at.checked_add(SignedDuration::from_secs(quiet_s.into())).ok() },
    }
}

/// Lines already known are the same charges again; the others are kept apart from the settled stay.
fn late_charges(mut record: StayRecord, message: &Message) -> Result<Received, Refusal> {
    let mut all = record.part.clone();
    all.lines.append(&mut record.late_lines.clone());
    let known = all.lines.len();
    let absorbed = all.absorb(message.part.clone(), message.hospital.repeated_line)?;
    let late = all.lines.split_off(known.min(all.lines.len()));
    if late.is_empty() {
        return Ok(Received { record, todo: Todo::SameBill, absorbed });
    }
    record.late_lines.extend(late);
    Ok(Received { record, todo: Todo::Late, absorbed })
}

/// A message on a settled stay: the same meaning is answered with the same bill, another is refused.
fn settled_again(record: StayRecord, message: &Message) -> Result<Received, Vec<Refusal>> {
    let Some(settlement) = &record.settlement else {
        return Err(vec![not_open("结算记录不完整", "the settlement's record is incomplete")]);
    };
    let mut sent = record.clone();
    if message.trigger == Trigger::Complete {
        start_over(&mut sent);
    }
    let absorbed = sent.take(message).map_err(|refusal| vec![refusal])?;
    let sent = sent.complete(&message.hospital)?.discharge;
    if meaning(&sent) == meaning(&settlement.discharge) {
        return Ok(Received { record, todo: Todo::SameBill, absorbed });
    }
    let named = differences(&settlement.discharge, &sent);
    let shown = named.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    let refusal = Refusal::new(
        Code::StayAlreadySettled,
        format!("该次住院已按其他内容结算，不同之处：{shown}"),
        format!("the stay is settled with other content; it differs in {shown}"),
    );
    Err(vec![refusal.money(Money::Moved)])
}

fn cancel_discharge(mut record: StayRecord) -> Received {
    let todo = if record.phase == Phase::Settled { Todo::Reverse } else { Todo::Keep };
    record.phase = Phase::Open;
    record.part.discharged = Patch::Clear;
    Received { record, todo, absorbed: Absorbed::default() }
}

fn cancel_admit(mut record: StayRecord) -> Result<Received, Refusal> {
    if record.phase == Phase::Settled {
        let refusal =
            not_open("该次住院已结算，请先撤销结算", "the stay is settled; reverse the settlement first");
        return Err(refusal.money(Money::Moved));
    }
    record.phase = Phase::Cancelled;
    Ok(Received { record, todo: Todo::Keep, absorbed: Absorbed::default() })
}

fn meaning_of(record: &StayRecord, message: &Message) -> Option<[u8; 32]> {
    record.complete(&message.hospital).ok().map(|completed| meaning(&completed.discharge))
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
