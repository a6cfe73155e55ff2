//! `yizhan ledger check` and `yizhan outbox` on stores that are whole, damaged, and full of what waits.

use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::Value;

use crate::project;

fn yizhan(store: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yizhan"));
    command.args(arguments).arg("--store").arg(store).output().unwrap()
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A store with its key and the sample roster and catalogue in it.
fn new_store(path: &Path) {
    let sample = |name: &str| project("tests/samples").join(name).to_str().unwrap().to_owned();
    let key = path.with_extension("key");
    let made = Command::new(env!("CARGO_BIN_EXE_yizhan")).args(["key", "new"]).arg(&key).output().unwrap();
    assert!(made.status.success());
    for arguments in [
        &["roster", "import", &sample("roster.csv"), "--mode", "delta"][..],
        &["catalogue", "import", &sample("catalogue.csv")],
    ] {
        assert!(yizhan(path, arguments).status.success(), "{arguments:?}");
    }
}

/// Settles samples and gives back the bills.
fn settled(store: &Path) -> Vec<Value> {
    new_store(store);
    let files = ["01-worked.json", "04-drowning.json", "02-yishui-2017.xml"];
    let files = files.map(|file| project("tests/samples").join(file).to_str().unwrap().to_owned());
    let mut arguments = vec!["settle", "--json"];
    arguments.extend(files.iter().map(String::as_str));
    let output = yizhan(store, &arguments);
    let bills: Vec<Value> = shown(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(bills.iter().all(|bill| bill["state"] == "settled"), "{}", shown(&output));
    bills
}

#[test]
fn whole_books_are_added_up_and_damage_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("yizhan.db");
    let bills = settled(&store);
    let output = yizhan(&store, &["ledger", "check"]);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("已核对 3 人 3 次结算，差异 0 处") && text.contains("0 differences"), "{text}");
    assert!(text.contains("371323 居民基本医疗保险") && text.contains("41418.64"), "{text}");

    let id = |bill: &Value| bill["settlement_id"].as_str().unwrap().to_owned();
    let blob = |bill: &Value| format!("x'{}'", id(bill).replace('-', ""));
    for (damage, repair, said) in [
        (
            format!(
                "UPDATE posting SET amount = amount + 1 WHERE debit = 'patient' AND settlement_id = {}",
                blob(&bills[0])
            ),
            "UPDATE posting SET amount = amount - 1 WHERE debit = 'patient' AND settlement_id = {}",
            "the bill is settled, and the ledger says",
        ),
        (
            format!(
                "UPDATE leg SET paid = paid + 1 WHERE payer = 'basic' AND settlement_id = {}",
                blob(&bills[0])
            ),
            "UPDATE leg SET paid = paid - 1 WHERE payer = 'basic' AND settlement_id = {}",
            "the bill and the figures stored beside it differ",
        ),
        (
            format!(
                "UPDATE accumulator SET paid = paid + 1 WHERE payer = 'basic' AND person_id =
                   (SELECT person_id FROM settlement WHERE settlement_id = {})",
                blob(&bills[0])
            ),
            "UPDATE accumulator SET paid = paid - 1 WHERE payer = 'basic' AND person_id =
               (SELECT person_id FROM settlement WHERE settlement_id = {})",
            "the person's 2020 sum for Resident basic medical insurance is 8560.01; their bills add up to 8560.00",
        ),
    ] {
        let connection = Connection::open(&store).unwrap();
        assert_eq!(connection.execute(&damage, []).unwrap(), 1, "{damage}");
        let output = yizhan(&store, &["ledger", "check"]);
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(5), "{text}");
        assert!(text.contains(said) && text.contains(&id(&bills[0])), "{text}");
        assert!(text.contains("差异 1 处") && text.contains("do not edit the store by hand"), "{text}");
        connection.execute(&repair.replace("{}", &blob(&bills[0])), []).unwrap();
    }
    let output = yizhan(&store, &["ledger", "check"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
}

#[test]
fn a_payer_that_stands_on_no_bill_is_named_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("yizhan.db");
    new_store(&store);
    let file = project("tests/samples/01-worked.json");
    assert!(yizhan(&store, &["settle", "--json", file.to_str().unwrap()]).status.success());
    let connection = Connection::open(&store).unwrap();
    let insert = "INSERT INTO accumulator SELECT person_id, 2020, 'accident', '0', 1 FROM settlement";
    assert_eq!(connection.execute(insert, []).unwrap(), 1);
    let output = yizhan(&store, &["ledger", "check"]);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("该参保人 2020 年意外伤害保险累计 0.01 元"), "{text}");
}

#[test]
fn what_waits_to_be_told_is_listed_with_its_hospital_and_bill() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("yizhan.db");
    new_store(&store);
    let profile = directory.path().join("hospital.toml");
    let sample = std::fs::read_to_string(project("tests/samples/hospitals/H37132301.toml")).unwrap();
    std::fs::write(&profile, format!("return_address = \"127.0.0.1:6661\"\n{sample}")).unwrap();
    let file = project("tests/samples/01-worked.json");
    let arguments = ["settle", "--json", "--profile", profile.to_str().unwrap(), file.to_str().unwrap()];
    let bill: Value = serde_json::from_str(shown(&yizhan(&store, &arguments)).trim()).unwrap();
    let output = yizhan(&store, &["outbox"]);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let named = [bill["settlement_id"].as_str().unwrap(), "H37132301", "v1", "尚未发送", "not sent yet"];
    assert!(named.iter().all(|word| text.contains(word)), "{text}");

    let other = directory.path().join("other.db");
    settled(&other);
    let text = shown(&yizhan(&other, &["outbox"]));
    assert!(text.contains("没有待送的结算单"), "{text}");
}
