//! Mapping files with mistakes: every one is named at its place. One line of `mistakes.toml` each.

use serde::Deserialize;
use yizhan_contract::payer::Payer;
use yizhan_remote::MappingError;

use crate::book::load;
use crate::certificates::Certificates;

const EXAMPLE: &str = include_str!("../../../../schemas/mapping.example.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

/// The example file with something else in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is taken out, and what is put there.
    change: Vec<(String, String)>,
    /// Every mistake: its place, where `{line}` is the first change's, and a part of what is said of it.
    mistakes: Vec<(String, String)>,
}

fn folder() -> Certificates {
    let certificates = Certificates::new();
    std::fs::write(certificates.folder.path().join("acme.key"), "0123456789abcdef\n").unwrap();
    std::fs::write(certificates.folder.path().join("short.key"), "0123456789\n").unwrap();
    certificates
}

fn mistakes_of(text: &str, certificates: &Certificates) -> MappingError {
    match load(text, certificates.folder.path()) {
        Ok(_) => MappingError { mistakes: Vec::new() },
        Err(error) => error,
    }
}

#[test]
fn every_mistake_is_named_at_its_place() {
    let certificates = folder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let Cases { case: cases } = toml::from_str(include_str!("../mistakes.toml")).unwrap();
    for case in cases {
        let mut text = EXAMPLE.to_owned();
        for (out, put) in &case.change {
            assert!(text.contains(out), "the example does not hold {out}");
            text = text.replacen(out, put, 1);
        }
        let error = mistakes_of(&text, &certificates);
        let found: Vec<_> = error.mistakes.iter().map(|mistake| mistake.place.as_str()).collect();
        let put = text.find(&case.change[0].1).unwrap();
        let line = (1 + text[..put].matches('\n').count()).to_string();
        let expected: Vec<_> =
            case.mistakes.iter().map(|(place, _)| place.replace("{line}", &line)).collect();
        assert_eq!(found, expected, "{:?}\n{error}", case.change);
        for (mistake, (_, says)) in error.mistakes.iter().zip(&case.mistakes) {
            assert!(mistake.text.en.contains(says.as_str()), "{mistake}");
            assert!(!mistake.text.zh.is_ascii(), "{mistake}");
        }
    }
}

#[tokio::test]
async fn the_example_is_a_mapping() {
    let certificates = folder();
    let (mapped, _) = load(EXAMPLE, certificates.folder.path()).unwrap();
    assert_eq!(mapped.manifest().adapter, "acme-claims");
}

/// Every key a mapping may have stands in the example: a key nobody knows is answered with all that are known.
#[test]
fn every_key_is_explained() {
    let certificates = folder();
    let tables = [
        "",
        "[promises]",
        "[connection]",
        "[signing]",
        "[forms]",
        "[quote]",
        "[quote.answer]",
        "[commit.answer.each]",
    ];
    for table in tables {
        let text = if table.is_empty() {
            format!("nobody = 1\n{EXAMPLE}")
        } else {
            assert!(EXAMPLE.contains(&format!("\n{table}\n")), "{table} is no table of the example");
            EXAMPLE.replacen(&format!("\n{table}\n"), &format!("\n{table}\nnobody = 1\n"), 1)
        };
        let error = mistakes_of(&text, &certificates);
        let [mistake] = error.mistakes.as_slice() else { panic!("{table}: {error}") };
        let (_, known) =
            mistake.text.en.split_once("known: ").unwrap_or_else(|| panic!("{table}: {mistake}"));
        for key in known.split(", ") {
            let is_written = EXAMPLE.lines().any(|line| {
                line.starts_with(&format!("{key} ="))
                    || line == format!("[{key}]")
                    || line.starts_with(&format!("[{key}."))
                    || line.contains(&format!(".{key}]"))
            });
            let is_named = EXAMPLE.contains(key);
            assert!(is_written || (key == "valid_until" && is_named), "{table}: {key} is not explained");
        }
    }
}
