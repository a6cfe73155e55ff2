//! What a message is written in, and how many of them a file or frame holds.

use super::{hl7, hl7_map};
use crate::refusal::{Code, Refusal};

/// What a message is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Hl7,
    /// Our discharge document, HL7 v2.xml, or a hospital's own XML through its profile's paths.
    Xml,
    Json,
}

impl Format {
    /// By the first bytes, for files; `None` for what is none of them.
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        let utf_16 = utf_16_beginning(bytes);
        let bytes = utf_16.as_deref().unwrap_or(bytes);
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii_start();
        match bytes.first()? {
            b'{' => Some(Self::Json),
            b'<' => Some(Self::Xml),
            &VT => Some(Self::Hl7),
            _ => matches!(bytes.get(..3)?, b"MSH" | b"FHS" | b"BHS").then_some(Self::Hl7),
        }
    }
}

/// The first characters of a text in UTF-16, by its byte order mark or by the zero beside its first
/// character, which ASCII is in every format. Only XML is read in it; the others are refused by this name.
pub(super) fn utf_16_beginning(bytes: &[u8]) -> Option<Vec<u8>> {
    const BYTES_LOOKED_AT: usize = 32;
    let (low, pairs) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (0, rest),
        [0xFE, 0xFF, rest @ ..] => (1, rest),
        [b'\t'..=b'~', 0, ..] => (0, bytes),
        [0, b'\t'..=b'~', ..] => (1, bytes),
        _ => return None,
    };
    Some(pairs[..pairs.len().min(BYTES_LOOKED_AT)].chunks_exact(2).map(|pair| pair[low]).collect())
}

/// A byte order mark in UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// MLLP: begin and end of a frame.
const VT: u8 = 0x0B;
const FS: u8 = 0x1C;

/// The messages of a file or frame: an HL7 batch holds many, and so may a file of MLLP frames.
pub fn split(bytes: &[u8], format: Format) -> Result<Vec<&[u8]>, Refusal> {
    if format != Format::Hl7 {
        return Ok(vec![bytes]);
    }
    let mut messages = Vec::new();
    let mut rest = bytes;
    while let Some(start) = rest.iter().position(|byte| *byte == VT) {
        let end =
            rest[start + 1..].iter().position(|byte| *byte == VT).map_or(rest.len(), |at| start + 1 + at);
        let frame = &rest[start..end];
        match unframed(frame) {
            Ok(content) => messages.extend(batch(content)?),
            // Kept with its mark, so that reading it tells what is wrong with it.
            Err(_) => messages.push(frame),
        }
        rest = &rest[end..];
    }
    if messages.is_empty() {
        messages = batch(rest)?;
    }
    Ok(messages)
}

/// The message of a channel that answers each request once; an envelope around a single message is opened.
pub fn only_message(bytes: &[u8], format: Format) -> Result<&[u8], Refusal> {
    match split(bytes, format)?.as_slice() {
        [message] => Ok(message),
        messages => Err(several_messages(messages.len())),
    }
}

/// One answer has one status and one word on money: a batch that is done by half has neither.
fn several_messages(count: usize) -> Refusal {
    Refusal::new(
        Code::SeveralMessages,
        format!("请求中有 {count} 条报文，均未处理"),
        format!("the request holds {count} messages; none was processed"),
    )
    .at("MSH[2]")
}

fn batch(bytes: &[u8]) -> Result<Vec<&[u8]>, Refusal> {
    hl7::batch::split(bytes).map(|batch| batch.messages).map_err(|error| hl7_map::refusal(&error))
}

/// The content of an MLLP frame, or bytes that were never in one.
pub(super) fn unframed(bytes: &[u8]) -> Result<&[u8], Refusal> {
    let Some(content) = bytes.strip_prefix(&[VT]) else { return Ok(bytes) };
    match content.iter().rposition(|byte| *byte == FS) {
        Some(end) => Ok(&content[..end]),
        None => {
            let en = "the MLLP frame was cut off: it has no end block";
            Err(Refusal::new(Code::Malformed, "MLLP 帧不完整，缺少结束符", en))
        }
    }
}
