//! The hospital profile: what differs between hospitals, as data.
//!
//! One TOML file per hospital; `schemas/hospital.example.toml` explains every key. [`file`] reads it,
//! [`select`] reads the paths in it.

pub mod file;
mod return_address;
pub mod select;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::hl7::ack::AckMode;
use super::hl7::{Charset, Header};
use crate::settlement::message::Hospital;
use crate::settlement::names::{DiagnosisField, Head, LineField, Name, PayerField};
use select::{Hl7Selector, XmlMap};

pub use file::ProfileError;
pub use return_address::{Listener, ReturnAddress};

/// In `senders`: whoever writes HL7 to this gateway, of which the hospital is the only one.
pub const EVERYBODY: &str = "*";

/// Who is meant by MSH-3 and MSH-4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Absent: any application.
    pub application: Option<String>,
    pub facility: String,
}

impl fmt::Display for Sender {
    /// As a profile writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(application) = &self.application {
            write!(f, "{application}|")?;
        }
        f.write_str(&self.facility)
    }
}

/// A word of a profile.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }
    };
}

choice!(
    /// Charge lines without a code, and FT1-6 outside table 0017.
    OddCharges {
        #[default]
        Refuse,
        /// Take them, with a warning: by the sign of their amount, as an item no catalogue knows.
        Accept,
    }
);
choice!(
    /// A message without charges that speaks of a second patient or visit.
    SeveralPatients {
        #[default]
        Refuse,
        /// Take the first, with a warning.
        First,
    }
);
choice!(BillInAck {
    #[default]
    None,
    /// As ZBL segments of the acknowledgement.
    #[serde(rename = "ZBL")]
    Zbl,
});

/// The code of an item sent without one, where the profile accepts that; in no catalogue.
pub const UNCODED: &str = "UNCODED";

pub type ValueMap = BTreeMap<String, String>;

/// Value maps by field, an index each.
#[derive(Debug, Clone, Default)]
pub struct ValueMaps {
    head: [Option<ValueMap>; Head::COUNT],
    line: [Option<ValueMap>; LineField::COUNT],
    diagnosis: [Option<ValueMap>; DiagnosisField::COUNT],
    payer: [Option<ValueMap>; PayerField::COUNT],
}

impl ValueMaps {
    pub fn of(&self, name: Name) -> Option<&ValueMap> {
        match name {
            Name::Head(name) => self.head[name.index()].as_ref(),
            Name::Line(name) => self.line[name.index()].as_ref(),
            Name::Diagnosis(name) => self.diagnosis[name.index()].as_ref(),
            Name::Payer(name) => self.payer[name.index()].as_ref(),
        }
    }

    fn set(&mut self, name: Name, map: ValueMap) {
        let slot = match name {
            Name::Head(name) => &mut self.head[name.index()],
            Name::Line(name) => &mut self.line[name.index()],
            Name::Diagnosis(name) => &mut self.diagnosis[name.index()],
            Name::Payer(name) => &mut self.payer[name.index()],
        };
        *slot = Some(map);
    }
}

/// Paths that replace the HL7 defaults.
#[derive(Debug, Clone, Default)]
pub struct Hl7Paths {
    /// The first that says something counts; none: the default.
    pub head: [Vec<Hl7Selector>; Head::COUNT],
    pub line: [Option<Hl7Selector>; LineField::COUNT],
}

#[derive(Debug, Clone)]
pub struct Profile {
    /// What settling needs to know; its code is the fixmedins_code.
    pub hospital: Arc<Hospital>,
    pub senders: Vec<Sender>,
    /// Where neither the message nor the channel names one.
    pub charset: Charset,
    /// ISO 4217; `*`: not looked at.
    pub currency: String,
    /// MSH-11 values taken.
    pub processing_ids: Vec<String>,
    /// Which acknowledgements the sender understands.
    pub acknowledge: AckMode,
    pub odd_charges: OddCharges,
    pub several_patients: SeveralPatients,
    pub bill_in_ack: BillInAck,
    /// Whether acknowledgements tell what was odd in a message that was taken.
    pub warnings_in_ack: bool,
    /// Where bills are sent.
    pub return_address: Option<ReturnAddress>,
    /// SHA-256 of the hospital's bearer token.
    pub token_sha256: Option<[u8; 32]>,
    /// Stated figures of HL7 messages that ours must equal.
    pub binding: Vec<Head>,
    pub hl7: Hl7Paths,
    pub values: ValueMaps,
    pub xml_maps: Vec<XmlMap>,
}

