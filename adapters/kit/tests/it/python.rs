//! The example in Python: a service of its own, started, killed and started again as an insurer's would be.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use yizhan_kit::certify::{Certify, Level, Started, Target, TestData, certify};

use crate::certificates::certificates;
use crate::certified::{OF_OTHERS, left_out};

/// The headings of the handbook, as they are linked to.
fn headings() -> Vec<String> {
    let handbook = include_str!("../../../README.md");
    let headings = handbook.lines().filter_map(|line| line.strip_prefix("### "));
    headings.map(|heading| heading.to_lowercase().replace(' ', "-")).collect()
}

fn needs_python() {
    let is_new = "import sys; sys.exit(sys.version_info < (3, 11))";
    let is_there = Command::new("python3").args(["-c", is_new]).status().is_ok_and(|status| status.success());
    assert!(is_there, "python3 3.11 or later is missing: tests/run.sh installs it");
}

fn payer() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/payer.py")
}

/// Nobody listens there. It is asked for again by number, each time the service is started.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The example with promises of speed that it keeps on a machine with a lot else to do, too.
fn leisurely(folder: &Path) -> PathBuf {
    let example = std::fs::read_to_string(payer()).unwrap();
    let promised = r#""quote_p95_ms": 500, "commit_p95_ms": 1500"#;
    assert!(example.contains(promised), "the example promises something else by now");
    let copy = folder.join("payer.py");
    let text = example.replace(promised, r#""quote_p95_ms": 2000, "commit_p95_ms": 9000"#);
    std::fs::write(&copy, text).unwrap();
    copy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_example_survives_kill_9_and_passes_every_level() {
    needs_python();
    let folder = tempfile::tempdir().unwrap();
    let (port, path) = (free_port(), |name: &str| certificates().path(name));
    let command = format!(
        "exec python3 {} --listen 127.0.0.1:{port} --book {} --certificate {} --key {} --client-ca {}",
        leisurely(folder.path()).display(),
        folder.path().join("payer.db").display(),
        path("service.pem").display(),
        path("service.key").display(),
        path("ca.pem").display(),
    );
    let target = Target { url: format!("https://localhost:{port}"), tls: Some(certificates().of_caller()) };
    let started = Started::begin(&command, &folder.path().join("adapter.log"), &target).unwrap();
    let asked = Certify {
        target,
        data: TestData::default(),
        levels: Level::ALL.to_vec(),
        restart: Some(Box::new(started)),
        load: Duration::from_secs(1),
        patience: Duration::from_secs(10),
    };
    let report = certify(asked, &()).await.unwrap();
    assert_eq!(left_out(&report), OF_OTHERS);
    let headings = headings();
    for trial in &report.trials {
        let heading = trial.clause.strip_prefix("adapters/README.md#").unwrap();
        assert!(headings.iter().any(|known| known == heading), "{}: no heading {heading}", trial.id);
    }
}

#[test]
fn the_python_example_is_short_and_needs_nothing_else() {
    let text = std::fs::read_to_string(payer()).unwrap();
    assert!(text.lines().count() <= 250, "{} lines", text.lines().count());
    let standard = [
        "argparse",
        "hashlib",
        "json",
        "re",
        "sqlite3",
        "ssl",
        "sys",
        "threading",
        "uuid",
        "datetime",
        "decimal",
        "http.server",
        "urllib.parse",
    ];
    for line in text.lines() {
        let names = line.strip_prefix("import ").or_else(|| line.strip_prefix("from ")?.split(' ').next());
        for name in names.into_iter().flat_map(|names| names.split(", ")) {
            assert!(standard.contains(&name), "{name}");
        }
    }
}
