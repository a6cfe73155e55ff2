//! One delivery: the bill as it was issued under its version, in the receiver's form, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::time::timeout;

use super::pace::backoff;
use yizhan_contract::Text;

use crate::intake::hl7_answer::{self, addressed_by_profile};
use crate::intake::mllp::client::{self, SendError};
use crate::intake::profile::{Profile, ReturnAddress};
use crate::settlement::gateway::Gateway;
use crate::store::{OutboxEntry, StoreError};
use crate::telemetry;

/// Bound of one delivery, from connecting to its answer.
pub const DELIVERY_TIMEOUT_S: u64 = 20;
/// Carries the id under which a bill is told, the same each time (draft-ietf-httpapi-idempotency-key-header).
pub const OUTBOX_ID_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Characters kept of why, in both languages.
const WHY_CHARS_MAX: usize = 600;

/// Why a bill was not handed over.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("未能送达，将自动重试：{zh} | not reached, will be tried again: {en}", zh = .0.zh, en = .0.en)]
    Unreached(Text),
    /// Only this bill: others may well be taken.
    #[error("接收方未接收该结算单，将自动重试：{zh} | this bill was not taken, will be tried again: {en}", zh = .0.zh, en = .0.en)]
    Declined(Text),
    /// The receiver has not been asked.
    #[error("未能取出要发送的内容，将自动重试：{zh} | what is to be told could not be made ready, will be tried again: {en}", zh = .0.zh, en = .0.en)]
    NotReady(Text),
}

impl From<SendError> for Failure {
    fn from(why: SendError) -> Self {
        match why {
            SendError::Refused { .. } => Self::Declined(why.text()),
            SendError::Connection { .. } | SendError::NoAnswer { .. } => Self::Unreached(why.text()),
        }
    }
}

/// For the pace of the receiver.
pub(super) struct Ended {
    /// It answered, whatever it said of this one bill.
    pub(super) was_reached: bool,
    pub(super) at: Timestamp,
}

#[derive(Clone)]
pub(super) struct Courier {
    gateway: Gateway,
    /// Absent where no hospital is posted to.
    http: Option<Client>,
}

impl Courier {
    pub(super) fn new(gateway: Gateway, posts: bool) -> Result<Self, reqwest::Error> {
        if !posts {
            return Ok(Self { gateway, http: None });
        }
        crate::tls::install_provider();
        // A bill goes where the profile says, not where an answer says.
        let http = Client::builder().redirect(redirect::Policy::none()).no_proxy().build()?;
        Ok(Self { gateway, http: Some(http) })
    }

    pub(super) async fn deliver(
        self,
        entry: OutboxEntry,
        profile: Arc<Profile>,
        address: ReturnAddress,
    ) -> Ended {
        let patience = Duration::from_secs(DELIVERY_TIMEOUT_S);
        let ended = timeout(patience, self.hand_over(&entry, &profile, &address)).await;
        let ended = ended.unwrap_or_else(|_| Err(Failure::Unreached(no_end())));
        let was_reached = !matches!(ended, Err(Failure::Unreached(_)));
        let at = self.gateway.runtime().now();
        if let Err(error) = self.write_down(&entry, &address, ended, at).await {
            // It comes again when its time is up.
            telemetry::delivery_not_written_down(&entry.settlement_id, &error);
        }
        Ended { was_reached, at }
    }

    async fn write_down(
        &self,
        entry: &OutboxEntry,
        address: &ReturnAddress,
        ended: Result<(), Failure>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (settlement, address) = (&entry.settlement_id, address.to_string());
        match ended {
            Ok(()) => {
                telemetry::bill_delivered(settlement, &address);
                self.gateway.store().outbox_delivered(entry.outbox_id).await
            }
            Err(why) => {
                telemetry::bill_not_delivered(settlement, &address, &why);
                let due_at = backoff(entry.attempts.saturating_add(1), at);
                let why = why.to_string().chars().take(WHY_CHARS_MAX).collect();
                self.gateway.store().outbox_failed(entry.outbox_id, due_at, why).await
            }
        }
    }

