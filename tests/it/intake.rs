//! Messages of every format through the one door: the cases of `tests/cases/intake.toml`.

use jiff::Timestamp;
use proptest::prelude::*;
use serde::Deserialize;
use yizhan::intake::hl7::Charset;
use yizhan::intake::hl7::charset::Named;
use yizhan::intake::limits::{
    DIAGNOSES_MAX, LINES_MAX, MESSAGE_BYTES_MAX, PROBLEMS_MAX, SETTLED_ELSEWHERE_MAX, XML_ATTRIBUTES_MAX,
    XML_DEPTH_MAX,
};
use yizhan::intake::{Channel, Format, Inbound, Profile, Profiles, Rejected, door, split};
use yizhan::settlement::meaning::{differing_lines, meaning};
use yizhan::settlement::message::Trigger;
use yizhan_contract::{Discharge, revealing};

use crate::project;

fn now() -> Timestamp {
    "2020-07-03T10:00:00+08:00".parse().unwrap()
}

fn profiles() -> Profiles {
    profiles_with(&[])
}

/// The example profile, with texts of it replaced.
fn profiles_with(replace: &[(String, String)]) -> Profiles {
    let text = std::fs::read_to_string(project("schemas/hospital.example.toml")).unwrap();
    Profiles::new(vec![Profile::from_toml(&replaced(text, replace)).unwrap()]).unwrap()
}

fn replaced(mut text: String, replace: &[(String, String)]) -> String {
    for (from, to) in replace {
        assert!(text.contains(from), "{from:?} is not there");
        text = text.replacen(from, to, 1);
    }
    text
}

fn message(file: &str) -> Vec<u8> {
    std::fs::read(project("tests/messages/intake").join(file)).unwrap()
}

fn read_with(bytes: &[u8], profiles: &Profiles) -> Result<Inbound, Box<Rejected>> {
    let format = Format::detect(bytes).unwrap_or(Format::Hl7);
    door::read(bytes, format, Channel::default(), profiles, now())
}

fn places(result: Result<Inbound, Box<Rejected>>) -> Vec<String> {
    let Err(rejected) = result else { return vec!["read".to_owned()] };
    let shown = |refusal: &yizhan::refusal::Refusal| {
        format!("{} @ {}", refusal.code.slug(), refusal.place.as_deref().unwrap_or("-"))
    };
    rejected.refusals.iter().map(shown).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    file: String,
    #[serde(default)]
    replace: Vec<(String, String)>,
    #[serde(default)]
    replace_bytes: Vec<(String, String)>,
    #[serde(default)]
    profile: Vec<(String, String)>,
    in_charset: Option<String>,
    channel_charset: Option<String>,
    cut: Option<usize>,
    refused: Option<Vec<String>>,
    /// What is wrong, in the words of the first refusals: Chinese | English.
    #[serde(default)]
    says: Vec<String>,
    trigger: Option<String>,
    #[serde(default)]
    warns: Vec<String>,
    #[serde(default)]
    finds: Vec<String>,
    #[serde(default)]
    part: std::collections::BTreeMap<String, serde_json::Value>,
    /// The number that a merge gives up.
    prior_mrn: Option<String>,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = message(&self.file);
        for (from, to) in &self.replace_bytes {
            let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            bytes.splice(at..at + from.len(), to.bytes());
        }
        if !self.replace.is_empty() {
            bytes = replaced(String::from_utf8(bytes).unwrap(), &self.replace).into_bytes();
        }
        if let Some(name) = &self.in_charset {
            let Named::Charset(charset) = Charset::named(name) else { panic!("{name}") };
            bytes = charset.encode(std::str::from_utf8(&bytes).unwrap());
        }
        bytes.truncate(self.cut.unwrap_or(usize::MAX));
        bytes
    }

    fn failures(&self) -> Vec<String> {
        let bytes = self.bytes();
        let format = Format::detect(&bytes).unwrap_or(Format::Hl7);
        let channel = Channel { charset: self.channel_charset.as_deref(), ..Channel::default() };
        let result = door::read(&bytes, format, channel, &profiles_with(&self.profile), now());
        if let Some(refused) = &self.refused {
            if let Err(rejected) = &result {
                let said = |refusal: &yizhan::refusal::Refusal| {
                    format!("{} | {}", refusal.detail.zh, refusal.detail.en)
                };
                let said: Vec<String> = rejected.refusals.iter().map(said).take(self.says.len()).collect();
                if said != self.says {
                    return vec![format!("{said:?}")];
                }
            }
            let got = places(result);
            return if got == *refused { vec![] } else { vec![format!("{got:?}")] };
        }
        let inbound = match result {
            Ok(inbound) => inbound,
            Err(rejected) => return rejected.refusals.iter().map(ToString::to_string).collect(),
        };
        let mut failures = Vec::new();
        let mut compare = |what: &str, got: serde_json::Value, wanted: serde_json::Value| {
            if got != wanted {
                failures.push(format!("{what}: {got}, not {wanted}"));
            }
        };
        let word = serde_json::to_value(inbound.message.trigger).unwrap();
        compare("trigger", word, self.trigger.clone().unwrap_or_default().into());
        let warns: Vec<&str> = inbound.warnings.iter().map(|warning| warning.place.as_str()).collect();
        compare("warns", serde_json::json!(warns), serde_json::json!(self.warns));
        let finds: Vec<_> = inbound.message.findings.iter().map(|finding| finding.code).collect();
        compare("finds", serde_json::json!(finds), serde_json::json!(self.finds));
        let prior = inbound.message.prior_mrn.as_ref().map(|prior| prior.reveal().clone());
        compare("prior_mrn", serde_json::json!(prior), serde_json::json!(self.prior_mrn));
        let part = revealing(|| serde_json::to_value(&inbound.message.part).unwrap());
        for (pointer, wanted) in &self.part {
            compare(pointer, part.pointer(pointer).cloned().unwrap_or_default(), wanted.clone());
        }
        failures
    }
}

