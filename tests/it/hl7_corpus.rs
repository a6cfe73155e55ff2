//! Messages of real systems, where the corpus lies beside the project: `tests/cases/corpus.csv` says what
//! reading and checking each comes to. A file may hold several messages; each is a line.

use std::path::PathBuf;

use yizhan::intake::hl7::{Message, Reading, SyntaxError, batch, structure};
use yizhan::intake::mllp::{Event, Frames, Release};

use crate::{corpus, project};

const COLUMNS: &str = "file,message,outcome,code,place";

/// The messages of a file, out of their frames and batches.
pub(crate) fn messages(bytes: &[u8]) -> Vec<Result<Vec<u8>, &'static str>> {
    if !bytes.starts_with(b"\x0b") {
        return match batch::split(bytes) {
            Ok(batch) => batch.messages.into_iter().map(|message| Ok(message.to_vec())).collect(),
            Err(_) => vec![Ok(bytes.to_vec())],
        };
    }
    let mut frames = Frames::new(1 << 20, Release::One);
    frames.push(bytes);
    frames.finish();
    std::iter::from_fn(|| frames.next_event())
        .filter_map(|event| match event {
            Event::Frame(content) => Some(Ok(content)),
            Event::Truncated { .. } => Some(Err("truncated")),
            _ => None,
        })
        .collect()
}

fn refused(error: &SyntaxError) -> String {
    format!("refuse,{},{}", error.code.number(), error.place.erl('^'))
}

fn outcome(message: &Result<Vec<u8>, &str>) -> String {
    let bytes = match message {
        Ok(bytes) => bytes,
        Err(nothing) => return format!("{nothing},,"),
    };
    let read = Message::parse(bytes, &Reading::default());
    match read.and_then(|message| structure::check(&message, &["P", "T", "D"])) {
        Ok(_) => "accept,,".to_owned(),
        Err(error) => refused(&error),
    }
}

/// The files of the corpus in order; absent where it does not lie here.
pub(crate) fn files() -> Option<Vec<PathBuf>> {
    let folder = std::fs::read_dir(corpus()?).unwrap();
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "hl7"));
    files.sort();
    Some(files)
}

#[test]
fn real_messages_come_out_as_the_table_says() {
    let Some(files) = files() else { return };
    let mut found = vec![COLUMNS.to_owned()];
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        for (number, message) in (1..).zip(messages(&std::fs::read(&path).unwrap())) {
            found.push(format!("{name},{number},{}", outcome(&message)));
        }
    }
    let table = std::fs::read_to_string(project("tests/cases/corpus.csv")).unwrap();
    let expected: Vec<&str> = table.lines().collect();
    let differing: Vec<_> = found.iter().filter(|line| !expected.contains(&line.as_str())).collect();
    assert!(differing.is_empty(), "not in the table:\n{differing:#?}");
    assert_eq!(found.len(), expected.len());
}