impl Profile {
    pub fn code(&self) -> &str {
        &self.hospital.code
    }

    pub fn is_binding(&self, name: Head) -> bool {
        self.binding.contains(&name)
    }

    /// Whether it takes the messages of every sender for its own.
    pub fn answers_to_everybody(&self) -> bool {
        self.senders.iter().any(|sender| sender.application.is_none() && sender.facility == EVERYBODY)
    }
}

/// Every hospital the gateway knows.
#[derive(Debug, Clone, Default)]
pub struct Profiles(Vec<Arc<Profile>>);

impl Profiles {
    /// Refuses two profiles of one code, two that answer to the same sender, one that answers to everybody beside
    /// another, and two with one token.
    pub fn new(profiles: Vec<Profile>) -> Result<Self, ProfileError> {
        let code = |profile: &Profile| profile.code().to_owned();
        if let Some(greedy) = profiles.iter().find(|profile| profile.answers_to_everybody())
            && profiles.len() > 1
        {
            return Err(ProfileError::NotAlone(code(greedy)));
        }
        for (at, profile) in profiles.iter().enumerate() {
            for other in &profiles[at + 1..] {
                if other.code() == profile.code() {
                    return Err(ProfileError::SameCode(code(profile)));
                }
                if let Some(sender) = profile.senders.iter().find(|sender| other.senders.contains(sender)) {
                    let (one, other) = (code(profile), code(other));
                    return Err(ProfileError::SameSender { one, other, sender: sender.to_string() });
                }
                if profile.token_sha256.is_some() && other.token_sha256 == profile.token_sha256 {
                    return Err(ProfileError::SharedToken { one: code(profile), other: code(other) });
                }
            }
        }
        Ok(Self(profiles.into_iter().map(Arc::new).collect()))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.0.iter()
    }

    /// By the code a JSON or XML document carries.
    pub fn of_hospital(&self, code: &str) -> Option<&Arc<Profile>> {
        self.0.iter().find(|profile| profile.code() == code)
    }

    /// The header of an HL7 message as far as it can be made out, in `stated` or in the set its hospital writes, and
    /// that hospital. Names in Chinese before an empty MSH-18 can only be read in the set of the profile they lead to.
    pub fn of_header(&self, bytes: &[u8], stated: Option<Charset>) -> (Header, Option<&Arc<Profile>>) {
        let read = |charset| {
            let header = Header::salvage(bytes, charset);
            let profile = self.of_sender(&header.sending_application(), &header.sending_facility());
            (header, profile)
        };
        let (header, profile) = read(stated.unwrap_or(Charset::Utf8));
        match (stated, profile) {
            (Some(_), _) => (header, profile),
            (None, Some(found)) => (Header::salvage(bytes, found.charset), profile),
            (None, None) => {
                let leads_home = |charset: Charset| {
                    let (header, profile) = read(charset);
                    let is_home = profile.is_some_and(|profile| profile.charset == charset);
                    is_home.then_some((header, profile))
                };
                self.charsets().into_iter().find_map(leads_home).unwrap_or((header, None))
            }
        }
    }

    /// The sets that hospitals write beside UTF-8, each once.
    fn charsets(&self) -> Vec<Charset> {
        let mut sets = Vec::new();
        for profile in self.iter() {
            if profile.charset != Charset::Utf8 && !sets.contains(&profile.charset) {
                sets.push(profile.charset);
            }
        }
        sets
    }

    /// By MSH-3 and MSH-4: application and facility together before facility alone, then the code itself, then the
    /// hospital that answers to everybody.
    pub fn of_sender(&self, application: &str, facility: &str) -> Option<&Arc<Profile>> {
        let answers = |named: bool| {
            self.0.iter().find(|profile| {
                profile.senders.iter().any(|sender| {
                    sender.facility == facility
                        && match &sender.application {
                            Some(name) => named && name == application,
                            None => !named,
                        }
                })
            })
        };
        let everybody = || self.0.iter().find(|profile| profile.answers_to_everybody());
        answers(true).or_else(|| answers(false)).or_else(|| self.of_hospital(facility)).or_else(everybody)
    }
}
