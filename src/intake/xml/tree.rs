//! Any XML document as a small tree, read in one cheap pass that refuses what could hurt.
//!
//! Caps on bytes, depth, elements and attributes; no DOCTYPE, so no entity beyond the five of XML.

use std::borrow::Cow;
use std::fmt;

use encoding_rs::Encoding;
use quick_xml::NsReader;
use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::super::hl7::Charset;
use super::super::limits::{XML_ATTRIBUTES_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX};
use super::super::problems::not_in_charset;
use super::super::shown::{ANY, shown};
use crate::refusal::{Code, Refusal};

pub type ElementId = usize;

#[derive(Default)]
pub struct Element {
    /// Local name.
    pub name: String,
    pub namespace: Option<std::rc::Rc<str>>,
    /// By local name; declarations of namespaces and `xsi:` are left out.
    pub attributes: Vec<(String, String)>,
    /// Its own text, without that of its children.
    pub text: String,
    pub children: Vec<ElementId>,
    /// Where it stands in its parent's own text.
    pub at: usize,
    /// Line and column of the start tag, in characters from 1.
    pub line: u32,
    pub column: u32,
}

/// Shows what an element is called and how much it says, not what.
impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, attributes, text, children, line, .. } = self;
        let (attributes, bytes) = (attributes.len(), text.len());
        write!(f, "{}:{line} ({attributes} attributes, {bytes} bytes, {children:?})", shown(name))
    }
}

/// Elements in document order; the root is the first.
#[derive(Debug)]
pub struct Tree {
    elements: Vec<Element>,
}

impl Tree {
    pub const ROOT: ElementId = 0;

    pub fn of(&self, id: ElementId) -> &Element {
        &self.elements[id]
    }

    pub fn root(&self) -> &Element {
        &self.elements[Self::ROOT]
    }

    pub fn children(&self, id: ElementId) -> impl Iterator<Item = (ElementId, &Element)> {
        self.of(id).children.iter().map(|child| (*child, self.of(*child)))
    }

    /// The place of the last of these elements, each a child of the one before: `/a/b[2]/c (line 3, column 7)`.
    pub fn place_of(&self, open: &[ElementId]) -> String {
        let mut path = String::new();
        for (at, id) in open.iter().enumerate() {
            let element = self.of(*id);
            let name = shown(&element.name);
            path.push_str(&format!("/{name}"));
            let Some(parent) = at.checked_sub(1).and_then(|before| open.get(before)) else { continue };
            let alike = |(_, sibling): &(ElementId, &Element)| name == ANY || sibling.name == element.name;
            if self.children(*parent).filter(alike).count() > 1 {
                let before = self.children(*parent).filter(alike).take_while(|(sibling, _)| sibling != id);
                path.push_str(&format!("[{}]", before.count() + 1));
            }
        }
        let Element { line, column, .. } = self.of(*open.last().unwrap_or(&Self::ROOT));
        format!("{path} (line {line}, column {column})")
    }

    pub fn parse(text: &str) -> Result<Self, Refusal> {
        Builder::new(text).build()
    }
}

/// The text of a document, and the set it was written in: byte order mark, then the XML declaration, then the channel's
/// charset, then UTF-8. The declaration beats the channel: senders write it, middleware makes up the channel's.
pub fn decode<'a>(
    bytes: &'a [u8],
    channel_charset: Option<&str>,
) -> Result<(Cow<'a, str>, Charset), Refusal> {
    let declared = declared_encoding(bytes);
    let (encoding, body) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, &bytes[length..]),
        None => match declared.as_deref().or(channel_charset) {
            Some(label) => (known_encoding(label)?, bytes),
            None => (encoding_rs::UTF_8, bytes),
        },
    };
    // From the document's first byte: a mark before it counts.
    let mark = bytes.len() - body.len();
    let text = Charset::Table(encoding).decode(body);
    let text = text.map_err(|offset| not_in_charset(mark + offset, encoding.name()))?;
    // No message can be written in UTF-16, so its answer is in UTF-8.
    let is_wide = encoding.output_encoding() != encoding;
    let charset =
        if is_wide || encoding == encoding_rs::UTF_8 { Charset::Utf8 } else { Charset::Table(encoding) };
    Ok((text, charset))
}

fn known_encoding(label: &str) -> Result<&'static Encoding, Refusal> {
    Encoding::for_label(label.as_bytes()).ok_or_else(|| {
        Refusal::new(Code::WrongCharset, "不支持所声明的字符集", "the declared character set is not known")
    })
}

