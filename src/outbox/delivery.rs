//! One delivery: the bill as it was issued under its version, in the receiver's form, and what became of it.

use std::pin::Pin;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use uuid::Uuid;
use yizhan_contract::Text;
use yizhan_contract::instant::later;

use super::pace::backoff;
use crate::intake::hl7::Charset;
use crate::intake::hl7_answer::{self, addressed_by_profile};
use crate::intake::profile::{Listener, Profile, ReturnAddress};
use crate::settlement::gateway::Gateway;
use crate::store::{OutboxEntry, StoreError};
use crate::telemetry;

/// Bound of one delivery, from connecting to its answer.
pub const DELIVERY_TIMEOUT_S: u64 = 20;
/// Characters kept of why, in both languages.
const WHY_CHARS_MAX: usize = 600;

/// What a hospital is told, as it leaves.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The same each time it is told.
    pub id: Uuid,
    pub form: Form,
    pub bytes: Vec<u8>,
}

/// In which form a receiver takes it.
#[derive(Debug, Clone)]
pub enum Form {
    /// HL7 over MLLP; answered under `control_id`, in `charset` where the answer names none.
    Message { listener: Listener, control_id: String, charset: Charset },
    /// JSON by POST.
    Document { url: Url },
}

pub type Handing<'a> = Pin<Box<dyn Future<Output = Result<(), NotTaken>> + Send + 'a>>;

/// The way out to hospitals.
pub trait Carrier: Send + Sync {
    /// Comes back when the receiver has said that it has the letter, or that it has not. Dropped, or without an
    /// answer, the letter may have arrived all the same.
    ///
    /// # Errors
    /// Why the receiver does not have it; it is told again later.
    fn hand_over(&self, letter: Letter) -> Handing<'_>;
}

/// Why a bill was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    #[error("未能送达，将自动重试：{zh} | not reached, will be tried again: {en}", zh = .0.zh, en = .0.en)]
    Unreached(Text),
    /// Only this bill: others may well be taken.
    #[error("接收方未接收该结算单，将自动重试：{zh} | this bill was not taken, will be tried again: {en}", zh = .0.zh, en = .0.en)]
    Declined(Text),
    /// The receiver has not been asked.
    #[error("未能取出要发送的内容，将自动重试：{zh} | what is to be told could not be made ready, will be tried again: {en}", zh = .0.zh, en = .0.en)]
    NotReady(Text),
}

/// For the pace of the receiver.
pub(super) struct Ended {
    /// It answered, whatever it said of this one bill.
    pub(super) was_reached: bool,
    pub(super) at: Timestamp,
}

#[derive(Clone)]
pub(super) struct Courier {
    pub(super) gateway: Gateway,
    pub(super) carrier: Arc<dyn Carrier>,
}

impl Courier {
    pub(super) async fn deliver(
        self,
        entry: OutboxEntry,
        profile: Arc<Profile>,
        address: ReturnAddress,
    ) -> Ended {
        let clock = Arc::clone(&self.gateway.runtime().clock);
        let patience = SignedDuration::from_secs(DELIVERY_TIMEOUT_S.cast_signed());
        let deadline = later(clock.now(), patience);
        let ended = tokio::select! {
            biased;
            ended = self.hand_over(&entry, &profile, &address) => ended,
            () = clock.sleep_until(deadline) => Err(NotTaken::Unreached(no_end())),
        };
        let was_reached = !matches!(ended, Err(NotTaken::Unreached(_)));
        let at = clock.now();
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
        ended: Result<(), NotTaken>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (settlement, address) = (&entry.settlement_id, address.to_string());
        match ended {
            Ok(()) => {
                telemetry::bill_delivered(settlement, &address);
                self.gateway.store().outbox_delivered(entry.clone()).await
            }
            Err(why) => {
                telemetry::bill_not_delivered(settlement, &address, &why);
                let due_at = backoff(entry.attempts, at);
                let why = why.to_string().chars().take(WHY_CHARS_MAX).collect();
                self.gateway.store().outbox_failed(entry.clone(), due_at, why).await
            }
        }
    }

