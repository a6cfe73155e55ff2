//! The project's own messages: `tests/cases/hl7_syntax.toml` says what reading and checking each comes to, and how the
//! hospital that sends it is answered.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use yizhan::intake::hl7::{Charset, Message, Place, Reading, SyntaxError, structure};
use yizhan::intake::mllp::{Frames, Release, frame};
use yizhan::intake::problems::Problems;
use yizhan::intake::reception::Arrival;
use yizhan::intake::xml::discharge;
use yizhan::intake::xml::tree::Tree;
use yizhan::intake::{Format, hl7_answer};
use yizhan::telemetry::Channel;

use crate::gateway::{House, profiles};
use crate::{own_messages, project};

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    file: String,
    #[serde(default)]
    warnings: Vec<String>,
    event: Option<String>,
    #[serde(default)]
    reads: BTreeMap<String, String>,
    code: Option<u16>,
    place: Option<String>,
    /// MSA-1, then every ERR: severity, code and place, and our own word. Absent: no answer is due.
    answer: Option<Vec<String>>,
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(project("tests/cases/hl7_syntax.toml")).unwrap();
    toml::from_str::<Cases>(&text).unwrap().case
}

fn read(bytes: &[u8]) -> Result<(Message<'_>, structure::Checked), SyntaxError> {
    let message = Message::parse(bytes, &Reading::default())?;
    let checked = structure::check(&message, &["P", "T", "D"])?;
    Ok((message, checked))
}

fn check(case: &Case, bytes: &[u8]) {
    let file = &case.file;
    match (read(bytes), case.code) {
        (Err(error), code) => {
            let found = (Some(error.code.number()), Some(error.place.erl('^')));
            assert_eq!(found, (code, case.place.clone()), "{file}: {error}");
        }
        (Ok(_), Some(code)) => panic!("{file}: accepted, and should be refused with {code}"),
        (Ok((message, checked)), None) => {
            let warnings: Vec<String> =
                message.warnings().iter().chain(&checked.warnings).map(ToString::to_string).collect();
            assert_eq!(warnings, case.warnings, "{file}");
            if let Some(event) = &case.event {
                assert_eq!(checked.trigger.event(), event, "{file}");
            }
            for (path, value) in &case.reads {
                let element = message.at(Place::named(path).unwrap());
                assert_eq!(element.expect(path).text_as_sent(), *value, "{file}: {path}");
            }
        }
    }
}

/// What a table can say: text with escapes resolved, blanks around it kept; empty for null.
trait AsSent {
    fn text_as_sent(&self) -> String;
}

impl AsSent for yizhan::intake::hl7::Element<'_> {
    fn text_as_sent(&self) -> String {
        if self.value().filled().is_some() {
            self.unescaped().trim_matches(' ').to_owned()
        } else {
            String::new()
        }
    }
}

#[test]
fn every_message_comes_out_as_its_line_says() {
    let messages: BTreeMap<String, Vec<u8>> = own_messages().into_iter().collect();
    for case in cases() {
        check(&case, messages.get(&case.file).expect(&case.file));
    }
}

/// How the hospital hears of its message, each over an empty store.
async fn answered(bytes: &[u8], profile: &str) -> Option<Vec<String>> {
    let house = House::new(profiles(profile, None), false).await;
    let received = house.receive(bytes, Format::Hl7, None).await;
    let answer = hl7_answer::answers(&received, || "A1".to_owned()).pop()?;
    Some(read_answer(&answer))
}

/// MSA-1 and each ERR of an acknowledgement, whichever of its two forms it has.
pub(crate) fn read_answer(answer: &[u8]) -> Vec<String> {
    let message = Message::parse_lossily(answer, Charset::Utf8).unwrap();
    let mut told = vec![message.first("MSA").unwrap().field(1).text().into_owned()];
    for err in message.named("ERR") {
        if !err.field(3).is_blank() {
            let place = err.field(2).raw();
            let [code, severity, word] = [3, 4, 5].map(|n| err.field(n).component(1).text());
            told.push(format!("{severity} {code} {place} {word}"));
            continue;
        }
        for error in err.field(1).repetitions() {
            let place = [1, 2, 3].map(|part| error.component(part).text());
            let [code, word] = [1, 4].map(|part| error.component(4).subcomponent(part).text());
            told.push(format!("E {code} {} {word}", place.join("^").trim_end_matches('^')));
        }
    }
    told
}

