//! The XML dialects: what they come to as ER7, and where what has no place in a message is refused.

use yizhan::intake::hl7::{Charset, Limits, Message, Place, Reading};
use yizhan::intake::xml::hl7::{is_message, message};
use yizhan::intake::xml::tree::{Tree, decode};
use yizhan::refusal::Refusal;

fn read(document: &[u8]) -> Result<Message<'static>, Refusal> {
    let (text, charset) = decode(document, None)?;
    let tree = Tree::parse(&text)?;
    assert!(is_message(&tree), "{text:.120}");
    message(&tree, charset, &Limits::default())
}

fn written(document: &str) -> String {
    read(document.as_bytes()).unwrap().text().replace('\r', "\n")
}

fn v2xml(inside: &str) -> String {
    format!(
        "<ADT_A03 xmlns=\"urn:hl7-org:v2xml\"><MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2>{inside}</ADT_A03>"
    )
}

const HEADER: &str = "<MSH.9><MSG.1>DFT</MSG.1><MSG.2>P03</MSG.2></MSH.9><MSH.10>7</MSH.10></MSH>";
const HEADER_TEXT: &str = "MSH|^~\\&|||||||DFT^P03|7\n";

#[test]
fn both_dialects_and_every_spelling_come_to_the_same_text() {
    for (inside, text) in [
        (
            "<PID><PID.3><CX.1>A</CX.1><CX.4><HD.2>1.2</HD.2></CX.4></PID.3><PID.3><CX.1>B</CX.1></PID.3></PID>",
            "PID|||A^^^&1.2~B\n",
        ),
        (
            "<PID><PID.3><PID.3.1>A</PID.3.1><PID.3.4><PID.3.4.2>1.2</PID.3.4.2></PID.3.4></PID.3></PID>",
            "PID|||A^^^&1.2\n",
        ),
        ("<PID>\n <PID.5>\n  <XPN.1>\n <FN.1>王</FN.1>\n</XPN.1>\n </PID.5>\n</PID>\n", "PID|||||王\n"),
        (
            "<x><y.G><FT1><FT1.1> 1 </FT1.1></FT1></y.G><y.G><FT1><FT1.1>2</FT1.1></FT1></y.G></x>",
            "FT1|1\nFT1|2\n",
        ),
        ("<NTE><NTE.3>a&lt;b&amp;c|d&#x4e2d;<![CDATA[^]]></NTE.3></NTE>", "NTE|||a<b\\T\\c\\F\\d中\\S\\\n"),
        ("<NTE><NTE.3> one<escape V=\".br\"/>two </NTE.3></NTE>", "NTE|||one\\.br\\two\n"),
        ("<NTE><NTE.3><escape V=\"H\"/>one<escape V=\"N\"/></NTE.3></NTE>", "NTE|||\\H\\one\\N\\\n"),
        ("<PV1><PV1.44>\"\"</PV1.44><PV1.45/></PV1>", &format!("PV1{}\"\"|\n", "|".repeat(44))),
        ("<ZBL/>", "ZBL\n"),
        ("<PID><PID.8>M</PID.8><PID.2>x</PID.2></PID>", "PID||x||||||M\n"),
    ] {
        assert_eq!(written(&v2xml(&format!("{HEADER}{inside}"))), format!("{HEADER_TEXT}{text}"), "{inside}");
    }
    assert_eq!(written(&format!("<HL7Message><MSH>{HEADER}</HL7Message>")), HEADER_TEXT);
    let prefixed = "<h:A xmlns:h=\"urn:hl7-org:v2xml\"><h:MSH><h:MSH.10>7</h:MSH.10></h:MSH></h:A>";
    assert_eq!(written(prefixed), "MSH|^~\\&||||||||7\n");
}

#[test]
fn the_declaration_says_the_character_set() {
    for (name, charset) in [("GB18030", Charset::GB18030), ("gbk", Charset::GBK), ("UTF-8", Charset::Utf8)] {
        let inside = format!("{HEADER}<PID><PID.5><XPN.1>億</XPN.1></PID.5></PID>");
        let document = format!("<?xml version='1.0' encoding='{name}'?>{}", v2xml(&inside));
        let message = read(&charset.encode(&document)).unwrap();
        assert_eq!(message.at(Place::named("PID-5").unwrap()).unwrap().text(), "億", "{name}");
        assert_eq!(message.charset(), charset);
    }
    let wide: Vec<u8> =
        format!("\u{feff}{}", v2xml(HEADER)).encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&wide).unwrap().charset(), Charset::Utf8);
}

#[test]
fn what_has_no_place_in_a_message_is_refused_where_it_stands() {
    let grown = "<PID.3><CX.256>x</CX.256></PID.3>".repeat(40_000);
    for (inside, place) in [
        ("<PID><name/></PID>", "malformed at /ADT_A03/PID/name (line 2, column 6)"),
        ("<PID><PID.99999/></PID>", "malformed at /ADT_A03/PID/PID.99999 (line 2, column 6)"),
        ("<PID><PID.3>x<CX.1>y</CX.1></PID.3></PID>", "malformed at /ADT_A03/PID/PID.3 (line 2, column 6)"),
        ("<PID><PID.3><CX.1>y</CX.1>x</PID.3></PID>", "malformed at /ADT_A03/PID/PID.3 (line 2, column 6)"),
        (
            "<G><FT1/>\n<FT1><FT1.4>1</FT1.4><FT1.4><b/></FT1.4></FT1></G>",
            "malformed at /ADT_A03/*[2]/FT1[2]/FT1.4[2]/* (line 3, column 29)",
        ),
        (
            "<NTE><NTE.3>王<escape V=\"F|\"/></NTE.3></NTE>",
            "malformed at /ADT_A03/NTE/NTE.3/escape (line 2, column 14)",
        ),
        (
            "<NTE><NTE.3><CX.1><HD.1><x.1/></HD.1></CX.1></NTE.3></NTE>",
            "malformed at /ADT_A03/NTE/NTE.3/CX.1/HD.1/* (line 2, column 25)",
        ),
        (&format!("<PID>{grown}</PID>"), "too_large at /ADT_A03/PID/PID.3[16321] (line 2, column 538566)"),
    ] {
        let refused = read(v2xml(&format!("{HEADER}\n{inside}")).as_bytes()).unwrap_err();
        assert!(refused.to_string().starts_with(place), "{refused}");
    }
}

#[test]
fn what_is_no_message_is_none() {
    for document in ["<ADT_A03 xmlns=\"urn:hl7-org:v3\"><MSH/></ADT_A03>", "<ADT_A03><PID/></ADT_A03>"] {
        assert!(!is_message(&Tree::parse(document).unwrap()), "{document}");
    }
}

#[test]
fn what_xml_came_to_reads_back_from_its_own_print() {
    let document = v2xml(&format!("{HEADER}<NTE><NTE.3>a|b</NTE.3></NTE>"));
    let message = read(document.as_bytes()).unwrap();
    assert_eq!(Message::parse(&message.print(), &Reading::default()).unwrap(), message);
}
