//! What a message does to a stay: a pure function, no clock, no I/O.
//!
//! Phases and messages meet in [`receive`] only; [`Todo`] says what has to happen then.

use jiff::{SignedDuration, Timestamp};

use super::findings;
use super::meaning::{differences, meaning};
use super::message::{Hospital, Message, Mode, SettleOn, Trigger};
use super::part::{
    Absorbed, StayPart, charged, check_paid_back, repeated_line_differs, repeated_payment_differs,
};
use super::record::{Phase, StayRecord};
use super::refusals::{self, LinePlaces};
use crate::refusal::{Code, Refusal};

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
    /// Its charges were quiet and could not be priced: tried with what came now, which is kept either way.
    PriceAgain(Mode),
    /// Its payers are being asked already, for what was sent.
    InHand,
    /// The stay means what it meant: the bill as issued, again.
    SameBill,
    /// Kept and reported; the issued bill stays as it is.
    Late,
    /// On whose word.
    Reverse {
        by: String,
    },
}

/// A stay after a message.
#[derive(Debug, Clone)]
pub struct Received {
    pub record: StayRecord,
    pub todo: Todo,
    pub absorbed: Absorbed,
}

/// Applies a message of the stay's own person. `mode` is what the sender asked for, else what the hospital's
/// profile says.
pub fn receive(
    record: StayRecord,
    message: &Message,
    mode: Mode,
    at: Timestamp,
) -> Result<Received, Vec<Refusal>> {
    let phase = record.phase;
    let received = match phase.is_fixed() {
        true => after_settlement(record, message),
        false => before(record, message, mode, at),
    };
    // What is wrong with the message, too, is said of a stay whose money has moved.
    received.map_err(|refusals| refusals.into_iter().map(|refusal| refusal.money(phase.money())).collect())
}

fn before(
    mut record: StayRecord,
    message: &Message,
    mode: Mode,
    at: Timestamp,
) -> Result<Received, Vec<Refusal>> {
    let reopens = matches!(message.trigger, Trigger::Admit | Trigger::Complete | Trigger::CancelAdmit);
    if record.phase == Phase::Cancelled && !reopens {
        return Err(vec![not_open("该次入院已取消", "the admission was cancelled")]);
    }
    let asked_for = record.pricing.as_ref().map(|pricing| pricing.mode);
    let meant_before = asked_for.and_then(|_| meant(&record, message));
    match message.trigger {
        Trigger::CancelDischarge => return Ok(cancel_discharge(record)),
        Trigger::CancelAdmit => return cancel_admit(record),
        Trigger::Complete => start_over(&mut record),
        Trigger::Admit if record.phase == Phase::Cancelled => start_over(&mut record),
        _ => {}
    }
    let absorbed = record.take(message).map_err(|refusal| vec![refusal])?;
    record.is_closed |= closes(message);
    let todo = match due(&record, message, mode, at) {
        Todo::Price(mode) | Todo::PriceAgain(mode)
            if asked_for == Some(mode)
                && meant_before.is_some_and(|before| meant(&record, message) == Some(before)) =>
        {
            Todo::InHand
        }
        todo => todo,
    };
    match &todo {
        Todo::Wait { until } => {
            // An update leaves the wait as it was, and the payers with those who ask them.
            if record.quiet_until != *until {
                record.call_back();
            }
            record.phase = Phase::AwaitingCharges;
            record.quiet_until = *until;
        }
        Todo::Keep if matches!(record.phase, Phase::Reversed | Phase::Cancelled) => {
            record.phase = Phase::Open;
        }
        _ => {}
    }
    Ok(Received { record, todo, absorbed })
}

/// Absent where the stay is not complete: such a one means the same as no other.
fn meant(record: &StayRecord, message: &Message) -> Option<[u8; 32]> {
    let completed = record.complete(&message.hospital).ok()?;
    meaning(&completed.discharge).ok()
}

fn after_settlement(record: StayRecord, message: &Message) -> Result<Received, Vec<Refusal>> {
    match message.trigger {
        Trigger::CancelDischarge if record.phase.is_under_way() => {
            Err(vec![refusals::being_settled(record.phase)])
        }
        Trigger::CancelDischarge => {
            let todo = Todo::Reverse { by: message.sent_by.clone() };
            Ok(Received { record, todo, absorbed: Absorbed::default() })
        }
        Trigger::CancelAdmit => {
            let (zh, en) =
                ("该次住院已结算，请先撤销结算", "the stay is settled; reverse the settlement first");
            Err(vec![not_open(zh, en)])
        }
        Trigger::Charges => late_charges(record, message).map_err(|refusal| vec![refusal]),
        // Numbers were merged; the stay is what it was.
        Trigger::Merge => Ok(Received { record, todo: Todo::SameBill, absorbed: Absorbed::default() }),
        _ => settled_again(record, message),
    }
}

/// One document that says everything replaces what was gathered before settlement, and a new admission what
/// was gathered for one that was cancelled.
fn start_over(record: &mut StayRecord) {
    let gathered = std::mem::take(&mut record.part);
    record.part.hospital = gathered.hospital;
    record.part.visit_number = gathered.visit_number;
    record.findings.clear();
    record.repeated = 0;
}

/// Whether the message is what closes visits of its hospital.
fn closes(message: &Message) -> bool {
    match message.hospital.settle_on {
        SettleOn::A03 | SettleOn::Desk => message.trigger == Trigger::Discharge,
        SettleOn::BarP06 => message.trigger == Trigger::CloseAccount,
    }
}