#[tokio::test]
async fn every_message_is_answered_as_its_line_says() {
    let messages: BTreeMap<String, Vec<u8>> = own_messages().into_iter().collect();
    let mut failed = String::new();
    for case in cases() {
        let answer = answered(messages.get(&case.file).expect(&case.file), "").await;
        if let (Some(code), Some(place), Some(told)) = (case.code, &case.place, &answer) {
            assert!(told[1].starts_with(&format!("E {code} {place} ")), "{}: {told:?}", case.file);
        }
        if answer != case.answer {
            failed.push_str(&format!("\n{}\n  got    {answer:?}\n  wanted {:?}", case.file, case.answer));
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[tokio::test]
async fn a_profile_may_keep_warnings_out_of_the_acknowledgement() {
    let (_, bytes) = own_messages().into_iter().find(|(name, _)| name == "ends_lf").unwrap();
    assert_eq!(answered(&bytes, "").await.unwrap(), ["AA", "W 0 MSH^1 lf_separator"]);
    assert_eq!(answered(&bytes, "warnings_in_ack = false").await.unwrap(), ["AA"]);
}

/// A profile's word on acknowledgements, what the sender puts into MSH-15 and MSH-16, whether its message is taken:
/// MSA-1 of every answer.
#[tokio::test]
async fn a_profile_says_which_answers_its_hospital_understands() {
    let (_, bytes) = own_messages().into_iter().find(|(name, _)| name == "discharge").unwrap();
    let text = String::from_utf8(bytes).unwrap();
    for (word, [accept, application], is_taken, expected) in [
        ("by_sender", ["", ""], true, "AA"),
        ("by_sender", ["AL", "NE"], true, "CA"),
        ("by_sender", ["AL", "AL"], true, "CA AA"),
        ("by_sender", ["AL", "AL"], false, "CE"),
        ("by_sender", ["NE", "NE"], true, ""),
        ("original", ["AL", "AL"], true, "AA"),
        ("original", ["NE", "NE"], false, "AE"),
        ("enhanced", ["", ""], true, "CA AA"),
        ("enhanced", ["AL", ""], true, "CA"),
        ("aa_only", ["AL", "NE"], true, "AA"),
        ("aa_only", ["AL", "AL"], false, "AE"),
        ("aa_only", ["ER", "NE"], true, ""),
    ] {
        let mode = format!("|P|2.5.1|||{accept}|{application}|CHN|");
        let mut sent = text.replacen("|P|2.5.1|||||CHN|", &mode, 1);
        assert!(sent.contains(&mode));
        if !is_taken {
            sent = sent.replace("PV1|", "ZV1|");
        }
        let house = House::new(profiles(&format!("acknowledge = {word:?}"), None), false).await;
        let received = house.receive(sent.as_bytes(), Format::Hl7, None).await;
        let answers = hl7_answer::answers(&received, || "A1".to_owned());
        let codes: Vec<String> = answers.iter().map(|answer| read_answer(answer).remove(0)).collect();
        assert_eq!(codes.join(" "), expected, "{word} {accept} {application} taken {is_taken}");
    }
}

#[test]
fn every_message_has_a_line() {
    let lines: BTreeSet<String> = cases().into_iter().map(|case| case.file).collect();
    let files: BTreeSet<String> = own_messages().into_iter().map(|(name, _)| name).collect();
    assert_eq!(files, lines);
}

#[test]
fn what_was_read_prints_as_it_was_sent() {
    for (name, bytes) in own_messages() {
        if let Ok(message) = Message::parse(&bytes, &Reading::default()) {
            assert_eq!(message.print(), bytes, "{name}");
        }
    }
}

#[test]
fn what_is_longer_than_accepted_is_refused() {
    let mut reading = Reading::default();
    let bytes = b"MSH|^~\\&|a\rPID|1|2|3|4\rPV1|1\r";
    let refused = |reading: &Reading| Message::parse(bytes, reading).unwrap_err().code.number();
    reading.limits.message_bytes_max = bytes.len() - 1;
    assert_eq!(refused(&reading), 104);
    reading.limits.message_bytes_max = bytes.len();
    reading.limits.segments_max = 2;
    assert_eq!(refused(&reading), 198);
    reading.limits.segments_max = 3;
    reading.limits.fields_max = 3;
    assert_eq!(refused(&reading), 198);
    reading.limits.fields_max = 4;
    assert!(Message::parse(bytes, &reading).is_ok());
}

/// Debug output ends up in logs; what patients are called must not.
#[test]
fn debug_output_names_no_patient() {
    let (_, bytes) = own_messages().into_iter().find(|(name, _)| name == "discharge").unwrap();
    let message = Message::parse(&bytes, &Reading::default()).unwrap();
    let fields: Vec<_> = message.segments().flat_map(|segment| segment.fields()).collect();
    let shown = format!("{message:?} {fields:?} {:?}", message.at(Place::named("PID-5").unwrap()));
    assert!(shown.contains("PID"), "{shown}");
    let mut frames = Frames::new(1 << 20, Release::One);
    frames.push(&[frame(&bytes), b"\x0b".to_vec(), bytes.clone()].concat());
    frames.finish();
    let events: Vec<_> = std::iter::from_fn(|| frames.next_event()).collect();
    let (channel, format) = (Channel::Mllp, Format::Hl7);
    let arrival = Arrival { channel, bytes: &bytes, format, charset: None, mode: None, only: None };
    let stay = std::fs::read_to_string(project("tests/messages/intake/stay.xml")).unwrap();
    let tree = Tree::parse(&stay).unwrap();
    let raw = discharge::read(&tree, &mut Problems::default());
    for shown in [shown, format!("{events:?} {arrival:?}"), format!("{tree:?}"), format!("{raw:?}")] {
        assert!(shown.contains("bytes"), "{shown}");
        for secret in
            ['王', '试', '肺'].map(String::from).into_iter().chain(["3713".to_owned(), "1956".to_owned()])
        {
            assert!(!shown.contains(&secret), "{secret}: {shown}");
        }
    }
}
