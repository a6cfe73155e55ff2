//! What an adapter is told of a person and a stay before it is asked for money.

use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::operation::Unavailable;
use crate::opaque::Opaque;
use crate::person::{IdNumber, Personal};
use crate::stay::{Diagnosis, Line, Sex};
use crate::step::PayerCode;

/// Why a person's data is used; the only purpose there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    #[default]
    Settlement,
}

/// An adapter's sealed state of one visit; at most [`KEPT_BYTES_MAX`](super::KEPT_BYTES_MAX).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memo(pub Opaque);

impl Memo {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Memo {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

/// Of a person, what the manifest [`needs`](Manifest::needs) and the host knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Person {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_number: Option<Personal<IdNumber>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<Personal<Date>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<Sex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Personal<String>>,
}

/// Admission, charges, discharge. A later event of a kind holds all that is known by then and replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitEvent {
    pub kind: VisitEventKind,
    pub stay: Arc<str>,
    pub hospital: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit_number: Option<Personal<String>>,
    pub person: Person,
    pub admitted: Date,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discharged: Option<Date>,
    #[serde(default)]
    pub diagnoses: Vec<Diagnosis>,
    #[serde(default)]
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisitEventKind {
    Admitted,
    Charged,
    Discharged,
    /// The admission was called off (ADT^A11).
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Visited {
    Noted {
        #[serde(default)]
        memo: Memo,
    },
    Unavailable(Unavailable),
    /// The event certainly never left: whoever was to hear it knows nothing of it. No answer of a service says so.
    #[serde(skip)]
    NotSent(Unavailable),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageQuestion {
    pub person: Person,
    pub payers: Vec<PayerCode>,
    pub on: Date,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Coverage {
    /// One for each payer asked about.
    Covers {
        covers: Vec<Cover>,
    },
    UnknownPerson,
    /// The roster decides.
    NotSaid,
    Unavailable(Unavailable),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    pub payer: PayerCode,
    pub in_force: bool,
    /// First and last day, where the payer says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
}
