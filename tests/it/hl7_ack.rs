//! Acknowledgements: which are due, and what they look like to the sender.

use yizhan::intake::hl7::ack::{AckCode, AckError, AckMode, Due, Outcome, Severity, ack, due};
use yizhan::intake::hl7::{Charset, Header, Message, Place, Reading, SegmentId, SyntaxError, structure};
use yizhan_contract::Text;

use crate::own_messages;

fn header(mode: [&str; 2], version: &str, charset: &str) -> Header {
    let line = format!(
        "MSH|^~\\&|HIS|H37132301^1.2&x|YIZHAN|SETTLE|20200702||ADT^A03^ADT_A03|MSG0001|T|{version}|||{}|{}|CHN|{charset}\r",
        mode[0], mode[1]
    );
    Header::of(&Message::parse(line.as_bytes(), &Reading::default()).unwrap())
}

fn answer(header: &Header, code: AckCode, errors: &[AckError]) -> String {
    let bytes = ack(header, "S0001", "2020-07-02T02:15:01Z".parse().unwrap(), code, errors, &[]);
    header.charset().decode(&bytes).unwrap().replace('\r', "\n")
}

fn refusal(error: &SyntaxError) -> AckError {
    AckError {
        code: error.code,
        place: error.place,
        severity: Severity::Error,
        our_code: "our_word".to_owned(),
        user_message: Text::new("请补上就诊段后重发", "Add the visit segment and send again"),
        diagnostic: Text::new("缺少必需的段", error.to_string()),
    }
}

fn missing_visit() -> AckError {
    let fault = yizhan::intake::hl7::Fault::SegmentMissing;
    refusal(&SyntaxError::new(Place::segment(SegmentId::of(b"PV1"), 1), fault))
}

/// Mode, MSH-15 and MSH-16, outcome: the answer at once, and the one that follows success.
#[test]
fn the_sender_and_its_profile_say_which_answers_are_due() {
    use AckCode::{AA, AE, AR, CA, CE, CR};
    use AckMode::{AaOnly, BySender, Enhanced, Original};
    use Outcome::{Accepted, Error, Rejected};
    for (mode, conditions, outcome, at_once, later) in [
        (BySender, ["", ""], Accepted, Some(AA), None),
        (BySender, ["", ""], Error, Some(AE), None),
        (BySender, ["", ""], Rejected, Some(AR), None),
        (BySender, ["AL", "NE"], Accepted, Some(CA), None),
        (BySender, ["AL", "NE"], Error, Some(CE), None),
        (BySender, ["AL", "NE"], Rejected, Some(CR), None),
        (BySender, ["AL", "AL"], Accepted, Some(CA), Some(AA)),
        (BySender, ["NE", "NE"], Accepted, None, None),
        (BySender, ["NE", "NE"], Error, None, None),
        (BySender, ["ER", "SU"], Accepted, None, Some(AA)),
        (BySender, ["ER", "SU"], Error, Some(CE), None),
        (BySender, ["SU", "NE"], Accepted, Some(CA), None),
        (BySender, ["NE", "AL"], Error, Some(AE), None),
        (BySender, ["AL", ""], Accepted, Some(CA), None),
        (BySender, ["yes", ""], Accepted, Some(CA), None),
        (Original, ["NE", "NE"], Accepted, Some(AA), None),
        (Enhanced, ["", ""], Accepted, Some(CA), Some(AA)),
        (AaOnly, ["AL", "AL"], Accepted, Some(AA), None),
        (AaOnly, ["ER", ""], Accepted, None, None),
        (AaOnly, ["", ""], Rejected, Some(AR), None),
    ] {
        let found = due(&header(conditions, "2.5.1", ""), mode, outcome);
        let shown = format!("{mode:?} {conditions:?} {outcome:?}");
        assert_eq!((found.at_once, found.later(Accepted)), (at_once, later), "{shown}");
    }
}

#[test]
fn an_answer_is_never_answered() {
    let (_, bytes) = own_messages().into_iter().find(|(name, _)| name == "answer").unwrap();
    let header = Header::salvage(&bytes, Charset::Utf8);
    for mode in [AckMode::BySender, AckMode::Original, AckMode::Enhanced, AckMode::AaOnly] {
        assert_eq!(due(&header, mode, Outcome::Rejected), Due { at_once: None, later: None });
    }
}

#[test]
fn an_accepting_answer_goes_back_the_way_the_message_came() {
    assert_eq!(
        answer(&header(["", ""], "2.5.1", "UNICODE UTF-8"), AckCode::AA, &[]),
        "MSH|^~\\&|YIZHAN|SETTLE|HIS|H37132301^1.2&x|20200702101501+0800||ACK^A03^ACK|S0001|T|2.5.1||||||UNICODE UTF-8\n\
         MSA|AA|MSG0001\n"
    );
}

