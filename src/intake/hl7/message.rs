//! A message: bytes, decoded once and divided into segments and fields.

use std::borrow::Cow;
use std::fmt;

use super::super::limits::MESSAGE_BYTES_MAX;
use super::charset::{Charset, Named};
use super::delimiters::Delimiters;
use super::element::{Element, Segment};
use super::error::{Fault, Quoted, SyntaxError, Warning, WarningKind};
use super::escape::Syntax;
use super::index::{Index, LineEnd, one_line_end, with_line_ends};
use super::place::{Place, SegmentId};

/// Most segments in one message.
pub const SEGMENTS_MAX: usize = 20_000;
/// Most fields in one segment; the longest of the standard has 75.
pub const FIELDS_MAX: usize = 1_000;
/// Most warnings kept of one message.
pub const WARNINGS_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub message_bytes_max: usize,
    pub segments_max: usize,
    pub fields_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes_max: MESSAGE_BYTES_MAX, segments_max: SEGMENTS_MAX, fields_max: FIELDS_MAX }
    }
}

/// What reading a message needs from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Where MSH-18 is empty.
    pub charset: Charset,
    pub limits: Limits,
}

impl Default for Reading {
    fn default() -> Self {
        Self { charset: Charset::Utf8, limits: Limits::default() }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A message as it was sent. Borrows the bytes where they are UTF-8 or ASCII.
#[derive(Clone, PartialEq, Eq)]
pub struct Message<'b> {
    text: Cow<'b, str>,
    /// A byte order mark stood before the text.
    marked: bool,
    /// Where LF ended a segment among others that CR ended; the text has CR there.
    lf_ends: Vec<u32>,
    syntax: Syntax,
    index: Index,
    warnings: Vec<Warning>,
}

impl<'b> Message<'b> {
    /// Reads one message, without the bytes that framed it.
    ///
    /// # Errors
    /// Too long, no MSH in front, delimiters that cannot separate, bytes that are not in the character
    /// set, too many segments or fields.
    pub fn parse(bytes: &'b [u8], reading: &Reading) -> Result<Self, SyntaxError> {
        let bytes_max = reading.limits.message_bytes_max.min(u32::MAX as usize);
        if bytes.len() > bytes_max {
            let fault = Fault::MessageTooLong { bytes: bytes.len(), bytes_max };
            return Err(SyntaxError::new(Place::MESSAGE, fault));
        }
        let mut warnings = Vec::new();
        let unmarked = bytes.strip_prefix(BYTE_ORDER_MARK);
        if unmarked.is_some() {
            warnings.push(Warning { place: Place::MESSAGE, kind: WarningKind::ByteOrderMark });
        }
        let content = unmarked.unwrap_or(bytes);
        let (delimiters, odd) = delimiters_of(header_line(content)?)?;
        warnings.extend(odd.map(|kind| Warning { place: Place::header(2), kind }));
        let charset = charset_of(content, &delimiters, reading.charset, &mut warnings)?;
        let text = charset.decode(content).map_err(|offset| {
            let offset = offset + bytes.len() - content.len();
            SyntaxError::new(Place::header(18), Fault::NotInCharset { charset: charset.name(), offset })
        })?;
        let (text, lf_ends) = match one_line_end(&text, delimiters.field) {
            Some((unified, lf_ends)) => {
                warnings.push(Warning { place: Place::MESSAGE, kind: WarningKind::MixedSeparators });
                (Cow::Owned(unified), lf_ends)
            }
            None => (text, Vec::new()),
        };
        let mut message = Self::from_text(text, Syntax { delimiters, charset }, &reading.limits, warnings)?;
        message.marked = unmarked.is_some();
        message.lf_ends = lf_ends;
        Ok(message)
    }

    /// What can be made out of an answer that came from elsewhere: bytes that its character set does not hold are
    /// replaced, and a set nobody knows is read in `default`.
    ///
    /// # Errors
    /// As [`Message::parse`], save for its character set.
    pub fn parse_lossily(bytes: &'b [u8], default: Charset) -> Result<Self, SyntaxError> {
        let content = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let (delimiters, _) = delimiters_of(header_line(content)?)?;
        let charset = charset_of(content, &delimiters, default, &mut Vec::new()).unwrap_or(default);
        let text = charset.decode_lossily(content);
        Self::from_text(text, Syntax { delimiters, charset }, &Limits::default(), Vec::new())
    }

    /// Divides text that is already decoded and whose delimiters are known.
    pub(in crate::intake) fn from_text(
        text: Cow<'b, str>,
        syntax: Syntax,
        limits: &Limits,
        mut warnings: Vec<Warning>,
    ) -> Result<Self, SyntaxError> {
        let (index, found) = Index::of(&text, syntax.delimiters.field, limits)?;
        warnings.extend(found);
        warnings.truncate(WARNINGS_MAX);
        Ok(Self { text, marked: false, lf_ends: Vec::new(), syntax, index, warnings })
    }

    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        (0..self.index.len()).filter_map(move |n| self.segment(n))
    }

