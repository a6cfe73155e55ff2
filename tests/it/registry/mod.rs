//! The folder of adapters: its files as data, and insurers' services behind TLS that are put in, changed and taken out
//! while hospitals go on.

mod attested;
mod begun;
pub(crate) mod bureau;
mod folder;
mod insurer;
mod journal;
mod reloaded;
mod rested;
mod shadowed;

use std::path::Path;

use serde::Deserialize;
use yizhan::registry::file::AdapterFile;
use yizhan_rules::toml_file::Mistake;

use crate::project;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    file: String,
    wrong: Vec<String>,
}

fn told(mistakes: &[Mistake]) -> Vec<(String, String)> {
    mistakes.iter().map(|mistake| (mistake.place.clone(), mistake.text.en.to_string())).collect()
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_place() {
    let text = std::fs::read_to_string(project("tests/cases/adapter_files.toml")).unwrap();
    let cases: Cases = toml::from_str(&text).unwrap();
    for Case { name, file, wrong } in cases.case {
        let read = AdapterFile::parse(&file, Path::new("/x"));
        let got = read.as_ref().err().map(|mistakes| told(mistakes)).unwrap_or_default();
        let fits = |((place, text), wanted): (&(String, String), &String)| {
            let (at, words) = wanted.split_once(" | ").unwrap_or_else(|| wanted.split_once("| ").unwrap());
            *place == at.trim_end_matches(':') && text.contains(words)
        };
        assert!(got.len() == wrong.len() && got.iter().zip(&wrong).all(fits), "{name}: {got:#?}");
        for mistake in read.err().into_iter().flatten() {
            assert!(!mistake.text.zh.is_ascii(), "{name}: {mistake}");
        }
    }
}

#[test]
fn the_example_is_good_and_says_its_defaults() {
    let text = std::fs::read_to_string(project("schemas/adapter.example.toml")).unwrap();
    let file = AdapterFile::parse(&text, Path::new("/x")).unwrap();
    assert_eq!(&*file.name, "acme");
    let (without, _) = text.split_once("[budget]").unwrap();
    assert_eq!(AdapterFile::parse(without, Path::new("/x")).unwrap(), file);
    assert!(file.beside().iter().all(|path| path.starts_with("/x")));
}