    async fn hand_over(
        &self,
        entry: &OutboxEntry,
        profile: &Profile,
        address: &ReturnAddress,
    ) -> Result<(), Failure> {
        let is_of_stay = entry.settlement_id == entry.stay_id;
        if is_of_stay {
            return self.tell_unpriced(entry, profile, address).await;
        }
        match address {
            ReturnAddress::Mllp(address) => self.send(entry, profile, address).await,
            ReturnAddress::Http(url) => self.post(entry, url).await,
        }
    }

    async fn send(&self, entry: &OutboxEntry, profile: &Profile, address: &str) -> Result<(), Failure> {
        let found = self.gateway.bill(entry.settlement_id, entry.version).await;
        let found = found.map_err(not_read)?.ok_or_else(not_there)?;
        let control_id = hl7_answer::control_id(entry.outbox_id);
        let header = addressed_by_profile(profile, &found.record.last.message_id);
        let message =
            hl7_answer::bill_message(&header, &control_id, &found.settlement, &profile.hospital.name)
                .map_err(not_written)?;
        Ok(client::send(address, &message, &control_id).await?)
    }

    /// Why a stay has no bill: over MLLP as the application's answer to the last message of the stay, over HTTP as
    /// the document that message was answered with.
    async fn tell_unpriced(
        &self,
        entry: &OutboxEntry,
        profile: &Profile,
        address: &ReturnAddress,
    ) -> Result<(), Failure> {
        let Some((record, noted)) = self.gateway.unpriced(entry).await.map_err(not_read)? else {
            return Ok(());
        };
        match address {
            ReturnAddress::Mllp(address) => {
                let control_id = hl7_answer::control_id(entry.outbox_id);
                let header = addressed_by_profile(profile, &record.last.message_id);
                let refusals = record.unpriced.map(|unpriced| unpriced.refusals).unwrap_or_default();
                let at = self.gateway.runtime().now();
                let message = hl7_answer::refusal_message(&header, &control_id, at, &refusals);
                Ok(client::send(address, &message, &control_id).await?)
            }
            ReturnAddress::Http(url) => {
                let body = serde_json::to_vec(&noted).map_err(not_written)?;
                self.post_json(entry, url, body).await
            }
        }
    }

    async fn post(&self, entry: &OutboxEntry, url: &Url) -> Result<(), Failure> {
        let stored = self.gateway.store().bill(entry.settlement_id, entry.version).await;
        let stored = stored.map_err(not_read)?.ok_or_else(not_there)?;
        self.post_json(entry, url, stored.bill).await
    }

    async fn post_json(&self, entry: &OutboxEntry, url: &Url, body: Vec<u8>) -> Result<(), Failure> {
        let Some(http) = &self.http else {
            let (zh, en) = (
                "启动时没有准备 HTTP 发送，请重启网关",
                "HTTP was not made ready at start; restart the gateway",
            );
            return Err(Failure::NotReady(Text::new(zh, en)));
        };
        let sent = http
            .post(url.clone())
            .header(OUTBOX_ID_HEADER, entry.outbox_id.to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await
            .map_err(|why| {
                let why = with_causes(&why);
                Failure::Unreached(Text::new(format!("{url} 无法送达：{why}"), format!("{url}: {why}")))
            })?;
        let answered = |status| Text::new(format!("{url} 应答 {status}"), format!("{url} answered {status}"));
        match sent.status() {
            status if status.is_success() => Ok(()),
            // Said of the receiver and not of the bill.
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Failure::Unreached(answered(status)))
            }
            status => Err(Failure::Declined(answered(status))),
        }
    }
}

fn no_end() -> Text {
    Text::new(
        format!("{DELIVERY_TIMEOUT_S} 秒内没有完成"),
        format!("it did not end within {DELIVERY_TIMEOUT_S} s"),
    )
}

fn not_read(why: StoreError) -> Failure {
    Failure::NotReady(why.text())
}

fn not_there() -> Failure {
    let (zh, en) = ("数据库中没有这张结算单", "the bill is not in the store");
    Failure::NotReady(Text::new(zh, en))
}

/// Parts and whole differ, or the like: a defect of ours.
fn not_written(why: impl std::fmt::Display) -> Failure {
    Failure::NotReady(Text::new(
        format!("无法写成报文，请告知管理员：{why}"),
        format!("it cannot be written, tell the operator: {why}"),
    ))
}

/// The reason stands at the end of the chain: "connection refused", "certificate expired".
fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
