//! HL7 v2.xml (XML Encoding Rules for HL7 v2 Messages, R2) and the dialect of the Mirth engine.
//!
//! Both are read by position: the number behind the last dot of an element's name says which field,
//! component or subcomponent it is, whatever stands before it. Prefixes are ignored; the namespace is
//! `urn:hl7-org:v2xml` or none; groups as `DFT_P03.FINANCIAL` only nest. The tree is written as text
//! with the standard delimiters and read like any other message.

use std::borrow::Cow;
use std::collections::BTreeMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader as XmlReader, escape::resolve_predefined_entity};

use super::charset::{Charset, Named};
use super::delimiters::Delimiters;
use super::error::{Fault, Quoted, SyntaxError};
use super::escape::{Syntax, escape};
use super::message::{Limits, Message, Reading};
use super::place::{Place, SegmentId};

const NAMESPACE: &str = "urn:hl7-org:v2xml";
/// Deepest nesting; the standard's own messages need 12.
const DEPTH_MAX: usize = 32;
const ELEMENTS_MAX: usize = 1_000_000;
const ATTRIBUTES_MAX: usize = 32;
/// Highest number of a component or subcomponent.
const PART_NUMBER_MAX: usize = 256;
/// How far into the document its declaration may reach.
const DECLARATION_BYTES_MAX: usize = 256;

/// Reads one message. `encoding` of the XML declaration says the character set, MSH-18 does not.
///
/// # Errors
/// As [`Message::parse`], and: a document type declaration, XML that is not well formed, elements that
/// have no place in a message, or more of anything than is accepted.
pub fn parse(bytes: &[u8], reading: &Reading) -> Result<Message<'static>, SyntaxError> {
    let bytes_max = reading.limits.message_bytes_max;
    if bytes.len() > bytes_max {
        return Err(refused(Fault::MessageTooLong { bytes: bytes.len(), bytes_max }));
    }
    let content = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let charset = charset_of(content)?;
    let document = charset.decode(content).map_err(|offset| {
        let offset = offset + bytes.len() - content.len();
        refused(Fault::NotInCharset { charset: charset.name(), offset })
    })?;
    let text = Writer::new(&reading.limits).write(&document)?;
    let syntax = Syntax { delimiters: Delimiters::STANDARD, charset };
    Message::from_text(Cow::Owned(text), syntax, &reading.limits, Vec::new())
}

fn refused(fault: Fault) -> SyntaxError {
    SyntaxError::new(Place::MESSAGE, fault)
}

fn charset_of(content: &[u8]) -> Result<Charset, SyntaxError> {
    if content.starts_with(b"\xFF\xFE") || content.starts_with(b"\xFE\xFF") {
        return Err(refused(Fault::UnframableCharset { name: Quoted::new("UTF-16") }));
    }
    let head = String::from_utf8_lossy(&content[..content.len().min(DECLARATION_BYTES_MAX)]);
    let declaration = head.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    let stated = declaration.and_then(|(inside, _)| inside.split_once("encoding")).and_then(|(_, rest)| {
        let rest = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        rest[1..].split_once(quote).map(|(name, _)| name)
    });
    let Some(name) = stated else { return Ok(Charset::Utf8) };
    match Charset::named(name) {
        Named::Charset(charset) => Ok(charset),
        Named::Unframable => Err(refused(Fault::UnframableCharset { name: Quoted::new(name) })),
        Named::Unknown => Err(refused(Fault::UnknownCharset { name: Quoted::new(name) })),
    }
}

/// What an open element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The root, or a group of segments.
    Group,
    Segment(SegmentId),
    Field(usize),
    Component(usize),
    Subcomponent(usize),
    /// `<escape V="…"/>`.
    Escape,
}

/// A piece of a field's text.
enum Piece {
    Data(String),
    Escape(String),
}

/// One component: its subcomponents by number, written.
type Component = BTreeMap<usize, String>;

struct Writer<'l> {
    limits: &'l Limits,
    open: Vec<Level>,
    elements: usize,
    /// Text of the innermost open element.
    pieces: Vec<Piece>,
    components: BTreeMap<usize, Component>,
    /// Repetitions of each field of the segment being read.
    fields: BTreeMap<usize, Vec<String>>,
    /// Bytes in `fields`.
    segment_bytes: usize,
    text: String,
}

