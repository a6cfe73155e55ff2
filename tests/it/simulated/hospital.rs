//! The simulated hospital against a gateway that runs: every dialect comes to the same bill.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::certs::Certificates;
use crate::cli::{lines, text, yizhan};
use crate::process::{self, Process};
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
fn with_people() -> Serving {
    let serving = serve(&[], "");
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
        let serving = with_people();
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

struct Case {
    /// In every profile.
    profile: &'static str,
    words: &'static [&'static str],
    exit: i32,
    /// Printed, on either stream.
    said: &'static [&'static str],
}

#[test]
fn what_comes_of_messages_is_told_with_what_to_do_and_by_the_exit_code() {
    for Case { profile, words, exit, said } in [
        Case {
            profile: "settle_on = \"bar_p06\"",
            words: &["--token", "demo", "--dialects", "hl7-bar,json"],
            exit: 0,
            said: &["2 stays: 2 settled"],
        },
        Case {
            profile: "settle_on = \"bar_p06\"",
            words: &["--token", "demo", "--dialects", "hl7,hl7-xml"],
            exit: 0,
            said: &[
                "已接收 acknowledged",
                "仅接收 2，",
                "的医院，HL7 须用 --dialects hl7-bar",
                "needs --dialects hl7-bar or --profile for HL7",
            ],
        },
        Case {
            profile: "settle_on = \"bar_p06\"\ncharset = \"GBK\"",
            words: &["--token", "demo", "--profile", "PROFILE", "--count", "11"],
            exit: 0,
            said: &["11 stays: 11 settled"],
        },
        Case {
            profile: "settle_on = \"desk\"",
            words: &["--token", "demo", "--dialects", "hl7,hl7-http"],
            exit: 0,
            said: &["仅接收 2，", "的医院由窗口确认", "somebody agrees to the quote"],
        },
        Case {
            profile: "charset = \"8859/1\"",
            words: &["--token", "demo", "--profile", "PROFILE"],
            exit: 2,
            said: &["toml: charset：该字符集不能写汉字", "use UTF-8, GBK or GB18030"],
        },
        Case {
            profile: "",
            words: &["--token", "other", "--dialects", "json"],
            exit: 3,
            said: &[
                "被拒绝 refused",
                "请使用该医院的访问令牌",
                "Use the hospital's bearer token",
                "2 refused",
            ],
        },
        Case {
            profile: "",
            words: &["--token", "demo-linyi", "--dialects", "xml"],
            exit: 3,
            said: &["该令牌只能用于其所属医院", "The token is good for its own hospital only"],
        },
        Case {
            profile: "",
            words: &["--token", "demo", "--hospital", "H1", "--dialects", "hl7"],
            exit: 3,
            said: &["被拒绝 refused", "MSH-4", "2 refused"],
        },
        Case {
            profile: "",
            words: &["--token", "demo", "--dialects", "hl7", "--mllp", "127.0.0.1:1"],
            exit: 4,
            said: &[
                "无应答 1，未发送 1",
                "请确认对方已启动",
                "see that the other side is started",
                "run the same command again",
            ],
        },
        Case {
            profile: "",
            words: &["--token", "demo", "--dialects", "json", "--http", "http://127.0.0.1:1/"],
            exit: 4,
            said: &["http://127.0.0.1:1 没有程序在接收连接", "the same bill"],
        },
        Case {
            profile: "",
            words: &["--token", "demo", "--token", "demo-linyi"],
            exit: 2,
            said: &["须一一对应", "each --hospital, or --profile, needs its --token"],
        },
        Case {
            profile: "",
            words: &["--token", "demo", "--http", "127.0.0.1:8080"],
            exit: 2,
            said: &["http://"],
        },
        Case { profile: "", words: &["--token", "demo", "--mllp", "2575"], exit: 2, said: &["host:port"] },
    ] {
        let serving = serve(&[], profile);
        let http = format!("http://{}", serving.http);
        let file = serving.store().with_file_name("hospitals").join("H37132301.toml");
        let filled = |word: &&str| word.replace("PROFILE", text(&file)).replace("HTTP", &serving.http);
        let words: Vec<String> = words.iter().map(filled).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // What is said twice counts as it was said last.
        let default: Vec<&str> = [("--http", &*http), ("--mllp", &*serving.mllp), ("--count", "2")]
            .into_iter()
            .filter(|(name, _)| !words.contains(name))
            .flat_map(|(name, value)| [name, value])
            .collect();
        let output = yizhan(&[&["simulate", "hospital"], &default[..], &words].concat());
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(exit), "{words:?}: {printed}");
        for part in said {
            assert!(printed.contains(part), "{words:?}: no {part:?} in {printed}");
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
