//! The listener's handler: every message of a frame through the reception, its answers back, its bill to
//! the hospital's return address.

use std::sync::Arc;
use std::time::Duration;

use super::client;
use super::listener::{Answers, BoxFuture, Handle, Peer};
use crate::intake::format::{Format, split};
use crate::intake::hl7::{Charset, Header};
use crate::intake::hl7_answer;
use crate::intake::profile::Profile;
use crate::intake::reception::{Arrival, Received, Reception};
use crate::refusal::Code;
use crate::settlement::outcome::Outcome;
use crate::telemetry::{self, Channel};

/// Pauses between attempts to hand a bill over. The bill itself is in the store: who misses it asks for it.
const DELIVERY_PAUSES_S: [u64; 5] = [0, 1, 5, 30, 120];

/// Answers MLLP frames; cheap to clone.
#[derive(Clone)]
pub struct Service {
    reception: Reception,
}

impl Service {
    pub fn new(reception: Reception) -> Self {
        Self { reception }
    }

    async fn answer(self, content: Vec<u8>) -> Answers {
        // A frame that is no batch, or no HL7 at all, is one message: reading it says what is wrong.
        let messages = split(&content, Format::Hl7).unwrap_or_else(|_| vec![&content]);
        let mut answers = Answers { stored: true, messages: Vec::new() };
        for bytes in messages {
            let arrival = Arrival {
                channel: Channel::Mllp,
                bytes,
                format: Format::Hl7,
                charset: None,
                mode: None,
                only: None,
            };
            let received = self.reception.receive(arrival).await;
            answers.stored &= is_stored(&received.outcome);
            let runtime = self.reception.gateway().runtime();
            answers
                .messages
                .extend(hl7_answer::answers(&received, || hl7_answer::control_id(runtime.next_id())));
            self.hand_over(&received);
        }
        answers
    }

    /// Sends a bill to the hospital's return address, beside the answering of messages.
    fn hand_over(&self, received: &Received) {
        let (Outcome::Bill(bill), Some(profile)) = (&received.outcome, &received.profile) else { return };
        self.deliver(bill.settlement_id, Arc::clone(profile), received.header.clone());
    }

    /// Delivers a bill as EHC^E10, where the hospital has a return address.
    pub fn deliver(&self, settlement_id: uuid::Uuid, profile: Arc<Profile>, header: Option<Header>) {
        let Some(address) = profile.return_address.clone() else { return };
        let reception = self.reception.clone();
        tokio::spawn(async move {
            let Ok(Some(found)) = reception.gateway().settlement(settlement_id).await else { return };
            let control_id = hl7_answer::control_id(reception.gateway().runtime().next_id());
            let header =
                header.unwrap_or_else(|| hl7_answer::addressed_to(&profile.hospital.code, Charset::Utf8));
            let name = &profile.hospital.name;
            let message = match hl7_answer::bill_message(&header, &control_id, &found.settlement, name) {
                Ok(message) => message,
                Err(error) => return telemetry::bill_not_delivered(&settlement_id, &address, &error),
            };
            for (tried, pause_s) in DELIVERY_PAUSES_S.into_iter().enumerate() {
                tokio::time::sleep(Duration::from_secs(pause_s)).await;
                match client::send(&address, &message, &control_id).await {
                    Ok(()) => return telemetry::bill_delivered(&settlement_id, &address),
                    Err(error) if tried + 1 == DELIVERY_PAUSES_S.len() => {
                        telemetry::bill_not_delivered(&settlement_id, &address, &error);
                    }
                    Err(_) => {}
                }
            }
        });
    }
}

/// Refusals are kept as well; only what the store could not take is not stored.
fn is_stored(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Bill(_) | Outcome::Noted(_) => true,
        Outcome::Refused(refused) => refused
            .refusals
            .iter()
            .all(|refusal| !matches!(refusal.code, Code::StoreUnavailable | Code::Internal)),
    }
}

impl Service {
    async fn refuse(self, head: Vec<u8>, bytes_max: usize) -> Answers {
        let received = self.reception.refuse_too_large(Channel::Mllp, head, bytes_max).await;
        let runtime = self.reception.gateway().runtime();
        let messages = hl7_answer::answers(&received, || hl7_answer::control_id(runtime.next_id()));
        Answers { stored: false, messages }
    }
}

impl Handle for Service {
    fn handle(&self, content: Vec<u8>, _peer: Peer) -> BoxFuture<Answers> {
        Box::pin(self.clone().answer(content))
    }

    fn too_long(&self, head: Vec<u8>, bytes_max: usize, _peer: Peer) -> BoxFuture<Answers> {
        Box::pin(self.clone().refuse(head, bytes_max))
    }
}
