//! `/v1/settlements/{id}`: reading a settlement, committing a quote, taking a settlement back.

use std::future::Future;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use uuid::Uuid;
use yizhan_contract::Money;

use super::accept::Form;
use super::asked::{Answered, Asked, Wish};
use super::caller::Caller;
use super::{answer, body, discharges};
use crate::refusal::{Code, Refusal};
use crate::settlement::gateway::{Found, no_such_settlement, unread_refusal};
use crate::settlement::outcome::Outcome;
use crate::telemetry;

const REASON_CHARS_MAX: usize = 200;
const OPERATOR_CHARS_MAX: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    lang: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    lang: Option<String>,
    /// In place of a token, where a browser follows a link.
    pass: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Commit {
    /// As the quote showed it to the clerk.
    expected_patient_share: Money,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reversal {
    reason: String,
    /// Absent: the hospital.
    operator: Option<String>,
}

pub(super) async fn read(asked: Asked) -> HttpResponse {
    asked.answer(read_one(&asked).await)
}

async fn read_one(asked: &Asked) -> Answered {
    let Reading { lang, pass } = asked.query()?;
    if let Some(pass) = pass {
        let wish = asked.wish(&[Form::Html], lang.as_deref())?;
        return read_by_pass(asked, wish, asked.settlement_id()?, &pass).await;
    }
    let reader = asked.reader()?;
    let wish = asked.wish(Form::ALL, lang.as_deref())?;
    let id = asked.settlement_id()?;
    if let Some(response) = discharges::kept(asked, wish, reader.as_ref(), id).await? {
        return Ok(response);
    }
    let found = found(asked, reader.as_ref(), id).await?;
    answer::settlement(asked, wish, &found)
}

/// The sheet as it stands by now, never what it was when the link was made: a desk must not see money that was given back.
async fn read_by_pass(asked: &Asked, wish: Wish, id: Uuid, pass: &str) -> Answered {
    if !asked.is_opened_by(pass, id) {
        return Err(link_ended().into());
    }
    if let Some(response) = discharges::kept(asked, wish, None, id).await? {
        return Ok(response);
    }
    let found = found(asked, None, id).await?;
    asked.admit(&found.settlement.bill.hospital)?;
    answer::settlement(asked, wish, &found)
}

fn link_ended() -> Refusal {
    Refusal::new(
        Code::Unauthorized,
        "链接无效或已过期，请在医院系统中重新打开结算单",
        "the link is not good, or no longer; open the bill again from the hospital's system",
    )
}

pub(super) async fn commit(asked: Asked, payload: web::Payload) -> HttpResponse {
    asked.answer(commit_one(&asked, payload).await)
}

async fn commit_one(asked: &Asked, payload: web::Payload) -> Answered {
    let caller = asked.caller()?;
    let wish = wish(asked)?;
    let id = asked.settlement_id()?;
    let Commit { expected_patient_share } = body::json(asked, payload).await?;
    found(asked, Some(&caller), id).await?;
    let gateway = asked.reception().gateway().clone();
    let work = async move {
        let handled = gateway.commit(id, expected_patient_share).await;
        gateway.see_through(handled).await
    };
    act(asked, wish, Act { caller, id, name: "commit" }, work).await
}

pub(super) async fn reverse(asked: Asked, payload: web::Payload) -> HttpResponse {
    asked.answer(reverse_one(&asked, payload).await)
}

async fn reverse_one(asked: &Asked, payload: web::Payload) -> Answered {
    let caller = asked.caller()?;
    let wish = wish(asked)?;
    let id = asked.settlement_id()?;
    let Reversal { reason, operator } = body::json(asked, payload).await?;
    let reason = written(&reason, "$.reason", REASON_CHARS_MAX)?;
    let operator = match operator {
        Some(operator) => written(&operator, "$.operator", OPERATOR_CHARS_MAX)?,
        None => caller.hospital.to_string(),
    };
    found(asked, Some(&caller), id).await?;
    let gateway = asked.reception().gateway().clone();
    let work = async move {
        let handled = gateway.reverse(id, reason, operator).await;
        gateway.see_through(handled).await
    };
    act(asked, wish, Act { caller, id, name: "reversal" }, work).await
}

/// What is done to a settlement, and by whom.
struct Act {
    caller: Caller,
    id: Uuid,
    name: &'static str,
}

async fn act(
    asked: &Asked,
    wish: Wish,
    act: Act,
    work: impl Future<Output = Outcome> + Send + 'static,
) -> Answered {
    let (trace_id, hospital) = (asked.trace_id.to_string(), act.caller.hospital.to_string());
    let mut begun = asked.shared.work.begin(async move {
        let outcome = work.await;
        let ended = match &outcome {
            Outcome::Bill(bill) => bill.state.word(),
            Outcome::Noted(_) => "noted",
            Outcome::Refused(_) => "refused",
        };
        telemetry::desk_acted(&trace_id, &hospital, act.name, ended);
        outcome
    })?;
    match begun.within(wish.patience).await? {
        Some(outcome) => answer::outcome(asked, wish, &outcome).await,
        None => Ok(answer::not_yet(asked, wish, act.id)),
    }
}

fn wish(asked: &Asked) -> Result<Wish, Refusal> {
    let Query { lang } = asked.query()?;
    asked.wish(Form::ALL, lang.as_deref())
}

/// Another hospital's settlement is answered exactly as one that does not exist.
async fn found(asked: &Asked, reader: Option<&Caller>, id: Uuid) -> Result<Found, Refusal> {
    let found = asked.reception().gateway().settlement(id).await.map_err(|error| unread_refusal(&error))?;
    let found = found.ok_or_else(no_such_settlement)?;
    if reader.is_none_or(|reader| *reader.hospital == *found.record.part.hospital) {
        Ok(found)
    } else {
        Err(no_such_settlement())
    }
}

/// A text that a person wrote: not empty, and no longer than it is printed.
fn written(text: &str, place: &'static str, chars_max: usize) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Refusal::new(Code::MissingField, "此项不能为空", "this must not be empty").at(place));
    }
    if text.chars().count() > chars_max {
        let (zh, en) = (format!("最多 {chars_max} 个字"), format!("at most {chars_max} characters"));
        return Err(Refusal::new(Code::BadValue, zh, en).at(place));
    }
    Ok(text.to_owned())
}
