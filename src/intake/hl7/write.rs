//! Writing messages: segments drafted field by field, joined with the delimiters given.

use std::borrow::Cow;

use super::charset::Charset;
use super::delimiters::Delimiters;
use super::element::Element;
use super::escape::escape;
use super::place::SegmentId;

/// A segment being written. Fields may be set in any order; those behind the last one set are cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentDraft {
    id: SegmentId,
    delimiters: Delimiters,
    /// Field 1 first, already escaped.
    fields: Vec<String>,
}

impl SegmentDraft {
    /// For a segment that is handed to a builder later; it must write with the same delimiters.
    pub fn new(id: SegmentId, delimiters: Delimiters) -> Self {
        Self { id, delimiters: delimiters.for_writing(), fields: Vec::new() }
    }

    /// Sets a field that is not divided.
    pub fn text(&mut self, field: u16, text: &str) -> &mut Self {
        let text = escape(text, &self.delimiters).into_owned();
        self.set(field, text)
    }

    /// Sets a field by its components; those behind the last filled one are cut off.
    pub fn components(&mut self, field: u16, components: &[&str]) -> &mut Self {
        let text = self.joined(components, self.delimiters.component);
        self.set(field, text)
    }

    /// Sets a field whose components are divided again, as CP: `[["12000.00", "CNY"], ["TP"]]`.
    pub fn tree(&mut self, field: u16, components: &[&[&str]]) -> &mut Self {
        let written: Vec<String> =
            components.iter().map(|parts| self.joined(parts, self.delimiters.subcomponent)).collect();
        let text = join_cut(written.iter().map(String::as_str), self.delimiters.component);
        self.set(field, text)
    }

    /// Adds a repetition to a field.
    pub fn repeat(&mut self, field: u16, components: &[&str]) -> &mut Self {
        let text = self.joined(components, self.delimiters.component);
        self.repeat_written(field, &text)
    }

    /// Sets a field to what a received element says, divided as there, in our own delimiters.
    pub fn copy(&mut self, field: u16, element: Element<'_>) -> &mut Self {
        let repetitions: Vec<String> = element.repetitions().map(|one| self.copied(one)).collect();
        let text = join_cut(repetitions.iter().map(String::as_str), self.delimiters.repetition);
        self.set(field, text)
    }

    fn copied(&self, repetition: Element<'_>) -> String {
        let components: Vec<String> = repetition
            .components()
            .map(|component| {
                let parts: Vec<String> =
                    component.subcomponents().map(|part| self.copied_text(part)).collect();
                join_cut(parts.iter().map(String::as_str), self.delimiters.subcomponent)
            })
            .collect();
        join_cut(components.iter().map(String::as_str), self.delimiters.component)
    }

    fn copied_text(&self, part: Element<'_>) -> String {
        let text = if part.value().is_absent() { Cow::Borrowed("") } else { part.unescaped() };
        escape(&text, &self.delimiters).into_owned()
    }

    /// Adds a repetition that is already escaped and divided.
    pub(super) fn repeat_written(&mut self, field: u16, written: &str) -> &mut Self {
        let separator = self.delimiters.repetition.map_or(' ', char::from);
        let slot = self.slot(field);
        if !slot.is_empty() {
            slot.push(separator);
        }
        slot.push_str(written);
        self
    }

    fn joined(&self, parts: &[&str], delimiter: Option<u8>) -> String {
        let written: Vec<Cow<'_, str>> = parts.iter().map(|part| escape(part, &self.delimiters)).collect();
        join_cut(written.iter().map(AsRef::as_ref), delimiter)
    }

    pub(super) fn set(&mut self, field: u16, written: String) -> &mut Self {
        *self.slot(field) = written;
        self
    }

    fn slot(&mut self, field: u16) -> &mut String {
        let index = usize::from(field.max(1)) - 1;
        if self.fields.len() <= index {
            self.fields.resize(index + 1, String::new());
        }
        &mut self.fields[index]
    }

    /// The segment without the character that ends it.
    pub fn write(&self) -> String {
        let field = char::from(self.delimiters.field);
        let mut text = self.id.to_string();
        let mut rest = self.fields.as_slice();
        if self.id.is_header() {
            text.push(field);
            text.push_str(&self.delimiters.encoding_characters());
            rest = rest.get(2..).unwrap_or_default();
        }
        let sent = rest.iter().rposition(|field| !field.is_empty()).map_or(0, |last| last + 1);
        for written in &rest[..sent] {
            text.push(field);
            text.push_str(written);
        }
        text
    }
}

/// Parts with the delimiter between them, empty ones at the end cut off.
fn join_cut<'t>(parts: impl Iterator<Item = &'t str>, delimiter: Option<u8>) -> String {
    let delimiter = delimiter.map_or(' ', char::from);
    let mut text = String::new();
    for (number, part) in parts.enumerate() {
        if number > 0 {
            text.push(delimiter);
        }
        text.push_str(part);
    }
    text.truncate(text.trim_end_matches(delimiter).len());
    text
}

/// A message being written, its segments ending with CR.
#[derive(Debug, Clone)]
pub struct Builder {
    delimiters: Delimiters,
    text: String,
}

impl Builder {
    /// Writes with these delimiters, or with the standard ones if a message cannot be written with these.
    pub fn new(delimiters: Delimiters) -> Self {
        Self { delimiters: delimiters.for_writing(), text: String::new() }
    }

    /// The delimiters that are written.
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    pub fn segment(&mut self, name: &[u8; 3], fill: impl FnOnce(&mut SegmentDraft)) -> &mut Self {
        let mut draft = SegmentDraft::new(SegmentId::of(name), self.delimiters);
        fill(&mut draft);
        self.push(&draft)
    }

    pub fn push(&mut self, draft: &SegmentDraft) -> &mut Self {
        self.text.push_str(&draft.write());
        self.text.push('\r');
        self
    }

    /// Adds segments that were written with the same delimiters.
    pub(super) fn append(&mut self, written: &Self) -> &mut Self {
        self.text.push_str(&written.text);
        self
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn into_bytes(self, charset: Charset) -> Vec<u8> {
        match charset {
            Charset::Utf8 => self.text.into_bytes(),
            _ => charset.encode(&self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_joined_and_cut() {
        let mut out = Builder::new(Delimiters::STANDARD);
        out.segment(b"MSH", |msh| {
            msh.text(3, "A|B").components(9, &["ACK", "A03", "ACK"]).text(11, "");
        });
        out.segment(b"ZZZ", |zzz| {
            zzz.tree(2, &[&["1.00", "CNY", ""], &["TP"], &[]]).repeat(4, &["a", "", ""]).repeat(4, &["b\rc"]);
        });
        assert_eq!(out.as_str(), "MSH|^~\\&|A\\F\\B||||||ACK^A03^ACK\rZZZ||1.00&CNY^TP||a~b\\X0D\\c\r");
    }

    #[test]
    fn a_message_is_never_written_with_delimiters_that_cannot_hold_it() {
        let poor = Delimiters { subcomponent: None, ..Delimiters::STANDARD };
        assert_eq!(Builder::new(poor).delimiters(), Delimiters::STANDARD);
    }
}
