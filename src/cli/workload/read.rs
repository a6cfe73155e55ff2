//! What a gateway's answer says of a message, over either port.

use serde::Deserialize;
use uuid::Uuid;
use yizhan_contract::Money;

use super::Saying;
use super::client::Answer;
use crate::cli::Exit;
use crate::desk::problem::Problem;
use crate::intake::hl7::{Charset, Message};
use crate::intake::mllp::client::Acknowledged;
use crate::refusal::{self, Code};
use crate::settlement::bill::BillState;

/// Of an answer nobody can read, so much is shown.
const UNREAD_CHARS_MAX: usize = 200;

/// As much of a bill as has to be kept to account for it.
#[derive(Deserialize)]
struct BilledShare {
    settlement_id: Uuid,
    state: BillState,
    patient_share: Money,
}

/// A stay without a bill.
#[derive(Deserialize)]
struct Kept {
    state: BillState,
}

/// Over HTTP, in JSON.
pub(super) fn answer(status: u16, body: &[u8], saying: Saying) -> Answer {
    match status {
        200 => bill(body, saying),
        // Its payers are being asked.
        202 => Answer::Noted,
        _ => problem(body).unwrap_or_else(|| unread(&format!("HTTP {status}"), body)),
    }
}

fn bill(body: &[u8], saying: Saying) -> Answer {
    match serde_json::from_slice::<BilledShare>(body) {
        Ok(_) if saying == Saying::Charges => Answer::Noted,
        Ok(bill) => stands(bill.state, bill.settlement_id, bill.patient_share),
        Err(_) => match serde_json::from_slice::<Kept>(body) {
            Ok(kept) if kept.state == BillState::NeedsAttention => not_settled(kept.state),
            Ok(_) => Answer::Noted,
            Err(_) => unread("HTTP 200", body),
        },
    }
}

fn stands(state: BillState, settlement: Uuid, patient_share: Money) -> Answer {
    match state {
        BillState::Settled => Answer::Settled { settlement, patient_share },
        // A desk agrees to it first, or outside payers are asked.
        BillState::Quoted | BillState::Settling => Answer::Noted,
        state => not_settled(state),
    }
}

fn not_settled(state: BillState) -> Answer {
    let exit = Exit::of_state(state).max(Exit::Refused);
    let text = state.text();
    Answer::Refused { why: format!("结算单状态：{} | the bill's state: {}", text.zh, text.en), exit }
}

fn problem(body: &[u8]) -> Option<Answer> {
    let problem: Problem = serde_json::from_slice(body).ok()?;
    let codes: Vec<Code> = problem.errors.iter().map(|part| part.code).collect();
    let (detail, next) = (&problem.detail, &problem.next);
    let place = problem.place.map(|place| format!("{place}: ")).unwrap_or_default();
    let why = format!("{place}{}。{} | {place}{}. {}", detail.zh, next.zh, detail.en, next.en);
    Some(refused(why, &codes, problem.money == refusal::Money::NotMoved))
}

fn unread(what: &str, body: &[u8]) -> Answer {
    let shown: String = String::from_utf8_lossy(body).chars().take(UNREAD_CHARS_MAX).collect();
    let why = format!(
        "{what}，应答不是网关的，请核对地址 | {what} is not a gateway's answer; check the address: {shown}"
    );
    Answer::Refused { why, exit: Exit::Failed }
}

/// Over MLLP.
pub(super) fn acknowledgement(acknowledged: &Acknowledged, saying: Saying) -> Answer {
    let Ok(message) = Message::parse_lossily(&acknowledged.bytes, Charset::Utf8) else {
        return unread("MLLP", &acknowledged.bytes);
    };
    if acknowledged.code != "AA" {
        return errors(&acknowledged.code, &message);
    }
    match saying {
        Saying::Charges => Answer::Noted,
        Saying::Discharge => share_in_zbl(&message).unwrap_or_else(|| unread("ZBL", &acknowledged.bytes)),
    }
}

/// ERR-8 says what to do next, to people; ERR-5 has the code of ours.
fn errors(code: &str, message: &Message<'_>) -> Answer {
    let said: Vec<_> = message.named("ERR").map(|error| error.field(8).text().into_owned()).collect();
    let codes = message.named("ERR").filter_map(|error| Code::from_slug(&error.field(5).component(1).text()));
    let why = format!("{code} {}", said.join(" "));
    // ERR-8 says first where money moved, or may have.
    let (words, _) = refusal::Money::BeingConfirmed.words();
    let is_unmoved = !said.iter().any(|said| said.contains(words));
    refused(why, &codes.collect::<Vec<_>>(), is_unmoved)
}

/// A store that answered only after a message was durable may have settled it: that is not put off.
fn refused(why: String, codes: &[Code], is_unmoved: bool) -> Answer {
    match codes {
        [Code::StoreUnavailable] if is_unmoved => Answer::PutOff(why),
        codes => {
            let exit = codes.iter().map(|code| Exit::of_refusal(*code)).max().unwrap_or(Exit::Refused);
            Answer::Refused { why, exit }
        }
    }
}

/// The patient's segment of the bill in the acknowledgement: amount, state and the settlement's id. Without a bill in
/// it a stay is known to be kept, no more.
fn share_in_zbl(message: &Message<'_>) -> Option<Answer> {
    let Some(patient) = message.named("ZBL").find(|segment| segment.field(2).text() == "patient") else {
        return Some(Answer::Noted);
    };
    let state = serde_json::from_value(patient.field(5).text().into()).ok()?;
    let (settlement, share) = (patient.field(6).text().parse().ok()?, patient.field(4).text().parse().ok()?);
    Some(stands(state, settlement, share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::hl7_answer::{addressed_to, refusal_message};
    use crate::refusal::Refusal;

    #[test]
    fn only_a_busy_store_puts_a_message_off() {
        let busy = || Refusal::new(Code::StoreUnavailable, "连接已全部占用", "all connections are in use");
        let wrong = || Refusal::new(Code::TotalDiffers, "金额有误", "a wrong amount");
        for (refusals, is_put_off, exit) in [
            (vec![busy()], true, Exit::Failed),
            (vec![wrong()], false, Exit::Refused),
            (vec![busy(), wrong()], false, Exit::Failed),
            (vec![busy().money(refusal::Money::BeingConfirmed)], false, Exit::Failed),
        ] {
            let problem = Problem::new(&refusals, None).to_json().unwrap();
            let header = addressed_to(&"H1".into(), Charset::Utf8, "M1");
            let bytes = refusal_message(&header, "C1", jiff::Timestamp::UNIX_EPOCH, &refusals);
            let code = Message::parse_lossily(&bytes, Charset::Utf8).unwrap();
            let code = code.first("MSA").unwrap().field(1).text().into_owned();
            let acknowledged = Acknowledged { code, bytes };
            for answer in [
                answer(503, problem.as_bytes(), Saying::Charges),
                acknowledgement(&acknowledged, Saying::Charges),
            ] {
                match answer {
                    Answer::PutOff(why) => assert!(is_put_off && why.contains("in use"), "{why}"),
                    Answer::Refused { exit: ended, .. } => assert!(!is_put_off && ended == exit, "{ended:?}"),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
