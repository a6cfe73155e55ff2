//! The one door for messages from hospitals.

use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use yizhan_contract::Personal;

use super::format::{BYTE_ORDER_MARK, Format, is_cut_off, utf_16_beginning};
use super::hl7::charset::Named;
use super::hl7::{Charset, Header, Message};
use super::inbound::{Channel, Inbound, Rejected};
use super::limits::MESSAGE_ID_CHARS_MAX;
use super::problems::{Problems, not_in_charset};
use super::profile::select::XmlMap;
use super::profile::{Profile, Profiles};
use super::raw::{Field, Place, RawStay};
use super::read::{Envelope, Finished, Reader};
use super::shown::shown;
use super::xml::tree::Tree;
use super::xml::{discharge, map};
use super::{hl7_map, json, xml};
use crate::refusal::{Code, Refusal};
use crate::settlement::message::{self as settlement, Trigger};
use crate::settlement::names::Head;
use crate::settlement::part::StayPart;
use crate::settlement::places::{Dialect, Places};

/// What is known of a message while it is read.
struct Known {
    profile: Option<Arc<Profile>>,
    sender: String,
    message_id: Option<String>,
    digest: [u8; 32],
    header: Option<Header>,
}

impl Known {
    fn is_from(&mut self, header: &Header) {
        self.sender = hl7_sender(header);
        self.message_id = Some(header.control_id()).filter(|id| !id.is_empty());
    }

    fn rejected(self, refusals: Vec<Refusal>) -> Box<Rejected> {
        let Self { profile, sender, message_id, digest, header } = self;
        Box::new(Rejected { refusals, profile, sender, message_id, digest, header })
    }
}

/// Reads one message.
///
/// # Errors
/// Everything that is wrong with it, at most [`super::limits::PROBLEMS_MAX`] problems, each with its place.
pub fn read(
    bytes: &[u8],
    format: Format,
    channel: Channel<'_>,
    profiles: &Profiles,
    now: Timestamp,
) -> Result<Inbound, Box<Rejected>> {
    let digest = Sha256::digest(bytes).into();
    let known = Known { profile: None, sender: String::new(), message_id: None, digest, header: None };
    if bytes.len() > channel.message_bytes_max {
        return Err(known.rejected(vec![too_large(channel.message_bytes_max)]));
    }
    if format == Format::Hl7 && is_cut_off(bytes) {
        let (zh, en) = ("MLLP 帧不完整，缺少结束符", "the MLLP frame was cut off: it has no end block");
        return Err(known.rejected(vec![Refusal::new(Code::Malformed, zh, en)]));
    }
    if format != Format::Xml && utf_16_beginning(bytes).is_some() {
        return Err(known.rejected(vec![in_utf_16(format)]));
    }
    match format {
        Format::Hl7 => read_hl7(bytes, known, channel, profiles, now),
        Format::Json => read_json(bytes, known, profiles, now),
        Format::Xml => read_xml(bytes, channel, known, profiles, now),
    }
}

fn read_hl7(
    bytes: &[u8],
    mut known: Known,
    channel: Channel<'_>,
    profiles: &Profiles,
    now: Timestamp,
) -> Result<Inbound, Box<Rejected>> {
    // Where MSH-18 is empty the channel's word counts, then the sender's profile, so it is looked for first.
    let stated = channel.charset.and_then(charset_named);
    let (salvaged, profile) = profiles.of_header(bytes, stated);
    match Message::parse(bytes, &channel.reading(salvaged.charset())) {
        Ok(message) => map_hl7(&message, known, profiles, now),
        Err(error) => {
            known.is_from(&salvaged);
            known.profile = profile.cloned();
            known.header = salvaged.is_known().then_some(salvaged);
            Err(known.rejected(vec![hl7_map::refusal(&error)]))
        }
    }
}

fn map_hl7(
    message: &Message<'_>,
    mut known: Known,
    profiles: &Profiles,
    now: Timestamp,
) -> Result<Inbound, Box<Rejected>> {
    let header = Header::of(message);
    known.is_from(&header);
    let profile = profiles.of_sender(&header.sending_application(), &header.sending_facility()).cloned();
    known.header = Some(header);
    known.profile.clone_from(&profile);
    let Some(profile) = profile else {
        return Err(known.rejected(vec![unknown_hospital("MSH-4")]));
    };
    let mapped = match hl7_map::map(message, &profile, now) {
        Ok(mapped) => mapped,
        Err(refusal) => return Err(known.rejected(vec![refusal])),
    };
    let read = Read {
        part: mapped.part,
        places: mapped.places,
        envelope: mapped.envelope,
        problems: mapped.problems,
        trigger: mapped.trigger,
        dialect: Dialect::Hl7,
        prior_mrn: mapped.prior_mrn,
    };
    read.finish(known, profile, now)
}

