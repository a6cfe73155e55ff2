//! Where every message arrives, whatever the channel: read, handled, remembered, told apart in the log.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::door;
use super::format::Format;
use super::hl7::Header;
use super::inbound::{self, Rejected};
use super::limits::MESSAGE_BYTES_MAX;
use super::problems::Warning;
use super::profile::{Profile, Profiles};
use crate::refusal::{Code, Refusal};
use crate::settlement::gateway::Handled;
use crate::settlement::gateway::{Gateway, Unread};
use crate::settlement::message::{Mode, Trigger};
use crate::settlement::outcome::Outcome;
use crate::telemetry::{self, Channel};

/// Takes messages in; cheap to clone.
#[derive(Clone)]
pub struct Reception {
    gateway: Gateway,
    profiles: Arc<Profiles>,
    message_bytes_max: usize,
}

/// One message as it came.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    pub channel: Channel,
    pub bytes: &'a [u8],
    pub format: Format,
    /// The charset the channel states, where it states one.
    pub charset: Option<&'a str>,
    /// What the sender asks for; absent: as the hospital's profile says.
    pub mode: Option<Mode>,
    /// The hospital the sender speaks for; absent: any.
    pub only: Option<&'a str>,
}

/// Shows how much came, not what it says.
impl fmt::Debug for Arrival<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, bytes, format, only, .. } = self;
        write!(f, "{format:?} over {channel:?} ({} bytes, of {})", bytes.len(), only.unwrap_or("anybody"))
    }
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Received {
    pub outcome: Outcome,
    pub profile: Option<Arc<Profile>>,
    /// To answer an HL7 message; absent for other formats, and where no header could be made out.
    pub header: Option<Header>,
    pub trigger: Option<Trigger>,
    /// Of the message, where one could be read.
    pub message_id: Option<String>,
    /// What was odd in a message that was read.
    pub warnings: Vec<Warning>,
    /// Whether the message and this answer are on stable storage.
    pub is_kept: bool,
    pub trace_id: String,
    pub at: Timestamp,
}

impl Reception {
    pub fn new(gateway: Gateway, profiles: Arc<Profiles>) -> Self {
        Self { gateway, profiles, message_bytes_max: MESSAGE_BYTES_MAX }
    }

    /// Takes messages of so many bytes.
    #[must_use]
    pub fn up_to(self, message_bytes_max: usize) -> Self {
        Self { message_bytes_max, ..self }
    }

    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub fn profiles(&self) -> &Arc<Profiles> {
        &self.profiles
    }

    /// Reads a message and carries it out; what is answered is durable.
    pub async fn receive(&self, arrival: Arrival<'_>) -> Received {
        let trace_id = self.gateway.runtime().next_id().to_string();
        self.receive_traced(arrival, trace_id).await
    }

    /// [`Reception::receive`] under a trace id that the channel gave to the request already.
    pub async fn receive_traced(&self, arrival: Arrival<'_>, trace_id: String) -> Received {
        let at = self.gateway.runtime().now();
        let received = self.read_and_handle(arrival, at, trace_id).await;
        self.tell(&received, arrival.channel);
        received
    }

    async fn read_and_handle(&self, arrival: Arrival<'_>, at: Timestamp, trace_id: String) -> Received {
        let (charset, message_bytes_max) = (arrival.charset, self.message_bytes_max);
        let channel = inbound::Channel { charset, message_bytes_max };
        let inbound = match door::read(arrival.bytes, arrival.format, channel, &self.profiles, at) {
            Ok(inbound) => inbound,
            // Whoever may not speak for a hospital does not learn what it knows, and leaves nothing under its name.
            Err(rejected) if names_another(arrival.only, rejected.profile.as_deref()) => {
                let Rejected { profile, header, message_id, .. } = *rejected;
                let outcome = Outcome::from(names_another_hospital());
                let (trigger, warnings, is_kept) = (None, Vec::new(), false);
                return Received {
                    outcome,
                    profile,
                    header,
                    trigger,
                    message_id,
                    warnings,
                    is_kept,
                    trace_id,
                    at,
                };
            }
            Err(rejected) => return self.reject(*rejected, arrival.bytes, at, trace_id).await,
        };
        let (profile, header, warnings) = (Some(inbound.profile), inbound.header, inbound.warnings);
        let trigger = Some(inbound.message.trigger);
        let message_id = Some(inbound.message.message_id.clone());
        if names_another(arrival.only, profile.as_deref()) {
            let outcome = Outcome::from(names_another_hospital());
            let is_kept = false;
            return Received {
                outcome,
                profile,
                header,
                trigger,
                message_id,
                warnings,
                is_kept,
                trace_id,
                at,
            };
        }
        let handled = self.gateway.handle(inbound.message, arrival.bytes.to_vec(), arrival.mode).await;
        let outcome = self.see_through(handled, arrival.channel).await;
        let is_kept = is_kept(&outcome);
        Received { outcome, profile, header, trigger, message_id, warnings, is_kept, trace_id, at }
    }

