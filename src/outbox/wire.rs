//! The way out over real networks: MLLP, MLLP over TLS, and HTTP by POST.

use std::sync::Arc;

use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Client, StatusCode, Url, redirect};
use tokio_rustls::TlsConnector;
use uuid::Uuid;
use yizhan_contract::Text;

use super::OutboxError;
use super::delivery::{Carrier, Form, Handing, Letter, NotTaken};
use crate::intake::Profiles;
use crate::intake::mllp::client::{SendError, Sender};
use crate::intake::profile::{Listener, ReturnAddress};
use crate::tls;

/// Carries the id under which a bill is told, the same each time (draft-ietf-httpapi-idempotency-key-header).
pub const OUTBOX_ID_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

impl From<SendError> for NotTaken {
    fn from(why: SendError) -> Self {
        match why {
            SendError::Refused { .. } => Self::Declined(why.text()),
            SendError::Connection { .. } | SendError::NoAnswer { .. } | SendError::Handshake { .. } => {
                Self::Unreached(why.text())
            }
        }
    }
}

pub(super) struct Wire {
    /// Absent where no hospital is posted to.
    http: Option<Client>,
    /// Absent where no hospital listens over TLS.
    tls: Option<TlsConnector>,
}

impl Wire {
    /// Ready for the return addresses of these hospitals.
    pub(super) fn new(profiles: &Profiles) -> Result<Self, OutboxError> {
        let (mut http, mut tls) = (None, None);
        for address in profiles.iter().filter_map(|profile| profile.return_address.as_ref()) {
            match address {
                ReturnAddress::Http(_) if http.is_none() => http = Some(client()?),
                ReturnAddress::Mllp(listener) if listener.is_secure && tls.is_none() => {
                    tls = Some(TlsConnector::from(Arc::new(tls::client_config()?)));
                }
                ReturnAddress::Http(_) | ReturnAddress::Mllp(_) => {}
            }
        }
        Ok(Self { http, tls })
    }

    async fn connect(&self, listener: &Listener) -> Result<Sender, NotTaken> {
        if !listener.is_secure {
            return Ok(Sender::connect(&listener.address).await?);
        }
        let tls = self.tls.as_ref().ok_or_else(not_made_ready)?;
        Ok(Sender::connect_securely(&listener.address, tls).await?)
    }

    async fn post(&self, url: &Url, id: Uuid, body: Vec<u8>) -> Result<(), NotTaken> {
        let http = self.http.as_ref().ok_or_else(not_made_ready)?;
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
                Form::Message { listener, control_id, charset } => {
                    let sender = self.connect(&listener).await?.answered_in(charset);
                    Ok(sender.hand_over(&letter.bytes, &control_id).await?)
                }
                Form::Document { url } => self.post(&url, letter.id, letter.bytes).await,
            }
        })
    }
}

/// A bill goes where the profile says, not where an answer says.
fn client() -> Result<Client, reqwest::Error> {
    tls::install_provider();
    Client::builder().redirect(redirect::Policy::none()).no_proxy().build()
}

fn not_made_ready() -> NotTaken {
    let (zh, en) = (
        "启动时没有准备这种发送方式，请重启网关",
        "this way of telling was not made ready at start; restart the gateway",
    );
    NotTaken::NotReady(Text::new(zh, en))
}

/// The reason stands at the end of the chain: "connection refused", "certificate expired".
fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