fn charset_named(name: &str) -> Option<Charset> {
    match Charset::named(name) {
        Named::Charset(charset) => Some(charset),
        Named::Unframable | Named::Unknown => None,
    }
}

/// As a person reads it: which system of the hospital, where that is said.
fn sent_by(header: Option<&Header>, profile: &Profile) -> String {
    let application = header.map(Header::sending_application).unwrap_or_default();
    if application.is_empty() {
        profile.code().to_owned()
    } else {
        format!("{application} ({})", profile.code())
    }
}

fn hl7_sender(header: &Header) -> String {
    format!(
        "{}|{}|{}^{}",
        header.sending_application(),
        header.sending_facility(),
        header.message_code(),
        header.trigger_event()
    )
}

fn read_json(
    bytes: &[u8],
    known: Known,
    profiles: &Profiles,
    now: Timestamp,
) -> Result<Inbound, Box<Rejected>> {
    let json = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let text = match std::str::from_utf8(json) {
        Ok(text) => text,
        Err(why) => {
            let mark = bytes.len() - json.len();
            return Err(known.rejected(vec![not_in_charset(mark + why.valid_up_to(), "UTF-8")]));
        }
    };
    let mut problems = Problems::default();
    match json::read(text, &mut problems) {
        Ok(raw) => document(&raw, Dialect::Json, problems, known, profiles, now),
        Err(refusal) => Err(known.rejected(vec![refusal])),
    }
}

fn read_xml(
    bytes: &[u8],
    channel: Channel<'_>,
    known: Known,
    profiles: &Profiles,
    now: Timestamp,
) -> Result<Inbound, Box<Rejected>> {
    let decoded = xml::tree::decode(bytes, channel.charset);
    let tree = decoded.and_then(|(text, charset)| Ok((Tree::parse(&text)?, charset)));
    let (tree, charset) = match tree {
        Ok(tree) => tree,
        Err(refusal) => return Err(known.rejected(vec![refusal])),
    };
    // HL7 in XML, the standard's or an engine's: read like any other HL7 message.
    if xml::hl7::is_message(&tree) {
        return match xml::hl7::message(&tree, charset, &channel.reading(charset).limits) {
            Ok(message) => map_hl7(&message, known, profiles, now),
            Err(refusal) => Err(known.rejected(vec![refusal])),
        };
    }
    let mut problems = Problems::default();
    if discharge::is_discharge(&tree) {
        let raw = discharge::read(&tree, &mut problems);
        return document(&raw, Dialect::Xml, problems, known, profiles, now);
    }
    match mapped_profile(&tree, profiles) {
        Ok((profile, map)) => {
            let raw = map::read(map, &tree);
            whole_stay(&raw, Dialect::MappedXml, problems, known, profile, now)
        }
        Err(refusal) => Err(known.rejected(vec![refusal])),
    }
}

/// The hospital whose path map reads this document: the one that the document names, or the only one.
fn mapped_profile<'p>(
    tree: &Tree,
    profiles: &'p Profiles,
) -> Result<(&'p Arc<Profile>, &'p XmlMap), Refusal> {
    let mut fitting = Vec::new();
    for profile in profiles.iter() {
        fitting.extend(profile.xml_maps.iter().filter(|map| map::fits(map, tree)).map(|map| (profile, map)));
    }
    let Some((_, first)) = fitting.first() else {
        let en = "the root element is neither discharge nor one of a hospital's path maps";
        let place = format!("/{}", shown(&tree.root().name));
        return Err(Refusal::new(Code::UnsupportedType, "未知的 XML 文档类型", en).at(place));
    };
    let named = fitting.iter().find(|(profile, map)| match map::hospital(map, tree) {
        Some(field) => field.as_text().is_some_and(|code| *profile.code() == *code),
        None => fitting.len() == 1,
    });
    let place = || map::hospital(first, tree).map_or_else(|| "hospital".to_owned(), |f| f.place.to_string());
    named.copied().ok_or_else(|| unknown_hospital(&place()))
}

/// A document of ours: it names its hospital by code.
fn document(
    raw: &RawStay<'_>,
    dialect: Dialect,
    mut problems: Problems,
    mut known: Known,
    profiles: &Profiles,
    now: Timestamp,
) -> Result<Inbound, Box<Rejected>> {
    let hospital = &raw.head[Head::Hospital.index()];
    known.message_id = message_id(raw);
    known.sender = format!("{}|{}", hospital.as_text().unwrap_or_default(), format_of(dialect));
    match hospital.as_text().map(|code| profiles.of_hospital(code)) {
        Some(Some(profile)) => whole_stay(raw, dialect, problems, known, profile, now),
        Some(None) => {
            problems.push(unknown_hospital(&hospital.place.to_string()));
            Err(known.rejected(problems.take_refusals()))
        }
        None => {
            problems.push(missing(Head::Hospital, hospital, dialect));
            Err(known.rejected(problems.take_refusals()))
        }
    }
}