/// `encoding="…"` of a declaration in ASCII, the only place where it matters before decoding.
fn declared_encoding(bytes: &[u8]) -> Option<String> {
    const DECLARATION_BYTES_MAX: usize = 200;
    let head = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let head = head.strip_prefix(b"<?xml")?;
    let head = &head[..head.len().min(DECLARATION_BYTES_MAX)];
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let declaration = std::str::from_utf8(&head[..end]).ok()?;
    let (_, rest) = declaration.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..].split(quote).next().map(str::to_owned)
}

struct Builder<'t> {
    text: &'t str,
    reader: NsReader<&'t [u8]>,
    elements: Vec<Element>,
    open: Vec<ElementId>,
    /// Up to where lines have been counted.
    counted: usize,
    line: u32,
    column: u32,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Self {
        let reader = NsReader::from_str(text);
        Self { text, reader, elements: Vec::new(), open: Vec::new(), counted: 0, line: 1, column: 1 }
    }

    fn build(mut self) -> Result<Tree, Refusal> {
        loop {
            let start = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
            self.count_lines(start);
            let (namespace, event) = match self.reader.read_resolved_event() {
                Ok((ResolveResult::Bound(namespace), event)) => (Some(namespace.0.to_owned()), event),
                Ok((_, event)) => (None, event),
                Err(why) => {
                    let (zh, en) = reason(&why);
                    return Err(self.malformed(&zh, &en));
                }
            };
            match event {
                Event::Start(tag) => {
                    let element = self.start(&tag, namespace)?;
                    self.open.push(element);
                }
                Event::Empty(tag) => {
                    self.start(&tag, namespace)?;
                }
                Event::End(_) => {
                    self.open.pop();
                }
                Event::Text(text) => {
                    self.append(&text.xml10_content())?;
                }
                Event::CData(text) => {
                    self.append(&text.xml10_content())?;
                }
                Event::GeneralRef(reference) => {
                    let character = self.character(&reference)?;
                    self.append(character.encode_utf8(&mut [0; 4]))?;
                }
                Event::DocType(_) => {
                    return Err(self.malformed("不接受 DOCTYPE", "a DOCTYPE is not accepted"));
                }
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
        if !self.open.is_empty() || self.elements.is_empty() {
            return Err(self.malformed("XML 不完整", "the document ends before its root element does"));
        }
        Ok(Tree { elements: self.elements })
    }

    fn start(&mut self, tag: &BytesStart<'_>, namespace: Option<String>) -> Result<ElementId, Refusal> {
        if self.open.len() >= XML_DEPTH_MAX {
            return Err(self.too_large(
                &format!("嵌套超过 {XML_DEPTH_MAX} 层"),
                format!("nested deeper than {XML_DEPTH_MAX} elements"),
            ));
        }
        if self.elements.len() >= XML_ELEMENTS_MAX {
            return Err(self.too_large("元素过多", format!("more than {XML_ELEMENTS_MAX} elements")));
        }
        let id = self.elements.len();
        match self.open.last() {
            Some(parent) => self.elements[*parent].children.push(id),
            None if id > 0 => return Err(self.malformed("有多个根元素", "there is a second root element")),
            None => {}
        }
        let namespace = namespace.map(|name| self.shared(name));
        let attributes = self.attributes(tag)?;
        let name = tag.local_name().as_ref().to_owned();
        let at = self.open.last().map_or(0, |parent| self.elements[*parent].text.len());
        let (line, column) = (self.line, self.column);
        self.elements.push(Element { name, namespace, attributes, at, line, column, ..Element::default() });
        Ok(id)
    }

    /// Documents use a handful of namespaces on thousands of elements.
    fn shared(&self, name: String) -> std::rc::Rc<str> {
        let last = self.open.last().and_then(|parent| self.elements[*parent].namespace.as_ref());
        match last.filter(|known| ***known == *name) {
            Some(known) => known.clone(),
            None => name.into(),
        }
    }

    fn attributes(&self, tag: &BytesStart<'_>) -> Result<Vec<(String, String)>, Refusal> {
        let mut attributes = Vec::new();
        for (count, attribute) in tag.attributes().enumerate() {
            if count >= XML_ATTRIBUTES_MAX {
                return Err(self.too_large("属性过多", format!("more than {XML_ATTRIBUTES_MAX} attributes")));
            }
            let attribute = attribute.map_err(|_| self.malformed("属性写法有误", "a broken attribute"))?;
            let key = attribute.key;
            let prefix = key.prefix().map(|prefix| prefix.into_inner().to_owned());
            let is_declaration = key.as_namespace_binding().is_some();
            if is_declaration || matches!(prefix.as_deref(), Some("xsi" | "xml")) {
                continue;
            }
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
            let value = value.map_err(|_| self.malformed("属性值有误", "a broken attribute value"))?;
            attributes.push((key.local_name().as_ref().to_owned(), value.into_owned()));
        }
        Ok(attributes)
    }

    fn append(&mut self, text: &str) -> Result<(), Refusal> {
        match self.open.last() {
            Some(element) => self.elements[*element].text.push_str(text),
            None if text.trim_start_matches('\u{feff}').trim().is_empty() => {}
            None => return Err(self.malformed("根元素之外有文本", "there is text outside the root element")),
        }
        Ok(())
    }

    fn character(&self, reference: &BytesRef<'_>) -> Result<char, Refusal> {
        let named = match reference.as_ref() {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ if reference.is_char_ref() => {
                let character = reference.resolve_char_ref().ok().flatten().filter(|c| is_xml_character(*c));
                let (zh, en) =
                    ("字符引用不是 XML 允许的字符", "a character reference to no character that XML allows");
                return character.ok_or_else(|| self.malformed(zh, en));
            }
            _ => None,
        };
        named.ok_or_else(|| self.malformed("未定义的实体", "an entity that is not defined"))
    }

    fn count_lines(&mut self, up_to: usize) {
        let passed = self.text.as_bytes().get(self.counted..up_to).unwrap_or_default();
        let lines = passed.iter().filter(|byte| **byte == b'\n').count();
        let last = match memchr::memrchr(b'\n', passed) {
            Some(end) => {
                self.column = 1;
                &passed[end + 1..]
            }
            None => passed,
        };
        // Bytes inside a character of UTF-8 are not counted.
        let characters = last.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        self.line = self.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        self.column = self.column.saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
        self.counted = up_to.max(self.counted);
    }

    fn malformed(&self, zh: &str, en: &str) -> Refusal {
        Refusal::new(Code::Malformed, zh, en).at(self.place())
    }

    fn too_large(&self, zh: &str, en: String) -> Refusal {
        Refusal::new(Code::TooLarge, zh, en).at(self.place())
    }

    fn place(&self) -> String {
        format!("line {} column {}", self.line, self.column)
    }
}

/// Why a text is not well-formed; it says nothing of the document, whose elements may have any names.
fn reason(why: &Error) -> (String, String) {
    let said = |zh: &str, en: &str| (zh.to_owned(), en.to_owned());
    match why {
        Error::IllFormed(IllFormedError::MismatchedEndTag { .. }) => {
            said("结束标记与所打开的元素不符", "an end tag of another element than the one that is open")
        }
        Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => {
            said("结束标记没有对应的开始标记", "an end tag where nothing is open")
        }
        Error::IllFormed(IllFormedError::UnclosedReference) => {
            said("& 须写作 &amp;", "a & that begins no reference; write &amp;")
        }
        Error::IllFormed(_) => said("XML 声明有误", "a broken XML declaration"),
        Error::Syntax(SyntaxError::UnclosedTag) => said("标记缺少 >", "a tag without its >"),
        Error::Syntax(
            SyntaxError::UnclosedSingleQuotedAttributeValue | SyntaxError::UnclosedDoubleQuotedAttributeValue,
        ) => said("属性值缺少引号", "an attribute value without its closing quote"),
        Error::Syntax(SyntaxError::UnclosedComment) => said("注释缺少 -->", "a comment without its -->"),
        Error::Syntax(SyntaxError::UnclosedCData) => {
            said("CDATA 缺少 ]]>", "a CDATA section without its ]]>")
        }
        Error::Syntax(SyntaxError::UnclosedPI | SyntaxError::UnclosedXmlDecl) => {
            said("处理指令缺少 ?>", "a processing instruction without its ?>")
        }
        Error::Syntax(SyntaxError::UnclosedDoctype | SyntaxError::InvalidBangMarkup) => {
            said("<! 之后的标记有误", "broken markup behind <!")
        }
        Error::InvalidAttr(_) => said("属性写法有误", "a broken attribute"),
        Error::Namespace(_) => {
            said("命名空间前缀未声明或写法有误", "a namespace prefix that is broken or not declared")
        }
        Error::Escape(_) => said("引用（&…;）写法有误", "a broken reference (&…;)"),
        Error::Io(_) | Error::Encoding(_) => said("无法读取", "cannot be read"),
    }
}

/// XML 1.0 §2.2, `Char`.
fn is_xml_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}
