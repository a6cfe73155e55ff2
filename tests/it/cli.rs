//! The command line as a person or a script uses it: what is printed, and the exit code.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::{project, says_both};

pub(crate) fn yizhan(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_yizhan")).args(arguments).env_remove("YIZHAN_STORE").output().unwrap()
}

pub(crate) fn sample(name: &str) -> String {
    project("tests/samples").join(name).to_str().unwrap().to_owned()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Each line of standard output as JSON, and the exit code.
pub(crate) fn lines(output: &Output) -> (Vec<Value>, i32) {
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    let parsed = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (parsed, output.status.code().unwrap())
}

fn settle(files: &[&str]) -> (Vec<Value>, i32) {
    let paths: Vec<String> = files.iter().map(|file| sample(file)).collect();
    let mut arguments = vec!["settle", "--json"];
    arguments.extend(paths.iter().map(String::as_str));
    lines(&yizhan(&arguments))
}

/// Payer and amount in the order of the bill, then the patient.
fn amounts(bill: &Value) -> String {
    let payers = bill["payers"].as_array().unwrap().iter();
    let paid = payers
        .map(|payer| format!("{} {}", payer["payer"].as_str().unwrap(), payer["paid"].as_str().unwrap()));
    let share = format!("patient {}", bill["patient_share"].as_str().unwrap());
    paid.chain([share]).collect::<Vec<_>>().join(", ")
}

#[test]
fn samples_settle_to_the_fen() {
    for (files, expected) in [
        (
            &["01-worked.json"][..],
            "basic 8560.00, critical_illness 0.00, medical_assistance 1708.00, provider_waiver 100.00, \
             supplementary 0.00, patient 1632.00",
        ),
        (
            &["02-yishui-2017.xml"],
            "basic 1313.04, critical_illness 0.00, medical_assistance 292.54, provider_waiver 18.14, \
             supplementary 155.07, patient 8.16",
        ),
        (
            &["03a-critical-illness-charges.hl7", "03b-critical-illness-discharge.hl7"],
            "basic 259675.00, critical_illness 91993.75, medical_assistance 33831.88, provider_waiver 760.00, \
             supplementary 0.00, patient 21339.37",
        ),
        (
            &["05a-ordinary-resident-charges.gb18030.hl7", "05b-ordinary-resident-discharge.gb18030.hl7"],
            "basic 3227.00, critical_illness 0.00, medical_assistance 0.00, provider_waiver 0.00, \
             supplementary 0.00, patient 1918.00",
        ),
    ] {
        let (bills, exit) = settle(files);
        assert_eq!((amounts(bills.last().unwrap()).as_str(), exit), (expected, 0), "{files:?}");
    }
}

#[test]
fn disaster_insurance_pays_first_after_drowning() {
    let (bills, exit) = settle(&["04-drowning.json"]);
    let payers = bills[0]["payers"].as_array().unwrap();
    assert_eq!((payers[0]["payer"].as_str(), exit), (Some("disaster"), 0));
    assert_eq!(payers[0]["paid"], "150000.00", "{}", amounts(&bills[0]));
}

#[test]
fn identity_and_year_go_by_the_discharge() {
    let (bills, _) = settle(&["06-joined-mid-year.xml", "07-over-new-year.xml"]);
    assert_eq!(bills[0]["patient"]["category"], "immediate_assistance");
    let changed = |bill: &Value| {
        let findings = bill["findings"].as_array().unwrap();
        findings.iter().any(|finding| finding["code"] == "category_changed_during_stay")
    };
    assert!(changed(&bills[0]));
    assert_eq!((&bills[1]["benefit_year"], &bills[1]["admitted"]), (&2020.into(), &"2019-12-27".into()));
}

#[test]
fn charges_after_settlement_are_reported() {
    let (answers, exit) = settle(&[
        "08a-late-charges-admit.hl7",
        "08b-late-charges-charges.hl7",
        "08c-late-charges-discharge.hl7",
        "08d-late-charges-late.hl7",
    ]);
    let states: Vec<&str> = answers.iter().map(|answer| answer["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["awaiting_charges", "awaiting_charges", "settled", "settled"]);
    assert_eq!(answers[0]["beneficiary"]["deposit_waived"], true);
    assert_eq!((answers[3]["findings"][0]["code"].as_str(), exit), (Some("late_charges"), 0));
}

/// Frames in a file are read by the rules of the wire, and an envelope that does not fit is told of.
#[test]
fn a_file_of_frames_and_batches_is_settled_message_by_message() {
    let folder = TempDir::new().unwrap();
    let read = |name: &str| std::fs::read_to_string(sample(name)).unwrap().trim_end().to_owned() + "\r";
    let [admit, charges, discharge] =
        ["8a-late-charges-admit", "8b-late-charges-charges", "8c-late-charges-discharge"]
            .map(|name| read(&format!("0{name}.hl7")));
    let (count_zh, count_en) = ("批次注明 9，实际 2", "the batch says 9, 2 were found");
    for (name, file, expected, told) in [
        (
            "doubled",
            format!("\u{b}\u{b}{admit}\u{1c}\r\n\0\u{b}{charges}\u{1c}\u{b}{discharge}\u{1c}"),
            "awaiting_charges awaiting_charges settled",
            None,
        ),
        (
            "batch",
            format!(
                "\u{b}FHS|^~\\&|HIS\rBHS|^~\\&|HIS\r{admit}{charges}BTS|9\rFTS|1\r\u{1c}\r\u{b}{discharge}\u{1c}\r"
            ),
            "awaiting_charges awaiting_charges settled",
            Some((count_zh, count_en)),
        ),
        ("cut off", format!("\u{b}{admit}\u{1c}\r\u{b}{charges}"), "awaiting_charges malformed", None),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, file).unwrap();
        let output = yizhan(&["settle", "--json", text(&path)]);
        let (answers, _) = lines(&output);
        let word = |answer: &Value| {
            let said = answer["state"].as_str().or(answer["type"].as_str()).unwrap();
            said.rsplit(':').next().unwrap().to_owned()
        };
        assert_eq!(answers.iter().map(word).collect::<Vec<_>>().join(" "), expected, "{name}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        match told {
            Some((zh, en)) => assert!(complaint.contains(zh) && complaint.contains(en), "{complaint}"),
            None => assert!(!complaint.contains("批次"), "{complaint}"),
        }
    }
}

#[test]
fn what_does_not_balance_is_refused_with_both_figures() {
    let (problems, exit) = settle(&["09-does-not-balance.json"]);
    let problem = &problems[0];
    assert_eq!((problem["type"].as_str(), exit), (Some("urn:yizhan:problem:share_differs"), 3));
    assert_eq!(problem["money"], "not_moved");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("1607.00") && detail.contains("1605.00"), "{detail}");
}

#[test]
fn a_quote_settles_nothing() {
    let (bills, exit) = lines(&yizhan(&["settle", "--json", "--quote", &sample("01-worked.json")]));
    assert_eq!((bills[0]["state"].as_str(), exit), (Some("quoted"), 0));
    assert!(bills[0]["valid_until"].is_string());
}

#[test]
fn a_document_that_was_quoted_is_settled_when_it_is_sent_to_be() {
    let house = House::new();
    let file = sample("01-worked.json");
    let (quoted, _) = lines(&yizhan(&["settle", "--json", "--quote", "--store", &house.store(), &file]));
    let (settled, again) = (house.settle("01-worked.json"), house.settle("01-worked.json"));
    assert_eq!((&quoted[0]["state"], &settled["state"]), (&"quoted".into(), &"settled".into()));
    assert_eq!(quoted[0]["settlement_id"], settled["settlement_id"]);
    assert_eq!(settled, again);
}

#[test]
fn a_kind_of_accident_makes_an_accident() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("drowned.json");
    let settle_with = |cause: &str| {
        let shipped = std::fs::read_to_string(sample("04-drowning.json")).unwrap();
        let mut document: Value = serde_json::from_str(&shipped).unwrap();
        document["cause"] = serde_json::from_str(cause).unwrap();
        std::fs::write(&file, document.to_string()).unwrap();
        lines(&yizhan(&["settle", "--json", text(&file)])).0.remove(0)
    };
    assert_eq!(settle_with(r#"{"accident_type":"drowning"}"#)["payers"][0]["payer"], "disaster");
    let refused = settle_with(r#"{"kind":"illness","accident_type":"drowning"}"#);
    assert_eq!(
        (refused["place"].as_str(), refused["money"].as_str()),
        (Some("$.cause.kind"), Some("not_moved"))
    );
}

#[test]
fn the_exit_code_is_the_highest_seen() {
    let both = [sample("09-does-not-balance.json"), sample("01-worked.json")];
    let (answers, exit) = lines(&yizhan(&["settle", "--json", &both[0], &both[1]]));
    assert_eq!((answers.len(), exit), (2, 3));
    // A file that is not there keeps no other from being settled.
    for (files, answered, highest) in
        [(["/nowhere.json", &both[1]].as_slice(), 1, 2), (&[&both[0], "/nowhere.json", &both[1]], 2, 3)]
    {
        let done = yizhan(&[&["settle", "--json"], files].concat());
        let (answers, exit) = lines(&done);
        assert_eq!((answers.len(), exit), (answered, highest), "{files:?}");
        assert!(String::from_utf8_lossy(&done.stderr).contains("/nowhere.json"), "{files:?}");
    }
    for (arguments, expected) in [
        (&["settle"][..], 2),
        (&["settle", "/nowhere.json"], 2),
        (&["frobnicate"], 2),
        (&["--help"], 0),
        (&["serve", "--config", "/nowhere.toml"], 2),
        (&["policy", "check"], 0),
        (&["report", "--day", "2020-07-02", "--store", "postgres://localhost/yizhan"], 2),
    ] {
        assert_eq!(yizhan(arguments).status.code(), Some(expected), "{arguments:?}");
    }
}

fn refused_with(arguments: &[&str], parts: [&str; 3]) {
    let output = yizhan(arguments);
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {shown}");
    for expected in parts {
        assert!(shown.contains(expected), "{arguments:?}: {expected} is missing from\n{shown}");
    }
    assert!(!shown.contains("os error") && !shown.contains("beef"), "{shown}");
}

#[test]
fn what_cannot_be_done_is_said_in_both_languages_with_its_place() {
    let folder = TempDir::new().unwrap();
    let written = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let misspelt =
        written("yizhan.toml", "store = \"s\"\nkey_file = \"k\"\nhospitals = \"h\"\n[http]\nlisen = \"x\"\n");
    let (store, no_key) =
        (written("some.db", ""), written("no.key", "id = \"3fa1c09be2d4\"\nkey = \"beef\"\n"));
    let empty = written("empty.csv", "");
    for (arguments, place, zh, en) in [
        (
            &["settle", "/nowhere.json"][..],
            "/nowhere.json",
            "不存在，请核对路径",
            "does not exist; check the path",
        ),
        (&["settle", text(folder.path())], "", "是文件夹，请指定文件", "is a folder; name a file"),
        (&["settle", "--profile", "/nowhere.toml", "x"], "/nowhere.toml", "不存在", "does not exist"),
        (
            &["serve", "--config", "/nowhere.toml"],
            "/nowhere.toml",
            "配置文件",
            "schemas/yizhan.example.toml is an example",
        ),
        (
            &["serve", "--config", &misspelt],
            "yizhan.toml: http.lisen",
            "没有这个配置项",
            "known here: listen, workers",
        ),
        (&["policy", "check", "/nowhere.toml"], "/nowhere.toml", "不存在", "does not exist"),
        (
            &["roster", "import", &empty, "--mode", "delta", "--store", &store, "--key", &no_key],
            "no.key",
            "key 须为 64 位",
            "key must be 64 hexadecimal digits",
        ),
        (
            &["report", "--day", "2020-07-02", "--store", &store],
            "some.key",
            "新数据库需要密钥文件",
            "a new store needs a key file; make one with `yizhan key new`",
        ),
        (&["key", "new", &no_key], "no.key", "已存在，不会覆盖", "exists already and is kept"),
        (
            &["report", "--day", "2020-07-02", "--store", "mysql://x/y"],
            "mysql://",
            "请填写 SQLite 文件路径或 postgres:// 地址",
            "give a SQLite file's path or a postgres:// address",
        ),
    ] {
        refused_with(arguments, [place, zh, en]);
    }
}

#[test]
fn arguments_that_do_not_fit_are_told_in_both_languages() {
    for (arguments, zh, en) in [
        (&["settle", "--bogus"][..], "没有参数 --bogus；用法见 yizhan settle --help", "no argument --bogus"),
        (&["frobnicate"], "没有命令 frobnicate；用法见 yizhan --help", "no command frobnicate"),
        (&["roster"], "请写明子命令；用法见 yizhan roster --help", "name a command"),
        (
            &["roster", "import", "x", "--mode"],
            "缺少取值；用法见 yizhan roster import --help",
            "lacks its value",
        ),
        (&["policy", "explain", "--lang", "fr"], "--lang <LANG> 的取值无效", "does not fit"),
        (&["restore"], "缺少参数", "is missing; yizhan restore --help says"),
        (&["serve", "--config", "a", "--config", "b"], "不能重复", "nor twice"),
    ] {
        let output = yizhan(arguments);
        let shown = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {shown}");
        let first = shown.lines().next().unwrap();
        assert!(says_both(first), "{arguments:?}: {first}");
        assert!(first.contains(zh) && first.contains(en), "{arguments:?}: {first}");
    }
    // Every entry of every help.
    for command in
        ["", "serve", "settle", "roster import", "attention resolve", "bench", "policy", "simulate hospital"]
    {
        let output = yizhan(&command.split_whitespace().chain(["--help"]).collect::<Vec<_>>());
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(shown.contains("显示帮助 | Print help"), "{shown}");
    }
    let output = yizhan(&["help", "settle"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("Settle messages from files"));
}

#[test]
fn people_read_tables_in_both_languages() {
    let output = yizhan(&["settle", "--explain", &sample("02-yishui-2017.xml")]);
    let shown = String::from_utf8(output.stdout).unwrap();
    for words in
        ["163.23 × 95% = 155.0685", "Supplementary commercial", "医疗商业补充保险", "示例参数，非官方标准"]
    {
        assert!(shown.contains(words), "{words} is missing from\n{shown}");
    }
    assert!(shown.contains("建档立卡贫困人口 Registered poor"), "the category in words\n{shown}");
    assert!(!shown.contains("registered_poor"), "no code where people read\n{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours where nobody watches");
}

#[test]
fn what_is_wrong_with_a_policy_is_said_in_both_languages_with_place_and_clause() {
    let folder = TempDir::new().unwrap();
    let shipped = std::fs::read_to_string(project("adapters/rules/policies/shandong-2020.toml")).unwrap();
    let file = folder.path().join("low.toml");
    for (written, parts) in [
        (shipped.replace("\"110.00\"", "\"100.00\""), ["110", "不得低于", "must be at least"]),
        (shipped.replacen('=', "", 1), ["low.toml: 3:", "该行不是有效的 TOML", "the line is no valid TOML"]),
        (shipped.replacen("name =", "nmae =", 1), ["nmae", "请更正或删除", "correct or remove it"]),
    ] {
        std::fs::write(&file, written).unwrap();
        let output = yizhan(&["policy", "check", text(&file)]);
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(3), "{shown}");
        let mut problems = shown.lines().filter(|line| line.contains("low.toml"));
        assert!(problems.all(says_both), "{shown}");
        for part in parts {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}

/// A store with its key, and the sample roster and catalogue in it.
struct House {
    folder: TempDir,
}

impl House {
    fn new() -> Self {
        let house = Self { folder: TempDir::new().unwrap() };
        let key = house.path("yizhan.key");
        house.done(&["key", "new", text(&key)]);
        house.done(&[
            "roster",
            "import",
            &sample("roster.csv"),
            "--mode",
            "delta",
            "--store",
            &house.store(),
        ]);
        house.done(&["catalogue", "import", &sample("catalogue.csv"), "--store", &house.store()]);
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> String {
        text(&self.path("yizhan.db")).to_owned()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = yizhan(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn settle(&self, file: &str) -> Value {
        let (mut bills, _) = lines(&yizhan(&["settle", "--json", "--store", &self.store(), &sample(file)]));
        bills.remove(0)
    }
}

#[test]
fn a_stay_is_settled_once_over_runs() {
    let house = House::new();
    let (first, again) = (house.settle("01-worked.json"), house.settle("01-worked.json"));
    assert_eq!(first, again);
    let day = first["issued_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let day = yizhan_contract::stay::civil_date(day).to_string();
    let report = house.done(&["report", "--day", &day, "--json", "--store", &house.store()]);
    let basic = report.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let basic: Vec<Value> = basic.filter(|line| line["payer"] == "basic").collect();
    assert_eq!((basic.len(), &basic[0]["count"], &basic[0]["paid"]), (1, &1.into(), &"8560.00".into()));
}

#[test]
fn opening_figures_count() {
    let house = House::new();
    let file = house.path("opening.csv");
    let rows = "id_number,payer,year,base,paid,admissions,as_of\n\
                371323195304121265,critical_illness,2020,8000.00,1950.00,2,2020-06-01\n";
    std::fs::write(&file, rows).unwrap();
    house.done(&["accumulators", "import", text(&file), "--store", &house.store()]);
    let bill = house.settle("01-worked.json");
    // 2,440.00 more above the 5,000.00 already passed: 65 %.
    assert_eq!(bill["payers"][1]["paid"], "1586.00", "{}", amounts(&bill));
    assert_eq!(bill["admission_ordinal"], 3);
}

#[test]
fn opening_figures_of_a_payer_that_no_policy_asks_are_refused_at_their_line() {
    let house = House::new();
    let file = house.path("opening.csv");
    let rows = "id_number,payer,year,base,paid,admissions,as_of\n\
                371323195304121265,critical_illness,2020,8000.00,1950.00,2,2020-06-01\n\
                371323195304121265,supplement,2020,0,0.00,2,2020-06-01\n";
    std::fs::write(&file, rows).unwrap();
    let output = yizhan(&["accumulators", "import", text(&file), "--store", &house.store()]);
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{shown}");
    for expected in
        ["3", "不是任何政策中的支付方", "is a payer of no policy", "critical_illness, ", "supplementary"]
    {
        assert!(shown.contains(expected), "{expected} is missing from\n{shown}");
    }
    // Nothing of the file counts.
    assert_eq!(house.settle("01-worked.json")["admission_ordinal"], 1);
}

#[test]
fn a_backup_is_restored_whole() {
    let house = House::new();
    let bill = house.settle("01-worked.json");
    let (backup, copy) = (house.path("backup.db"), house.path("copy.db"));
    house.done(&["backup", text(&backup), "--store", &house.store()]);
    let key = house.path("yizhan.key");
    house.done(&["restore", text(&backup), "--store", text(&copy), "--key", text(&key)]);
    let arguments =
        ["settle", "--json", "--store", text(&copy), "--key", text(&key), &sample("01-worked.json")];
    let (again, _) = lines(&yizhan(&arguments));
    assert_eq!(again[0], bill);
}

#[test]
fn a_store_opens_under_its_own_key_only() {
    let house = House::new();
    let other = house.path("other.key");
    house.done(&["key", "new", text(&other)]);
    let output = yizhan(&["report", "--day", "2020-07-02", "--store", &house.store(), "--key", text(&other)]);
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(shown.contains("wrong key"), "{shown}");
}

#[test]
fn a_file_with_mistakes_is_refused_by_line_and_column() {
    let house = House::new();
    let file = house.path("roster.csv");
    let rows = "id_number,name,region,kind,code,from,to\n\
                371323195304121265,甲,371323,category,low_income,2020-01-01,\n\
                371323195304121264,乙,371323,category,low_income,2020-01-01,\n";
    std::fs::write(&file, rows).unwrap();
    let arguments = ["roster", "import", text(&file), "--mode", "delta", "--store", &house.store()];
    let output = yizhan(&arguments);
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{shown}");
    assert!(shown.contains("roster.csv:3 id_number"), "{shown}");
    assert!(!shown.contains("371323195304121264"), "a number was repeated: {shown}");
}
