//! Hospital messages in; acknowledgements and bills out.

pub mod hl7;
pub mod mllp;