#[test]
fn errors_are_told_in_the_form_of_the_sender_s_version() {
    let told = |version, charset| {
        let text =
            answer(&header(["", ""], version, charset), AckCode::AE, &[missing_visit(), missing_visit()]);
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let both = "请补上就诊段后重发 / Add the visit segment and send again";
    let segment = format!(
        "ERR||PV1^1|101^Required field missing^HL70357|E|our_word^^99YIZHAN||缺少必需的段 / PV1: the segment is required and missing|{both}"
    );
    assert_eq!(told("2.5", "GBK"), [format!("MSA|AE|MSG0001|{both}"), segment.clone(), segment]);
    let old = format!("PV1^1^^101&Required field missing&HL70357&our_word&{both}&99YIZHAN");
    assert_eq!(told("2.4", "GBK"), [format!("MSA|AE|MSG0001|{both}"), format!("ERR|{old}~{old}")]);
    assert_eq!(told("2.3", "ASCII")[0], "MSA|AE|MSG0001|Add the visit segment and send again");
}

/// MSA-3 holds 80 characters, ERR-8 250, escapes included: both languages have their part, cut between words.
#[test]
fn both_languages_are_told_within_the_length_of_the_field() {
    let detail = Text::new(
        "费用行金额与数量乘单价不符：FT1[3]-11 为 4000.00，应为 40000.00。请核对后更正金额，再以新的消息号重新发送整条报文",
        "the line's amount is not its quantity times its price: FT1[3]-11 is 4000.00 & should be 40000.00. Correct the \
         amount and send the whole message again under a new message id; nothing was taken in and no money moved",
    );
    let told = |text: &Text, charset| {
        let error = AckError { user_message: text.clone(), diagnostic: text.clone(), ..missing_visit() };
        let answer = answer(&header(["", ""], "2.5.1", charset), AckCode::AE, &[error]);
        let field = |segment: &str, number: usize| {
            let line = answer.lines().find(|line| line.starts_with(segment)).unwrap();
            line.split('|').nth(number).unwrap_or_default().to_owned()
        };
        [field("MSA", 3), field("ERR", 7), field("ERR", 8)]
    };
    let [brief, diagnostic, message] = told(&detail, "GB18030");
    assert_eq!(
        brief,
        "费用行金额与数量乘单价不符：FT1[3]-11 为 4000.00，应为... / the line's amount is not its..."
    );
    assert_eq!(diagnostic, format!("{} / {}", detail.zh, detail.en.replace('&', "\\T\\")));
    let (zh, en) = message.split_once(" / ").unwrap();
    assert_eq!(zh, &*detail.zh);
    assert!(en.contains("4000.00 \\T\\ should be 40000.00. Correct") && en.ends_with("..."), "{en}");
    assert!(brief.chars().count() <= 80 && message.chars().count() <= 250, "{message}");

    // Who writes ASCII is told in English, over the whole of the field.
    let [brief, ..] = told(&detail, "ASCII");
    assert_eq!(brief, "the line's amount is not its quantity times its price: FT1[3]-11 is 4000.00...");
    // No escape is cut in half, and no text is longer than its field for being escaped.
    let separators = Text::new("金额&".repeat(60), "a&b ".repeat(60));
    let [brief, _, message] = told(&separators, "UNICODE UTF-8");
    for (text, chars_max) in [(brief, 80), (message, 250)] {
        assert!(text.chars().count() <= chars_max && text.matches('\\').count() % 2 == 0, "{text}");
        assert!(text.contains("金额\\T\\") && text.contains(" / a\\T\\b"), "{text}");
    }
}

#[test]
fn what_cannot_be_parsed_is_answered_as_far_as_it_is_known() {
    let own = "20200702101501+0800||ACK";
    for (bytes, expected) in [
        (&b"nothing of the kind"[..], format!("MSH|^~\\&|||||{own}|S0001|P|2.5.1\nMSA|AR\n")),
        (b"MSH", format!("MSH|^~\\&|||||{own}|S0001|P|2.5.1\nMSA|AR\n")),
        (
            b"[SOM]MSH|^~\\&|HIS|H1|||||ADT^A03|7|P|2.3||||||\xE4\xFF\rPID",
            format!("MSH|^~\\&|||HIS|H1|{own}^A03^ACK|S0001|P|2.3||||||\u{fffd}\u{fffd}\nMSA|AR|7\n"),
        ),
        (
            b"MSH^~|\\&^HIS^H1~x|y^^^^^ADT~A08^7\x0b^P",
            "MSH^~|\\&^^^HIS^H1~x|y^20200702101501+0800^^ACK~A08~ACK^S0001^P^2.4\nMSA^AR^7\\X0B\\\n"
                .to_owned(),
        ),
    ] {
        let header = Header::salvage(bytes, Charset::Utf8);
        assert_eq!(answer(&header, AckCode::AR, &[]), expected);
    }
}

/// Whatever the header of a refused message holds, its answer is a message that we ourselves accept.
#[test]
fn every_answer_can_be_read() {
    for (name, bytes) in own_messages() {
        let reading = Reading::default();
        let read = Message::parse(&bytes, &reading);
        let header = match &read {
            Ok(message) => Header::of(message),
            Err(_) => Header::salvage(&bytes, reading.charset),
        };
        let error = match &read {
            Ok(message) => structure::check(message, &["P", "T", "D"]).err(),
            Err(error) => Some(error.clone()),
        };
        let errors: Vec<AckError> = error.iter().map(refusal).collect();
        let bytes = ack(&header, "S0001", "2020-07-02T02:15:01Z".parse().unwrap(), AckCode::AE, &errors, &[]);
        let back = Message::parse(&bytes, &Reading { charset: header.charset(), ..reading });
        match back {
            Ok(back) => assert_eq!(back.first("MSA").unwrap().field(1).raw(), "AE", "{name}"),
            // The sender's own MSH-18 comes back, known or not.
            Err(error) => assert_eq!(error.place, Place::header(18), "{name}"),
        }
    }
}