impl<'l> Writer<'l> {
    fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            open: Vec::new(),
            elements: 0,
            pieces: Vec::new(),
            components: BTreeMap::new(),
            fields: BTreeMap::new(),
            segment_bytes: 0,
            text: String::new(),
        }
    }

    fn write(mut self, document: &str) -> Result<String, SyntaxError> {
        let mut reader = XmlReader::from_str(document);
        loop {
            let event = reader.read_event().map_err(|error| malformed(&reader, &error.to_string()))?;
            match event {
                Event::Start(start) => self.begin(&start)?,
                Event::Empty(start) => {
                    self.begin(&start)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) => self.data(&text.xml10_content()),
                Event::CData(text) => self.data(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref() {
                        Ok(Some(character)) => Some(Cow::Owned(character.to_string())),
                        Ok(None) => resolve_predefined_entity(&reference.xml10_content()).map(Cow::Borrowed),
                        Err(_) => None,
                    };
                    self.data(&resolved.ok_or_else(|| malformed(&reader, "unknown entity"))?);
                }
                Event::DocType(_) => return Err(refused(Fault::XmlDoctype)),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof if self.open.is_empty() => return Ok(self.text),
                Event::Eof => return Err(malformed(&reader, "the document ends too early")),
            }
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), SyntaxError> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(refused(Fault::XmlLimit { what: "elements", max: ELEMENTS_MAX }));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(refused(Fault::XmlLimit { what: "depth", max: DEPTH_MAX }));
        }
        if start.attributes_raw().matches('=').count() > ATTRIBUTES_MAX {
            return Err(refused(Fault::XmlLimit { what: "attributes", max: ATTRIBUTES_MAX }));
        }
        let local = start.local_name();
        let name: &str = local.as_ref();
        let unplaced = || refused(Fault::XmlElement { name: Quoted::new(name) });
        let number = |max| numbered(name).filter(|number| *number <= max).ok_or_else(unplaced);
        let level = match self.open.last() {
            None if is_namespace_known(start) => Level::Group,
            None => return Err(unplaced()),
            Some(Level::Group) => SegmentId::read(name.as_bytes()).map_or(Level::Group, Level::Segment),
            Some(Level::Segment(_)) => Level::Field(number(self.limits.fields_max)?),
            Some(_) if name == "escape" => {
                self.pieces.push(Piece::Escape(sequence_of(start).ok_or_else(unplaced)?));
                Level::Escape
            }
            Some(Level::Field(_)) => Level::Component(number(PART_NUMBER_MAX)?),
            Some(Level::Component(_)) => Level::Subcomponent(number(PART_NUMBER_MAX)?),
            Some(Level::Subcomponent(_) | Level::Escape) => return Err(unplaced()),
        };
        if level != Level::Escape && !std::mem::take(&mut self.pieces).iter().all(Piece::is_blank) {
            return Err(unplaced());
        }
        self.open.push(level);
        Ok(())
    }

    fn data(&mut self, text: &str) {
        // Between segments and groups there is nothing but white space, and if there were it has no place.
        if !matches!(self.open.last(), None | Some(Level::Group | Level::Segment(_) | Level::Escape)) {
            self.pieces.push(Piece::Data(text.to_owned()));
        }
    }

    fn end(&mut self) -> Result<(), SyntaxError> {
        match self.open.pop() {
            Some(Level::Segment(id)) => self.end_segment(id),
            Some(Level::Field(number)) => {
                let divided = !self.components.is_empty();
                self.leaf(1, 1, divided)?;
                let field = self.written_field();
                self.segment_bytes += field.len() + 1;
                self.fields.entry(number).or_default().push(field);
                self.check_size()
            }
            Some(Level::Component(number)) => {
                let divided = self.components.contains_key(&number);
                self.leaf(number, 1, divided)
            }
            Some(Level::Subcomponent(number)) => {
                let Some(Level::Component(component)) = self.open.last() else { return Ok(()) };
                self.leaf(*component, number, false)
            }
            Some(Level::Group | Level::Escape) | None => Ok(()),
        }
    }

    /// Takes the text of an element. White space around it is layout, and all that an element which is
    /// divided into others may hold.
    fn leaf(&mut self, component: usize, subcomponent: usize, divided: bool) -> Result<(), SyntaxError> {
        let mut written = String::new();
        let pieces = std::mem::take(&mut self.pieces);
        let last = pieces.len().saturating_sub(1);
        for (number, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Escape(sequence) => written.push_str(sequence),
                Piece::Data(data) => {
                    let data = if number == 0 { data.trim_start() } else { data };
                    let data = if number == last { data.trim_end() } else { data };
                    written.push_str(&escape(data, &Delimiters::STANDARD));
                }
            }
        }
        if divided && !written.is_empty() {
            return Err(refused(Fault::XmlElement { name: Quoted::new("text beside elements") }));
        }
        if !written.is_empty() {
            self.components.entry(component).or_default().insert(subcomponent, written);
        }
        Ok(())
    }

    fn written_field(&mut self) -> String {
        let components = std::mem::take(&mut self.components);
        let written = components.into_iter().map(|(number, parts)| (number, joined(parts, '&')));
        joined(written.collect(), '^')
    }

    fn end_segment(&mut self, id: SegmentId) -> Result<(), SyntaxError> {
        let mut fields = std::mem::take(&mut self.fields);
        self.text.push_str(id.as_str());
        if id == SegmentId::MSH {
            // Elements MSH.1 and MSH.2 hold the delimiters of another spelling of the message.
            fields.retain(|number, _| *number > 2);
            fields = fields.into_iter().map(|(number, field)| (number - 1, field)).collect();
            fields.insert(1, vec!["^~\\&".to_owned()]);
        }
        let fields: BTreeMap<usize, String> =
            fields.into_iter().map(|(number, repetitions)| (number, repetitions.join("~"))).collect();
        if !fields.is_empty() {
            self.text.push('|');
            self.text.push_str(&joined(fields, '|'));
        }
        self.text.push('\r');
        self.segment_bytes = 0;
        self.check_size()
    }

    /// A few bytes of XML can name a high position; what is written must stay a message.
    fn check_size(&self) -> Result<(), SyntaxError> {
        let bytes = self.text.len() + self.segment_bytes;
        let bytes_max = self.limits.message_bytes_max;
        if bytes > bytes_max {
            return Err(refused(Fault::MessageTooLong { bytes, bytes_max }));
        }
        Ok(())
    }
}

