//! Where in JSON or XML a template has got to: what a value may be there, if one may stand there at all.

use yizhan_contract::Text;

use super::Medium;

/// Where a value stands, and so how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Inside a JSON string.
    JsonText,
    /// Where a JSON value is due.
    JsonValue,
    XmlText,
    XmlAttribute,
    Address,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Json,
    /// Inside a string; after a backslash.
    JsonText {
        is_escaped: bool,
    },
    Xml,
    /// Inside a tag, outside of attribute values.
    XmlTag,
    XmlAttribute {
        quote: char,
    },
    /// Inside a comment, CDATA or an instruction, up to this.
    XmlOther {
        end: &'static str,
    },
    Address,
}

impl Syntax {
    pub(super) fn at_start(medium: Medium) -> Self {
        match medium {
            Medium::Json => Self::Json,
            Medium::Xml => Self::Xml,
            Medium::Address => Self::Address,
        }
    }

    pub(super) fn may_repeat(self) -> bool {
        matches!(self, Self::Json | Self::Xml)
    }

    /// # Errors
    /// Where no value may stand.
    pub(super) fn place(self) -> Result<Place, Text> {
        match self {
            Self::Json => Ok(Place::JsonValue),
            Self::JsonText { is_escaped: false } => Ok(Place::JsonText),
            Self::Xml => Ok(Place::XmlText),
            Self::XmlAttribute { .. } => Ok(Place::XmlAttribute),
            Self::Address => Ok(Place::Address),
            Self::JsonText { is_escaped: true } => {
                Err(Text::new("值不能紧跟在反斜杠之后", "a value cannot follow a backslash"))
            }
            Self::XmlTag | Self::XmlOther { .. } => Err(Text::new(
                "值只能写在 XML 文本或带引号的属性值中",
                "a value stands in the text of XML or in an attribute's quotation marks, nowhere else",
            )),
        }
    }

    pub(super) fn pass(&mut self, literal: &str) {
        let mut rest = literal;
        while let Some(c) = rest.chars().next() {
            let (next, length) = self.step(rest, c);
            *self = next;
            rest = &rest[length..];
        }
    }

    /// What follows the next character or mark, and its length.
    fn step(self, rest: &str, c: char) -> (Self, usize) {
        let one = c.len_utf8();
        match self {
            Self::Json if c == '"' => (Self::JsonText { is_escaped: false }, one),
            Self::JsonText { is_escaped: false } if c == '"' => (Self::Json, one),
            Self::JsonText { is_escaped } => (Self::JsonText { is_escaped: !is_escaped && c == '\\' }, one),
            Self::Xml if c == '<' => {
                let others = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">")];
                match others.into_iter().find(|(begin, _)| rest.starts_with(begin)) {
                    Some((begin, end)) => (Self::XmlOther { end }, begin.len()),
                    None => (Self::XmlTag, one),
                }
            }
            Self::XmlTag => match c {
                '>' => (Self::Xml, one),
                '"' | '\'' => (Self::XmlAttribute { quote: c }, one),
                _ => (self, one),
            },
            Self::XmlAttribute { quote } if c == quote => (Self::XmlTag, one),
            Self::XmlOther { end } if rest.starts_with(end) => (Self::Xml, end.len()),
            Self::Json | Self::Xml | Self::XmlAttribute { .. } | Self::XmlOther { .. } | Self::Address => {
                (self, one)
            }
        }
    }
}
