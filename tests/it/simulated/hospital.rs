//! The simulated hospital against a gateway that runs: every dialect comes to the same bill, and what comes of messages
//! is told (`tests/cases/simulated_hospital.toml`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::certs::Certificates;
use crate::cli::{lines, text, yizhan};
use crate::process::{self, Process};
use crate::project;
use crate::serve::{Serving, serve};

const DIALECTS: [&str; 11] = [
    "json",
    "xml",
    "xml-gb18030",
    "hl7",
    "hl7-gb18030",
    "hl7-late",
    "hl7-bar",
    "hl7-old",
    "hl7-http",
    "hl7-xml",
    "hl7-mirth",
];

/// The words that send to a gateway.
fn to<'w>(http: &'w str, mllp: &'w str, words: &[&'w str]) -> Vec<&'w str> {
    [&["simulate", "hospital", "--http", http, "--mllp", mllp], words].concat()
}

/// What it printed of each stay, and its exit code.
fn sent(serving: &Serving, words: &[&str]) -> (Vec<Value>, i32) {
    let http = format!("http://{}", serving.http);
    lines(&yizhan(&to(&http, &serving.mllp, &[&["--token", "demo", "--json"], words].concat())))
}

/// The settlement of every stay; all of them are settled.
fn settlements((printed, exit): (Vec<Value>, i32)) -> BTreeMap<String, String> {
    let (summary, stays) = printed.split_last().unwrap();
    let open: Vec<_> = stays.iter().filter(|stay| stay["state"] != "settled").collect();
    assert_eq!((&open[..], &summary["summary"]["settled"], exit), (&[][..], &stays.len().into(), 0));
    let word = |stay: &Value, name: &str| stay[name].as_str().unwrap().to_owned();
    stays.iter().map(|stay| (word(stay, "visit"), word(stay, "settlement_id"))).collect()
}

/// The bill, without what every settlement has of its own.
fn bill(serving: &Serving, settlement: &str) -> Value {
    let request = ureq::get(format!("http://{}/v1/settlements/{settlement}", serving.http));
    let mut answer = request.header("Authorization", "Bearer demo").call().unwrap();
    let mut bill: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    let bill_of = bill.as_object_mut().unwrap();
    assert!(bill_of.remove("settlement_id").is_some() && bill_of.remove("issued_at").is_some());
    bill
}

/// A gateway that knows the simulated people.
fn with_people(profile: &str) -> Serving {
    let serving = serve(&[], profile);
    let (roster, store) = (serving.store().with_file_name("people.csv"), serving.store());
    let written = yizhan(&["simulate", "hospital", "--seed", "5", "--roster", text(&roster)]);
    let import = ["roster", "import", text(&roster), "--mode", "delta", "--store", text(&store)];
    assert!(written.status.success() && yizhan(&import).status.success());
    serving
}

#[test]
fn a_stay_comes_to_one_bill_in_whatever_dialect_it_is_told() {
    let stays = ["--count", "8", "--seed", "5", "--dialects"];
    let mut first: Option<BTreeMap<String, Value>> = None;
    for dialect in DIALECTS {
        let serving = with_people("");
        let words = [&stays[..], &[dialect]].concat();
        let issued = settlements(sent(&serving, &words));
        // The same seed is the same stays: the same bills again, by the same way and by every other.
        let others = if dialect == "json" { DIALECTS.as_slice() } else { &[dialect, "json"] };
        for again in others {
            assert_eq!(settlements(sent(&serving, &[&stays[..], &[again]].concat())), issued, "{again}");
        }
        let bills: BTreeMap<_, _> =
            issued.into_iter().map(|(visit, id)| (visit, bill(&serving, &id))).collect();
        let first = first.get_or_insert_with(|| bills.clone());
        assert_eq!(&bills, first, "{dialect}");
    }
    let bills = first.unwrap();
    let any = |is: &dyn Fn(&Value) -> bool| bills.values().any(is);
    for (what, is_there) in [
        ("an accident", any(&|bill| bill["cause"] == "accident")),
        ("an illness", any(&|bill| bill["cause"] == "illness")),
        ("a deposit", any(&|bill| bill["deposit"] != "0.00")),
        ("somebody on the roster", any(&|bill| bill["patient"]["category"] == "entitled_out_of_poverty")),
    ] {
        assert!(is_there, "{what}: {bills:#?}");
    }
}

/// A hospital with places and words of its own: in HL7, and in documents by the example's map with places for what only
/// some stays have.
fn own_habits() -> String {
    let example = std::fs::read_to_string(project("schemas/hospital.example.toml")).unwrap();
    let mut example: toml::Table = toml::from_str(&example).unwrap();
    let notice = &mut example["xml_map"]["discharge_notice"];
    let below = |name: &str| toml::Value::String(format!("/Envelope/Body/POOR_IN200902UV/{name}"));
    let fields = notice["fields"].as_table_mut().unwrap();
    for (name, path) in [
        ("cause.kind", "cause[2]/@kind"),
        ("cause.accident_type", "cause[2]"),
        ("deposit", "paid[@kind='预交\"金\"']/sum"),
    ] {
        fields.insert(name.to_owned(), below(path));
    }
    let mark = toml::Value::String("@back".to_owned());
    notice["lines"].as_table_mut().unwrap().insert("credit".to_owned(), mark);
    let habits = r#"
        values."patient.sex" = { "男&" = "male", "女&" = "female" }
        values."lines.kind" = { "收" = "CG", "退" = "CD", "预交" = "PY" }
        hl7."visit.number" = "ZVI-3[2].2.2"
        hl7."visit.discharged" = "PV1-50"
        hl7."patient.id_number" = "PID-3[SFZ].1"
        hl7."patient.mrn" = "PID-2"
        hl7."patient.sex" = "PID-30"
        hl7."cause.accident_type" = "ZVI-1"
        hl7."lines.id" = "FT1-30"
        hl7."lines.amount" = "FT1-31.1"
        hl7."lines.kind" = "FT1-32""#;
    format!("{habits}\nxml_map = {}", example["xml_map"])
}

