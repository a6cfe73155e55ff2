//! Hospital messages in; acknowledgements and bills out.
//!
//! [`door::read`] is the one door: bytes of any format become an [`Inbound`] part of a stay, or
//! are [`Rejected`] with every problem at its place.
//!
//! Reading order: [`raw`] (text and places), the formats ([`json`], [`xml`], [`hl7`] with [`hl7_map`]),
//! [`read`] (types), [`profile`] (what differs between hospitals), [`mllp`] (the wire). What they are read
//! into, and how parts add up to a stay, is the settlement side's.

pub mod door;
pub mod format;
pub mod hl7;
pub mod hl7_answer;
pub mod hl7_map;
pub mod inbound;
pub mod json;
pub mod limits;
pub mod mllp;
pub mod problems;
pub mod profile;
pub mod raw;
pub mod read;
pub mod reception;
pub mod shown;
pub mod when;
pub mod xml;

pub use format::{Format, Split, only_message, split};
pub use inbound::{Channel, Inbound, Rejected};
pub use problems::Warning;
pub use profile::{Profile, Profiles};