impl Piece {
    fn is_blank(&self) -> bool {
        matches!(self, Self::Data(data) if data.trim().is_empty())
    }
}

/// Parts at their numbers, from 1, with the delimiter between them.
fn joined(parts: BTreeMap<usize, String>, delimiter: char) -> String {
    let mut text = String::new();
    let mut at = 1;
    for (number, part) in parts {
        text.extend(std::iter::repeat_n(delimiter, number - at));
        text.push_str(&part);
        at = number;
    }
    text
}

/// 3 of `PID.3`, 2 of `PID.3.2`.
fn numbered(name: &str) -> Option<usize> {
    let (_, number) = name.rsplit_once('.')?;
    let digits = (1..=4).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.parse().ok()).flatten().filter(|number| *number > 0)
}

/// Whether the root is in the namespace of v2.xml or in none.
fn is_namespace_known(root: &BytesStart<'_>) -> bool {
    let qualified = root.name();
    let name: &str = qualified.as_ref();
    let declared_as = match name.split_once(':') {
        Some((prefix, _)) => format!("xmlns:{prefix}"),
        None => "xmlns".to_owned(),
    };
    match root.try_get_attribute(declared_as.as_str()) {
        Ok(Some(namespace)) => matches!(namespace.value.as_ref(), NAMESPACE | ""),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// `\.br\` of `<escape V=".br"/>`.
fn sequence_of(start: &BytesStart<'_>) -> Option<String> {
    let attribute = start.try_get_attribute("V").ok()??;
    let command: &str = attribute.value.as_ref();
    let plain =
        command.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'));
    (plain && !command.is_empty() && command.len() <= 80).then(|| format!("\\{command}\\"))
}

fn malformed(reader: &XmlReader<&[u8]>, reason: &str) -> SyntaxError {
    let offset = usize::try_from(reader.error_position()).unwrap_or(usize::MAX);
    refused(Fault::Xml { offset, reason: Quoted::new(reason) })
}
