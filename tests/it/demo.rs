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
    for figure in ["8,560.00", "155.07", "91,993.75", "150,000.00", "21,339.37", "1607.00"] {
        assert!(shown.contains(figure), "{figure} is missing from\n{shown}");
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
