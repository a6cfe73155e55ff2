//! The limits of what comes in, each with its unit in its name.

/// Bytes of one message of any format, unless the configuration says otherwise; more is refused before it is read.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most that the configuration may say: a message is held whole while it comes in.
pub const MESSAGE_BYTES_CEILING: usize = 8 * 1024 * 1024;
pub use crate::settlement::part::LINES_MAX;
/// Diagnoses of one stay.
pub const DIAGNOSES_MAX: usize = 100;
/// Payers that settled elsewhere: one each, and policies name no more.
pub const SETTLED_ELSEWHERE_MAX: usize = 32;
/// Problems reported of one message; the first are the ones a person can act on.
pub const PROBLEMS_MAX: usize = 20;
/// Warnings kept of one message.
pub const WARNINGS_MAX: usize = 20;

/// Depth of nested XML elements; a WS/T 846 message in a SOAP envelope needs about 25.
pub const XML_DEPTH_MAX: usize = 64;
/// Attributes on one XML element.
pub const XML_ATTRIBUTES_MAX: usize = 64;
/// XML elements in one document: every field of the largest stay, and room for an envelope.
pub const XML_ELEMENTS_MAX: usize = 250_000;

/// Members of one JSON object; ours have at most 15.
pub const JSON_MEMBERS_MAX: usize = 100;

/// Characters of a message's id (MSH-10 of HL7 v2.7 ch. 2.14.9.10; 20 before).
pub const MESSAGE_ID_CHARS_MAX: usize = 199;
/// Characters of other identifiers: visit number, line id, codes.
pub const CODE_CHARS_MAX: usize = 64;
/// Characters of a person's name, a department, a reference.
pub const NAME_CHARS_MAX: usize = 100;
/// Characters of the text beside an item or diagnosis code.
pub const TEXT_CHARS_MAX: usize = 500;

/// How far ahead of our clock a date may lie: clocks of hospitals drift, and some send tomorrow.
pub const AHEAD_HOURS_MAX: i64 = 24;
