//! Reading a message: segments, fields and what is inside them, as slices of its text.

use std::borrow::Cow;
use std::fmt;

use super::charset::Charset;
use super::delimiters::Delimiters;
use super::escape::{Syntax, unescape};
use super::place::{Place, SegmentId};

/// What a field, component or subcomponent says (HL7 v2.5 ch. 2.5.3 and 2.10.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Value<'m> {
    /// Nothing is said: keep what was known.
    Absent,
    /// `""`: what was known is deleted.
    Null,
    /// Text as it was sent, escapes unresolved.
    Text(&'m str),
}

impl<'m> Value<'m> {
    pub fn is_absent(self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The text; `None` for what is absent and for null.
    pub fn filled(self) -> Option<&'m str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Null => None,
        }
    }
}

/// Shows how long a text is, not what it says.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Null => f.write_str("Null"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
        }
    }
}

/// How the parts of MSH-1 and MSH-2 are read: they have none.
static UNDIVIDED: Syntax = Syntax { delimiters: Delimiters::NONE, charset: Charset::Ascii };

/// One segment of a message.
#[derive(Clone, Copy)]
pub struct Segment<'m> {
    pub(super) raw: &'m str,
    /// Offsets into `text` at which the fields begin; the first is MSH-2 in a header, else field 1.
    pub(super) starts: &'m [u32],
    pub(super) text: &'m str,
    pub(super) end: u32,
    pub(super) syntax: &'m Syntax,
    pub(super) place: Place,
}

impl<'m> Segment<'m> {
    pub fn id(self) -> SegmentId {
        self.place.segment
    }

    /// `PID`, `FT1`, …
    pub fn name(&self) -> &str {
        self.place.segment.as_str()
    }

    /// The how-manieth segment of this name, from 1.
    pub fn sequence(self) -> u16 {
        self.place.sequence
    }

    pub fn place(self) -> Place {
        self.place
    }

    /// The whole segment as it was sent, without the character that ended it.
    pub fn raw(self) -> &'m str {
        self.raw
    }

    /// The number of the last field that was sent.
    pub fn last_field(self) -> u16 {
        let shift = usize::from(self.is_header());
        u16::try_from(self.starts.len() + shift).unwrap_or(u16::MAX)
    }

    fn is_header(self) -> bool {
        self.place.segment.is_header()
    }

    /// Field `n` with all its repetitions. In a header field 1 is the separator itself (ch. 2.14.9).
    /// A field that was not sent reads as absent.
    #[inline]
    pub fn field(self, n: u16) -> Element<'m> {
        let place = self.place.at_field(n);
        if self.is_header() {
            let undivided = |raw| Element { raw, syntax: &UNDIVIDED, place };
            return match n {
                0 | 1 => undivided(self.raw.get(3..4).unwrap_or_default()),
                2 => undivided(self.sent(0)),
                _ => Element { raw: self.sent(usize::from(n) - 2), syntax: self.syntax, place },
            };
        }
        let raw = usize::from(n).checked_sub(1).map_or("", |index| self.sent(index));
        Element { raw, syntax: self.syntax, place }
    }

    #[inline]
    fn sent(self, index: usize) -> &'m str {
        let Some(&start) = self.starts.get(index) else { return "" };
        let end = self.starts.get(index + 1).map_or(self.end, |next| next - 1);
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// All fields that were sent, from field 1.
    pub fn fields(self) -> impl Iterator<Item = Element<'m>> {
        (1..=self.last_field()).map(move |n| self.field(n))
    }
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", self.place, self.raw.len())
    }
}

/// A field, or a repetition, component or subcomponent of one: its place says which.
///
/// Asking for a smaller part goes through the first of each larger one: `field.component(4)` is
/// component 4 of the first repetition. Numbers count from 1.
#[derive(Clone, Copy)]
pub struct Element<'m> {
    raw: &'m str,
    syntax: &'m Syntax,
    place: Place,
}

impl<'m> Element<'m> {
    pub fn place(self) -> Place {
        self.place
    }

