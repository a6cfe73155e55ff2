//! The XML dialects: what they come to as ER7, and what is refused.

use yizhan::intake::hl7::{Charset, Message, Reading, SyntaxError, xml};

fn read(document: &[u8]) -> Result<String, SyntaxError> {
    let message = xml::parse(document, &Reading::default())?;
    Ok(message.text().replace('\r', "\n"))
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
        ("<NTE><NTE.3>one<escape V=\".br\"/>two</NTE.3></NTE>", "NTE|||one\\.br\\two\n"),
        ("<PV1><PV1.44>\"\"</PV1.44><PV1.45/></PV1>", &format!("PV1{}\"\"|\n", "|".repeat(44))),
        ("<ZBL/>", "ZBL\n"),
        ("<PID><PID.8>M</PID.8><PID.2>x</PID.2></PID>", "PID||x||||||M\n"),
    ] {
        let document = v2xml(&format!("{HEADER}{inside}"));
        assert_eq!(read(document.as_bytes()).unwrap(), format!("{HEADER_TEXT}{text}"), "{inside}");
    }
    let mirth = format!("<HL7Message><MSH>{HEADER}</HL7Message>");
    assert_eq!(read(mirth.as_bytes()).unwrap(), HEADER_TEXT);
    let prefixed = "<h:A xmlns:h=\"urn:hl7-org:v2xml\"><h:MSH><h:MSH.10>7</h:MSH.10></h:MSH></h:A>";
    assert_eq!(read(prefixed.as_bytes()).unwrap(), "MSH|^~\\&||||||||7\n");
}

#[test]
fn the_declaration_says_the_character_set() {
    for (name, charset) in [("GB18030", Charset::GB18030), ("gbk", Charset::GBK), ("UTF-8", Charset::Utf8)] {
        let inside = format!("{HEADER}<PID><PID.5><XPN.1>億</XPN.1></PID.5></PID>");
        let document = format!("<?xml version='1.0' encoding='{name}'?>{}", v2xml(&inside));
        let bytes = charset.encode(&document);
        let message = xml::parse(&bytes, &Reading::default()).unwrap();
        assert_eq!(message.at("PID-5".parse().unwrap()).unwrap().text(), "億", "{name}");
    }
}

#[test]
fn hostile_documents_are_refused() {
    let deep = format!("{}{}", "<a>".repeat(40), "</a>".repeat(40));
    let attributes: String = (0..40).map(|n| format!(" a{n}=\"\"")).collect();
    let grown = "<PID.3><CX.256>x</CX.256></PID.3>".repeat(40_000);
    for (document, word) in [
        ("<!DOCTYPE a [<!ENTITY x \"y\">]><a/>".to_owned(), "xml_doctype"),
        (deep, "xml_limit"),
        (format!("<a{attributes}/>"), "xml_limit"),
        (v2xml(&format!("{HEADER}<PID>{grown}</PID>")), "message_too_long"),
        ("<ADT_A03 xmlns=\"urn:hl7-org:v3\"/>".to_owned(), "xml_element"),
        (v2xml(&format!("{HEADER}<PID><name/></PID>")), "xml_element"),
        (v2xml(&format!("{HEADER}<PID><PID.99999/></PID>")), "xml_element"),
        (v2xml(&format!("{HEADER}<PID><PID.3>x<CX.1>y</CX.1></PID.3></PID>")), "xml_element"),
        (v2xml(&format!("{HEADER}<PID><PID.3><CX.1>y</CX.1>x</PID.3></PID>")), "xml_element"),
        (v2xml(&format!("{HEADER}<PID><PID.3>&x;</PID.3></PID>")), "xml"),
        (v2xml(&format!("{HEADER}<NTE><NTE.3><escape V=\"F|\"/></NTE.3></NTE>")), "xml_element"),
        ("<a><b></a>".to_owned(), "xml"),
        ("<a>".to_owned(), "xml"),
        ("".to_owned(), "no_header"),
        ("<a/>".to_owned(), "no_header"),
        ("<?xml version='1.0' encoding='UTF-16'?><a/>".to_owned(), "unframable_charset"),
        ("<?xml version='1.0' encoding='HOUSE'?><a/>".to_owned(), "unknown_charset"),
        ("<?xml version='1.0' encoding='ASCII'?><a>中</a>".to_owned(), "not_in_charset"),
    ] {
        let refused = read(document.as_bytes()).unwrap_err();
        assert_eq!(refused.fault.word(), word, "{:.120}", document);
    }
}

#[test]
fn what_xml_came_to_reads_back_from_its_own_print() {
    let document = v2xml(&format!("{HEADER}<NTE><NTE.3>a|b</NTE.3></NTE>"));
    let message = xml::parse(document.as_bytes(), &Reading::default()).unwrap();
    assert_eq!(Message::parse(&message.print(), &Reading::default()).unwrap(), message);
}