#[test]
fn cases() {
    let cases: Cases =
        toml::from_str(&std::fs::read_to_string(project("tests/cases/intake.toml")).unwrap()).unwrap();
    let failed: Vec<String> = cases
        .case
        .iter()
        .flat_map(|case| case.failures().into_iter().map(|why| format!("{}: {why}", case.name)))
        .collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

fn discharge(file: &str) -> Discharge {
    let inbound = read_with(&message(file), &profiles()).unwrap();
    let complete = inbound.message.part.complete(
        &inbound.profile.hospital,
        &inbound.message.message_id,
        inbound.message.sent_at,
        inbound.message.dialect,
    );
    complete.unwrap().discharge
}

#[test]
fn one_stay_is_the_same_in_every_format() {
    let json = discharge("stay.json");
    for file in [
        "stay.xml",
        "stay_repeated.xml",
        "stay_gb18030.xml",
        "stay_dft.hl7",
        "stay_dft_gb18030.hl7",
        "stay_dft_unnamed_gb.hl7",
        "stay_v2.xml",
        "stay_mirth.xml",
        "stay_v3_soap.xml",
    ] {
        let mut other = discharge(file);
        if file == "stay_v3_soap.xml" {
            // Its path map leaves class and category to the catalogue, and names no bed.
            assert_eq!((other.visit.ward.take(), other.visit.bed.take()), (None, None));
            (other.visit.ward, other.visit.bed) = (json.visit.ward.clone(), json.visit.bed.clone());
            for (line, named) in other.lines.iter_mut().zip(&json.lines) {
                assert_eq!((line.class, line.category.as_deref()), (None, None));
                (line.class, line.category) = (named.class, named.category.clone());
            }
        }
        assert_eq!(
            revealing(|| serde_json::to_value(&other)).unwrap(),
            revealing(|| serde_json::to_value(&json)).unwrap(),
            "{file}"
        );
        assert_eq!(meaning(&other).unwrap(), meaning(&json).unwrap(), "{file}");
    }
}

#[test]
fn meaning_ignores_order_and_envelope_and_names_what_differs() {
    let first = discharge("stay.json");
    let mut other = first.clone();
    other.message_id = "another".to_owned();
    other.lines.reverse();
    assert_eq!(meaning(&first).unwrap(), meaning(&other).unwrap());
    other.lines[0].amount = Some("-12.34".parse().unwrap());
    other.lines.remove(3);
    assert_ne!(meaning(&first).unwrap(), meaning(&other).unwrap());
    assert_eq!(differing_lines(&first, &other), ["L1", "L4"]);
}

#[test]
fn what_could_hurt_is_refused() {
    let profiles = profiles();
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth)).into_bytes();
    let many_members = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(500_000));
    let attributes: String = (0..=XML_ATTRIBUTES_MAX).map(|n| format!(" a{n}=\"1\"")).collect();
    for (bytes, expected) in [
        (vec![b'{'; MESSAGE_BYTES_MAX + 1], "too_large @ -"),
        (many_members.into_bytes(), "too_large @ $"),
        (b"{".repeat(100_000), "malformed @ line 1 column 2"),
        (nested(XML_DEPTH_MAX + 1), "too_large @ line 1 column 193"),
        (format!("<a{attributes}/>").into_bytes(), "too_large @ line 1 column 1"),
        (vec![0, 159, 146, 150], "malformed @ MSH"),
        (Vec::new(), "malformed @ MSH"),
        (b"MSH\n|HIS|".to_vec(), "malformed @ MSH-1"),
    ] {
        assert_eq!(places(read_with(&bytes, &profiles)), [expected]);
    }
}