    /// The text as it was sent: undivided, escapes unresolved.
    pub fn raw(self) -> &'m str {
        self.raw
    }

    pub fn value(self) -> Value<'m> {
        match self.raw {
            "" => Value::Absent,
            "\"\"" => Value::Null,
            text => Value::Text(text),
        }
    }

    /// The text with escapes resolved; empty where the value is absent or null.
    pub fn text(self) -> Cow<'m, str> {
        self.filled().unwrap_or_default()
    }

    /// The text with escapes resolved, without blanks around it; `None` where nothing is left, or for null.
    pub fn filled(self) -> Option<Cow<'m, str>> {
        let trimmed = self.value().filled()?.trim();
        (!trimmed.is_empty()).then(|| unescape(trimmed, self.syntax))
    }

    /// The text with escapes resolved, blanks and the two quotes of null included.
    pub fn unescaped(self) -> Cow<'m, str> {
        unescape(self.raw, self.syntax)
    }

    /// Whether nothing but separators was sent.
    pub fn is_blank(self) -> bool {
        let delimiters = &self.syntax.delimiters;
        let separators = [delimiters.component, delimiters.repetition, delimiters.subcomponent];
        self.raw.bytes().all(|byte| separators.contains(&Some(byte)))
    }

    #[inline]
    pub fn repetition(self, r: u16) -> Element<'m> {
        if self.place.repetition > 0 {
            return if r == 1 { self } else { self.absent_at(Place { repetition: r, ..self.place }) };
        }
        let raw = piece(self.raw, self.syntax.delimiters.repetition, r);
        Element { raw, place: Place { repetition: r, ..self.place }, ..self }
    }

    /// Every repetition that was sent; none of an empty field.
    pub fn repetitions(self) -> impl Iterator<Item = Element<'m>> {
        let raw = if self.place.repetition > 0 { "" } else { self.raw };
        let whole = (self.place.repetition > 0 && !self.raw.is_empty()).then_some(self);
        let divided = pieces(raw, self.syntax.delimiters.repetition).map(move |(r, raw)| Element {
            raw,
            place: Place { repetition: r, ..self.place },
            ..self
        });
        whole.into_iter().chain(divided)
    }

    #[inline]
    pub fn component(self, c: u16) -> Element<'m> {
        let whole = if self.place.repetition == 0 { self.repetition(1) } else { self };
        let place = Place { component: c, ..whole.place };
        if whole.place.component > 0 {
            return if c == 1 { whole } else { whole.absent_at(place) };
        }
        Element { raw: piece(whole.raw, self.syntax.delimiters.component, c), place, ..self }
    }

    #[inline]
    pub fn subcomponent(self, s: u16) -> Element<'m> {
        let whole = if self.place.component == 0 { self.component(1) } else { self };
        let raw = piece(whole.raw, self.syntax.delimiters.subcomponent, s);
        Element { raw, place: Place { subcomponent: s, ..whole.place }, ..self }
    }

    /// Every component of the first repetition.
    pub fn components(self) -> impl Iterator<Item = Element<'m>> {
        let repetition = self.repetition(1);
        pieces(repetition.raw, self.syntax.delimiters.component).map(move |(c, raw)| Element {
            raw,
            place: Place { component: c, ..repetition.place },
            ..repetition
        })
    }

    /// Every subcomponent of the first component.
    pub fn subcomponents(self) -> impl Iterator<Item = Element<'m>> {
        let component = self.component(self.place.component.max(1));
        let component = if self.place.component > 0 { self } else { component };
        pieces(component.raw, self.syntax.delimiters.subcomponent).map(move |(s, raw)| Element {
            raw,
            place: Place { subcomponent: s, ..component.place },
            ..component
        })
    }

    fn absent_at(self, place: Place) -> Element<'m> {
        Element { raw: "", place, ..self }
    }
}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.place, self.value())
    }
}

/// Piece `n` of a text; without a delimiter the whole is piece 1. Fields are short, so bytes are
/// looked at one by one.
#[inline]
fn piece(raw: &str, delimiter: Option<u8>, n: u16) -> &str {
    let Some(delimiter) = delimiter else { return if n <= 1 { raw } else { "" } };
    let bytes = raw.as_bytes();
    let (mut start, mut before) = (0, n.saturating_sub(1));
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != delimiter {
            continue;
        }
        if before == 0 {
            return &raw[start..at];
        }
        (start, before) = (at + 1, before - 1);
    }
    if before == 0 { &raw[start..] } else { "" }
}

/// All pieces with their numbers; none of an empty text.
fn pieces(raw: &str, delimiter: Option<u8>) -> Pieces<'_> {
    Pieces { rest: (!raw.is_empty()).then_some(raw), delimiter, number: 0 }
}

struct Pieces<'t> {
    rest: Option<&'t str>,
    delimiter: Option<u8>,
    number: u16,
}

impl<'t> Iterator for Pieces<'t> {
    type Item = (u16, &'t str);

    fn next(&mut self) -> Option<(u16, &'t str)> {
        let text = self.rest?;
        self.number = self.number.checked_add(1)?;
        let end = self.delimiter.and_then(|delimiter| text.bytes().position(|byte| byte == delimiter));
        let (piece, rest) = match end {
            Some(end) => (&text[..end], Some(&text[end + 1..])),
            None => (text, None),
        };
        self.rest = rest;
        Some((self.number, piece))
    }
}
