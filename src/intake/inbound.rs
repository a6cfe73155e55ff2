//! What comes through the door: a message read, or one refused.

use std::sync::Arc;

use jiff::Timestamp;
use yizhan_contract::{Finding, Personal};

use super::complete::Dialect;
use super::hl7::Header;
use super::part::StayPart;
use super::problems::Warning;
use super::profile::Profile;
use crate::refusal::Refusal;

/// How the message came, as far as it says what the message does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Channel<'c> {
    /// The charset parameter of the content type.
    pub charset: Option<&'c str>,
}

/// What a message means to a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// ADT^A01
    Admit,
    /// ADT^A03
    Discharge,
    /// ADT^A08
    Update,
    /// ADT^A11
    CancelAdmit,
    /// ADT^A13
    CancelDischarge,
    /// ADT^A40
    Merge,
    /// DFT^P03, DFT^P11
    Charges,
    /// BAR^P01, BAR^P05
    Account,
    /// BAR^P06
    CloseAccount,
    /// A document that holds the whole stay.
    Complete,
}

/// A message that was read.
#[derive(Debug, Clone)]
pub struct Inbound {
    pub profile: Arc<Profile>,
    /// Together with `message_id` it names the message: MSH-3, MSH-4 and MSH-9, or hospital and format.
    pub sender: String,
    pub message_id: String,
    pub sent_at: Timestamp,
    /// SHA-256 of the content.
    pub digest: [u8; 32],
    pub trigger: Trigger,
    pub dialect: Dialect,
    pub part: StayPart,
    /// The patient number that a merge does away with (MRG-1).
    pub prior_mrn: Option<Personal<String>>,
    pub findings: Vec<Finding>,
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
