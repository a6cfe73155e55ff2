//! HL7 v2.xml (XML Encoding Rules for HL7 v2 Messages, R2) and the dialect of the Mirth engine.
//!
//! Both are read by position: the number behind the last dot of an element's name says which field, component or
//! subcomponent it is, whatever stands before it. Groups as `DFT_P03.FINANCIAL` only nest. The document is written as
//! text with the standard delimiters and read like any other message.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::hl7::escape::{Syntax, escape};
use super::super::hl7::{Charset, Delimiters, Limits, Message, SegmentId};
use super::super::hl7_map;
use super::tree::{Element, ElementId, Tree};
use crate::refusal::{Code, Refusal};

const NAMESPACE: &str = "urn:hl7-org:v2xml";
/// Highest number of a component or subcomponent.
const PART_NUMBER_MAX: usize = 256;
/// Longest escape sequence of `<escape V="…"/>`.
const SEQUENCE_BYTES_MAX: usize = 80;

/// Whether a document is a message: its header stands below the root.
pub fn is_message(tree: &Tree) -> bool {
    let root = tree.root();
    let in_namespace = root.namespace.as_deref().is_none_or(|namespace| namespace == NAMESPACE);
    in_namespace && tree.children(Tree::ROOT).any(|(_, element)| element.name == "MSH")
}

/// Writes a document as the message it is; `charset` is the document's, which its answer is written in.
///
/// # Errors
/// Elements that have no place in a message, by path and line; and as [`Message::parse`].
pub fn message(tree: &Tree, charset: Charset, limits: &Limits) -> Result<Message<'static>, Refusal> {
    let mut writer = Writer { tree, limits, open: vec![Tree::ROOT], text: String::new(), fields_bytes: 0 };
    writer.group(Tree::ROOT)?;
    let syntax = Syntax { delimiters: Delimiters::STANDARD, charset };
    let read = Message::from_text(Cow::Owned(writer.text), syntax, limits, Vec::new());
    read.map_err(|error| hl7_map::refusal(&error))
}

struct Writer<'t> {
    tree: &'t Tree,
    limits: &'t Limits,
    /// From the root to the element that is being written.
    open: Vec<ElementId>,
    text: String,
    /// Bytes in the fields of the segment that is being written.
    fields_bytes: usize,
}

/// Parts by their numbers.
type Parts = BTreeMap<usize, String>;

impl<'t> Writer<'t> {
    /// Writes the children of an element, each with its number.
    fn children(
        &mut self,
        of: ElementId,
        mut write: impl FnMut(&mut Self, ElementId) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        for child in &self.tree.of(of).children {
            self.open.push(*child);
            write(self, *child)?;
            self.open.pop();
        }
        Ok(())
    }

    fn group(&mut self, id: ElementId) -> Result<(), Refusal> {
        self.children(id, |writer, child| match SegmentId::read(writer.tree.of(child).name.as_bytes()) {
            Some(segment) => writer.segment(segment, child),
            None => writer.group(child),
        })
    }

    fn segment(&mut self, segment: SegmentId, id: ElementId) -> Result<(), Refusal> {
        let mut fields = Parts::new();
        let fields_max = self.limits.fields_max;
        self.children(id, |writer, child| {
            let number = writer.number(child, fields_max)?;
            let field = writer.divided(child, '^', Self::component)?;
            writer.fields_bytes += field.len() + 1;
            match fields.get_mut(&number) {
                Some(repetitions) => {
                    repetitions.push('~');
                    repetitions.push_str(&field);
                }
                None => _ = fields.insert(number, field),
            }
            writer.check_size()
        })?;
        if segment == SegmentId::MSH {
            // Elements MSH.1 and MSH.2 hold the delimiters of another spelling of the message.
            fields = fields.into_iter().filter(|(n, _)| *n > 2).map(|(n, field)| (n - 1, field)).collect();
            fields.insert(1, Delimiters::STANDARD.encoding_characters());
        }
        self.text.push_str(segment.as_str());
        if !fields.is_empty() {
            self.text.push('|');
            self.text.push_str(&joined(fields, '|'));
        }
        self.text.push('\r');
        self.fields_bytes = 0;
        self.check_size()
    }

