//! Everything that is tested from outside, in one binary. Each module is one subject.

#[cfg(test)]
mod hl7_ack;
#[cfg(test)]
mod hl7_corpus;
#[cfg(test)]
mod hl7_e10;
#[cfg(test)]
mod hl7_properties;
#[cfg(test)]
mod hl7_syntax;
#[cfg(test)]
mod hl7_xml;
#[cfg(test)]
mod intake;
#[cfg(test)]
mod mllp_frames;
#[cfg(test)]
mod mllp_listener;

/// A path below the root of the project.
#[cfg(test)]
fn project(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every message of `tests/messages`, by name.
#[cfg(test)]
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
