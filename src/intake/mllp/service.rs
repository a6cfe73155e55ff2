//! The listener's handler: every message of a frame through the reception, its answers back.

use super::listener::{Answers, BoxFuture, Handle, Peer};
use crate::intake::format::Format;
use crate::intake::hl7::batch;
use crate::intake::reception::{Arrival, Received, Reception};
use crate::intake::{door, hl7_answer, hl7_map};
use crate::refusal::Refusal;
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
        let batch = match batch::split(&content) {
            Ok(batch) => batch,
            Err(error) => return self.refuse(&content, hl7_map::refusal(&error)).await,
        };
        let warnings = hl7_map::warnings(&batch.warnings);
        self.reception.tell_warnings(Channel::Mllp, &warnings);
        let mut answers = Answers { stored: true, messages: Vec::new() };
        for bytes in &batch.messages {
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
            answers.messages.extend(self.messages(&received));
        }
        if batch.is_answered_as_one() && !answers.messages.is_empty() {
            let at = self.reception.gateway().runtime().now();
            let one = hl7_answer::batch(&batch, &self.next_id(), at, &warnings, &answers.messages);
            answers.messages = vec![one];
        }
        answers
    }

    /// A frame whose content is refused before anybody looks at a message of it.
    async fn refuse(self, content: &[u8], refusal: Refusal) -> Answers {
        let received = self.reception.refuse(Channel::Mllp, content, refusal).await;
        Answers { stored: received.is_kept, messages: self.messages(&received) }
    }

    fn messages(&self, received: &Received) -> Vec<Vec<u8>> {
        hl7_answer::answers(received, || self.next_id())
    }

    fn next_id(&self) -> String {
        hl7_answer::control_id(self.reception.gateway().runtime().next_id())
    }

    /// Of a frame longer than is taken only the head is there, so it is not stored.
    async fn refuse_too_long(self, head: Vec<u8>, bytes_max: usize) -> Answers {
        let answers = self.refuse(&head, door::too_large(bytes_max)).await;
        Answers { stored: false, ..answers }
    }
}

impl Handle for Service {
    fn handle(&self, content: Vec<u8>, _peer: Peer) -> BoxFuture<Answers> {
        Box::pin(self.clone().answer(content))
    }

    fn too_long(&self, head: Vec<u8>, bytes_max: usize, _peer: Peer) -> BoxFuture<Answers> {
        Box::pin(self.clone().refuse_too_long(head, bytes_max))
    }
}
