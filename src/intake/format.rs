//! What a message is written in, and how many of them a file or frame holds.

use std::borrow::Cow;

use super::mllp::frames::{Event, Frames, Release, VT};
use super::problems::Warning;
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

/// The messages of a file or request, in order.
pub struct Split<'b> {
    pub messages: Vec<Cow<'b, [u8]>>,
    /// What is odd in the envelope around them.
    pub warnings: Vec<Warning>,
}

impl<'b> Split<'b> {
    fn whole(bytes: &'b [u8]) -> Self {
        Self { messages: vec![Cow::Borrowed(bytes)], warnings: Vec::new() }
    }
}

/// The messages of a file or request: an HL7 batch holds many, and so may a file of MLLP frames.
///
/// # Errors
/// An envelope without any message, or more messages than are accepted.
pub fn split(bytes: &[u8], format: Format) -> Result<Split<'_>, Refusal> {
    if format != Format::Hl7 {
        return Ok(Split::whole(bytes));
    }
    if !bytes.contains(&VT) {
        return batch(bytes);
    }
    let mut frames = Frames::new(bytes.len(), Release::One);
    frames.push(bytes);
    frames.finish();
    let mut all = Split { messages: Vec::new(), warnings: Vec::new() };
    while let Some(event) = frames.next_event() {
        match event {
            Event::Frame(content) => {
                let Split { messages, warnings } = batch(&content)?;
                all.messages.extend(messages.into_iter().map(|message| Cow::Owned(message.into_owned())));
                all.warnings.extend(warnings);
            }
            // Kept with its mark, so that reading it tells what is wrong with it.
            Event::Truncated { content } => all.messages.push([&[VT][..], &content].concat().into()),
            Event::Noise { .. } | Event::Commit(_) | Event::TooLong { .. } => {}
        }
    }
    if all.messages.is_empty() { Ok(Split::whole(bytes)) } else { Ok(all) }
}

/// The message of a channel that answers each request once; an envelope around a single message is opened, and what is
/// odd in it comes along.
///
/// # Errors
/// Several messages in one request, and as [`split`].
pub fn only_message(bytes: &[u8], format: Format) -> Result<(Cow<'_, [u8]>, Vec<Warning>), Refusal> {
    let Split { mut messages, warnings } = split(bytes, format)?;
    match messages.pop() {
        Some(message) if messages.is_empty() => Ok((message, warnings)),
        _ => Err(several_messages(messages.len() + 1)),
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

fn batch(bytes: &[u8]) -> Result<Split<'_>, Refusal> {
    let batch = hl7::batch::split(bytes).map_err(|error| hl7_map::refusal(&error))?;
    let messages = batch.messages.into_iter().map(Cow::Borrowed).collect();
    Ok(Split { messages, warnings: hl7_map::warnings(&batch.warnings) })
}

/// What is left of an MLLP frame without its end; whole frames have been opened by whoever divided them.
pub(super) fn is_cut_off(bytes: &[u8]) -> bool {
    bytes.first() == Some(&VT)
}