    fn component(&mut self, id: ElementId) -> Result<String, Refusal> {
        self.divided(id, '&', Self::leaf)
    }

    /// An element's parts with the delimiter between them, or its text where it has none.
    fn divided(
        &mut self,
        id: ElementId,
        delimiter: char,
        part: fn(&mut Self, ElementId) -> Result<String, Refusal>,
    ) -> Result<String, Refusal> {
        let element = self.tree.of(id);
        let is_divided = self.tree.children(id).any(|(_, child)| child.name != "escape");
        if !is_divided {
            return self.leaf(id);
        }
        if !element.text.trim().is_empty() {
            return Err(self.unplaced("元素内不得同时有文本和子元素", "holds text beside its parts"));
        }
        let mut parts = Parts::new();
        self.children(id, |writer, child| {
            let number = writer.number(child, PART_NUMBER_MAX)?;
            let written = part(writer, child)?;
            if !written.is_empty() {
                parts.insert(number, written);
            }
            Ok(())
        })?;
        Ok(joined(parts, delimiter))
    }

    /// The text of an element that is not divided. White space around it is layout.
    fn leaf(&mut self, id: ElementId) -> Result<String, Refusal> {
        let element = self.tree.of(id);
        let mut written = String::new();
        let mut rest = 0;
        self.children(id, |writer, child| {
            let sequence = sequence_of(writer.tree.of(child));
            let sequence = sequence
                .ok_or_else(|| writer.unplaced("报文中不应出现该元素", "has no place in a message"))?;
            let at = writer.tree.of(child).at;
            let before = &element.text[rest..at];
            let before = if rest == 0 { before.trim_start() } else { before };
            written.push_str(&escape(before, &Delimiters::STANDARD));
            written.push_str(&sequence);
            rest = at;
            Ok(())
        })?;
        let last = element.text[rest..].trim_end();
        let last = if written.is_empty() { last.trim_start() } else { last };
        written.push_str(&escape(last, &Delimiters::STANDARD));
        Ok(written)
    }

    /// 3 of `PID.3`, 2 of `PID.3.2`.
    fn number(&self, id: ElementId, max: usize) -> Result<usize, Refusal> {
        let name = &self.tree.of(id).name;
        let digits = name.rsplit_once('.').map(|(_, digits)| digits).filter(|digits| {
            (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        let number =
            digits.and_then(|digits| digits.parse().ok()).filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| self.unplaced("报文中不应出现该元素", "has no place in a message"))
    }

    /// A few bytes of XML can name a high position; what is written must stay a message.
    fn check_size(&self) -> Result<(), Refusal> {
        let bytes_max = self.limits.message_bytes_max;
        if self.text.len() + self.fields_bytes <= bytes_max {
            return Ok(());
        }
        let (zh, en) =
            (format!("展开后超过 {bytes_max} 字节"), format!("comes to more than {bytes_max} bytes"));
        Err(Refusal::new(Code::TooLarge, zh, en).at(self.place()))
    }

    fn unplaced(&self, zh: &str, en: &str) -> Refusal {
        Refusal::new(Code::Malformed, zh, en).at(self.place())
    }

    fn place(&self) -> String {
        self.tree.place_of(&self.open)
    }
}

/// Parts at their numbers, from 1, with the delimiter between them.
fn joined(parts: Parts, delimiter: char) -> String {
    let mut text = String::new();
    let mut at = 1;
    for (number, part) in parts {
        text.extend(std::iter::repeat_n(delimiter, number - at));
        text.push_str(&part);
        at = number;
    }
    text
}

/// `\.br\` of `<escape V=".br"/>`.
fn sequence_of(element: &Element) -> Option<String> {
    let is_escape = element.name == "escape" && element.children.is_empty() && element.text.trim().is_empty();
    let (_, command) = element.attributes.iter().find(|(name, _)| name == "V")?;
    let plain =
        command.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'));
    let fits = !command.is_empty() && command.len() <= SEQUENCE_BYTES_MAX;
    (is_escape && plain && fits).then(|| format!("\\{command}\\"))
}
