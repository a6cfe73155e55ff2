//! HL7 v2 as a language: bytes to segments and fields, and back. Knows nothing of settlements.
//!
//! Reading order: [`place`] (where something stands), [`delimiters`] and [`charset`] (how a message is
//! written), [`message`] and [`element`] (reading it), [`structure`] (what every message must hold),
//! [`batch`], [`write`] (writing one), [`ack`] and [`e10`] (the two answers).
//!
//! One message goes `bytes → Message::parse → structure::check`, and whatever happens
//! [`Header::salvage`] finds enough of it to answer.

pub mod ack;
pub mod batch;
pub mod charset;
pub mod delimiters;
pub mod e10;
pub mod element;
pub mod error;
pub mod escape;
pub mod header;
mod index;
pub mod message;
pub mod place;
pub mod structure;
pub mod time;
pub mod write;

pub use charset::Charset;
pub use delimiters::Delimiters;
pub use element::{Element, Segment, Value};
pub use error::{ErrCode, Fault, SyntaxError, Warning, WarningKind};
pub use header::{Header, Version};
pub use index::LineEnd;
pub use message::{Limits, Message, Reading};
pub use place::{Place, SegmentId};
pub use structure::Trigger;
pub use write::Builder;
