//! A hospital profile as it stands in its TOML file, checked into a [`Profile`].

use std::collections::BTreeMap;
use std::sync::Arc;

use encoding_rs::Encoding;
use serde::Deserialize;
use yizhan_contract::Text;
use yizhan_contract::claim::HospitalLevel;

use super::super::hl7::SegmentId;
use super::select::{Hl7Selector, XmlListMap, XmlMap, XmlPath};
use super::{
    ANY_HOSPITAL, Acknowledge, BillInAck, Hl7Paths, OddCharges, Profile, ReturnAddress, Sender, ValueMap,
    ValueMaps,
};
use crate::settlement::message::{Hospital, Mode, Period, RepeatedLine, SettleOn};
use crate::settlement::names::{DiagnosisField, Head, LineField, List, Name, PayerField};

/// Why a profile was refused; the operator's side, nothing to try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    #[error("hospital profile: {0}")]
    Toml(String),
    #[error("hospital profile, key {key}: {why}")]
    Value { key: String, why: String },
}

fn wrong(key: impl Into<String>, why: impl Into<String>) -> ProfileError {
    ProfileError::Value { key: key.into(), why: why.into() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    code: String,
    name: Text,
    #[serde(default)]
    senders: Vec<String>,
    level: u8,
    region: String,
    agreements: Vec<Period>,
    charset: Option<String>,
    currency: Option<String>,
    processing_ids: Option<Vec<String>>,
    #[serde(default)]
    acknowledge: Acknowledge,
    #[serde(default)]
    settle_on: SettleOn,
    #[serde(default)]
    charges_quiet_s: u32,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    repeated_line: RepeatedLine,
    #[serde(default)]
    odd_charges: OddCharges,
    #[serde(default)]
    bill_in_ack: BillInAck,
    return_address: Option<String>,
    token_sha256: Option<String>,
    #[serde(default)]
    binding: Vec<String>,
    #[serde(default)]
    hl7: BTreeMap<String, String>,
    #[serde(default)]
    values: BTreeMap<String, ValueMap>,
    #[serde(default)]
    xml_map: BTreeMap<String, MapFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MapFile {
    root: String,
    namespace: Option<String>,
    has: Option<String>,
    fields: BTreeMap<String, String>,
    lines: Option<BTreeMap<String, String>>,
    diagnoses: Option<BTreeMap<String, String>>,
    settled_elsewhere: Option<BTreeMap<String, String>>,
}

impl Profile {
    /// Reads one hospital's profile; an unknown key and a wrong value are errors that name the key.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let document = toml::Deserializer::parse(text).map_err(|why| ProfileError::Toml(why.to_string()))?;
        let file: File = serde_path_to_error::deserialize(document)
            .map_err(|why| wrong(why.path().to_string(), why.inner().message()))?;
        file.check()
    }
}

impl File {
    fn check(self) -> Result<Profile, ProfileError> {
        let any = Profile::any_hospital();
        let charset = match &self.charset {
            Some(label) => Encoding::for_label(label.as_bytes())
                .ok_or_else(|| wrong("charset", format!("{label:?} is no character set known here")))?,
            None => any.charset,
        };
        Ok(Profile {
            hospital: Arc::new(Hospital {
                level: HospitalLevel::try_from(self.level).map_err(|why| wrong("level", why))?,
                region: region(&self.region)?.into(),
                agreements: agreements(self.agreements)?,
                code: code(self.code)?.into(),
                name: self.name,
                settle_on: self.settle_on,
                charges_quiet_s: self.charges_quiet_s,
                mode: self.mode,
                repeated_line: self.repeated_line,
                is_told: self.return_address.is_some(),
                hl7_paths: head_paths(&self.hl7),
            }),
            senders: self.senders.iter().map(|text| sender(text)).collect(),
            charset,
            currency: self.currency.unwrap_or_else(|| "CNY".to_owned()),
            processing_ids: self.processing_ids.unwrap_or_else(|| vec!["P".to_owned()]),
            return_address: self.return_address.map(return_address).transpose()?,
            token_sha256: self.token_sha256.map(|text| token(&text)).transpose()?,
            binding: self.binding.iter().map(|name| binding(name)).collect::<Result<_, _>>()?,
            hl7: hl7_paths(&self.hl7)?,
            values: value_maps(self.values)?,
            xml_maps: self.xml_map.into_iter().map(xml_map).collect::<Result<_, _>>()?,
            acknowledge: self.acknowledge,
            odd_charges: self.odd_charges,
            bill_in_ack: self.bill_in_ack,
        })
    }
}

fn code(text: String) -> Result<String, ProfileError> {
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if text == ANY_HOSPITAL || (is_plain && !text.is_empty() && text.len() <= 30) {
        return Ok(text);
    }
    Err(wrong("code", "is not 1 to 30 letters, digits, -, _ or ."))
}

fn region(text: &str) -> Result<&str, ProfileError> {
    if text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(text);
    }
    Err(wrong("region", "is not six digits"))
}

