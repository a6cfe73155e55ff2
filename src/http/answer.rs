//! An outcome in the form that was asked for.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_LOCATION, LINK, LOCATION, RETRY_AFTER};
use uuid::Uuid;

use super::accept::Form;
use super::asked::{Answered, Asked, Wish, respond};
use super::server::Reading;
use crate::desk::pages;
use crate::desk::pending::Pending;
use crate::desk::sheet::Sheet;
use crate::desk::xml;
use crate::intake::hl7::{Charset, Header};
use crate::intake::hl7_answer::{self, addressed_to, control_id};
use crate::intake::reception::Received;
use crate::refusal::{Code, Money, Refusal};
use crate::settlement::bill::{Bill, BillState};
use crate::settlement::gateway::{Found, no_such_settlement, unread_refusal};
use crate::settlement::outcome::{Noted, Outcome};
use crate::settlement::record::Settlement;
use crate::telemetry;

pub(super) const JSON: &str = "application/json";
pub(super) const XML: &str = "application/xml; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";
/// How soon to ask again for what is not done yet.
const ASK_AGAIN_SECONDS: &str = "1";

/// Where a settlement is read.
pub(super) fn address(id: Uuid) -> String {
    format!("/v1/settlements/{id}")
}

/// What became of a message. The reception has told of its refusals.
pub(super) async fn received(asked: &Asked, wish: Wish, received: &Received) -> Answered {
    match &received.outcome {
        Outcome::Bill(bill) => {
            if asked.shared.given.reading == Reading::Open {
                asked.shared.given.recent.add(bill.settlement_id);
            }
            self::bill(asked, wish, bill, Some(received)).await
        }
        Outcome::Noted(_) if wish.form == Form::Hl7 => Ok(acknowledgement(asked, received, 200, None)),
        Outcome::Noted(noted) => self::noted(asked, wish, noted),
        Outcome::Refused(refused) if wish.form == Form::Hl7 => {
            let code = refused.refusals.first().map_or(Code::Internal, |refusal| refusal.code);
            Ok(acknowledgement(asked, received, code.http_status(), Some(code)))
        }
        Outcome::Refused(refused) => Ok(asked.problem(refused)),
    }
}

/// What a desk's action ended in.
pub(super) async fn outcome(asked: &Asked, wish: Wish, outcome: &Outcome) -> Answered {
    match outcome {
        Outcome::Bill(bill) => self::bill(asked, wish, bill, None).await,
        Outcome::Noted(noted) => self::noted(asked, wish, noted),
        Outcome::Refused(refused) => Err(refused.clone()),
    }
}

/// Begun, and not ended within the client's patience; there is no message yet that HL7 could acknowledge.
pub(super) fn not_yet(asked: &Asked, wish: Wish, at: Uuid) -> HttpResponse {
    let pending = Pending::new(address(at), asked.trace_id.to_string());
    let mut response = HttpResponse::Accepted();
    response.insert_header((LOCATION, address(at))).insert_header((RETRY_AFTER, ASK_AGAIN_SECONDS));
    match wish.form {
        Form::Xml => response.content_type(XML).body(pending.to_xml()),
        Form::Html => {
            let page = pages::pending(&pending, &asked.sheet_link(at)).unwrap_or_default();
            response.content_type(HTML).body(page)
        }
        Form::Json | Form::Hl7 => {
            response.content_type(JSON).body(serde_json::to_string(&pending).unwrap_or_default())
        }
    }
}

/// The bill as it was issued; paper and HL7 take the name and the lines from the stay beside it.
async fn bill(asked: &Asked, wish: Wish, bill: &Bill, answered: Option<&Received>) -> Answered {
    if matches!(wish.form, Form::Json | Form::Xml) {
        return Ok(plain(asked, wish, bill));
    }
    let found = asked.reception().gateway().settlement(bill.settlement_id).await;
    let found = found.map_err(|error| unread_refusal(&error))?;
    let Found { record, settlement } = found.ok_or_else(no_such_settlement)?;
    let header = answered.and_then(|received| received.header.as_ref());
    let id = answered.and_then(|received| received.message_id.as_deref()).unwrap_or(&record.last.message_id);
    of_stay(asked, wish, &Settlement { bill: bill.clone(), ..settlement }, header, id)
}

pub(super) fn settlement(asked: &Asked, wish: Wish, found: &Found) -> Answered {
    let Found { record, settlement } = found;
    match wish.form {
        Form::Json | Form::Xml => Ok(plain(asked, wish, &settlement.bill)),
        Form::Html | Form::Hl7 => of_stay(asked, wish, settlement, None, &record.last.message_id),
    }
}

fn plain(asked: &Asked, wish: Wish, bill: &Bill) -> HttpResponse {
    let (media_type, body) = match wish.form {
        Form::Xml => (XML, xml::bill_xml(bill)),
        _ => (JSON, serde_json::to_string(bill).unwrap_or_default()),
    };
    of_bill(asked, bill, media_type, body.into_bytes())
}

