//! Values into a template, each written as its place demands.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;
use yizhan_contract::{Money, Text};

use super::super::forms::{AmountForm, Codes, theirs};
use super::super::node::is_xml_character;
use super::slot::{Default, Form, Slot};
use super::syntax::Place;
use super::{Piece, Template};

/// What a template is filled with.
#[derive(Clone, Copy)]
pub(in crate::mapped) struct Values<'v> {
    pub(in crate::mapped) root: &'v Value,
    pub(in crate::mapped) codes: &'v Codes,
    /// Whatever is missing in a table of codes stands for itself: the values are made up.
    pub(in crate::mapped) is_sample: bool,
}

/// Why a request cannot be written. Values are never told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mapped) enum Unwritten {
    /// Something the insurer has to know is not known.
    Missing {
        name: String,
        place: String,
    },
    NoCode {
        table: String,
        place: String,
    },
    /// A character that XML does not allow.
    NoXml {
        place: String,
    },
    /// A value that is not of its kind.
    Misfit {
        name: String,
        place: String,
    },
}

impl Unwritten {
    pub(in crate::mapped) fn text(&self) -> Text {
        match self {
            Self::Missing { name, place } => {
                Text::new(format!("缺少 {name}（{place}）"), format!("{name} is not known ({place})"))
            }
            Self::NoCode { table, place } => Text::new(
                format!("码表 codes.{table} 中没有此值（{place}）"),
                format!("the table codes.{table} does not list the value ({place})"),
            ),
            Self::NoXml { place } => Text::new(
                format!("含 XML 不允许的字符（{place}）"),
                format!("holds a character that XML does not allow ({place})"),
            ),
            Self::Misfit { name, place } => Text::new(
                format!("{name} 的值不可用（{place}）"),
                format!("{name} holds no such value ({place})"),
            ),
        }
    }
}

/// A value as text; a bare one needs no quotation marks in JSON.
struct Written {
    text: String,
    is_bare: bool,
}

impl Template {
    /// # Errors
    /// The first value that cannot be written.
    pub(in crate::mapped) fn render(&self, values: Values<'_>) -> Result<String, Unwritten> {
        let mut out = String::new();
        self.pieces(&self.pieces, values, None, &mut out)?;
        Ok(out)
    }

    fn pieces(
        &self,
        pieces: &[Piece],
        values: Values<'_>,
        item: Option<&Value>,
        out: &mut String,
    ) -> Result<(), Unwritten> {
        for piece in pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Value(slot) => self.value(slot, values, item, out)?,
                Piece::Each { list, pieces, comma } => {
                    let items = at(values.root, list).and_then(Value::as_array).map(Vec::as_slice);
                    for (nth, item) in items.unwrap_or_default().iter().enumerate() {
                        if nth > 0 {
                            out.push_str(comma);
                        }
                        self.pieces(pieces, values, Some(item), out)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn value(
        &self,
        slot: &Slot,
        values: Values<'_>,
        item: Option<&Value>,
        out: &mut String,
    ) -> Result<(), Unwritten> {
        let root = if slot.is_of_item { item.unwrap_or(&Value::Null) } else { values.root };
        let written = match (at(root, &slot.path), &slot.default) {
            (Some(value), _) => self.written(slot, value, values)?,
            (None, Some(Default::Text(text))) => Written { text: text.clone(), is_bare: false },
            (None, Some(Default::Null)) if slot.place == Place::JsonValue => {
                Written { text: "null".to_owned(), is_bare: true }
            }
            (None, Some(Default::Null)) => Written { text: String::new(), is_bare: false },
            (None, None) => {
                return Err(Unwritten::Missing { name: slot.path.join("."), place: self.place_of(slot) });
            }
        };
        self.escaped(slot, &written, out)
    }

    fn place_of(&self, slot: &Slot) -> String {
        format!("{}, line {}", self.place, slot.line)
    }

    fn written(&self, slot: &Slot, value: &Value, values: Values<'_>) -> Result<Written, Unwritten> {
        let quoted = |text: String| Written { text, is_bare: false };
        let bare = |text: String| Written { text, is_bare: true };
        let plain = as_text(value);
        let text = plain.as_deref();
        let written = match &slot.form {
            Form::Text => text.map(|text| quoted(text.to_owned())),
            Form::Decimal { is_bare } => {
                text.map(|text| Written { text: text.to_owned(), is_bare: *is_bare })
            }
            Form::Integer | Form::Flag => text.map(|text| bare(text.to_owned())),
            Form::Amount(form) => text.and_then(|text| text.parse::<Money>().ok()).map(|amount| match form {
                AmountForm::Yuan => quoted(amount.to_string()),
                AmountForm::Fen => bare(amount.fen().to_string()),
                AmountForm::Number => bare(amount.to_string()),
            }),
            Form::Day(pattern) => {
                text.and_then(|text| text.parse::<Date>().ok()).map(|day| quoted(pattern.day(day)))
            }
            Form::Instant(form) => text
                .and_then(|text| text.parse::<Timestamp>().ok())
                .map(|at| Written { text: form.written(at), is_bare: form.is_number() }),
            Form::Code(table) => {
                let ours = text.unwrap_or_default();
                let code = theirs(values.codes, table, ours).or(values.is_sample.then_some(ours));
                let Some(code) = code else {
                    return Err(Unwritten::NoCode { table: table.clone(), place: self.place_of(slot) });
                };
                Some(quoted(code.to_owned()))
            }
        };
        written.ok_or_else(|| Unwritten::Misfit { name: slot.path.join("."), place: self.place_of(slot) })
    }

    fn escaped(&self, slot: &Slot, written: &Written, out: &mut String) -> Result<(), Unwritten> {
        match slot.place {
            Place::JsonValue if written.is_bare => out.push_str(&written.text),
            Place::JsonValue => out.push_str(&json_text(&written.text)),
            Place::JsonText => {
                let text = json_text(&written.text);
                out.push_str(text.get(1..text.len() - 1).unwrap_or_default());
            }
            Place::XmlText | Place::XmlAttribute => {
                if !written.text.chars().all(is_xml_character) {
                    return Err(Unwritten::NoXml { place: self.place_of(slot) });
                }
                push_xml(&written.text, out);
            }
            Place::Address => push_percent_encoded(&written.text, out),
        }
        Ok(())
    }
}

fn at<'v>(root: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(root, |value, name| value.get(name)).filter(|value| !value.is_null())
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// With its quotation marks.
fn json_text(text: &str) -> String {
    Value::from(text).to_string()
}

fn push_xml(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Readers would make blanks or line feeds of these.
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            _ => out.push(c),
        }
    }
}

/// Everything but what RFC 3986 §2.3 calls unreserved.
fn push_percent_encoded(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
