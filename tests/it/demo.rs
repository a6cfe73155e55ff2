//! A full run of the demonstration, as a process.

use std::process::Command;

use tempfile::TempDir;

use crate::project;

/// Every name and number of the sample roster, in the character sets they may have been written in.
fn secrets() -> Vec<Vec<u8>> {
    let roster = std::fs::read_to_string(project("tests/samples/roster.csv")).unwrap();
    let mut secrets = Vec::new();
    for row in roster.lines().skip(1) {
        let mut cells = row.split(',');
        let (number, name) = (cells.next().unwrap(), cells.next().unwrap());
        secrets.push(number.as_bytes().to_vec());
        secrets.push(name.as_bytes().to_vec());
        secrets.push(encoding_rs::GB18030.encode(name).0.into_owned());
    }
    secrets.sort();
    secrets.dedup();
    secrets
}

/// Each sample in its order: the beginning of its title, and what it is known by.
const FIGURES: &[(&str, &[&str])] = &[
    ("脱贫享受政策人口", &["8,560.00", "1,708.00", "1,632.00"]),
    ("沂水 2017", &["1,313.04", "292.54", "18.14", "155.07", "8.16"]),
    ("大病跨两个分段", &["91,993.75", "21,339.37"]),
    ("溺水", &["150,000.00", "灾害民生综合保险", "0.01"]),
    ("普通居民", &["3,227.00", "1,918.00"]),
    ("住院期间纳入即时帮扶", &["4,866.00", "即时帮扶"]),
    ("跨年住院", &["1,032.72", "2019-12-27"]),
    ("入院、费用、出院", &["(08d-late-charges-late.hl7) → AA", "238.80"]),
    ("各方与个人之和", &["→ 422", "1607.00", "1605.00", "share_differs"]),
];

#[test]
fn every_sample_is_answered_and_nobody_is_named_in_clear() {
    let folder = TempDir::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_yizhan"))
        .args(["demo", "--once", "--explain", "--log", "trace", "--keep"])
        .arg(folder.path())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}\n{log}");
    let told: Vec<&str> = shown.split("\n== ").skip(1).collect();
    assert_eq!(told.len(), FIGURES.len(), "{shown}");
    for (told, (title, figures)) in told.iter().zip(FIGURES) {
        assert!(told.starts_with(title), "{title} is not where it should be: {told}");
        for figure in *figures {
            assert!(told.contains(figure), "{figure} is missing from\n{told}");
        }
    }
    assert!(log.contains("message answered"), "the log says nothing:\n{log}");
    let mut places = vec![("the log".to_owned(), output.stderr), ("the screen".to_owned(), output.stdout)];
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    assert!(places.len() >= 4, "store and key were kept");
    for secret in secrets() {
        for (place, bytes) in &places {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} stands in {place}", String::from_utf8_lossy(&secret));
        }
    }
}