    /// The segments of one name, in order.
    pub fn named<'m>(&'m self, name: &str) -> impl Iterator<Item = Segment<'m>> + use<'m, 'b> {
        let id = SegmentId::read(name.as_bytes());
        let found = self.index.spans().iter().enumerate();
        found.filter(move |(_, span)| Some(span.id) == id).filter_map(move |(n, _)| self.segment(n))
    }

    pub fn first(&self, name: &str) -> Option<Segment<'_>> {
        self.named(name).next()
    }

    /// Segment number `n` of the message, from 0.
    pub fn segment(&self, n: usize) -> Option<Segment<'_>> {
        let (span, starts) = self.index.get(n)?;
        Some(Segment {
            raw: self.text.get(span.start as usize..span.end as usize)?,
            starts,
            text: &self.text,
            end: span.end,
            syntax: &self.syntax,
            place: Place::segment(span.id, span.sequence),
        })
    }

    /// What stands at a place: of a field its first repetition and component, of a component the whole. `None` where there
    /// is no such segment.
    pub fn at(&self, place: Place) -> Option<Element<'_>> {
        let mut alike = self.named(place.segment.as_str());
        let segment = alike.find(|segment| segment.sequence() == place.sequence)?;
        let repetition = segment.field(place.field).repetition(place.repetition.max(1));
        let component = repetition.component(place.component.max(1));
        Some(if place.subcomponent == 0 { component } else { component.subcomponent(place.subcomponent) })
    }

    pub fn delimiters(&self) -> &Delimiters {
        &self.syntax.delimiters
    }

    /// The character set the message was read in.
    pub fn charset(&self) -> Charset {
        self.syntax.charset
    }

    /// What the sender should mend.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The whole text, delimiters and line ends as they were sent; of mixed line ends, CR for LF.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn line_end(&self) -> LineEnd {
        self.index.line_end()
    }

    /// The bytes this message was read from. Where a character set has two spellings of one
    /// character (GBK does for few), the usual one is written.
    pub fn print(&self) -> Vec<u8> {
        let mut bytes = if self.marked { BYTE_ORDER_MARK.to_vec() } else { Vec::new() };
        let text = match self.lf_ends.as_slice() {
            [] => Cow::Borrowed(&*self.text),
            lf_ends => Cow::Owned(with_line_ends(&self.text, lf_ends, "\n")),
        };
        bytes.extend(self.syntax.charset.encode(&text));
        bytes
    }

    pub fn into_owned(self) -> Message<'static> {
        Message { text: Cow::Owned(self.text.into_owned()), ..self }
    }
}

/// Shows the kinds of segments, not what they say.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.segments()).finish()
    }
}

/// The line that begins with MSH, from there to the end of the message. Blank lines may stand before it.
fn header_line(content: &[u8]) -> Result<&[u8], SyntaxError> {
    let line = content.trim_ascii_start();
    if line.len() > 3 && line.starts_with(b"MSH") {
        return Ok(line);
    }
    Err(SyntaxError::new(Place::MESSAGE, Fault::NoHeader))
}

pub(super) fn delimiters_of(line: &[u8]) -> Result<(Delimiters, Option<WarningKind>), SyntaxError> {
    // A line that ends behind its name: what follows it in the message is no delimiter.
    let Some((&field, rest)) = line.get(3..).and_then(<[u8]>::split_first) else {
        return Err(SyntaxError::new(Place::MESSAGE, Fault::NoHeader));
    };
    let end = rest.iter().position(|byte| *byte == field || matches!(byte, b'\r' | b'\n'));
    Delimiters::read(field, &rest[..end.unwrap_or(rest.len())])
}

/// The header as text, before its character set is known. Names in Chinese in front of MSH-18 may hold
/// a separator as their second byte, so each set is tried that could show what it is itself called.
pub(super) fn decoded_header<'h>(line: &'h [u8], delimiters: &Delimiters, default: Charset) -> Cow<'h, str> {
    if line.is_ascii() {
        return String::from_utf8_lossy(line);
    }
    let names_itself = |text: &Cow<'_, str>| {
        let stated = text.split(char::from(delimiters.field)).nth(17).unwrap_or_default();
        matches!(Charset::named(stated), Named::Charset(charset) if charset.decode(line).is_ok())
    };
    let candidates = [default, Charset::GB18030, Charset::BIG5].into_iter();
    let mut decoded = candidates.filter_map(|charset| charset.decode(line).ok());
    decoded.find(names_itself).unwrap_or_else(|| default.decode_lossily(line))
}

/// The header read byte by byte, to know the character set before anything is decoded.
fn charset_of(
    content: &[u8],
    delimiters: &Delimiters,
    default: Charset,
    warnings: &mut Vec<Warning>,
) -> Result<Charset, SyntaxError> {
    let line = content.trim_ascii_start();
    let line = line.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let text = decoded_header(line, delimiters, default);
    let mut fields = text.split(char::from(delimiters.field));
    let first_repetition = |field: &str| {
        let repetition = delimiters.repetition.and_then(|r| field.split(char::from(r)).next());
        let component = repetition.unwrap_or(field);
        let component =
            delimiters.component.and_then(|c| component.split(char::from(c)).next()).unwrap_or(component);
        component.trim().to_owned()
    };
    let country = fields.nth(16).map(first_repetition).unwrap_or_default();
    let stated = fields.next().map(first_repetition).unwrap_or_default();
    if stated.is_empty() || stated == "\"\"" {
        // Old feeds put it one field too early.
        if let Named::Charset(charset) = Charset::named(&country) {
            warnings.push(Warning { place: Place::header(17), kind: WarningKind::CharsetInCountry });
            return Ok(charset);
        }
        return Ok(default);
    }
    let place = Place::header(18);
    match Charset::named(&stated) {
        Named::Charset(charset) => Ok(charset),
        Named::Unframable => {
            Err(SyntaxError::new(place, Fault::UnframableCharset { name: Quoted::new(&stated) }))
        }
        // ESC may switch to another set, so only plain ASCII can be read without knowing.
        Named::Unknown if content.is_ascii() && !content.contains(&0x1B) => {
            warnings.push(Warning { place, kind: WarningKind::UnknownCharset });
            Ok(Charset::Ascii)
        }
        Named::Unknown => Err(SyntaxError::new(place, Fault::UnknownCharset { name: Quoted::new(&stated) })),
    }
}
