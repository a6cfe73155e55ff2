//! What a message says, before it means anything: text as written, and its place.
//!
//! Every format is read into a [`RawStay`]; [`super::read`] alone gives it types. Text borrows from the
//! message, and a place is a few numbers until somebody prints it.

use std::borrow::Cow;
use std::fmt;

use super::hl7;
use crate::settlement::names::{DiagnosisField, Head, LineField, PayerField};

/// A field as written.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Raw<'a> {
    /// Not there, or empty: no statement.
    #[default]
    Absent,
    /// HL7 `""`: delete what you had.
    Null,
    Text(Cow<'a, str>),
}

/// Shows how long a text is, not what it says.
impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Null => f.write_str("Null"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
        }
    }
}

/// A field as written, and where.
#[derive(Debug, Clone, Default)]
pub struct Field<'a> {
    pub raw: Raw<'a>,
    pub place: Place<'a>,
}

impl<'a> Field<'a> {
    pub fn text(text: impl Into<Cow<'a, str>>, place: Place<'a>) -> Self {
        let text = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        let raw = if text.is_empty() { Raw::Absent } else { Raw::Text(text) };
        Self { raw, place }
    }

    pub fn is_absent(&self) -> bool {
        matches!(self.raw, Raw::Absent)
    }

    /// The text, where there is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.raw {
            Raw::Text(text) => Some(text),
            Raw::Absent | Raw::Null => None,
        }
    }
}

/// Where something stands, in the sender's own terms; printed only when somebody must be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place<'a> {
    /// The whole message.
    #[default]
    Whole,
    /// `$.lines[2].amount`
    Json { section: &'static str, item: Option<u32>, name: &'static str },
    /// `/discharge/lines/line[3]/amount (line 41, column 7)`
    Xml { path: Cow<'a, str>, line: u32, column: u32 },
    /// `FT1[3]-11`
    Hl7(hl7::Place),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("message"),
            Self::Json { section, item, name } => {
                f.write_str("$")?;
                if !section.is_empty() {
                    write!(f, ".{section}")?;
                }
                if let Some(item) = item {
                    write!(f, "[{item}]")?;
                }
                if !name.is_empty() {
                    write!(f, ".{name}")?;
                }
                Ok(())
            }
            Self::Xml { path, line, column } => write!(f, "{path} (line {line}, column {column})"),
            Self::Hl7(place) => place.fmt(f),
        }
    }
}

/// One row of a list: a field for each name.
pub type LineRow<'a> = [Field<'a>; LineField::COUNT];
pub type DiagnosisRow<'a> = [Field<'a>; DiagnosisField::COUNT];
pub type PayerRow<'a> = [Field<'a>; PayerField::COUNT];

/// A message as written, in the names of the normal form.
#[derive(Debug, Default)]
pub struct RawStay<'a> {
    pub head: [Field<'a>; Head::COUNT],
    /// With the place of the row itself.
    pub lines: Vec<(Place<'a>, LineRow<'a>)>,
    /// Absent: the message says nothing of diagnoses.
    pub diagnoses: Option<Vec<(Place<'a>, DiagnosisRow<'a>)>>,
    pub settled_elsewhere: Option<Vec<(Place<'a>, PayerRow<'a>)>>,
}
