//! `schemas/discharge.schema.json` and `schemas/discharge.xsd` against the gateway: who writes by them is not
//! refused for the form, and what they let pass is not refused either.

use serde_json::{Value, json};
use yizhan::intake::{Channel, Format, Profile, Profiles, door, xml};

use crate::project;

fn profiles() -> Profiles {
    let text = std::fs::read_to_string(project("schemas/hospital.example.toml")).unwrap();
    Profiles::new(vec![Profile::from_toml(&text).unwrap()]).unwrap()
}

fn message(file: &str) -> String {
    std::fs::read_to_string(project("tests/messages/intake").join(file)).unwrap()
}

/// What the gateway refuses about a document's form; empty: it may be priced.
fn refused(document: &str, format: Format) -> Vec<String> {
    let now = "2020-07-03T10:00:00+08:00".parse().unwrap();
    let inbound = match door::read(document.as_bytes(), format, Channel::default(), &profiles(), now) {
        Ok(inbound) => inbound,
        Err(rejected) => return rejected.refusals.iter().map(ToString::to_string).collect(),
    };
    let (message, hospital) = (&inbound.message, &inbound.profile.hospital);
    let complete =
        message.part.complete(hospital, &message.message_id, message.sent_at, message.dialect).map(|_| ());
    complete.err().into_iter().flatten().map(|refusal| refusal.to_string()).collect()
}

