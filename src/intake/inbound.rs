//! What comes through the door: a message read, or one refused.

use std::sync::Arc;

use super::hl7::{Charset, Header, Limits, Reading};
use super::limits::MESSAGE_BYTES_MAX;
use super::problems::Warning;
use super::profile::Profile;
use crate::refusal::Refusal;
use crate::settlement::message::Message;

/// How the message came, as far as it says what the message does not.
#[derive(Debug, Clone, Copy)]
pub struct Channel<'c> {
    /// The charset parameter of the content type.
    pub charset: Option<&'c str>,
    pub message_bytes_max: usize,
}

impl Default for Channel<'_> {
    fn default() -> Self {
        Self { charset: None, message_bytes_max: MESSAGE_BYTES_MAX }
    }
}

impl Channel<'_> {
    /// How an HL7 message is read that names no character set.
    pub(super) fn reading(&self, charset: Charset) -> Reading {
        let limits = Limits { message_bytes_max: self.message_bytes_max, ..Limits::default() };
        Reading { charset, limits }
    }
}

/// A message that was read.
#[derive(Debug, Clone)]
pub struct Inbound {
    pub message: Message,
    pub profile: Arc<Profile>,
    pub warnings: Vec<Warning>,
    /// To answer an HL7 message.
    pub header: Option<Header>,
}

/// A message that was refused, with what is known to answer and to keep it.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// At least one.
    pub refusals: Vec<Refusal>,
    pub profile: Option<Arc<Profile>>,
    pub sender: String,
    pub message_id: Option<String>,
    pub digest: [u8; 32],
    pub header: Option<Header>,
}
