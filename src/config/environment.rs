//! Variables of the environment over the keys of the file.

use toml::{Table, Value};

use super::ConfigError;

/// Prefix of every environment variable that overlays a key: `YIZHAN_HTTP_LISTEN` is `http.listen`.
const PREFIX: &str = "YIZHAN_";
/// Variables of the test suite, which the gateway does not read.
const TEST_PREFIX: &str = "YIZHAN_TEST_";

/// What a variable's text is to be read as; text that is none of it is left to the key's own complaint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Switch,
}

use Kind::{Number, Switch, Text};

type Keys = &'static [(&'static str, Kind)];

/// Every key a variable may overlay, with its table.
const KEYS: &[(&str, Keys)] = &[
    (
        "",
        &[
            ("store", Text),
            ("key_file", Text),
            ("policies", Text),
            ("hospitals", Text),
            ("adapters", Text),
            ("plain_text_beyond_loopback", Switch),
        ],
    ),
    ("http", &[("listen", Text), ("workers", Number)]),
    ("mllp", &[("listen", Text), ("release", Number)]),
    ("tls", &[("certificate", Text), ("key", Text), ("client_ca", Text)]),
    (
        "limits",
        &[
            ("message_bytes_max", Number),
            ("mllp_connections_max", Number),
            ("mllp_idle_s", Number),
            ("requests_per_second_max", Number),
            ("store_connections_max", Number),
            ("adapter_calls_days", Number),
            ("drain_s", Number),
        ],
    ),
    ("trust", &[("level", Text)]),
    ("log", &[("format", Text), ("level", Text)]),
];

pub(super) fn overlay(
    table: &mut Table,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    for (variable, value) in environment {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if variable.starts_with(TEST_PREFIX) {
            continue;
        }
        let name = name.to_ascii_lowercase();
        let (section, key, kind) = place_of(&name).ok_or(ConfigError::UnknownVariable(variable))?;
        let at = match section {
            "" => &mut *table,
            section => match table.entry(section).or_insert_with(|| Value::Table(Table::new())) {
                Value::Table(inner) => inner,
                // The file's own mistake is reported when the table is read.
                _ => continue,
            },
        };
        at.insert(key, kind.read(value));
    }
    Ok(())
}

fn place_of(name: &str) -> Option<(&'static str, String, Kind)> {
    if let Some(payer) = name.strip_prefix("payers_") {
        return Some(("payers", payer.to_owned(), Text));
    }
    KEYS.iter().find_map(|(section, keys)| {
        let key = if section.is_empty() { name } else { name.strip_prefix(section)?.strip_prefix('_')? };
        let (key, kind) = keys.iter().find(|(known, _)| *known == key)?;
        Some((*section, (*key).to_owned(), *kind))
    })
}

impl Kind {
    fn read(self, text: String) -> Value {
        match (self, text.as_str()) {
            (Switch, "true") => Value::Boolean(true),
            (Switch, "false") => Value::Boolean(false),
            (Number, digits) => digits.parse().map_or(Value::String(text), Value::Integer),
            (Text | Switch, _) => Value::String(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;

    const EXAMPLE: &str = include_str!("../../schemas/yizhan.example.toml");
    const SMALLEST: &str = "store = \"s.db\"\nkey_file = \"s.key\"\nhospitals = \"h\"\n";
    const TLS: &str = "[tls]\ncertificate = \"c\"\nkey = \"k\"\n";

    fn read(text: &str, environment: &[(String, &str)]) -> Result<Config, String> {
        let pairs = environment.iter().map(|(name, value)| (name.clone(), (*value).to_owned()));
        Config::parse(text, "f", pairs).map_err(|why| why.to_string())
    }

    fn keys_of(section: &str) -> BTreeSet<String> {
        let (_, keys) = KEYS.iter().find(|(known, _)| *known == section).unwrap();
        keys.iter().map(|(key, _)| (*key).to_owned()).collect()
    }

    /// What a table takes, in its own words.
    fn known_to(section: &str) -> BTreeSet<String> {
        let unknown = if section.is_empty() {
            format!("nothing = 1\n{SMALLEST}")
        } else {
            format!("{SMALLEST}[{section}]\nnothing = 1\n")
        };
        let refused = read(&unknown, &[]).unwrap_err();
        let (_, listed) = refused.rsplit_once("known here: ").unwrap();
        listed.split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn every_key_can_be_overlaid_and_stands_in_the_example() {
        let tables = ["http", "mllp", "tls", "payers", "trust", "limits", "log"].map(str::to_owned);
        let whole = known_to("");
        assert_eq!(whole, keys_of("").into_iter().chain(tables).collect());
        for (section, keys) in KEYS {
            let mut known = known_to(section);
            // Whose word is taken stands in the file alone.
            known.remove("attestation_keys");
            assert!(section.is_empty() || known == keys_of(section), "[{section}]");
            let heading = if section.is_empty() { "store" } else { section };
            for (key, _) in *keys {
                let is_key = |line: &str| {
                    line.trim_start_matches("# ")
                        .strip_prefix(key)
                        .is_some_and(|rest| rest.starts_with(" = "))
                };
                assert!(EXAMPLE.lines().any(is_key), "{heading}: {key} is missing from the example");
            }
        }
    }

    #[test]
    fn a_variable_is_read_as_its_key_is() {
        let text = format!("{SMALLEST}{TLS}");
        for (section, keys) in KEYS {
            for (key, kind) in *keys {
                let name = format!("{section}_{key}").trim_start_matches('_').to_uppercase();
                let variable = format!("{PREFIX}{name}");
                let value = match (*kind, *key) {
                    (Switch, _) => "true",
                    (Number, "message_bytes_max") => "2026",
                    (Number, _) => "2",
                    (Text, "listen") => "127.0.0.1:1",
                    (Text, "format") => "text",
                    (Text, "level") if *section == "trust" => "L4",
                    (Text, _) => "2026",
                };
                let config = read(&text, &[(variable.clone(), value)]);
                assert!(config.is_ok(), "{variable}: {config:?}");
            }
        }
        let config = read(&text, &[("YIZHAN_KEY_FILE".to_owned(), "2026")]).unwrap();
        assert_eq!(config.key_file.to_str(), Some("2026"));
        let refused = read(&text, &[("YIZHAN_LIMITS_DRAIN_S".to_owned(), "soon")]).unwrap_err();
        assert!(refused.contains("limits.drain_s: 须为不小于 0 的整数"), "{refused}");
    }
}