fn schema() -> jsonschema::Validator {
    let text = std::fs::read_to_string(project("schemas/discharge.schema.json")).unwrap();
    jsonschema::draft202012::new(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// A stay with every section, so that any member can be put.
fn stay() -> Value {
    let mut stay: Value = serde_json::from_str(&message("stay.json")).unwrap();
    for (member, value) in [
        ("cause", json!({ "kind": "accident", "accident_type": "drowning" })),
        ("settled_elsewhere", json!([{ "payer": "basic", "amount": "1.00", "reference": "R1" }])),
        ("stated", json!({ "total": "521.69", "patient_share": "0" })),
    ] {
        stay[member] = value;
    }
    stay
}

/// Puts a value at a path such as `lines/0/amount`; what is absent is added, `null` stands as such.
fn put(stay: &mut Value, path: &str, value: Value) {
    let (parent, member) = path.rsplit_once('/').unwrap_or(("", path));
    let pointer = if parent.is_empty() { String::new() } else { format!("/{parent}") };
    stay.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().insert(member.to_owned(), value);
}

const YES: bool = true;
const NO: bool = false;

/// Path, value in JSON, whether schema and gateway take it.
const MEMBERS: &[(&str, &str, bool)] = &[
    ("message_id", r#""""#, NO),
    ("message_id", "null", NO),
    ("message_id", "17", NO),
    ("message_id", r#""  ""#, NO),
    ("sent_at", r#""2020-07-02T24:00:00""#, NO),
    ("sent_at", r#""2020-07-02T23:59:59.5+08:00""#, YES),
    ("sent_at", r#""""#, NO),
    ("hospital", "null", NO),
    ("insured_region", r#""""#, YES),
    ("insured_region", "null", YES),
    ("insured_region", r#""3713""#, NO),
    ("visit/number", r#""""#, NO),
    ("visit/admitted", r#""2020-13-24""#, NO),
    ("visit/admitted", r#""2020-06-31""#, NO),
    ("visit/admitted", r#""2020-02-29""#, YES),
    ("visit/admitted", r#""2019-02-29""#, NO),
    ("visit/admitted", r#""1900-02-29""#, NO),
    ("visit/admitted", r#""2020-06-00""#, NO),
    ("visit/admitted", r#""2020-06-24T09:60""#, NO),
    ("visit/admitted", r#""2020-06-24 09:10""#, YES),
    ("visit/admitted", r#""24.06.2020""#, NO),
    ("visit/department", r#""""#, YES),
    ("visit/department", "null", YES),
    ("visit/department", "5", NO),
    ("visit/ward", r#""""#, YES),
    ("visit/bed", r#""""#, YES),
    ("visit/class", r#""""#, YES),
    ("visit/class", "null", YES),
    ("patient/id_number", r#""37132319560307001""#, NO),
    ("patient/id_number", r#""""#, YES),
    ("patient/mrn", "null", YES),
    ("patient/name", r#""""#, NO),
    ("patient/sex", r#""""#, YES),
    ("patient/birth", r#""""#, YES),
    ("patient/birth", r#""1956-13-07""#, NO),
    ("patient/card", r#""""#, YES),
    ("cause", "null", YES),
    ("cause/kind", r#""""#, YES),
    ("cause/accident_type", "null", YES),
    ("third_party_liable", r#""""#, YES),
    ("third_party_liable", "null", YES),
    ("third_party_liable", "true", YES),
    ("third_party_liable", r#""是""#, YES),
    ("third_party_liable", "1", NO),
    ("referral", r#""""#, YES),
    ("diagnoses", "null", YES),
    ("diagnoses/0/code", r#""""#, NO),
    ("diagnoses/0/name", r#""""#, YES),
    ("diagnoses/0/principal", r#""""#, YES),
    ("lines", "[]", NO),
    ("lines", "null", NO),
    ("lines/0/id", r#""""#, NO),
    ("lines/0/date", r#""2020-13-45""#, NO),
    ("lines/0/date", r#""""#, NO),
    ("lines/0/code", "null", NO),
    ("lines/0/name", r#""""#, YES),
    ("lines/0/quantity", r#"".""#, NO),
    ("lines/0/quantity", r#""9.00001""#, NO),
    ("lines/0/quantity", r#""9.000000""#, YES),
    ("lines/0/quantity", "9.00001", NO),
    ("lines/0/quantity", "9", YES),
    ("lines/0/quantity", r#""1e1""#, NO),
    ("lines/0/quantity", "true", NO),
    ("lines/0/unit_price", r#""50.0000001""#, NO),
    ("lines/0/unit_price", r#""-50.00""#, NO),
    ("lines/0/unit_price", "-50", NO),
    ("lines/0/unit_price", "50.000001", YES),
    ("lines/0/unit_price", r#""""#, YES),
    ("lines/0/amount", "1.234", NO),
    ("lines/0/amount", r#""450.001""#, NO),
    ("lines/0/amount", r#""450.000""#, YES),
    ("lines/0/amount", "450.0", YES),
    ("lines/0/amount", r#""4,50""#, NO),
    ("lines/0/amount", r#""-.""#, NO),
    ("lines/0/amount", r#""""#, YES),
    ("lines/0/class", r#""""#, YES),
    ("lines/0/category", "null", YES),
    ("lines/0/upfront_ratio", r#""1.9""#, NO),
    ("lines/0/upfront_ratio", r#""0.123456""#, NO),
    ("lines/0/upfront_ratio", r#""0.1234""#, YES),
    ("lines/0/upfront_ratio", r#""1.0""#, YES),
    ("lines/0/upfront_ratio", r#"".""#, NO),
    ("lines/0/upfront_ratio", "1.1", NO),
    ("lines/0/upfront_ratio", "0.12345", NO),
    ("lines/0/upfront_ratio", "0.07", YES),
    ("lines/0/ceiling", r#""50.1234567""#, NO),
    ("lines/0/ceiling", r#""""#, YES),
    ("lines/0/credit_of", r#""""#, YES),
    ("lines/0/credit", "false", YES),
    ("lines/0/credit", r#""""#, YES),
    ("lines/0/kind", r#""CG""#, NO),
    ("settled_elsewhere", "null", YES),
    ("settled_elsewhere/0/payer", r#""Basic""#, NO),
    ("settled_elsewhere/0/amount", r#""-1.00""#, NO),
    ("settled_elsewhere/0/amount", "-1", NO),
    ("settled_elsewhere/0/amount", r#""0""#, YES),
    ("settled_elsewhere/0/amount", r#""""#, NO),
    ("settled_elsewhere/0/amount", "1.005", NO),
    ("settled_elsewhere/0/reference", r#""""#, NO),
    ("stated", "null", YES),
    ("stated/total", r#""-5.00""#, NO),
    ("stated/total", "-5", NO),
    ("stated/total", r#""""#, YES),
    ("stated/patient_share", r#""-0.01""#, NO),
    ("stated/patient_share", r#""-0.00""#, YES),
    ("deposit", r#""-1.00""#, NO),
    ("deposit", r#""2000""#, YES),
    ("deposit", "2000.07", YES),
    ("deposit", "9999999999.99", YES),
    ("deposit", "10000000000", NO),
    ("deposit", r#""10000000000""#, NO),
    ("deposit", r#""""#, YES),
    ("deposit", "null", YES),
    ("deposits", r#""1.00""#, NO),
];

#[test]
fn the_json_schema_judges_as_the_gateway_does() {
    let schema = schema();
    let mut failures = Vec::new();
    let mut judge = |name: String, stay: &Value, expected: bool| {
        let by_schema: Vec<String> = schema.iter_errors(stay).map(|why| why.to_string()).collect();
        let by_gateway = refused(&stay.to_string(), Format::Json);
        for (who, faults) in [("schema", by_schema), ("gateway", by_gateway)] {
            if faults.is_empty() != expected {
                failures.push(format!("{name}: {who}: {faults:?}"));
            }
        }
    };
    judge("the stay as it is".to_owned(), &stay(), YES);
    for (path, value, expected) in MEMBERS {
        let mut stay = stay();
        put(&mut stay, path, serde_json::from_str(value).unwrap());
        judge(format!("{path} = {value}"), &stay, *expected);
    }
    for paths in [["patient/id_number", "patient/mrn"], ["lines/0/amount", "lines/0/unit_price"]] {
        for value in [Value::Null, Value::from("")] {
            let mut stay = stay();
            paths.iter().for_each(|path| put(&mut stay, path, value.clone()));
            judge(format!("{paths:?} = {value}"), &stay, NO);
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn the_samples_fit_the_json_schema() {
    let schema = schema();
    let mut seen = 0;
    for entry in std::fs::read_dir(project("tests/samples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let sample: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let faults: Vec<String> = schema.iter_errors(&sample).map(|why| why.to_string()).collect();
            assert!(faults.is_empty(), "{}: {faults:?}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 3, "{seen} samples");
}

/// Text of `stay.xml`, what stands there instead, whether schema and gateway take it.
const ELEMENTS: &[(&str, &str, bool)] = &[
    ("<amount>450.00", "<amount>450.001", NO),
    ("<amount>450.00", "<amount>450.000", YES),
    ("<bed>12</bed>", "<bett>12</bett>", NO),
    ("<bed>12</bed>", "<bed/>", YES),
    ("<bed>12</bed>", "", YES),
    ("371323195603070015", "37132319560307", NO),
    ("2020-06-25", "25.6.2020", NO),
    ("2020-06-25", "2020-13-25", NO),
    ("2020-06-25", "2020-06-31", NO),
    ("<date>2020-06-25</date>", "", NO),
    ("<date>2020-06-25</date>", "<date/>", NO),
    ("<id>L2</id>", "", NO),
    ("<id>L2</id>", "<id>L2</id><id>L2</id>", NO),
    ("<code>250101001</code>", "", NO),
    ("<message_id>M20200702001</message_id>", "", NO),
    ("<message_id>M20200702001</message_id>", "<message_id>M1</message_id><message_id>M1</message_id>", NO),
    ("<sent_at>2020-07-02T10:40:00+08:00</sent_at>", "", NO),
    ("<hospital>H37132301</hospital>", "", NO),
    ("<number>ZY20200702001</number>", "", NO),
    ("<name>王试样</name>", "", NO),
    ("</patient>", "</patient><patient><name>王试样</name></patient>", NO),
    ("</patient>", "</patient><third_party_liable>maybe</third_party_liable>", NO),
    ("</patient>", "</patient><third_party_liable>否</third_party_liable>", YES),
    ("</patient>", "</patient><third_party_liable/>", YES),
    ("</patient>", "</patient><referral>none</referral><referral>none</referral>", NO),
    ("</patient>", "</patient><deposit>-1.00</deposit>", NO),
    ("</patient>", "</patient><deposit>2000</deposit>", YES),
    ("</patient>", "</patient><deposit/>", YES),
    ("</patient>", "</patient><deposit>1</deposit><deposit>1</deposit>", NO),
    ("</patient>", "</patient><stated><total>-5.00</total></stated>", NO),
    ("</patient>", "</patient><stated/>", YES),
    ("<class>A</class>", "<class>A</class><credit>perhaps</credit>", NO),
    ("<class>A</class>", "<class>A</class><credit/>", YES),
    ("<class>A</class>", "<class>A</class><upfront_ratio>1.9</upfront_ratio>", NO),
    ("<class>A</class>", "<class>A</class><ceiling>9.1234567</ceiling>", NO),
    ("<class>A</class>", "<class>A</class><kind>CG</kind>", NO),
    ("<principal>true", "<principal>mostly", NO),
    ("<quantity>9<", "<quantity>9.00001<", NO),
    ("<code>J15.000</code>", "", NO),
];

/// A fault that the schema finds: line and column, where it says one, and its sentence.
struct Fault {
    place: Option<(usize, usize)>,
    message: String,
}

/// The root as the schema declares it, and as its comment says to declare it for the repeated form.
const ROOT: &str = "name=\"discharge\" type=\"discharge\"";
const REPEATED_ROOT: &str = "name=\"discharge\" type=\"repeated_discharge\"";

/// Holds a document against `schemas/discharge.xsd`, in whichever of its two forms it is written.
fn schema_faults(document: &str) -> Vec<Fault> {
    let parsed = uppsala::parse(document).unwrap();
    let text = match is_repeated_form(&parsed) {
        true => xml::DISCHARGE_XSD.replace(ROOT, REPEATED_ROOT),
        false => xml::DISCHARGE_XSD.to_owned(),
    };
    let schema = uppsala::parse(&text).unwrap();
    let validator = uppsala::XsdValidator::from_schema(&schema).unwrap();
    // It counts bytes; people and the gateway count characters.
    let column =
        |line: usize, bytes: usize| document.lines().nth(line - 1).unwrap()[..bytes - 1].chars().count() + 1;
    let fault = |why: uppsala::ValidationError| {
        let place = why.line.zip(why.column).map(|(line, bytes)| (line, column(line, bytes)));
        Fault { place, message: why.message }
    };
    validator.validate(&parsed).into_iter().map(fault).collect()
}

/// Whether a list of the document is itself its one entry: no element of the entry's own name stands in it.
fn is_repeated_form(document: &uppsala::Document<'_>) -> bool {
    let name = |node| document.element(node).map(|element| element.name.local_name.as_ref());
    let lists = document.document_element().into_iter().flat_map(|root| document.children(root));
    lists.into_iter().any(|list| {
        let entry = match name(list) {
            Some("lines") => "line",
            Some("diagnoses") => "diagnosis",
            Some("settled_elsewhere") => "payer_settlement",
            _ => return false,
        };
        let mut members = document.children(list).into_iter().filter_map(name).peekable();
        members.peek().is_some() && members.all(|member| member != entry)
    })
}

fn judged(name: &str, document: &str, expected: bool, failures: &mut Vec<String>) {
    let by_schema: Vec<String> = schema_faults(document).into_iter().map(|fault| fault.message).collect();
    for (who, faults) in [("schema", by_schema), ("gateway", refused(document, Format::Xml))] {
        if faults.is_empty() != expected {
            failures.push(format!("{name}: {who}: {faults:?}"));
        }
    }
}

#[test]
fn the_xml_schema_judges_as_the_gateway_does() {
    let mut failures = Vec::new();
    let stay = message("stay.xml");
    for file in ["stay.xml", "stay_repeated.xml"] {
        judged(file, &message(file), YES, &mut failures);
    }
    for (from, to, expected) in ELEMENTS {
        assert!(stay.contains(from), "{from}");
        judged(&format!("{from} → {to}"), &stay.replacen(from, to, 1), *expected, &mut failures);
    }
    let repeated = message("stay_repeated.xml");
    for (from, to) in [
        ("<date>2020-06-25", "<date>2020-13-25"),
        ("<id>L2</id>", "<idd>L2</idd>"),
        ("<quantity>9<", "<quantity>many<"),
    ] {
        assert!(repeated.contains(from), "{from}");
        judged(&format!("repeated: {from} → {to}"), &repeated.replacen(from, to, 1), NO, &mut failures);
    }
    let empty = "<discharge xmlns=\"urn:yizhan:discharge:1\"/>";
    judged("nothing at all", empty, NO, &mut failures);
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Where the schema finds fault with a value or a name, the gateway refuses it: at the same line and column.
#[test]
fn the_xml_schema_names_the_places_that_the_gateway_names() {
    let stay = message("stay.xml");
    for (from, to) in [
        ("<amount>450.00", "<amount>450.001"),
        ("<bed>12</bed>", "<bett>12</bett>"),
        ("371323195603070015", "37132319560307"),
        ("2020-06-25", "25.6.2020"),
        ("<quantity>9<", "<quantity>nine<"),
        ("<sent_at>2020-07-02", "<sent_at>today"),
    ] {
        assert!(stay.contains(from), "{from}");
        let document = stay.replacen(from, to, 1);
        let ours = refused(&document, Format::Xml);
        let theirs: Vec<_> = schema_faults(&document).into_iter().filter_map(|fault| fault.place).collect();
        let is_named = |(line, column): &(usize, usize)| {
            ours.iter().any(|place| place.contains(&format!("(line {line}, column {column})")))
        };
        assert!(theirs.iter().any(is_named), "{to}: {ours:?}, the schema {theirs:?}");
    }
}