    async fn hand_over(
        &self,
        entry: &OutboxEntry,
        profile: &Profile,
        address: &ReturnAddress,
    ) -> Result<(), NotTaken> {
        let is_of_stay = entry.settlement_id == entry.stay_id;
        let written = match address {
            _ if is_of_stay => self.unpriced(entry, profile, address).await?,
            ReturnAddress::Mllp(_) => Some(self.bill_message(entry, profile).await?),
            ReturnAddress::Http(_) => Some(self.bill_document(entry).await?),
        };
        let Some(bytes) = written else { return Ok(()) };
        let form = match address {
            ReturnAddress::Mllp(listener) => Form::Message {
                listener: listener.clone(),
                control_id: hl7_answer::control_id(entry.outbox_id),
                charset: profile.charset,
            },
            ReturnAddress::Http(url) => Form::Document { url: url.clone() },
        };
        self.carrier.hand_over(Letter { id: entry.outbox_id, form, bytes }).await
    }

    async fn bill_message(&self, entry: &OutboxEntry, profile: &Profile) -> Result<Vec<u8>, NotTaken> {
        let found = self.gateway.bill(entry.settlement_id, entry.version).await;
        let found = found.map_err(not_read)?.ok_or_else(not_there)?;
        let control_id = hl7_answer::control_id(entry.outbox_id);
        let header = addressed_by_profile(profile, &found.record.last.message_id);
        hl7_answer::bill_message(&header, &control_id, &found.settlement, &profile.hospital.name)
            .map_err(not_written)
    }

    async fn bill_document(&self, entry: &OutboxEntry) -> Result<Vec<u8>, NotTaken> {
        let stored = self.gateway.store().bill(entry.settlement_id, entry.version).await;
        Ok(stored.map_err(not_read)?.ok_or_else(not_there)?.bill)
    }

    /// Why a stay has no bill, where that is to be told still: over MLLP as the application's answer to the last
    /// message of the stay, over HTTP as the document that message was answered with.
    async fn unpriced(
        &self,
        entry: &OutboxEntry,
        profile: &Profile,
        address: &ReturnAddress,
    ) -> Result<Option<Vec<u8>>, NotTaken> {
        let Some((record, noted)) = self.gateway.unpriced(entry).await.map_err(not_read)? else {
            return Ok(None);
        };
        Ok(Some(match address {
            ReturnAddress::Mllp(_) => {
                let control_id = hl7_answer::control_id(entry.outbox_id);
                let header = addressed_by_profile(profile, &record.last.message_id);
                let refusals = record.unpriced.map(|unpriced| unpriced.refusals).unwrap_or_default();
                let at = self.gateway.runtime().now();
                hl7_answer::refusal_message(&header, &control_id, at, &refusals)
            }
            ReturnAddress::Http(_) => serde_json::to_vec(&noted).map_err(not_written)?,
        }))
    }
}

fn no_end() -> Text {
    Text::new(
        format!("{DELIVERY_TIMEOUT_S} 秒内没有完成"),
        format!("it did not end within {DELIVERY_TIMEOUT_S} s"),
    )
}

fn not_read(why: StoreError) -> NotTaken {
    NotTaken::NotReady(why.text())
}

fn not_there() -> NotTaken {
    let (zh, en) = ("数据库中没有这张结算单", "the bill is not in the store");
    NotTaken::NotReady(Text::new(zh, en))
}

/// Parts and whole differ, or the like: a defect of ours.
fn not_written(why: impl std::fmt::Display) -> NotTaken {
    NotTaken::NotReady(Text::new(
        format!("无法写成报文，请告知管理员：{why}"),
        format!("it cannot be written, tell the operator: {why}"),
    ))
}
