//! Hospital messages in; acknowledgements and bills out.
//!
//! [`door::read`] is the one door: bytes of any format become an [`Inbound`] part of a stay, or
//! are [`Rejected`] with every problem at its place.
//!
//! Reading order: [`names`] (the normal form's), [`raw`] (text and places), the formats
//! ([`json`], [`xml`], [`hl7`] with [`hl7_map`]), [`read`] (types), [`part`] and [`complete`] (messages
//! adding up to a stay), [`meaning`] (whether two stays are the same), [`profile`] (what differs
//! between hospitals), [`mllp`] (the wire).

pub mod complete;
pub mod door;
pub mod format;
pub mod hl7;
pub mod hl7_map;
pub mod inbound;
pub mod json;
pub mod limits;
pub mod meaning;
pub mod mllp;
pub mod names;
pub mod part;
pub mod problems;
pub mod profile;
pub mod raw;
pub mod read;
pub mod when;
pub mod xml;

pub use complete::{Completed, Dialect};
pub use format::{Format, split};
pub use inbound::{Channel, Inbound, Rejected, Trigger};
pub use meaning::{differing_lines, meaning};
pub use part::{Patch, Payment, StayPart};
pub use problems::Warning;
pub use profile::{Profile, Profiles};
