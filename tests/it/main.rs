//! Everything that is tested from outside, in one binary. Each module is one subject, its cases are data.
#![cfg(test)]

mod adapter_protocol;
mod authority;
mod away;
mod bench;
mod beside;
mod books;
mod certify;
mod certs;
mod cli;
mod cluster;
mod commands;
mod crash;
mod demo;
mod desk;
mod discharge_schema;
mod faults;
mod fund;
mod gateway;
mod handbook;
mod hl7_ack;
mod hl7_corpus;
mod hl7_e10;
mod hl7_properties;
mod hl7_syntax;
mod hl7_xml;
mod http;
mod imports;
mod installed;
mod intake;
mod logged;
mod mllp_client;
mod mllp_frames;
mod mllp_listener;
mod nonsense;
mod old_stores;
mod operated;
mod outbox;
mod plugged;
mod postgres;
mod process;
mod profiles;
mod readme;
mod receiver;
/// What holds every bill of the gateway to the figures before it, the same that holds the rules to them.
#[path = "../../adapters/rules/tests/it/recompute/mod.rs"]
mod recompute;
mod refusal;
mod registry;
mod sealed;
mod serve;
mod simulated;
mod simulation;
mod sqlite;
mod stays;
mod store_adapters;
mod store_contract;
mod store_leases;
mod store_ledger;
mod store_outbox;
mod store_people;
mod store_races;
mod telemetry;
mod tidy;

/// A path below the root of the project.
fn project(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Says that a test did not run, past the capture of the test harness: nobody should think it did.
fn passed_over(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "PASSED OVER: {why}");
}

/// The folder of real messages, where it is there: beside the project unless `YIZHAN_TEST_CORPUS` says
/// otherwise.
fn corpus() -> Option<std::path::PathBuf> {
    let named = std::env::var_os("YIZHAN_TEST_CORPUS");
    let folder = named.map_or_else(|| project("../shared/corpus/hl7"), std::path::PathBuf::from);
    if !folder.is_dir() {
        passed_over(&format!("no corpus at {}", folder.display()));
        return None;
    }
    Some(folder)
}

/// Every message of `tests/messages`, by name.
fn own_messages() -> Vec<(String, Vec<u8>)> {
    let folder = std::fs::read_dir(project("tests/messages")).unwrap();
    let paths = folder.map(|entry| entry.unwrap().path());
    let mut messages: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "hl7"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    messages.sort();
    messages
}

/// Whether a text for a person says it in Chinese and in English: `中文 | English`, on one line or on several.
fn says_both(text: &str) -> bool {
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let english_words = |text: &str| {
        let words = text.split_whitespace().filter(|word| word.len() > 1);
        words.filter(|word| word.bytes().all(|b| b.is_ascii_alphabetic() || b",.;:'-".contains(&b))).count()
    };
    text.split_once(" | ").is_some_and(|(zh, en)| zh.contains(is_chinese) && english_words(en) > 1)
}