/// What is said of a text that is nothing the gateway reads: where, and why.
#[test]
fn what_is_no_message_is_refused_at_its_place_with_the_reason() {
    let utf_16: Vec<u8> = "MSH|^~\\&|HIS|".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (format, text, place, reason) in [
        (Format::Hl7, &utf_16[..], "wrong_charset @ MSH-18", "UTF-16"),
        (Format::Json, &utf_16, "wrong_charset @ byte 0", "UTF-16"),
        (Format::Json, b"[1]", "malformed @ $", "is no JSON object"),
        (Format::Json, b"\"{}\"", "malformed @ $", "is no JSON object"),
        (Format::Json, b"{\n\"a\":}", "malformed @ line 2 column 5", "is no valid JSON"),
        (
            Format::Xml,
            b"<a>\n<b></c></a>",
            "malformed @ line 2 column 4",
            "another element than the one that is open",
        ),
        (Format::Xml, b"<a></a></b>", "malformed @ line 1 column 8", "an end tag where nothing is open"),
        (Format::Xml, b"<a>R&D</a>", "malformed @ line 1 column 5", "write &amp;"),
        (Format::Xml, b"<a>\n<b", "malformed @ line 2 column 1", "a tag without its >"),
        (Format::Xml, b"<a b=\"c></a>", "malformed @ line 1 column 1", "closing quote"),
        (Format::Xml, b"<a><!-- </a>", "malformed @ line 1 column 4", "a comment without its -->"),
    ] {
        let Err(rejected) = door::read(text, format, Channel::default(), &profiles(), now()) else {
            panic!("{place}: read")
        };
        let said = rejected.refusals[0].detail.en.to_string();
        assert_eq!(places(Err(rejected)), [place], "{said}");
        assert!(said.contains(reason), "{place}: {said}");
    }
}

#[test]
fn a_message_longer_than_the_channel_takes_is_refused() {
    for file in ["stay.json", "stay.xml", "stay_dft.hl7", "stay_v2.xml"] {
        let bytes = message(file);
        let format = Format::detect(&bytes).unwrap();
        let read = |message_bytes_max| {
            let channel = Channel { message_bytes_max, ..Channel::default() };
            door::read(&bytes, format, channel, &profiles(), now())
        };
        assert!(read(bytes.len()).is_ok(), "{file}");
        assert_eq!(places(read(bytes.len() - 1)), ["too_large @ -"], "{file}");
    }
}

