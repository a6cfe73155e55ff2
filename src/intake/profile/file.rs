//! A hospital profile as it stands in its TOML file, checked into a [`Profile`].

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use yizhan_contract::Text;
use yizhan_contract::claim::HospitalLevel;

use super::super::hl7::ack::AckMode;
use super::super::hl7::charset::Named;
use super::super::hl7::{Charset, SegmentId};
use super::super::hl7_map::places;
use super::select::{Hl7Selector, XmlListMap, XmlMap, XmlPath};
use super::{
    BillInAck, Hl7Paths, OddCharges, Profile, ReturnAddress, Sender, SeveralPatients, ValueMap, ValueMaps,
};
use crate::settlement::message::{Hospital, Mode, Period, RepeatedLine, SettleOn};
use crate::settlement::names::{DiagnosisField, Head, LineField, List, Name, PayerField};
use crate::settlement::places::Hl7Places;
use yizhan_rules::toml_file::Mistake;

/// What a file that is no TOML is to be compared with.
const EXAMPLE: &str = "schemas/hospital.example.toml";

/// Why a profile was refused; the operator's side, nothing to try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// In one file.
    #[error(transparent)]
    Written(#[from] Mistake),
    #[error(
        "code: 两份医院配置的编码同为 {0}，请各用各的编码 | two hospital profiles have the code {0}; give each its own"
    )]
    SameCode(String),
    #[error(
        "senders: 医院 {one} 与 {other} 都应答发送方 {sender}，请从其中一份配置中删除 | hospitals {one} and {other} both answer to the sender {sender}; take it out of one profile"
    )]
    SameSender { one: String, other: String, sender: String },
    #[error(
        "senders: 医院 {0} 应答任何发送方（\"*\"），只在网关仅服务一家医院时可用；请改为列出其发送方 | hospital {0} answers to every sender (\"*\"), which only the one hospital of a gateway can; list its senders instead"
    )]
    NotAlone(String),
    /// Who acts by a token is one hospital: its name stands under every reversal.
    #[error(
        "token_sha256: 医院 {one} 与 {other} 使用同一访问令牌；请为每家医院各生成一个令牌（如 openssl rand -hex 32），并将其 SHA-256 填入各自的配置 | hospitals {one} and {other} have the same bearer token; make each hospital a token of its own (such as openssl rand -hex 32) and put its SHA-256 into its profile"
    )]
    SharedToken { one: String, other: String },
}

fn wrong(key: impl Into<String>, zh: impl Into<Arc<str>>, en: impl Into<Arc<str>>) -> Mistake {
    Mistake::at(key, Text::new(zh, en))
}

fn no_field(key: String) -> Mistake {
    wrong(
        key,
        "没有这个字段，请对照 schemas/hospital.example.toml 更正",
        "is no field of the normal form; compare schemas/hospital.example.toml",
    )
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
    acknowledge: AckMode,
    #[serde(default)]
    settle_on: SettleOn,
    #[serde(default)]
    charges_quiet_s: u32,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    hospital_advances: bool,
    #[serde(default)]
    repeated_line: RepeatedLine,
    #[serde(default)]
    odd_charges: OddCharges,
    #[serde(default)]
    several_patients: SeveralPatients,
    #[serde(default)]
    bill_in_ack: BillInAck,
    warnings_in_ack: Option<bool>,
    return_address: Option<String>,
    token_sha256: Option<String>,
    #[serde(default)]
    binding: Vec<String>,
    #[serde(default)]
    hl7: BTreeMap<String, Paths>,
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

/// One path of HL7, or several of which the first that says something counts.
struct Paths(Vec<String>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = "须为带引号的路径，或路径的列表 | must be a path in quotation marks, or a list of such";
        let texts = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => vec![text],
            toml::Value::Array(list) if !list.is_empty() => {
                let texts = list.into_iter().map(|path| path.try_into());
                texts.collect::<Result<_, _>>().map_err(|_| serde::de::Error::custom(wrong))?
            }
            _ => return Err(serde::de::Error::custom(wrong)),
        };
        Ok(Self(texts))
    }
}

