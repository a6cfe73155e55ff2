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
/// 0 lets go of what is in hand at once; its senders send again.
const DRAIN_S: RangeInclusive<u64> = 0..=3_600;

/// The first number that is out of its range, at its key.
pub(super) fn check(config: &Config) -> Result<(), Mistake> {
    let limits = &config.limits;
    for (key, value, range) in [
        ("http.workers", u64::from(config.http.workers), HTTP_WORKERS),
        ("limits.message_bytes_max", whole(limits.message_bytes_max), MESSAGE_BYTES),
        ("limits.mllp_connections_max", whole(limits.mllp_connections_max), MLLP_CONNECTIONS),
        ("limits.mllp_idle_s", limits.mllp_idle_s, MLLP_IDLE_S),
        ("limits.requests_per_second_max", u64::from(limits.requests_per_second_max), REQUESTS_PER_SECOND),
        ("limits.store_connections_max", u64::from(limits.store_connections_max), STORE_CONNECTIONS),
        ("limits.drain_s", limits.drain_s, DRAIN_S),
    ] {
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

fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