fn whole_stay(
    raw: &RawStay<'_>,
    dialect: Dialect,
    problems: Problems,
    mut known: Known,
    profile: &Arc<Profile>,
    now: Timestamp,
) -> Result<Inbound, Box<Rejected>> {
    known.profile = Some(profile.clone());
    known.message_id = message_id(raw);
    let mut reader = Reader::new(profile, dialect, now, problems);
    reader.stay(raw);
    let Finished { part, places, envelope, mut problems } = reader.finish();
    known.sender = format!("{}|{}", part.hospital, format_of(dialect));
    for name in [Head::MessageId, Head::SentAt] {
        if raw.head[name.index()].as_text().is_none() {
            problems.push(missing(name, &raw.head[name.index()], dialect));
        }
    }
    // What could not be read is not missing as well.
    if !problems.is_refused() {
        let mut found = part.missing(&profile.hospital, dialect);
        found.extend(part.cause_in_contradiction(&profile.hospital, dialect));
        found.extend(part.agreement_not_in_force(&profile.hospital, dialect));
        found.extend(part.check_totals(&profile.hospital, dialect).err());
        found.into_iter().for_each(|refusal| problems.push(placed(refusal, raw, dialect)));
    }
    let trigger = Trigger::Complete;
    Read { part, places, envelope, problems, trigger, dialect, prior_mrn: None }.finish(
        known,
        profile.clone(),
        now,
    )
}

/// As far as it can be one.
fn message_id(raw: &RawStay<'_>) -> Option<String> {
    let id = raw.head[Head::MessageId.index()].as_text();
    id.filter(|id| id.chars().count() <= MESSAGE_ID_CHARS_MAX).map(str::to_owned)
}

fn format_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Json => "json",
        Dialect::Xml | Dialect::MappedXml => "xml",
        Dialect::Hl7 => "hl7",
    }
}

/// With the place the document itself gives the field, where it has it.
fn placed(refusal: Refusal, raw: &RawStay<'_>, dialect: Dialect) -> Refusal {
    let is_meant = |name: &&Head| refusal.place.as_deref() == Some(dialect.place_of(**name).as_str());
    match Head::ALL.iter().find(is_meant).map(|name| &raw.head[name.index()].place) {
        None | Some(Place::Whole) => refusal,
        Some(place) => refusal.at(place),
    }
}

fn missing(name: Head, field: &Field<'_>, dialect: Dialect) -> Refusal {
    let place = match &field.place {
        Place::Whole => dialect.place_of(name),
        place => place.to_string(),
    };
    Refusal::new(Code::MissingField, "该项必填", "this field is required").at(place)
}

fn in_utf_16(format: Format) -> Refusal {
    let (zh, en) =
        ("报文是 UTF-16 编码，请改用 UTF-8 发送", "the bytes are UTF-16; send the message in UTF-8");
    let place = if format == Format::Hl7 { "MSH-18" } else { "byte 0" };
    Refusal::new(Code::WrongCharset, zh, en).at(place)
}

/// A message that is not read, for it may be anything.
pub(super) fn too_large(bytes_max: usize) -> Refusal {
    let zh = format!("报文超过 {bytes_max} 字节");
    let en = format!("the message has more than {bytes_max} bytes");
    Refusal::new(Code::TooLarge, zh, en)
}

fn unknown_hospital(place: &str) -> Refusal {
    Refusal::new(Code::UnknownHospital, "未登记该医疗机构", "no hospital profile answers to it").at(place)
}

/// A message read to its end.
struct Read {
    part: StayPart,
    places: Places,
    envelope: Envelope,
    problems: Problems,
    trigger: Trigger,
    dialect: Dialect,
    prior_mrn: Option<Personal<String>>,
}

impl Read {
    fn finish(
        mut self,
        known: Known,
        profile: Arc<Profile>,
        now: Timestamp,
    ) -> Result<Inbound, Box<Rejected>> {
        let refusals = self.problems.take_refusals();
        let Some(message_id) = self.envelope.message_id.filter(|_| refusals.is_empty()) else {
            return Err(known.rejected(refusals));
        };
        Ok(Inbound {
            message: settlement::Message {
                hospital: Arc::clone(&profile.hospital),
                sender: known.sender,
                sent_by: sent_by(known.header.as_ref(), &profile),
                message_id,
                // HL7 senders may leave MSH-7 empty; then it was sent when it came.
                sent_at: self.envelope.sent_at.unwrap_or(now),
                digest: known.digest,
                trigger: self.trigger,
                dialect: self.dialect,
                part: self.part,
                places: self.places,
                prior_mrn: self.prior_mrn,
                findings: self.problems.findings,
            },
            profile,
            warnings: self.problems.warnings,
            header: known.header,
        })
    }
}
