//! The listener's handler: every message of a frame through the reception, its answers back.

use super::listener::{Answers, BoxFuture, Handle, Peer};
use crate::intake::format::{Format, split};
use crate::intake::hl7_answer;
use crate::intake::reception::{Arrival, Reception};
use crate::telemetry::Channel;

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
            answers.stored &= received.is_kept;
            let runtime = self.reception.gateway().runtime();
            answers
                .messages
                .extend(hl7_answer::answers(&received, || hl7_answer::control_id(runtime.next_id())));
        }
        answers
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