/// As HL7 it answers the message of `header`, else the one of this id.
fn of_stay(
    asked: &Asked,
    wish: Wish,
    settlement: &Settlement,
    header: Option<&Header>,
    answered: &str,
) -> Answered {
    let bill = &settlement.bill;
    let profile = asked.reception().profiles().of_hospital(&bill.hospital);
    let name = profile.map(|profile| &profile.hospital.name).ok_or_else(no_such_settlement)?;
    if wish.form == Form::Html {
        let sheet = Sheet {
            bill,
            patient_name: &settlement.discharge.patient.name,
            hospital_name: wish.lang.of(name),
            address: &asked.sheet_link(bill.settlement_id),
            lang: wish.lang,
        };
        let page = sheet.render().map_err(|error| not_rendered(asked, bill.state, "html", &error))?;
        return Ok(of_bill(asked, bill, HTML, page.into_bytes()));
    }
    let own;
    let header = match header {
        Some(header) => header,
        None => {
            own = addressed_to(&bill.hospital, Charset::Utf8, answered);
            &own
        }
    };
    let message = hl7_answer::bill_message(header, &next_control_id(asked), settlement, name)
        .map_err(|error| not_rendered(asked, bill.state, "hl7", &error))?;
    Ok(of_bill(asked, bill, &hl7_media_type(header), message))
}

/// In every form with a link to the sheet that a browser can follow.
fn of_bill(asked: &Asked, bill: &Bill, media_type: &str, body: Vec<u8>) -> HttpResponse {
    let sheet = format!("<{}>; rel=\"alternate\"; type=\"text/html\"", asked.sheet_link(bill.settlement_id));
    HttpResponse::Ok()
        .insert_header((CONTENT_LOCATION, address(bill.settlement_id)))
        .insert_header((LINK, sheet))
        .content_type(media_type)
        .body(body)
}

fn not_rendered(
    asked: &Asked,
    state: BillState,
    form: &'static str,
    error: &dyn std::error::Error,
) -> Refusal {
    telemetry::bill_not_rendered(&asked.trace_id.to_string(), form, error);
    not_in_this_form(state)
}

/// The bill stands; only this form of it could not be written.
fn not_in_this_form(state: BillState) -> Refusal {
    let money = match state {
        BillState::Quoted | BillState::AwaitingCharges | BillState::Refused => Money::NotMoved,
        BillState::Settled | BillState::Reversed => Money::Moved,
        BillState::Settling | BillState::Reversing | BillState::NeedsAttention => Money::BeingConfirmed,
    };
    let (zh, en) =
        ("结算单无法以该格式输出，JSON 格式可以", "the bill cannot be written in this form; as JSON it can");
    Refusal::new(Code::Internal, zh, en).money(money)
}

fn noted(asked: &Asked, wish: Wish, noted: &Noted) -> Answered {
    let (media_type, body) = match wish.form {
        Form::Xml => (XML, xml::noted_xml(noted)),
        Form::Html => {
            (HTML, pages::noted(noted).map_err(|error| not_rendered(asked, noted.state, "html", &error))?)
        }
        Form::Json | Form::Hl7 => (JSON, serde_json::to_string(noted).unwrap_or_default()),
    };
    Ok(HttpResponse::Ok().content_type(media_type).body(body))
}

/// The application's answer; empty where the sender wants none (MSH-16).
fn acknowledgement(asked: &Asked, received: &Received, status: u16, code: Option<Code>) -> HttpResponse {
    let mut answers = hl7_answer::answers(received, || next_control_id(asked));
    let charset = received.header.as_ref().map_or(Charset::Utf8, Header::charset);
    let media_type = format!("application/hl7-v2; charset={}", charset.name());
    respond(status, code).content_type(media_type).body(answers.pop().unwrap_or_default())
}

fn hl7_media_type(header: &Header) -> String {
    format!("application/hl7-v2; charset={}", header.charset().name())
}

fn next_control_id(asked: &Asked) -> String {
    control_id(asked.reception().gateway().runtime().next_id())
}

/// The name of a hospital for people; its code where it is no longer registered.
pub(super) fn hospital_name(asked: &Asked, wish: Wish, code: &Arc<str>) -> String {
    let profile = asked.reception().profiles().of_hospital(code);
    profile.map_or_else(|| code.to_string(), |profile| wish.lang.of(&profile.hospital.name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_that_cannot_be_written_still_says_whether_money_moved() {
        for (state, money) in [
            (BillState::AwaitingCharges, Money::NotMoved),
            (BillState::Quoted, Money::NotMoved),
            (BillState::Refused, Money::NotMoved),
            (BillState::Settled, Money::Moved),
            (BillState::Reversed, Money::Moved),
            (BillState::Settling, Money::BeingConfirmed),
            (BillState::Reversing, Money::BeingConfirmed),
            (BillState::NeedsAttention, Money::BeingConfirmed),
        ] {
            let refusal = not_in_this_form(state);
            assert_eq!((refusal.code, refusal.money), (Code::Internal, money), "{state:?}");
            assert!(refusal.detail.zh.contains("JSON") && refusal.detail.en.contains("JSON"));
        }
    }
}