#[test]
fn more_lines_than_a_stay_may_have_are_refused_once() {
    let profiles = profiles();
    let json = |n| format!(r#"{{"id":"N{n}","date":"2020-06-25","code":"C","amount":"1.00"}},"#);
    let xml =
        |n| format!("<lines><id>N{n}</id><date>2020-06-25</date><code>C</code><amount>1.00</amount></lines>");
    for (file, before, line, place) in [
        ("stay.json", "\"lines\": [", &json as &dyn Fn(usize) -> String, "too_large @ $.lines[5000]"),
        (
            "stay_repeated.xml",
            "</diagnoses>\n <lines>",
            &xml,
            "too_large @ /discharge/lines[5001] (line 25, column 2)",
        ),
    ] {
        let text = String::from_utf8(message(file)).unwrap();
        let many: String = (1..LINES_MAX).map(line).collect();
        assert!(text.contains(before), "{file}");
        let at = text.find(before).unwrap() + before.len()
            - if file.ends_with("xml") { "<lines>".len() } else { 0 };
        let crowded = format!("{}{many}{}", &text[..at], &text[at..]);
        assert_eq!(places(read_with(crowded.as_bytes(), &profiles)), [place]);
    }
}

/// One entry of a list more than is taken.
#[test]
fn lists_have_an_end() {
    let profiles = profiles();
    let diagnosis = |n| format!(r#"{{"code":"J{n}"}}"#);
    let payer = |n| format!(r#"{{"payer":"payer_{n}","amount":"0.00","reference":"R{n}"}}"#);
    let list =
        |entry: &dyn Fn(usize) -> String, count: usize| (0..count).map(entry).collect::<Vec<_>>().join(",");
    let json = String::from_utf8(message("stay.json")).unwrap();
    for (name, entry, most) in [
        ("diagnoses", &diagnosis as &dyn Fn(usize) -> String, DIAGNOSES_MAX),
        ("settled_elsewhere", &payer, SETTLED_ELSEWHERE_MAX),
    ] {
        let with = |count| {
            let mut stay: serde_json::Value = serde_json::from_str(&json).unwrap();
            stay[name] = serde_json::from_str(&format!("[{}]", list(entry, count))).unwrap();
            places(read_with(stay.to_string().as_bytes(), &profiles))
        };
        assert_eq!(with(most), ["read"], "{name}");
        assert_eq!(with(most + 1), [format!("too_large @ $.{name}[{most}]")]);
    }
}

#[test]
fn crowds_of_empty_lines_are_refused() {
    let profiles = profiles();
    let json = String::from_utf8(message("stay.json")).unwrap();
    let xml = String::from_utf8(message("stay_repeated.xml")).unwrap();
    let crowded_json = json.replace("\"lines\": [", &format!("\"lines\": [{}", "{},".repeat(1_000_000)));
    let crowded_xml =
        xml.replacen(" <lines>", &format!("{} <lines>", "<lines><id/></lines>".repeat(100_000)), 1);
    for text in [crowded_json, crowded_xml] {
        assert_eq!(places(read_with(text.as_bytes(), &profiles)).len(), PROBLEMS_MAX);
    }
}

#[test]
fn refusals_hold_no_personal_data() {
    let profiles = profiles();
    for file in ["stay.json", "stay.xml", "stay_dft.hl7", "a01.hl7"] {
        let text = String::from_utf8(message(file)).unwrap();
        let broken = text.replace("371323195603070015", "371323195603070016").replace("450.00", "王试样");
        let Err(rejected) = read_with(broken.as_bytes(), &profiles) else { panic!("{file} was read") };
        let shown = format!("{:?}", rejected.refusals);
        assert!(!shown.contains("王") && !shown.contains("3713231956"), "{file}: {shown}");
    }
}

/// Who writes a document by hand, or by a program that is wrong, may call a member or an element by a person's name.
#[test]
fn refusals_tell_no_name_that_no_schema_has() {
    let profiles = profiles();
    for (file, from, to, said) in [
        (
            "stay.json",
            "\"visit\":",
            "\"王小明\": 1, \"visit\":",
            "$.*: there is no such field (member 4 of its object)",
        ),
        (
            "stay.json",
            "\"bed\":",
            "\"王小明\":",
            "$.visit.*: there is no such field (member 6 of its object)",
        ),
        ("stay.json", "\"name\": \"高血压\"", "\"王小明\": \"高血压\"", "$.diagnoses[1].*: there is"),
        ("stay.xml", "<visit>", "<王小明/><visit>", "/discharge/* (line "),
        ("stay.xml", "<bed>12</bed>", "<王小明>12</王小明>", "/discharge/visit/* (line "),
        ("stay.xml", "<id>L2</id>", "<id>L2</id><王小明/>", "/discharge/lines/line[2]/* (line "),
        ("stay.xml", "<bed>", "<bed 王小明=\"1\">", "/@*: attributes are not accepted"),
        ("stay.xml", "</bed>", "</王小明>", "an end tag of another element"),
        ("stay_v2.xml", "</PID>", "<王小明/></PID>", "/DFT_P03/PID/*[7] (line "),
    ] {
        let text = String::from_utf8(message(file)).unwrap();
        let changed = replaced(text, &[(from.to_owned(), to.to_owned())]);
        let Err(rejected) = read_with(changed.as_bytes(), &profiles) else { panic!("{to} was read") };
        let told: Vec<String> = rejected.refusals.iter().map(ToString::to_string).collect();
        assert!(told[0].contains(said), "{to}: {told:?}");
        let all = format!("{:?} {told:?}", rejected.refusals);
        assert!(!all.contains('王') && !all.contains("小明"), "{all}");
    }
}

#[test]
fn a_file_may_hold_many_messages() {
    let mut framed = Vec::new();
    for file in ["a01.hl7", "stay_dft.hl7", "a03.hl7"] {
        framed.push(0x0B);
        framed.extend(message(file));
        framed.extend([0x1C, b'\r']);
    }
    let messages = split(&framed, Format::detect(&framed).unwrap()).unwrap().messages;
    let profiles = profiles();
    let triggers: Vec<_> =
        messages.iter().map(|bytes| read_with(bytes, &profiles).unwrap().message.trigger).collect();
    assert_eq!(triggers, [Trigger::Admit, Trigger::Charges, Trigger::Discharge]);
}

const SAMPLES: &[&str] =
    &["stay.json", "stay.xml", "stay_v3_soap.xml", "stay_dft.hl7", "kinds.hl7", "a08.hl7"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), format in 0..3_usize) {
        let format = [Format::Hl7, Format::Xml, Format::Json][format];
        if let Err(rejected) = door::read(&bytes, format, Channel::default(), &profiles(), now()) {
            prop_assert!(!rejected.refusals.is_empty());
        }
    }

    #[test]
    fn any_mutation_is_read_or_refused(
        sample in 0..SAMPLES.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..6),
    ) {
        let mut bytes = message(SAMPLES[sample]);
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        if let Err(rejected) = read_with(&bytes, &profiles()) {
            prop_assert!(!rejected.refusals.is_empty());
        }
    }
}