#[test]
fn a_hospitals_own_places_and_documents_come_to_the_same_bill() {
    let stays = ["--count", "8", "--seed", "5"];
    let serving = with_people(&own_habits());
    let profile = serving.store().with_file_name("hospitals").join("H37132301.toml");
    let told = |words: &[&str]| settlements(sent(&serving, &[&stays[..], words].concat()));
    let issued = told(&["--profile", text(&profile), "--dialects", "hl7,hl7-bar,hl7-old,hl7-xml"]);
    for dialect in ["xml-own", "hl7-late", "hl7-mirth", "json"] {
        assert_eq!(told(&["--profile", text(&profile), "--dialects", dialect]), issued, "{dialect}");
    }
    let default = sent(&serving, &["--profile", text(&profile), "--count", "12", "--seed", "6"]);
    assert_eq!(default.0[11]["dialect"], "xml-own", "{default:#?}");
}

#[test]
fn dialects_take_turns_and_what_is_printed_is_for_people() {
    let serving = serve(&[], "");
    let http = format!("http://{}", serving.http);
    let output = yizhan(&to(&http, &serving.mllp, &["--token", "demo", "--count", "11", "--rate", "100"]));
    let said = String::from_utf8(output.stdout).unwrap();
    let told: Vec<_> = said.lines().filter_map(|line| line.split_whitespace().nth(3)).collect();
    assert_eq!((&told[..11], output.status.code()), (&DIALECTS[..], Some(0)), "{said}");
    assert!(said.contains("共 11 次住院：结算 11，") && said.contains("\n11 stays: 11 settled,"), "{said}");
}

#[test]
fn whoever_stops_it_is_told_what_was_sent() {
    let serving = serve(&[], "");
    let http = format!("http://{}", serving.http);
    let words = ["--token", "demo", "--count", "1000", "--rate", "1"];
    let sending = Process::start(process::yizhan(to(&http, &serving.mllp, &words)));
    sending.says("1/1000");
    let (said, exit) = sending.stop();
    assert!(exit == Some(0) && said.contains("0 without an answer, 99"), "{exit:?}: {said}");
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    profile: String,
    run: String,
    exit: i32,
    said: Vec<String>,
}

#[test]
fn what_comes_of_messages_is_told_with_what_to_do_and_by_the_exit_code() {
    let cases: Cases = toml::from_str(include_str!("../../cases/simulated_hospital.toml")).unwrap();
    for Case { name, profile, run, exit, said } in cases.case {
        let serving = serve(&[], &profile);
        let http = format!("http://{}", serving.http);
        let file = serving.store().with_file_name("hospitals").join("H37132301.toml");
        let run = run.replace("PROFILE", text(&file)).replace("HTTP", &serving.http);
        let words: Vec<&str> = run.split_whitespace().collect();
        let default = [("--http", &*http), ("--mllp", &*serving.mllp), ("--count", "2"), ("--token", "demo")];
        let unsaid = default.into_iter().filter(|(name, _)| !words.contains(name));
        let unsaid: Vec<&str> = unsaid.flat_map(|(name, value)| [name, value]).collect();
        let output = yizhan(&[&["simulate", "hospital"], &words[..], &unsaid].concat());
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(exit), "{name}: {printed}");
        for part in said {
            assert!(printed.contains(&part), "{name}: no {part:?} in {printed}");
        }
    }
}

#[test]
fn both_ports_are_spoken_to_over_tls_with_certificates_of_both_sides() {
    let (made, strangers) = (Certificates::made(&[]), Certificates::made(&[]));
    let [certificate, key, ca] = ["server.pem", "server-key.pem", "ca.pem"].map(|name| made.text(name));
    let serving = serve(
        &[("YIZHAN_TLS_CERTIFICATE", &certificate), ("YIZHAN_TLS_KEY", &key), ("YIZHAN_TLS_CLIENT_CA", &ca)],
        "",
    );
    let (http, mllp) = (format!("https://{}", serving.http), format!("mllps://{}", serving.mllp));
    let [own, own_key] = ["hospital-H37132301.pem", "hospital-H37132301-key.pem"].map(|name| made.text(name));
    let shown = ["--certificate", &own, "--key", &own_key];
    let strange = strangers.text("ca.pem");
    for (ca, shows, exit, said) in [
        (&ca, &shown[..], 0, "1 stays: 1 settled"),
        // Whether the gateway's word on it arrives before the end of the connection is a matter of luck.
        (&ca, &[], 4, "1 without an answer"),
        (&strange, &shown, 4, "invalid peer certificate: UnknownIssuer"),
    ] {
        for dialect in ["json", "hl7"] {
            let words = ["--token", "demo", "--count", "1", "--dialects", dialect, "--ca", ca];
            let output = yizhan(&to(&http, &mllp, &[&words[..], shows].concat()));
            let printed = String::from_utf8(output.stdout).unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(exit), "{dialect}: {printed}{error}");
            assert!(printed.contains(said), "{dialect}: {printed}{error}");
        }
    }
}