    /// An acknowledgement never waits for an outside payer: the message is durable, its bill is told when it is
    /// there. Who asked by other channels is answered with the bill.
    async fn see_through(&self, handled: Handled, channel: Channel) -> Outcome {
        if channel != Channel::Mllp {
            return self.gateway.see_through(handled).await;
        }
        if let Some(pursuit) = handled.pursuit {
            let gateway = self.gateway.clone();
            tokio::spawn(async move { gateway.pursue_unheard(pursuit).await });
        }
        handled.outcome
    }

    /// Nothing is stored of a refused message but the message itself and its answer, sealed.
    async fn reject(&self, rejected: Rejected, bytes: &[u8], at: Timestamp, trace_id: String) -> Received {
        let Rejected { refusals, profile, sender, message_id, digest, header } = rejected;
        let outcome = Outcome::from(refusals);
        let unread = Unread {
            sender,
            message_id: message_id.clone().unwrap_or_default(),
            digest,
            raw: bytes.to_vec(),
        };
        let kept = self.gateway.keep_refused(at, unread, &outcome).await;
        if let Err(error) = &kept {
            telemetry::refused_message_not_kept(&trace_id, error);
        }
        let (trigger, warnings, is_kept) = (None, Vec::new(), kept.is_ok());
        Received { outcome, profile, header, trigger, message_id, warnings, is_kept, trace_id, at }
    }

    /// What is refused before it is a message: answered, and kept as far as it was taken in.
    pub async fn refuse(&self, channel: Channel, bytes: &[u8], refusal: Refusal) -> Received {
        let runtime = self.gateway.runtime();
        let (at, trace_id) = (runtime.now(), runtime.next_id().to_string());
        let (header, profile) = self.profiles.of_header(bytes, None);
        let rejected = Rejected {
            refusals: vec![refusal],
            profile: profile.cloned(),
            sender: format!("{}|{}", header.sending_application(), header.sending_facility()),
            message_id: Some(header.control_id()),
            digest: Sha256::digest(bytes).into(),
            header: header.is_known().then_some(header),
        };
        let received = self.reject(rejected, bytes, at, trace_id).await;
        self.tell(&received, channel);
        received
    }

    /// What is odd in an envelope around messages.
    pub fn tell_warnings(&self, channel: Channel, warnings: &[Warning]) {
        let trace_id = self.gateway.runtime().next_id().to_string();
        for warning in warnings {
            telemetry::accepted_with_warning(channel, &trace_id, warning.word, &warning.place);
        }
    }

    fn tell(&self, received: &Received, channel: Channel) {
        let now = self.gateway.runtime().now();
        let took = Duration::try_from(now.duration_since(received.at)).unwrap_or_default();
        let hospital = received.profile.as_ref().map_or("-", |profile| profile.code());
        let ended = match &received.outcome {
            Outcome::Bill(bill) => bill.state.word(),
            Outcome::Noted(_) => "noted",
            Outcome::Refused(refused) => {
                for refusal in &refused.refusals {
                    let place = refusal.place.as_deref();
                    telemetry::refused(channel, &received.trace_id, refusal.code.slug(), place);
                }
                "refused"
            }
        };
        for warning in &received.warnings {
            telemetry::accepted_with_warning(channel, &received.trace_id, warning.word, &warning.place);
        }
        telemetry::message_answered(channel, &received.trace_id, hospital, ended, took);
    }
}

/// Whether the store took what was answered: a refusal is kept as well, unless it is the store's own.
fn is_kept(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Bill(_) | Outcome::Noted(_) => true,
        Outcome::Refused(refused) => {
            let not_kept =
                |refusal: &Refusal| matches!(refusal.code, Code::StoreUnavailable | Code::Internal);
            !refused.refusals.iter().any(not_kept)
        }
    }
}

/// Whether the message is of another hospital than the one its sender may speak for.
fn names_another(only: Option<&str>, profile: Option<&Profile>) -> bool {
    only.zip(profile).is_some_and(|(only, profile)| only != profile.code())
}

fn names_another_hospital() -> Refusal {
    Refusal::new(
        Code::Forbidden,
        "访问令牌与报文中的医院不一致",
        "the bearer token belongs to another hospital than the message",
    )
}
