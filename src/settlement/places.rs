//! Where senders write what the settlement side speaks of, in their own terms.

use std::sync::Arc;

use super::message::Hospital;
use super::names::{Head, LineField};

/// In whose terms a missing field is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    Hl7,
    Json,
    Xml,
    MappedXml,
}

impl Dialect {
    /// Where a document of this dialect has a field. What a hospital's HL7 messages have where, [`Hospital`] knows.
    pub fn place_of(self, name: Head) -> String {
        let word = name.word();
        match self {
            Self::Json => format!("$.{word}"),
            Self::Xml => format!("/discharge/{}", word.replace('.', "/")),
            Self::MappedXml | Self::Hl7 => word.to_owned(),
        }
    }

    /// What a payer has settled elsewhere.
    pub fn place_of_elsewhere(self, payer: &str) -> String {
        match self {
            Self::Json => format!("$.settled_elsewhere[?@.payer=='{payer}']"),
            Self::Xml => format!("/discharge/settled_elsewhere/payer_settlement[payer='{payer}']"),
            Self::MappedXml | Self::Hl7 => format!("settled_elsewhere(payer={payer})"),
        }
    }
}

/// Where the HL7 messages of a hospital have things: told by whoever reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hl7Places {
    /// `PV1-19`
    pub head: Vec<(Head, String)>,
    /// Behind the place of a line: `-11`
    pub line: Arc<[(LineField, String)]>,
    /// The segment that holds a line, and the one that holds a diagnosis.
    pub lines: &'static str,
    pub diagnoses: &'static str,
    /// The number that a merge gives up.
    pub prior_mrn: &'static str,
}

impl Hl7Places {
    fn behind_line(&self, name: &str) -> Option<&str> {
        behind(&self.line, name)
    }
}

fn behind<'p>(line: &'p [(LineField, String)], name: &str) -> Option<&'p str> {
    let name = LineField::from_word(name)?;
    line.iter().find(|(field, _)| *field == name).map(|(_, behind)| behind.as_str())
}

impl Hospital {
    /// Where its messages of this dialect have a field.
    pub fn place_of(&self, dialect: Dialect, name: Head) -> String {
        let in_hl7 = self.hl7.head.iter().find(|(field, _)| dialect == Dialect::Hl7 && *field == name);
        in_hl7.map_or_else(|| dialect.place_of(name), |(_, place)| place.clone())
    }

    /// A line that the message at hand need not hold, by its id.
    pub fn place_of_line(&self, dialect: Dialect, id: &str) -> String {
        match dialect {
            Dialect::Hl7 => {
                let behind = self.hl7.behind_line(LineField::Id.word()).unwrap_or_default();
                format!("{}{behind}={id}", self.hl7.lines)
            }
            Dialect::Json => format!("$.lines[?@.id=='{id}']"),
            Dialect::Xml => format!("/discharge/lines/line[id='{id}']"),
            Dialect::MappedXml => format!("lines(id={id})"),
        }
    }

    /// One of its fields, by its name in the normal form.
    pub fn place_of_line_field(&self, dialect: Dialect, id: &str, field: &str) -> String {
        let line = self.place_of_line(dialect, id);
        match dialect {
            Dialect::Hl7 => match self.hl7.behind_line(field) {
                Some(behind) => format!("{}[{line}]{behind}", self.hl7.lines),
                None => line,
            },
            Dialect::Json | Dialect::MappedXml => format!("{line}.{field}"),
            Dialect::Xml => format!("{line}/{field}"),
        }
    }

    pub fn place_of_lines(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Hl7 => self.hl7.lines,
            Dialect::Json => "$.lines",
            Dialect::Xml => "/discharge/lines",
            Dialect::MappedXml => "lines",
        }
    }

    pub fn place_of_diagnoses(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Hl7 => self.hl7.diagnoses,
            Dialect::Json => "$.diagnoses",
            Dialect::Xml => "/discharge/diagnoses",
            Dialect::MappedXml => "diagnoses",
        }
    }
}

/// Where each of a part's lines and payments was written, in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    pub lines: Vec<LinePlace>,
    pub payments: Vec<LinePlace>,
}

/// Names the fields of a line in the sender's own terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinePlace {
    /// A row of an HL7 message, and where its fields stand in it ([`Hl7Places::line`]).
    Row(Arc<str>, Arc<[(LineField, String)]>),
    /// A path to the line's element or object; fields are its children.
    Node(Arc<str>, Separator),
}

/// Between a node's path and a field's name: `/` in XML, `.` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    Slash,
    Dot,
}

impl LinePlace {
    /// The place of one field of the line, by its name in the normal form.
    pub fn field(&self, name: &str) -> String {
        match self {
            Self::Row(own, fields) => format!("{own}{}", behind(fields, name).unwrap_or_default()),
            Self::Node(path, Separator::Slash) => format!("{path}/{name}"),
            Self::Node(path, Separator::Dot) => format!("{path}.{name}"),
        }
    }
}
