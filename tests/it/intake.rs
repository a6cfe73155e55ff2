//! Messages of every format through the one door: the cases of `tests/cases/intake.toml`.

use jiff::Timestamp;
use proptest::prelude::*;
use serde::Deserialize;
use yizhan::intake::hl7::Charset;
use yizhan::intake::hl7::charset::Named;
use yizhan::intake::limits::{LINES_MAX, MESSAGE_BYTES_MAX, PROBLEMS_MAX, XML_ATTRIBUTES_MAX, XML_DEPTH_MAX};
use yizhan::intake::profile::{EVERYBODY, Sender};
use yizhan::intake::{Channel, Format, Inbound, Profile, Profiles, Rejected, door, split};
use yizhan::samples;
use yizhan::settlement::meaning::{differing_lines, meaning};
use yizhan::settlement::message::Trigger;
use yizhan_contract::{Discharge, revealing};

use crate::{project, says_both};

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
        "stay_v2.xml",
        "stay_mirth.xml",
    ] {
        let other = discharge(file);
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
        (nested(XML_DEPTH_MAX + 1), "too_large @ line 1"),
        (format!("<a{attributes}/>").into_bytes(), "too_large @ line 1"),
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
        (Format::Xml, b"<a>\n<b></c></a>", "malformed @ line 2", "<b> is closed by </c>"),
        (Format::Xml, b"<a></a></b>", "malformed @ line 1", "</b> closes nothing"),
        (Format::Xml, b"<a>R&D</a>", "malformed @ line 1", "write &amp;"),
        (Format::Xml, b"<a>\n<b", "malformed @ line 2", "a tag without its >"),
        (Format::Xml, b"<a b=\"c></a>", "malformed @ line 1", "closing quote"),
        (Format::Xml, b"<a><!-- </a>", "malformed @ line 1", "a comment without its -->"),
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
        ("stay_repeated.xml", "</diagnoses>\n <lines>", &xml, "too_large @ /discharge/lines[5001] (line 25)"),
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

/// What is replaced in the example, and the place, the Chinese and the English of what is then said.
const PROFILE_MISTAKES: &[(&str, &str, &str, &str, &str)] = &[
    ("level = 2", "level = 4", "level:", "须为 1、2 或 3", "1, 2 or 3"),
    ("level = 2", "level = \"two\"", "level:", "不加引号", "without quotation marks"),
    ("level = 2", "lvel = 2", "lvel:", "没有这个配置项", "is no key"),
    ("level = 2", "", "level:", "缺少该项", "is missing; add it"),
    ("level = 2", "level = ", "", "不是有效的 TOML", "compare schemas/hospital.example.toml"),
    ("name = { zh", "name = { cn", "name.zh:", "缺少该项", "is missing"),
    ("senders = [\"SAMPLEHOSP\", \"HIS|COUNTY\"]", "senders = 7", "senders:", "列表", "a list"),
    ("code = \"H37132301\"", "code = \"H 1\"", "code:", "字母、数字", "letters, digits"),
    ("region = \"371323\"", "region = \"3713\"", "region:", "六位数字", "six digits"),
    ("charset = \"GB18030\"", "charset = \"EBCDIC\"", "charset:", "不认识字符集", "no character set known"),
    ("charset = \"GB18030\"", "charset = \"utf-16\"", "charset:", "与 MLLP 帧冲突", "bytes that frame"),
    ("mode = \"settle\"", "mode = \"sell\"", "mode:", "只能是", "must be one of"),
    ("\"127.0.0.1:6661\"", "\"http://his.example\"", "return_address:", "请改用 https", "use https"),
    ("\"127.0.0.1:6661\"", "\"https://\"", "return_address:", "不是有效的网址", "is no address"),
    ("\"127.0.0.1:6661\"", "\"https://a:b@c.d\"", "return_address:", "请删除", "take it out"),
    ("\"127.0.0.1:6661\"", "\"his\"", "return_address:", "主机:端口", "host:port"),
    ("token_sha256 = \"9f", "token_sha256 = \"9g", "token_sha256:", "64 位十六进制", "64 hexadecimal"),
    ("binding = []", "binding = [\"total\"]", "binding:", "只能是", "must be"),
    ("\"PID-3[SB].1\"", "\"PID-3[SB.1\"", "hl7.\"patient.card\":", "不是路径", "is no path"),
    ("= \"FT1-17\"", "= \"PV1-17\"", "hl7.\"lines.class\":", "取自 FT1", "stand in FT1"),
    ("= \"FT1-17\"", "= [\"FT1-17\", \"FT1-18\"]", "hl7.\"lines.class\":", "只能有一个", "has one path"),
    ("= \"FT1-17\"", "= []", "hl7.lines.class:", "或路径的列表", "or a list of such"),
    ("= \"FT1-17\"", "= [17]", "hl7.lines.class:", "或路径的列表", "or a list of such"),
    ("\"lines.class\" =", "\"diagnoses.code\" =", "diagnoses.code", "不能由 HL7", "cannot be a path"),
    ("\"/Envelope/Body/POOR_IN200902UV/creationTime/@value\"", "\"//x\"", "sent_at", "逐级", "every step"),
    ("id = \"id/@extension\"", "id = \"/id/@extension\"", "lines.id:", "不以 / 开头", "not begin with /"),
    ("has = \"/Envelope", "has = \"Envelope", ".has:", "以 / 和根元素", "begins with /"),
    ("creationTime/@value", "creationTime/@a/b", "sent_at", "不得再有", "nothing may follow"),
    ("creationTime/@value", "creationTime/@*", "sent_at", "不是属性名", "no attribute name"),
    ("id[@root='2.16.156.10011.1.5']", "id[@root]", "hospital", "须为 [序号]", "is neither [n]"),
    ("'2.16.156.10011.1.5']", "'2.16.156.10011.1.5'", "hospital", "缺少 ]", "lacks its ]"),
    ("\"visit.number\" = \"/E", "\"visit.nr\" = \"/E", "visit.nr", "没有这个字段", "is no field"),
    ("[values.\"visit.class\"]", "[values.\"visit.klasse\"]", "visit.klasse", "没有这个字段", "is no field"),
    ("each = ", "every = ", "every", "没有这个字段", "is no field"),
    ("each = ", "# each = ", "lines.each:", "缺少该项", "is missing; add the path"),
    ("to = \"2020-12-31\"", "to = \"2018-12-31\"", "agreements[0].to:", "早于", "lies before"),
    ("to = \"2020-12-31\"", "to = \"soon\"", "agreements[0].to:", "取值无效", "no valid value"),
];

#[test]
fn profiles_say_in_both_languages_which_key_is_wrong_and_what_to_write() {
    let text = std::fs::read_to_string(project("schemas/hospital.example.toml")).unwrap();
    let line_of = |of: &str| text[..text.find(of).unwrap()].matches('\n').count() + 1;
    for (from, to, place, zh, en) in PROFILE_MISTAKES {
        assert!(text.contains(from), "{from}");
        let why = Profile::from_toml(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(says_both(&why), "{why}");
        for part in [place, zh, en] {
            assert!(why.contains(*part), "{part}: {why}");
        }
        // What the file's reader found has its line; what came of looking at the whole has its key alone.
        let line = format!("{}: ", line_of(from));
        assert!(!why.starts_with(|c: char| c.is_ascii_digit()) || why.starts_with(&line), "{line}: {why}");
    }
}

/// Mistakes that only two profiles together can make.
#[test]
fn profiles_that_do_not_go_together_are_refused_in_both_languages() {
    let read: Vec<Profile> =
        samples::HOSPITALS.iter().map(|sample| Profile::from_toml(sample.profile).unwrap()).collect();
    let mut same_sender = read.clone();
    for profile in &mut same_sender[..2] {
        profile.senders = vec![Sender { application: Some("HIS".to_owned()), facility: "COUNTY".to_owned() }];
    }
    let mut greedy = read.clone();
    greedy[1].senders = vec![Sender { application: None, facility: EVERYBODY.to_owned() }];
    assert!(Profiles::new(vec![greedy[1].clone()]).is_ok());
    for (profiles, parts) in [
        (greedy, ["senders: 医院 H37132301", "请改为列出其发送方", "list its senders instead"]),
        (
            vec![read[0].clone(), read[0].clone()],
            ["code: 两份医院配置的编码同为 H37130001", "各用各的", "give each its own"],
        ),
        (same_sender, ["senders: 医院", "HIS|COUNTY，请从其中一份", "take it out of one"]),
    ] {
        let why = Profiles::new(profiles).unwrap_err().to_string();
        assert!(says_both(&why), "{why}");
        for part in parts {
            assert!(why.contains(part), "{part}: {why}");
        }
    }
}

#[test]
fn a_token_belongs_to_one_hospital() {
    use sha2::{Digest, Sha256};
    let mut read: Vec<Profile> =
        samples::HOSPITALS.iter().map(|sample| Profile::from_toml(sample.profile).unwrap()).collect();
    for (profile, sample) in read.iter().zip(samples::HOSPITALS) {
        assert_eq!(profile.token_sha256, Some(Sha256::digest(sample.token).into()), "{}", profile.code());
    }
    assert!(Profiles::new(read.clone()).is_ok());
    read[2].token_sha256 = read[0].token_sha256;
    let why = Profiles::new(read.clone()).unwrap_err().to_string();
    assert!(says_both(&why), "{why}");
    for part in ["token_sha256", read[0].code(), read[2].code(), "各生成一个令牌", "a token of its own"]
    {
        assert!(why.contains(part), "{part}: {why}");
    }
    // Hospitals that send by MLLP alone have none.
    read.iter_mut().for_each(|profile| profile.token_sha256 = None);
    assert!(Profiles::new(read).is_ok());
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
