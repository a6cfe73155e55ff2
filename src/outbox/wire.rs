//! The way out over real networks: MLLP, and HTTP by POST.

use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Client, StatusCode, Url, redirect};
use uuid::Uuid;
use yizhan_contract::Text;

use super::delivery::{Carrier, Form, Handing, Letter, NotTaken};
use crate::intake::mllp::client::{self, SendError};

/// Carries the id under which a bill is told, the same each time (draft-ietf-httpapi-idempotency-key-header).
pub const OUTBOX_ID_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

impl From<SendError> for NotTaken {
    fn from(why: SendError) -> Self {
        match why {
            SendError::Refused { .. } => Self::Declined(why.text()),
            SendError::Connection { .. } | SendError::NoAnswer { .. } => Self::Unreached(why.text()),
        }
    }
}

pub(super) struct Wire {
    /// Absent where no hospital is posted to.
    http: Option<Client>,
}

impl Wire {
    pub(super) fn new(posts: bool) -> Result<Self, reqwest::Error> {
        if !posts {
            return Ok(Self { http: None });
        }
        crate::tls::install_provider();
        // A bill goes where the profile says, not where an answer says.
        let http = Client::builder().redirect(redirect::Policy::none()).no_proxy().build()?;
        Ok(Self { http: Some(http) })
    }

    async fn post(&self, url: &Url, id: Uuid, body: Vec<u8>) -> Result<(), NotTaken> {
        let Some(http) = &self.http else {
            let (zh, en) = (
                "启动时没有准备 HTTP 发送，请重启网关",
                "HTTP was not made ready at start; restart the gateway",
            );
            return Err(NotTaken::NotReady(Text::new(zh, en)));
        };
        let sent = http
            .post(url.clone())
            .header(OUTBOX_ID_HEADER, id.to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await
            .map_err(|why| {
                let why = with_causes(&why);
                NotTaken::Unreached(Text::new(format!("{url} 无法送达：{why}"), format!("{url}: {why}")))
            })?;
        let answered = |status| Text::new(format!("{url} 应答 {status}"), format!("{url} answered {status}"));
        match sent.status() {
            status if status.is_success() => Ok(()),
            // Said of the receiver and not of the bill.
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(NotTaken::Unreached(answered(status)))
            }
            status => Err(NotTaken::Declined(answered(status))),
        }
    }
}

impl Carrier for Wire {
    fn hand_over(&self, letter: Letter) -> Handing<'_> {
        Box::pin(async move {
            match letter.form {
                Form::Message { address, control_id } => {
                    Ok(client::send(&address, &letter.bytes, &control_id).await?)
                }
                Form::Document { url } => self.post(&url, letter.id, letter.bytes).await,
            }
        })
    }
}

/// The reason stands at the end of the chain: "connection refused", "certificate expired".
fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
