//! Numbers that a gateway can serve with: beyond them it would start, and refuse everything or break.

use std::ops::RangeInclusive;

use yizhan_contract::Text;
use yizhan_rules::toml_file::Mistake;

use super::Config;
use crate::intake::limits::MESSAGE_BYTES_CEILING;

/// Threads that answer HTTP.
const HTTP_WORKERS: RangeInclusive<u64> = 1..=256;
/// Less than the smallest discharge, or more than is ever read.
const MESSAGE_BYTES: RangeInclusive<u64> = 1_024..=MESSAGE_BYTES_CEILING as u64;
/// Ports of one peer.
const MLLP_CONNECTIONS: RangeInclusive<u64> = 1..=65_535;
const MLLP_IDLE_S: RangeInclusive<u64> = 1..=86_400;
const REQUESTS_PER_SECOND: RangeInclusive<u64> = 1..=1_000_000;
const STORE_CONNECTIONS: RangeInclusive<u64> = 1..=1_000;
const ADAPTER_CALLS_DAYS: RangeInclusive<u64> = 1..=3_650;
/// 0 lets go of what is in hand at once; its senders send again.
const DRAIN_S: RangeInclusive<u64> = 0..=3_600;

/// The first number that is out of its range, at its key.
pub(super) fn check(config: &Config) -> Result<(), Mistake> {
    for (key, value, range) in numbers(config) {
        if !range.contains(&value) {
            let (from, to) = range.into_inner();
            let text = Text::new(
                format!("{value} 超出范围，须为 {from} 至 {to}"),
                format!("{value} is out of range; write {from} to {to}"),
            );
            return Err(Mistake::at(key, text));
        }
    }
    Ok(())
}

fn numbers(config: &Config) -> [(&'static str, u64, RangeInclusive<u64>); 8] {
    let limits = &config.limits;
    [
        ("http.workers", u64::from(config.http.workers), HTTP_WORKERS),
        ("limits.message_bytes_max", whole(limits.message_bytes_max), MESSAGE_BYTES),
        ("limits.mllp_connections_max", whole(limits.mllp_connections_max), MLLP_CONNECTIONS),
        ("limits.mllp_idle_s", limits.mllp_idle_s, MLLP_IDLE_S),
        ("limits.requests_per_second_max", u64::from(limits.requests_per_second_max), REQUESTS_PER_SECOND),
        ("limits.store_connections_max", u64::from(limits.store_connections_max), STORE_CONNECTIONS),
        ("limits.adapter_calls_days", u64::from(limits.adapter_calls_days), ADAPTER_CALLS_DAYS),
        ("limits.drain_s", limits.drain_s, DRAIN_S),
    ]
}

fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../schemas/yizhan.example.toml");

    /// Every key of the example, commented out or not, under its table, with the comment above it.
    fn explained() -> Vec<(String, String)> {
        let (mut table, mut comment, mut keys) = (String::new(), String::new(), Vec::new());
        for line in EXAMPLE.lines() {
            let bare = line.trim_start_matches("# ");
            let key = bare.split_once(" = ").map(|(key, _)| key);
            let is_key = |key: &&str| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut table);
                // Of a table that lists names of the operator's own, one comment explains all.
                if table != "payers" {
                    comment.clear();
                }
            } else if let Some(key) = key.filter(is_key) {
                keys.push((format!("{table}.{key}").trim_start_matches('.').to_owned(), comment.clone()));
                if table != "payers" {
                    comment.clear();
                }
            } else if line.starts_with('#') {
                comment.push_str(line);
                comment.push('\n');
            } else if table != "payers" {
                comment.clear();
            }
        }
        keys
    }

    #[test]
    fn every_key_of_the_example_is_explained_in_both_languages() {
        let keys = explained();
        assert!(keys.len() > 20, "{keys:?}");
        for (key, comment) in keys {
            let lines: Vec<&str> = comment.lines().collect();
            let zh = lines.iter().any(|line| !line.is_ascii());
            let en = lines.iter().any(|line| line.is_ascii() && line.len() > 20);
            assert!(zh && en, "{key}: {comment:?}");
        }
    }

    #[test]
    fn every_number_of_the_example_says_its_range() {
        let config = Config::parse(EXAMPLE, "example", []).unwrap();
        let keys = explained();
        for (key, value, range) in numbers(&config) {
            let (_, comment) = keys.iter().find(|(known, _)| known == key).unwrap();
            let plain = comment.replace(',', "");
            for number in [*range.start(), *range.end(), value] {
                let said = plain.matches(&number.to_string()).count();
                assert!(said >= 2, "{key} says {number} {said} times: {comment}");
            }
        }
    }
}
