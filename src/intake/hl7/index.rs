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

/// Segments that make the bill: losing one to a line end inside a field must not pass.
const BILLED: [&[u8]; 7] = [b"PID", b"PV1", b"FT1", b"IN1", b"DG1", b"MRG", b"PSL"];

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
        if line_end == LineEnd::Cr {
            refuse_mixed_ends(bytes, separator)?;
        }
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

/// An LF inside a field is data, unless what follows it is one of the segments that make the bill.
fn refuse_mixed_ends(bytes: &[u8], separator: u8) -> Result<(), SyntaxError> {
    for at in memchr::memchr_iter(b'\n', bytes) {
        let Some(name) = bytes.get(at + 1..at + 4) else { continue };
        if BILLED.contains(&name) && bytes.get(at + 4) == Some(&separator) && bytes[at - 1] != b'\r' {
            let Some(segment) = SegmentId::read(name) else { continue };
            return Err(SyntaxError::new(Place::segment(segment, 1), Fault::MixedSeparators { segment }));
        }
    }
    Ok(())
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
        for at in memchr::memchr2_iter(self.separator, end_of_line, self.bytes) {
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