impl Profile {
    /// Reads one hospital's profile; an unknown key and a wrong value are errors that name the key.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let document =
            toml::Deserializer::parse(text).map_err(|why| Mistake::no_toml(text, &why, EXAMPLE))?;
        let file: File = serde_path_to_error::deserialize(document)
            .map_err(|why| Mistake::no_such_value(&why).in_line_of(text, why.inner()))?;
        Ok(file.check()?)
    }
}

impl File {
    fn check(self) -> Result<Profile, Mistake> {
        Ok(Profile {
            hospital: Arc::new(Hospital {
                level: level(self.level)?,
                region: region(&self.region)?.into(),
                agreements: agreements(self.agreements)?,
                code: code(self.code)?.into(),
                name: self.name,
                settle_on: self.settle_on,
                charges_quiet_s: self.charges_quiet_s,
                mode: self.mode,
                repeated_line: self.repeated_line,
                hospital_advances: self.hospital_advances,
                is_told: self.return_address.is_some(),
                hl7: hl7_places(&self.hl7),
            }),
            senders: self.senders.iter().map(|text| sender(text)).collect(),
            charset: self.charset.as_deref().map_or(Ok(Charset::Utf8), charset)?,
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
            several_patients: self.several_patients,
            bill_in_ack: self.bill_in_ack,
            warnings_in_ack: self.warnings_in_ack.unwrap_or(true),
        })
    }
}

/// By the names that MSH-18 is read by.
fn charset(name: &str) -> Result<Charset, Mistake> {
    match Charset::named(name) {
        Named::Charset(charset) => Ok(charset),
        Named::Unframable => Err(wrong(
            "charset",
            format!("{name:?} 的字节与 MLLP 帧冲突，请让发送方改用 UTF-8、GBK 或 GB18030"),
            format!(
                "{name:?} uses the bytes that frame messages; have the hospital send UTF-8, GBK or GB18030"
            ),
        )),
        Named::Unknown => Err(wrong(
            "charset",
            format!("不认识字符集 {name:?}，请写 UTF-8、GBK 或 GB18030 等"),
            format!("{name:?} is no character set known here; write such as UTF-8, GBK or GB18030"),
        )),
    }
}

fn level(number: u8) -> Result<HospitalLevel, Mistake> {
    HospitalLevel::try_from(number)
        .map_err(|_| wrong("level", "医院级别须为 1、2 或 3", "must be the hospital's level: 1, 2 or 3"))
}

fn code(text: String) -> Result<String, Mistake> {
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if is_plain && !text.is_empty() && text.len() <= 30 {
        return Ok(text);
    }
    Err(wrong("code", "须为 1 至 30 个字母、数字、-、_ 或 .", "must be 1 to 30 letters, digits, -, _ or ."))
}

fn region(text: &str) -> Result<&str, Mistake> {
    if text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(text);
    }
    Err(wrong("region", "须为六位数字的统筹区代码", "must be the six digits of a pooling area"))
}

