//! What holds for any bytes, and for any message.

use proptest::collection::vec;
use proptest::prelude::*;
use yizhan::intake::hl7::ack::{AckCode, ack};
use yizhan::intake::hl7::escape::{Syntax, escape, unescape};
use yizhan::intake::hl7::{Builder, Charset, Delimiters, Header, Message, Reading, batch, structure};
use yizhan::intake::mllp::{Frames, Release};
use yizhan::intake::xml::hl7::message;
use yizhan::intake::xml::tree::{Tree, decode};

/// Bytes that look like a message often enough to get past the header.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"MSH|^~\\&|".to_vec()),
        Just(b"MSH^~|\\&^HIS^^^^^^ADT~A03^1^P^2.5".to_vec()),
        Just(b"\rPID|".to_vec()),
        Just(b"\nFT1|1|||\"\"|".to_vec()),
        Just(b"|||||||||||||||GBK|GB 18030-2000".to_vec()),
        Just(b"\r\nBHS|\rBTS|1\r".to_vec()),
        Just("億𠮷é".as_bytes().to_vec()),
        Just(b"\x83\x7c\x81\x5c".to_vec()),
        Just(b"\\X0D\\.br\\\\".to_vec()),
        Just(b"<a><MSH><MSH.9>&amp;</MSH.9></MSH>".to_vec()),
        Just(b"<escape V='.br'/></PID.3.1></a>".to_vec()),
        Just(b"\x0b\x1c\r\x0b".to_vec()),
        vec(any::<u8>(), 0..12),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Text of a field, as hostile as text can be.
fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 .|^~&\\\\#\r\n\"億中é\u{b}-]{0,12}"
}

fn written(fields: &[Vec<String>], charset: Charset) -> Vec<u8> {
    let mut out = Builder::new(Delimiters::STANDARD);
    out.segment(b"MSH", |msh| {
        msh.text(3, "HIS").text(18, charset.table_0211());
    });
    for parts in fields {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        out.segment(b"ZZZ", |zzz| {
            zzz.components(2, &parts).tree(3, &[&["x"], &parts]).repeat(4, &["y"]).repeat(4, &parts);
        });
    }
    out.into_bytes(charset)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_can_stop_the_gateway(bytes in hostile()) {
        let reading = Reading::default();
        for charset in [Charset::Utf8, Charset::GB18030, Charset::BIG5] {
            let header = Header::salvage(&bytes, charset);
            let answer = ack(&header, "1", jiff::Timestamp::UNIX_EPOCH, AckCode::AR, &[], &[]);
            prop_assert!(answer.starts_with(b"MSH"));
            prop_assert!(!answer.contains(&0x0B) && !answer.contains(&0x1C));
            if let Ok(message) = Message::parse(&bytes, &Reading { charset, ..reading }) {
                let _ = structure::check(&message, &["P", "T", "D"]);
                for element in message.segments().flat_map(|segment| segment.fields()) {
                    element.repetitions().for_each(|one| one.components().for_each(|part| drop(part.text())));
                }
            }
        }
        let _ = batch::split(&bytes).map(|batch| batch.messages.len());
        let tree = decode(&bytes, None).and_then(|(text, charset)| Ok((Tree::parse(&text)?, charset)));
        let _ = tree.and_then(|(tree, charset)| message(&tree, charset, &reading.limits));
        let mut frames = Frames::new(16, Release::Two);
        frames.push(&bytes);
        frames.finish();
        while frames.next_event().is_some() {}
    }

    #[test]
    fn what_is_accepted_prints_as_it_was(bytes in hostile()) {
        if let Ok(message) = Message::parse(&bytes, &Reading::default()) {
            let printed = message.print();
            // A character with two spellings may be written the other way: then reading again must agree.
            let again = Message::parse(&printed, &Reading::default());
            let again = again.map(|again| again.text().to_owned());
            prop_assert_eq!(again.as_deref(), Ok(message.text()));
            if message.charset() == Charset::Utf8 {
                prop_assert_eq!(&printed, &bytes);
            }
        }
    }

    #[test]
    fn what_is_written_reads_back(fields in vec(vec(text(), 1..4), 0..6), gb in any::<bool>()) {
        let charset = if gb { Charset::GB18030 } else { Charset::Utf8 };
        let bytes = written(&fields, charset);
        let message = Message::parse(&bytes, &Reading::default()).unwrap();
        prop_assert_eq!(message.named("ZZZ").count(), fields.len());
        for (segment, parts) in message.named("ZZZ").zip(&fields) {
            for (number, part) in (1..).zip(parts) {
                prop_assert_eq!(segment.field(2).component(number).unescaped(), part.as_str());
                prop_assert_eq!(segment.field(3).component(2).subcomponent(number).unescaped(), part.as_str());
                prop_assert_eq!(segment.field(4).repetition(2).component(number).unescaped(), part.as_str());
            }
        }
        let printed = message.print();
        prop_assert_eq!(&Message::parse(&printed, &Reading::default()).unwrap(), &message);
    }

    #[test]
    fn escaping_is_undone_by_reading(text in any::<String>(), charset in prop_oneof![Just(Charset::Utf8), Just(Charset::GBK)]) {
        let syntax = Syntax { delimiters: Delimiters::STANDARD, charset };
        let written = escape(&text, &syntax.delimiters);
        prop_assert_eq!(unescape(&written, &syntax), text.as_str());
    }

    /// Another reader of HL7 sees the same fields in messages without traps.
    #[test]
    fn another_reader_agrees(fields in vec("[a-zA-Z0-9^&~ ]{0,8}", 1..12)) {
        let text = format!("MSH|^~\\&|HIS||||20200702||ADT^A03|1|P|2.5\rPID|{}\rPV1|1|I\r", fields.join("|"));
        let message = Message::parse(text.as_bytes(), &Reading::default()).unwrap();
        let other = hl7_parser::Message::parse(&text).unwrap();
        let (segment, theirs) = (message.first("PID").unwrap(), other.segment("PID").unwrap());
        for number in 1..=fields.len() {
            let their_field = theirs.field(number).map_or("", |field| field.raw_value());
            let field = segment.field(number as u16);
            prop_assert_eq!(field.raw(), their_field);
            let their_part = theirs.field(number).and_then(|field| field.component(2)).map_or("", |part| part.raw_value());
            prop_assert_eq!(field.component(2).raw(), their_part);
        }
    }
}
