//! `POST /v1/discharges`: one message of a hospital's system.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use uuid::Uuid;

use super::accept::Form;
use super::asked::{Answered, Asked, Wish};
use super::caller::Caller;
use super::work::Begun;
use super::{answer, body};
use crate::intake::only_message;
use crate::intake::reception::{Arrival, Received};
use crate::settlement::message::Mode;
use crate::settlement::outcome::Refused;
use crate::telemetry::Channel;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Absent: as the hospital's profile says.
    mode: Option<Mode>,
    lang: Option<String>,
}

pub(super) async fn take(asked: Asked, payload: web::Payload) -> HttpResponse {
    asked.answer(take_in(&asked, payload).await)
}

async fn take_in(asked: &Asked, payload: web::Payload) -> Answered {
    let caller = asked.caller()?;
    let Query { mode, lang } = asked.query()?;
    let wish = asked.wish(Form::ALL, lang.as_deref())?;
    let (format, charset) = body::format(&asked.request)?;
    let bytes = body::read(asked, payload, asked.shared.given.message_bytes_max).await?;
    let (message, warnings) = only_message(&bytes, format)?;
    asked.reception().tell_warnings(Channel::Http, &warnings);
    let message = match message {
        Cow::Borrowed(message) => bytes.slice_ref(message),
        Cow::Owned(message) => message.into(),
    };
    let (reception, trace_id) = (asked.reception().clone(), asked.trace_id.to_string());
    let only = Arc::clone(&caller.hospital);
    let begun = asked.shared.work.begin(async move {
        let arrival = Arrival {
            channel: Channel::Http,
            bytes: &message,
            format,
            charset: charset.as_deref(),
            mode,
            only: Some(&only),
        };
        reception.receive_traced(arrival, trace_id).await
    })?;
    match ended(asked, wish, begun.clone()).await? {
        Some(response) => Ok(response),
        None => {
            // The settlement's id is not known before it ended; until then the answer is found by this request's.
            asked.shared.work.keep(asked.trace_id, caller, begun);
            Ok(answer::not_yet(asked, wish, asked.trace_id))
        }
    }
}

/// The answer to a message whose client did not wait; `None` where there is no such message.
pub(super) async fn kept(
    asked: &Asked,
    wish: Wish,
    reader: Option<&Caller>,
    id: Uuid,
) -> Result<Option<HttpResponse>, Refused> {
    let Some((owner, begun)) = asked.shared.work.kept(id) else { return Ok(None) };
    if reader.is_some_and(|reader| *reader != owner) {
        return Ok(None);
    }
    let response = ended(asked, wish, begun).await?;
    Ok(Some(response.unwrap_or_else(|| answer::not_yet(asked, wish, id))))
}

async fn ended(
    asked: &Asked,
    wish: Wish,
    mut begun: Begun<Received>,
) -> Result<Option<HttpResponse>, Refused> {
    match begun.within(wish.patience).await? {
        Some(received) => answer::received(asked, wish, &received).await.map(Some),
        None => Ok(None),
    }
}
