//! What is asked of a stay: by a message, at the desk, by the clock.

use std::sync::Arc;

use jiff::Timestamp;
use yizhan_contract::Money;

use super::message::{Message, Mode, Trigger};
use super::part::StayPart;

/// What is asked of a stay.
#[derive(Debug, Clone)]
pub enum Asked {
    Message {
        message: Arc<Message>,
        mode: Mode,
    },
    Commit {
        expected_patient_share: Money,
    },
    Reverse {
        reason: String,
        operator: String,
    },
    /// No charge has come for as long as the profile asks, as of `now`.
    ChargesQuiet {
        mode: Mode,
        now: Timestamp,
    },
}

impl Asked {
    /// Messages that say all there is to price need no look at the stay before.
    pub(super) fn is_self_contained(&self) -> bool {
        match self {
            Self::Message { message, .. } => {
                matches!(message.trigger, Trigger::Complete | Trigger::Admit | Trigger::CancelAdmit)
            }
            Self::Commit { .. } | Self::Reverse { .. } | Self::ChargesQuiet { .. } => false,
        }
    }

    /// A whole document, sent to be settled and not to be quoted.
    pub(super) fn is_to_settle(&self) -> bool {
        match self {
            Self::Message { message, mode } => message.trigger == Trigger::Complete && *mode == Mode::Settle,
            Self::Commit { .. } | Self::Reverse { .. } | Self::ChargesQuiet { .. } => false,
        }
    }

    pub(super) fn may_price(&self) -> bool {
        match self {
            Self::Message { message, .. } => {
                !matches!(message.trigger, Trigger::CancelAdmit | Trigger::CancelDischarge)
            }
            Self::Commit { .. } | Self::ChargesQuiet { .. } => true,
            Self::Reverse { .. } => false,
        }
    }

    pub(super) fn part(&self) -> Option<&StayPart> {
        match self {
            Self::Message { message, .. } => Some(&message.part),
            Self::Commit { .. } | Self::Reverse { .. } | Self::ChargesQuiet { .. } => None,
        }
    }
}
