//! The house rules that a machine can check.

mod directions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no Rust files under {folder}");
    found
}

/// Rules and the settlement's decisions know no clock, no I/O, no store implementation.
#[test]
fn the_core_is_pure() {
    let forbidden = [
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "tokio::",
        "async fn",
        ".await",
        "SystemTime",
        "Timestamp::now",
        "rusqlite",
        "actix",
        "getrandom",
        "Uuid::new",
        "telemetry",
    ];
    let mut files = rust_files("adapters/rules/src");
    files.extend(rust_files("adapters/contract/src"));
    // The driver alone waits for the store.
    let is_driver = |file: &PathBuf| file.parent().is_some_and(|folder| folder.ends_with("gateway"));
    files.extend(rust_files("src/settlement").into_iter().filter(|file| !is_driver(file)));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for word in forbidden {
            assert!(!text.contains(word), "{} holds {word}", file.display());
        }
    }
}

/// One function per event, with log line and counter together: nobody else writes a log line. Spans are no events.
#[test]
fn events_are_told_by_telemetry_alone() {
    let events = ["error", "warn", "info", "debug", "trace", "event"];
    for file in rust_files("src").into_iter().chain(rust_files("adapters")) {
        if file.ends_with("src/telemetry.rs") || file.starts_with(root().join("src/telemetry")) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for event in events {
            let told = format!("tracing::{event}!");
            assert!(!text.contains(&told), "{} holds {told}", file.display());
        }
        // Imported, they would be told under their bare names.
        let imported = text.split("use tracing::").skip(1).map(|rest| rest.split(';').next().unwrap());
        for names in imported {
            let names: Vec<_> = names.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            assert!(!names.iter().any(|name| events.contains(name)), "{} uses {names:?}", file.display());
        }
    }
}

/// Adapters know nothing of the gateway.
#[test]
fn adapters_do_not_know_the_gateway() {
    for adapter in fs::read_dir(root().join("adapters")).unwrap() {
        let manifest = adapter.unwrap().path().join("Cargo.toml");
        // Examples in other languages are adapters without a manifest.
        let Ok(text) = fs::read_to_string(&manifest) else { continue };
        let names_gateway =
            text.lines().any(|line| line.starts_with("yizhan ") || line.starts_with("yizhan."));
        assert!(!names_gateway, "{} depends on the gateway", manifest.display());
    }
}

#[test]
fn files_hold_one_idea() {
    for folder in ["src", "adapters", "tests"] {
        for file in rust_files(folder) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 500, "{} has {lines} lines", file.display());
        }
    }
}

/// Tests of the package, of its adapters, and those that stand beside the code.
#[test]
fn no_test_is_ignored_or_sleeps() {
    let (marked, ignore, sleep) =
        (concat!("#[cfg", "(test)]"), concat!("#[ig", "nore"), concat!("sle", "ep("));
    for file in ["tests", "src", "adapters"].iter().flat_map(|folder| rust_files(folder)) {
        let text = fs::read_to_string(&file).unwrap();
        let is_test = file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
        let tests = if is_test { &*text } else { text.split_once(marked).map_or("", |(_, tests)| tests) };
        assert!(!tests.contains(ignore) && !tests.contains(sleep), "{}", file.display());
    }
}

/// A payer is 支付方, in every text that a person reads.
#[test]
fn one_word_stands_for_a_payer() {
    let other = concat!("付款", "方");
    let mut open = ["src", "adapters", "schemas", "templates", "tests", "README.md"]
        .map(|name| root().join(name))
        .to_vec();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            assert!(!text.contains(other), "{} says {other}", path.display());
        }
    }
}

/// Licences we may ship under Apache-2.0; a dual licence is good if one side is.
#[test]
fn every_dependency_has_a_fitting_licence() {
    const GOOD: &[&str] = &[
        "MIT",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "Unlicense",
        "0BSD",
        "CC0-1.0",
        "Unicode-3.0",
        "MIT-0",
        "BSL-1.0",
        "CDLA-Permissive-2.0",
    ];
    let version = Command::new("rustc").arg("-vV").current_dir(root()).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // What is built here was fetched for building it; what other platforms need may not be there.
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or("none").replace('/', " OR ");
        let plain = |text: &str| GOOD.contains(&text.trim().trim_matches(['(', ')']).trim());
        let all_of = |text: &str| text.split(" AND ").all(plain);
        let fits = licence.split(" OR ").any(all_of)
            || licence.split(" AND ").all(|part| part.split(" OR ").any(plain));
        assert!(fits, "{} {}: {licence}", package["name"], package["version"]);
    }
}