fn agreements(periods: Vec<Period>) -> Result<Vec<Period>, Mistake> {
    match periods.iter().position(|period| period.to.is_some_and(|to| to < period.from)) {
        Some(at) => Err(wrong(
            format!("agreements[{at}].to"),
            "早于 from，请更正其中一个日期",
            "lies before from; correct one of the two days",
        )),
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

fn return_address(text: String) -> Result<ReturnAddress, Mistake> {
    text.parse().map_err(|why| Mistake::at("return_address", why))
}

fn token(text: &str) -> Result<[u8; 32], Mistake> {
    let mut hash = [0; 32];
    let is_hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex {
        return Err(wrong(
            "token_sha256",
            "须为 64 位十六进制数字（printf %s 令牌 | sha256sum）",
            "must be 64 hexadecimal digits (printf %s TOKEN | sha256sum)",
        ));
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    Ok(hash)
}

fn binding(name: &str) -> Result<Head, Mistake> {
    match Head::from_word(name) {
        Some(name @ (Head::StatedTotal | Head::StatedPatientShare)) => Ok(name),
        _ => Err(wrong(
            "binding",
            format!("{name:?} 只能是 stated.total 或 stated.patient_share"),
            format!("{name:?} must be stated.total or stated.patient_share"),
        )),
    }
}

/// Where a sender is told that it must write a field.
fn hl7_places(texts: &BTreeMap<String, Paths>) -> Hl7Places {
    places::of(|wanted| {
        let (_, Paths(paths)) = texts.iter().find(|(name, _)| Name::from_word(name) == Some(wanted))?;
        paths.first().map(String::as_str)
    })
}

fn hl7_paths(texts: &BTreeMap<String, Paths>) -> Result<Hl7Paths, Mistake> {
    let mut paths = Hl7Paths::default();
    for (name, Paths(texts)) in texts {
        let key = || format!("hl7.\"{name}\"");
        let read = texts.iter().map(|text| Hl7Selector::parse(text));
        let selectors: Vec<_> = read.collect::<Result<_, _>>().map_err(|why| Mistake::at(key(), why))?;
        match Name::from_word(name) {
            Some(Name::Head(field)) => paths.head[field.index()] = selectors,
            Some(Name::Line(field)) => paths.line[field.index()] = Some(line_path(key(), selectors)?),
            Some(Name::Diagnosis(_) | Name::Payer(_)) | None => {
                return Err(wrong(
                    key(),
                    "该字段不能由 HL7 路径指定，请删除",
                    "cannot be a path of HL7; remove it",
                ));
            }
        }
    }
    Ok(paths)
}

/// Each charge has one place for a field.
fn line_path(key: String, selectors: Vec<Hl7Selector>) -> Result<Hl7Selector, Mistake> {
    let mut selectors = selectors.into_iter();
    match (selectors.next(), selectors.next()) {
        (Some(path), None) if path.segment == SegmentId::of(b"FT1") => Ok(path),
        (Some(_), None) => {
            Err(wrong(key, "费用行的字段须取自 FT1 段", "a line's fields stand in FT1; name a path there"))
        }
        _ => Err(wrong(key, "费用行的字段只能有一个路径", "a line's field has one path; write one")),
    }
}

fn value_maps(texts: BTreeMap<String, ValueMap>) -> Result<ValueMaps, Mistake> {
    let mut values = ValueMaps::default();
    for (name, map) in texts {
        let known = Name::from_word(&name).ok_or_else(|| no_field(format!("values.\"{name}\"")))?;
        values.set(known, map);
    }
    Ok(values)
}

fn xml_map((name, file): (String, MapFile)) -> Result<XmlMap, Mistake> {
    let key = format!("xml_map.{name}");
    let path = |part: &str, text: &str, is_absolute: bool| {
        XmlPath::parse(text, is_absolute).map_err(|why| Mistake::at(format!("{key}.{part}"), why))
    };
    let mut fields = BTreeMap::new();
    for (field, text) in &file.fields {
        let part = format!("fields.\"{field}\"");
        if Head::from_word(field).is_none() {
            return Err(no_field(format!("{key}.{part}")));
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

fn xml_list(key: &str, list: List, texts: BTreeMap<String, String>) -> Result<XmlListMap, Mistake> {
    let key = |part: &str| format!("{key}.{}.{part}", list.word());
    let (mut each, mut fields) = (None, BTreeMap::new());
    for (name, text) in texts {
        let is_known = match list {
            List::Lines => LineField::from_word(&name).is_some(),
            List::Diagnoses => DiagnosisField::from_word(&name).is_some(),
            List::SettledElsewhere => PayerField::from_word(&name).is_some(),
        };
        let is_each = name == "each";
        if !is_known && !is_each {
            return Err(no_field(key(&name)));
        }
        let path = XmlPath::parse(&text, is_each).map_err(|why| Mistake::at(key(&name), why))?;
        if is_each {
            each = Some(path);
        } else {
            fields.insert(name, path);
        }
    }
    let each = each.ok_or_else(|| {
        wrong(
            key("each"),
            "缺少该项，请补上重复元素的路径",
            "is missing; add the path of the repeated element",
        )
    })?;
    Ok(XmlListMap { each, fields })
}
