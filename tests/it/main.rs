//! Everything that is tested from outside, in one binary. Each module is one subject, its cases are data.
#![cfg(test)]

mod crash;
mod desk;
mod gateway;
mod hl7_ack;
mod hl7_corpus;
mod hl7_e10;
mod hl7_properties;
mod hl7_syntax;
mod hl7_xml;
mod imports;
mod intake;
mod mllp_frames;
mod mllp_listener;
mod sealed;
mod sqlite;
mod stays;
mod store_contract;
mod tidy;

/// A path below the root of the project.
fn project(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
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