fn due(record: &StayRecord, message: &Message, mode: Mode, at: Timestamp) -> Todo {
    let is_quoted = record.phase == Phase::Quoted;
    match message.trigger {
        Trigger::Complete if mode == Mode::Quote && is_quoted && is_quoted_as_sent(record, message, at) => {
            Todo::SameBill
        }
        Trigger::Complete => Todo::Price(mode),
        _ if record.unpriced.is_some() && is_whole(record) => {
            Todo::PriceAgain(mode_of_closing(&message.hospital, mode))
        }
        Trigger::Discharge | Trigger::CloseAccount | Trigger::Charges if record.is_closed => {
            closed(record, message, mode, at)
        }
        _ if is_quoted => Todo::Price(Mode::Quote),
        Trigger::Discharge => Todo::Wait { until: None },
        // An update moves no charge: what is waited for stays the same.
        _ if record.phase == Phase::AwaitingCharges => Todo::Wait { until: record.quiet_until },
        _ => Todo::Keep,
    }
}

/// A closed visit is priced at once, unless its discharge or charges are missing or must be quiet first. One that is
/// quoted keeps its quote while it means the same.
fn closed(record: &StayRecord, message: &Message, mode: Mode, at: Timestamp) -> Todo {
    let mode = mode_of_closing(&message.hospital, mode);
    let is_to_be_quoted_again = record.phase == Phase::Quoted && mode == Mode::Quote;
    match message.hospital.charges_quiet_s {
        _ if !is_whole(record) => Todo::Wait { until: None },
        _ if is_to_be_quoted_again && is_quoted_as_sent(record, message, at) => Todo::SameBill,
        0 => Todo::Price(mode),
        // Its charges were quiet when it was quoted, and what came brings none.
        _ if is_to_be_quoted_again && message.part.lines.is_empty() => Todo::Price(mode),
        quiet_s => Todo::Wait { until: at.checked_add(SignedDuration::from_secs(quiet_s.into())).ok() },
    }
}

/// At the desk a discharge is quoted first.
fn mode_of_closing(hospital: &Hospital, mode: Mode) -> Mode {
    if hospital.settle_on == SettleOn::Desk { Mode::Quote } else { mode }
}

fn is_whole(record: &StayRecord) -> bool {
    record.part.discharged.value().is_some() && !record.part.lines.is_empty()
}

/// Whether the open quote is good still, and for what was sent.
fn is_quoted_as_sent(record: &StayRecord, message: &Message, at: Timestamp) -> bool {
    let Some(quote) = &record.settlement else { return false };
    let is_good = quote.bill.valid_until.is_some_and(|until| at <= until);
    let quoted = meaning(&quote.discharge).ok().filter(|_| is_good);
    quoted.is_some_and(|quoted| meant(record, message) == Some(quoted))
}

/// Lines already settled are the same charges again; the others are kept apart from the settled stay.
fn late_charges(mut record: StayRecord, message: &Message) -> Result<Received, Refusal> {
    let places = LinePlaces::of(message);
    let mut late = StayPart {
        lines: std::mem::take(&mut record.late_lines),
        payments: std::mem::take(&mut record.late_payments),
        ..StayPart::default()
    };
    let payments_before = late.payments.len();
    let mut sent = StayPart::default();
    let mut settled = 0;
    for line in &message.part.lines {
        match record.part.lines.iter().find(|known| known.id == line.id) {
            None => sent.lines.push(line.clone()),
            Some(known) if known == line => settled += 1,
            Some(_) => return Err(repeated_line_differs(&line.id, &places)),
        }
    }
    for payment in &message.part.payments {
        match record.part.payments.iter().find(|known| known.id == payment.id) {
            None => sent.payments.push(payment.clone()),
            Some(known) if known == payment => {}
            Some(_) => return Err(repeated_payment_differs(payment, &places)),
        }
    }
    let mut absorbed = late.absorb(sent, message.hospital.repeated_line, &places)?;
    let is_late = absorbed != Absorbed::default() || late.payments.len() > payments_before;
    check_paid_back(&record.part.payments, &late.payments, &places)?;
    (record.late_lines, record.late_payments) = (late.lines, late.payments);
    absorbed.repeated += settled;
    Ok(Received { record, todo: if is_late { Todo::Late } else { Todo::SameBill }, absorbed })
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
    let meant = |discharge| meaning(discharge).map_err(|why| vec![refusals::defect(why)]);
    if meant(&sent)? == meant(&settlement.discharge)? {
        return Ok(Received { record, todo: Todo::SameBill, absorbed });
    }
    let named = differences(&settlement.discharge, &sent, &message.hospital, message.dialect);
    let shown = named.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    Err(vec![refusals::settled_otherwise(record.phase, &shown)])
}

fn cancel_discharge(mut record: StayRecord) -> Received {
    record.cancel_discharge();
    Received { record, todo: Todo::Keep, absorbed: Absorbed::default() }
}

/// Charges and payments went with the admission: one that is opened again under the number begins without them,
/// and the hospital says what of them belongs to it. The messages themselves are kept as they came.
fn cancel_admit(mut record: StayRecord) -> Result<Received, Vec<Refusal>> {
    if !record.part.lines.is_empty() || !record.part.payments.is_empty() {
        let total = charged(&record.part.lines).map_err(|why| vec![refusals::defect(why)])?;
        record.findings.push(findings::cancelled_charges(record.part.lines.len(), total));
    }
    record.part.lines.clear();
    record.part.payments.clear();
    record.phase = Phase::Cancelled;
    record.is_closed = false;
    record.quiet_until = None;
    record.call_back();
    record.unpriced = None;
    Ok(Received { record, todo: Todo::Keep, absorbed: Absorbed::default() })
}

fn not_open(zh: &str, en: &str) -> Refusal {
    Refusal::new(Code::NotOpen, zh, en)
}
