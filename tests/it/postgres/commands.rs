//! The commands on a store in PostgreSQL.

use std::process::Output;

use serde_json::Value;

use crate::cli::{lines, sample, text, yizhan};
use crate::cluster;

fn shown(output: &Output) -> (String, Option<i32>) {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    (String::from_utf8(both).unwrap(), output.status.code())
}

#[tokio::test]
async fn the_commands_do_on_postgresql_what_they_do_on_a_file() {
    let cluster = cluster::shared();
    let store = cluster.address(&cluster.database().await);
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("yizhan.key");
    let key = text(&key);
    let done = |arguments: &[&str]| {
        let output = yizhan(&[arguments, &["--store", &store, "--key", key]].concat());
        let (text, code) = shown(&output);
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        output
    };
    assert!(yizhan(&["key", "new", key]).status.success());
    done(&["roster", "import", &sample("roster.csv"), "--mode", "delta"]);
    done(&["catalogue", "import", &sample("catalogue.csv")]);
    let settle = || lines(&done(&["settle", "--json", &sample("01-worked.json")])).0.remove(0);
    let (first, again) = (settle(), settle());
    assert_eq!(first["payers"][0]["paid"], "8560.00");
    assert_eq!(first, again);
    let day = first["issued_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let day = yizhan_contract::stay::civil_date(day).to_string();
    let report = lines(&done(&["report", "--day", &day, "--json"])).0;
    let basic: Vec<&Value> = report.iter().filter(|line| line["payer"] == "basic").collect();
    assert_eq!((basic.len(), &basic[0]["paid"]), (1, &"8560.00".into()));
    let (checked, _) = shown(&done(&["ledger", "check"]));
    assert!(checked.contains("0 differences"), "{checked}");
}

#[tokio::test]
async fn what_a_command_cannot_do_is_said_with_what_to_do() {
    let store = "postgres://yizhan:s3cret@127.0.0.1:1/area";
    for (arguments, code, expected) in [
        (&["backup", "copy.dump", "--store", store, "--key", "no.key"][..], 2, "pg_dump --format=custom"),
        (&["restore", "copy.dump", "--store", store, "--key", "no.key"], 2, "pg_restore"),
        (&["report", "--day", "2020-07-02", "--store", store], 2, "--key"),
        (&["report", "--day", "2020-07-02", "--store", store, "--key", "no.key"], 4, "127.0.0.1:1/area"),
        (&["report", "--day", "2020-07-02", "--store", "mysql://host/db"], 2, "mysql://"),
    ] {
        let (said, ended) = shown(&yizhan(arguments));
        assert_eq!(ended, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains("s3cret"), "{arguments:?}: {said}");
    }
}
