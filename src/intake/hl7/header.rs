//! The header segment MSH on its own: enough of a message to answer it, whatever else is wrong with it.

use std::borrow::Cow;
use std::fmt;

use super::charset::{Charset, Named};
use super::delimiters::Delimiters;
use super::element::Element;
use super::escape::Syntax;
use super::message::{Limits, Message, decoded_header, delimiters_of};
use super::place::SegmentId;

/// Versions that are read (HL7 table 0104), oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V21,
    V22,
    V23,
    V231,
    V24,
    V25,
    V251,
    V26,
    V27,
    V271,
    V28,
    V281,
    V282,
}

impl Version {
    pub fn read(text: &str) -> Option<Self> {
        Some(match text {
            "2.1" => Self::V21,
            "2.2" => Self::V22,
            "2.3" => Self::V23,
            "2.3.1" => Self::V231,
            "2.4" => Self::V24,
            "2.5" => Self::V25,
            "2.5.1" => Self::V251,
            "2.6" => Self::V26,
            "2.7" => Self::V27,
            "2.7.1" => Self::V271,
            "2.8" => Self::V28,
            "2.8.1" => Self::V281,
            "2.8.2" => Self::V282,
            _ => return None,
        })
    }
}

/// Longest header that is looked at when a message could not be read.
const HEADER_BYTES_MAX: usize = 4096;

/// MSH of a message, copied out of it. Fields read by number as in the message.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    line: Option<Message<'static>>,
    charset: Charset,
}

impl Header {
    pub fn of(message: &Message<'_>) -> Self {
        let line = message.segment(0).map(|header| header.raw()).unwrap_or_default();
        Self::read(line.to_owned(), *message.delimiters(), message.charset())
    }

    /// What can be made out of bytes that are no message. Never fails: at worst nothing is known.
    /// Bytes that are not in the character set are replaced.
    pub fn salvage(bytes: &[u8], default: Charset) -> Self {
        let unknown = Self { line: None, charset: default };
        let Some(at) = begin_of_header(bytes) else { return unknown };
        let line = &bytes[at..];
        let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let line = &line[..end.unwrap_or(line.len()).min(HEADER_BYTES_MAX)];
        let Ok((delimiters, _)) = delimiters_of(line) else { return unknown };
        let plain = Self::read(decoded_header(line, &delimiters, default).into_owned(), delimiters, default);
        match Charset::named(&plain.field_text(18)) {
            Named::Charset(charset) if charset != default => {
                Self::read(charset.decode_lossily(line).into_owned(), delimiters, charset)
            }
            _ => plain,
        }
    }

    /// BHS or FHS, whose fields up to the date are MSH's. Neither says a character set.
    pub fn of_batch(line: &[u8]) -> Self {
        let charset = Charset::Utf8;
        let line = &line[..line.len().min(HEADER_BYTES_MAX)];
        let read = delimiters_of(line).map(|(delimiters, _)| {
            let fields = charset.decode_lossily(line.get(3..).unwrap_or_default());
            Self::read(format!("{}{fields}", SegmentId::MSH), delimiters, charset)
        });
        read.unwrap_or(Self { line: None, charset })
    }

    fn read(line: String, delimiters: Delimiters, charset: Charset) -> Self {
        let syntax = Syntax { delimiters, charset };
        let limits = Limits { segments_max: 1, ..Limits::default() };
        let line = Message::from_text(Cow::Owned(line), syntax, &limits, Vec::new()).ok();
        Self { line, charset }
    }

    /// Whether anything is known of who sent the message.
    pub fn is_known(&self) -> bool {
        self.line.is_some()
    }

    pub fn field(&self, n: u16) -> Option<Element<'_>> {
        let segment = self.line.as_ref()?.segment(0)?;
        Some(segment.field(n))
    }

    /// First component of the first repetition of a field, escapes resolved; empty if absent.
    fn field_text(&self, n: u16) -> String {
        self.field(n).and_then(|field| field.component(1).filled()).unwrap_or_default().into_owned()
    }

    pub fn delimiters(&self) -> Delimiters {
        self.line.as_ref().map_or(Delimiters::STANDARD, |line| *line.delimiters())
    }

    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// MSH-3.1.
    pub fn sending_application(&self) -> String {
        self.field_text(3)
    }

    /// MSH-4.1.
    pub fn sending_facility(&self) -> String {
        self.field_text(4)
    }

    /// MSH-9.1.
    pub fn message_code(&self) -> String {
        self.field_text(9)
    }

    /// MSH-9.2.
    pub fn trigger_event(&self) -> String {
        self.field(9).and_then(|field| field.component(2).filled()).unwrap_or_default().into_owned()
    }

    /// MSH-10. Unique only together with MSH-3 and MSH-4.
    pub fn control_id(&self) -> String {
        self.field_text(10)
    }

    /// MSH-12.1.
    pub fn version(&self) -> Option<Version> {
        Version::read(&self.field_text(12))
    }

    /// Whether the message is itself an answer, which must never be answered: two gateways would
    /// talk for ever.
    pub fn is_answer(&self) -> bool {
        matches!(self.message_code().as_str(), "ACK" | "MCF" | "NAK")
    }
}

/// Shows the header's kind and id, which name no patient.
impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}^{} {:?}", self.message_code(), self.trigger_event(), self.control_id())
    }
}

/// The first `MSH` that separators can follow, with whatever noise before it.
fn begin_of_header(bytes: &[u8]) -> Option<usize> {
    let searched = &bytes[..bytes.len().min(HEADER_BYTES_MAX)];
    let at = memchr::memmem::find(searched, SegmentId::MSH.as_str().as_bytes())?;
    (bytes.len() > at + 3 && !bytes[at + 3].is_ascii_alphanumeric()).then_some(at)
}
