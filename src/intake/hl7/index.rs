//! Where the segments and fields of a message begin: one pass, two vectors, nothing per field.

use std::collections::HashMap;

use super::error::{Fault, SyntaxError, Warning, WarningKind};
use super::message::Limits;
use super::place::{Place, SegmentId};

/// How segments end. The standard knows CR only (HL7 v2.5 ch. 2.5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    Cr,
    CrLf,
    Lf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) id: SegmentId,
    pub(super) sequence: u16,
    pub(super) start: u32,
    pub(super) end: u32,
    /// The first of this segment's entries in `Index::starts`.
    first: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    spans: Vec<Span>,
    /// Offsets just behind each field separator.
    starts: Vec<u32>,
    line_end: LineEnd,
}

impl Index {
    pub(super) fn of(
        text: &str,
        separator: u8,
        limits: &Limits,
    ) -> Result<(Self, Vec<Warning>), SyntaxError> {
        let bytes = text.as_bytes();
        let line_end = line_end_of(bytes);
        let mut reader = Reader::new(bytes, separator, limits);
        reader.read(if line_end == LineEnd::Lf { b'\n' } else { b'\r' })?;
        if reader.spans.is_empty() {
            return Err(SyntaxError::new(Place::MESSAGE, Fault::NoHeader));
        }
        let warnings = reader.warnings(line_end);
        Ok((Self { spans: reader.spans, starts: reader.starts, line_end }, warnings))
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub(super) fn line_end(&self) -> LineEnd {
        self.line_end
    }

    pub(super) fn get(&self, n: usize) -> Option<(&Span, &[u32])> {
        let span = self.spans.get(n)?;
        let next = self.spans.get(n + 1).map_or(self.starts.len(), |next| next.first as usize);
        Some((span, self.starts.get(span.first as usize..next)?))
    }
}

/// If any CR is there, only CR ends a segment, and an LF behind it belongs to it. Any other LF is data.
fn line_end_of(bytes: &[u8]) -> LineEnd {
    match memchr::memchr(b'\r', bytes) {
        None => LineEnd::Lf,
        Some(at) if bytes.get(at + 1) == Some(&b'\n') => LineEnd::CrLf,
        Some(_) => LineEnd::Cr,
    }
}

/// Some senders glue parts together that end their lines in two ways. Where CR ends segments an LF is data,
/// unless a segment plainly begins behind it: losing one would lose a charge or a patient. Such an LF is
/// read as CR; with the text come the offsets where LF stood. `None` where there is none.
pub(super) fn one_line_end(text: &str, separator: u8) -> Option<(String, Vec<u32>)> {
    let bytes = text.as_bytes();
    if line_end_of(bytes) == LineEnd::Lf {
        return None;
    }
    let begins_segment = |at: usize| {
        bytes[at - 1] != b'\r'
            && bytes.get(at + 4) == Some(&separator)
            && bytes.get(at + 1).is_some_and(u8::is_ascii_uppercase)
            && bytes[at + 2..at + 4].iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    // A message begins with MSH, so no LF is its first byte.
    let glued: Vec<u32> = memchr::memchr_iter(b'\n', bytes)
        .filter(|at| *at > 0 && begins_segment(*at))
        .map(|at| at as u32)
        .collect();
    (!glued.is_empty()).then(|| (with_line_ends(text, &glued, "\r"), glued))
}

/// The text with `end` in place of the one byte at each offset.
pub(super) fn with_line_ends(text: &str, at: &[u32], end: &str) -> String {
    let mut parts = Vec::with_capacity(at.len() + 1);
    let mut start = 0;
    for at in at {
        let at = *at as usize;
        parts.push(&text[start..at]);
        start = at + 1;
    }
    parts.push(&text[start..]);
    parts.join(end)
}

struct Reader<'t> {
    bytes: &'t [u8],
    separator: u8,
    limits: &'t Limits,
    spans: Vec<Span>,
    starts: Vec<u32>,
    sequences: HashMap<SegmentId, u16>,
    /// Blank lines between segments; those at the end of the message are nobody's mistake.
    blank: u32,
    blank_pending: u32,
    continued: Vec<Warning>,
}

impl<'t> Reader<'t> {
    fn new(bytes: &'t [u8], separator: u8, limits: &'t Limits) -> Self {
        Self {
            bytes,
            separator,
            limits,
            spans: Vec::with_capacity(bytes.len() / 128 + 4),
            starts: Vec::with_capacity(bytes.len() / 8 + 16),
            sequences: HashMap::new(),
            blank: 0,
            blank_pending: 0,
            continued: Vec::new(),
        }
    }

    fn read(&mut self, end_of_line: u8) -> Result<(), SyntaxError> {
        let mut line_start = 0;
        let mut first = 0;
        for at in Marks::new(self.bytes, self.separator, end_of_line) {
            if self.bytes[at] == self.separator {
                self.starts.push(at as u32 + 1);
                continue;
            }
            self.line(line_start, at, first)?;
            let swallowed = end_of_line == b'\r' && self.bytes.get(at + 1) == Some(&b'\n');
            line_start = at + 1 + usize::from(swallowed);
            first = self.starts.len();
        }
        self.line(line_start, self.bytes.len(), first)
    }

    fn line(&mut self, start: usize, end: usize, first: usize) -> Result<(), SyntaxError> {
        let line = &self.bytes[start.min(end)..end];
        let Some(id) = segment_begun(line, self.separator) else {
            if line.trim_ascii().is_empty() {
                self.blank_pending += u32::from(end < self.bytes.len());
                return Ok(());
            }
            return self.continue_before(end);
        };
        self.check_first(id)?;
        self.blank += std::mem::take(&mut self.blank_pending);
        if self.spans.len() >= self.limits.segments_max {
            let segments_max = self.limits.segments_max;
            return Err(SyntaxError::new(Place::MESSAGE, Fault::TooManySegments { segments_max }));
        }
        let sequence = self.next_sequence(id);
        self.spans.push(Span { id, sequence, start: start as u32, end: end as u32, first: first as u32 });
        self.check_fields()
    }

