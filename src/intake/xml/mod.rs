//! XML in: our own discharge document, HL7 in XML, and any other through the paths of a profile.
//!
//! [`tree`] reads any document once, cheaply, and refuses what could hurt; [`discharge`] and [`map`] give its text the
//! names of the normal form, [`hl7`] writes it as the message it is. Strict types decide what is accepted;
//! `schemas/discharge.xsd` is for those who write documents, and names the same places.

pub mod discharge;
pub mod hl7;
pub mod map;
pub mod tree;

/// The schema of the discharge document, as shipped.
pub const DISCHARGE_XSD: &str = include_str!("../../../schemas/discharge.xsd");