fn agreements(periods: Vec<Period>) -> Result<Vec<Period>, ProfileError> {
    match periods.iter().position(|period| period.to.is_some_and(|to| to < period.from)) {
        Some(at) => Err(wrong(format!("agreements[{at}].to"), "lies before from")),
        None => Ok(periods),
    }
}

/// `MSH-4`, or `MSH-3|MSH-4`.
fn sender(text: &str) -> Sender {
    match text.split_once('|') {
        Some((application, facility)) => {
            Sender { application: Some(application.to_owned()), facility: facility.to_owned() }
        }
        None => Sender { application: None, facility: text.to_owned() },
    }
}

fn return_address(text: String) -> Result<ReturnAddress, ProfileError> {
    text.parse().map_err(|why| wrong("return_address", why))
}

fn token(text: &str) -> Result<[u8; 32], ProfileError> {
    let mut hash = [0; 32];
    let is_hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex {
        return Err(wrong("token_sha256", "is not 64 hexadecimal digits"));
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    Ok(hash)
}

fn binding(name: &str) -> Result<Head, ProfileError> {
    match Head::from_word(name) {
        Some(name @ (Head::StatedTotal | Head::StatedPatientShare)) => Ok(name),
        _ => Err(wrong("binding", format!("{name:?} is neither stated.total nor stated.patient_share"))),
    }
}

fn head_paths(texts: &BTreeMap<String, String>) -> Vec<(Head, String)> {
    texts.iter().filter_map(|(name, path)| Some((Head::from_word(name)?, path.clone()))).collect()
}

fn hl7_paths(texts: &BTreeMap<String, String>) -> Result<Hl7Paths, ProfileError> {
    let mut paths = Hl7Paths::default();
    for (name, text) in texts {
        let key = || format!("hl7.\"{name}\"");
        let selector = Hl7Selector::parse(text).map_err(|why| wrong(key(), why))?;
        match Name::from_word(name) {
            Some(Name::Head(field)) => paths.head[field.index()] = Some(selector),
            Some(Name::Line(_)) if selector.segment != SegmentId::of(b"FT1") => {
                return Err(wrong(key(), "a line's fields stand in FT1"));
            }
            Some(Name::Line(field)) => paths.line[field.index()] = Some(selector),
            Some(Name::Diagnosis(_) | Name::Payer(_)) | None => {
                return Err(wrong(key(), "is no field that HL7 paths can name"));
            }
        }
    }
    Ok(paths)
}

fn value_maps(texts: BTreeMap<String, ValueMap>) -> Result<ValueMaps, ProfileError> {
    let mut values = ValueMaps::default();
    for (name, map) in texts {
        let known = Name::from_word(&name)
            .ok_or_else(|| wrong(format!("values.\"{name}\""), "is no field of the normal form"))?;
        values.set(known, map);
    }
    Ok(values)
}

fn xml_map((name, file): (String, MapFile)) -> Result<XmlMap, ProfileError> {
    let key = format!("xml_map.{name}");
    let path = |part: &str, text: &str, is_absolute: bool| {
        XmlPath::parse(text, is_absolute).map_err(|why| wrong(format!("{key}.{part}"), why))
    };
    let mut fields = BTreeMap::new();
    for (field, text) in &file.fields {
        let part = format!("fields.\"{field}\"");
        if Head::from_word(field).is_none() {
            return Err(wrong(format!("{key}.{part}"), "is no field of the normal form"));
        }
        fields.insert(field.clone(), path(&part, text, true)?);
    }
    let list = |list: List, texts: Option<BTreeMap<String, String>>| {
        texts.map(|texts| xml_list(&key, list, texts)).transpose()
    };
    Ok(XmlMap {
        has: file.has.as_deref().map(|text| path("has", text, true)).transpose()?,
        lines: list(List::Lines, file.lines)?,
        diagnoses: list(List::Diagnoses, file.diagnoses)?,
        settled_elsewhere: list(List::SettledElsewhere, file.settled_elsewhere)?,
        root: file.root,
        namespace: file.namespace,
        fields,
        name,
    })
}

fn xml_list(key: &str, list: List, texts: BTreeMap<String, String>) -> Result<XmlListMap, ProfileError> {
    let key = |part: &str| format!("{key}.{}.{part}", list.word());
    let (mut each, mut fields) = (None, BTreeMap::new());
    for (name, text) in texts {
        let path = XmlPath::parse(&text, name == "each").map_err(|why| wrong(key(&name), why))?;
        let is_known = match list {
            List::Lines => LineField::from_word(&name).is_some(),
            List::Diagnoses => DiagnosisField::from_word(&name).is_some(),
            List::SettledElsewhere => PayerField::from_word(&name).is_some(),
        };
        match name.as_str() {
            "each" => each = Some(path),
            _ if is_known => {
                fields.insert(name, path);
            }
            _ => return Err(wrong(key(&name), "is no field of this list")),
        }
    }
    let each = each.ok_or_else(|| wrong(key("each"), "is missing: the path of the repeated element"))?;
    Ok(XmlListMap { each, fields })
}