    /// A line that is no segment is data of the one before, the line end in between included.
    fn continue_before(&mut self, end: usize) -> Result<(), SyntaxError> {
        let Some(before) = self.spans.last_mut() else {
            return Err(SyntaxError::new(Place::MESSAGE, Fault::NoHeader));
        };
        before.end = end as u32;
        let place = Place::segment(before.id, before.sequence);
        if self.continued.len() < super::message::WARNINGS_MAX {
            self.continued.push(Warning { place, kind: WarningKind::ContinuedLine });
        }
        self.check_fields()
    }

    fn check_first(&self, id: SegmentId) -> Result<(), SyntaxError> {
        let fault = match (self.spans.is_empty(), id == SegmentId::MSH) {
            (true, true) | (false, false) => return Ok(()),
            (true, false) => Fault::NoHeader,
            (false, true) => Fault::SecondHeader,
        };
        Err(SyntaxError::new(Place::segment(SegmentId::MSH, 1 + u16::from(!self.spans.is_empty())), fault))
    }

    fn check_fields(&self) -> Result<(), SyntaxError> {
        let Some(last) = self.spans.last() else { return Ok(()) };
        let fields_max = self.limits.fields_max;
        if self.starts.len() - last.first as usize > fields_max {
            let place = Place::segment(last.id, last.sequence);
            return Err(SyntaxError::new(place, Fault::TooManyFields { fields_max }));
        }
        Ok(())
    }

    /// Runs of one name, as FT1, need no look-up.
    fn next_sequence(&mut self, id: SegmentId) -> u16 {
        let sequence = match self.spans.last() {
            Some(last) if last.id == id => last.sequence.saturating_add(1),
            _ => self.sequences.get(&id).map_or(1, |last| last.saturating_add(1)),
        };
        if let Some(last) = self.spans.last().filter(|last| last.id != id) {
            self.sequences.insert(last.id, last.sequence);
        }
        sequence
    }

    fn warnings(&mut self, line_end: LineEnd) -> Vec<Warning> {
        let message = |kind| Warning { place: Place::MESSAGE, kind };
        let ends = match line_end {
            LineEnd::Cr => None,
            LineEnd::CrLf => Some(message(WarningKind::CrLfSeparator)),
            LineEnd::Lf if self.spans.len() > 1 => Some(message(WarningKind::LfSeparator)),
            LineEnd::Lf => None,
        };
        let blank = (self.blank > 0).then(|| message(WarningKind::BlankLines { count: self.blank }));
        ends.into_iter().chain(blank).chain(std::mem::take(&mut self.continued)).collect()
    }
}

/// The id of a line that is `XXX` or begins with `XXX` and the separator.
fn segment_begun(line: &[u8], separator: u8) -> Option<SegmentId> {
    match line.get(3) {
        None => SegmentId::read(line),
        Some(byte) if *byte == separator => SegmentId::read(&line[..3]),
        Some(_) => None,
    }
}

/// Where either of two bytes stands. Fields are a few bytes long and separators often stand side by
/// side, so eight bytes are compared at once and each match costs one step, not one search.
struct Marks<'t> {
    bytes: &'t [u8],
    /// Each of the two in all eight bytes of a word.
    wanted: [u64; 2],
    /// Where the word behind the one being looked at begins.
    next: usize,
    /// The high bit of every byte of the word that matched and was not told yet.
    matched: u64,
}

const EVERY_BYTE: u64 = 0x0101_0101_0101_0101;
const LOW_BITS: u64 = 0x7F7F_7F7F_7F7F_7F7F;
const WORD_BYTES: usize = size_of::<u64>();

impl<'t> Marks<'t> {
    fn new(bytes: &'t [u8], one: u8, other: u8) -> Self {
        let wanted = [one, other].map(|byte| EVERY_BYTE * u64::from(byte));
        Self { bytes, wanted, next: 0, matched: 0 }
    }

    /// The next eight bytes; the last ones filled up with zeros, which are never wanted.
    fn word(&self) -> Option<u64> {
        let rest = self.bytes.get(self.next..).filter(|rest| !rest.is_empty())?;
        if let Some(word) = rest.first_chunk() {
            return Some(u64::from_le_bytes(*word));
        }
        let mut word = [0; WORD_BYTES];
        word[..rest.len()].copy_from_slice(rest);
        Some(u64::from_le_bytes(word))
    }
}

/// The high bit of each byte that is zero, and of no other.
fn zero_bytes(word: u64) -> u64 {
    !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
}

impl Iterator for Marks<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.matched == 0 {
            let word = self.word()?;
            self.matched = zero_bytes(word ^ self.wanted[0]) | zero_bytes(word ^ self.wanted[1]);
            self.next += WORD_BYTES;
        }
        let at = self.next - WORD_BYTES + self.matched.trailing_zeros() as usize / 8;
        self.matched &= self.matched - 1;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Marks;

    proptest! {
        #[test]
        fn marks_are_all_found(bytes in proptest::collection::vec(prop_oneof![Just(b'|'), Just(b'\r'), Just(0x7D), Just(0xFC), any::<u8>()], 0..40)) {
            let expected: Vec<usize> = (0..bytes.len()).filter(|at| matches!(bytes[*at], b'|' | b'\r')).collect();
            prop_assert_eq!(Marks::new(&bytes, b'|', b'\r').collect::<Vec<_>>(), expected);
        }
    }
}
