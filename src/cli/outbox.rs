//! `yizhan outbox`: what hospitals are still to be told.

use clap::Args;

use super::import::Target;
use super::{Exit, block_on};
use crate::desk::figures::shanghai_to_the_second;
use crate::outbox::since;
use crate::runtime::Runtime;
use crate::store::OutboxEntry;

/// Entries printed.
const SHOWN_MAX: u32 = 200;

#[derive(Debug, Args)]
pub(super) struct OutboxArgs {
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(args: OutboxArgs) -> anyhow::Result<Exit> {
    let store = args.target.open(&Runtime::system())?;
    let waiting = block_on(store.outbox_waiting(SHOWN_MAX + 1))?;
    let shown = SHOWN_MAX as usize;
    for entry in waiting.iter().take(shown) {
        super::say(&line(entry, &waiting));
    }
    if waiting.len() > shown {
        super::say(&format!("只列出最早的 {SHOWN_MAX} 份 | the oldest {SHOWN_MAX} are listed"));
    }
    if waiting.is_empty() {
        super::say("没有待送的结算单 | no bill waits to be told");
    }
    Ok(Exit::Ok)
}

/// Where it was not tried yet, what is known of another bill of its hospital: a hospital without an address, or whose
/// receiver does not answer, is left alone with all of them.
fn why(entry: &OutboxEntry, waiting: &[OutboxEntry]) -> String {
    if let Some(why) = &entry.why {
        return why.clone();
    }
    let others = waiting.iter().filter(|other| other.hospital == entry.hospital);
    match others.filter_map(|other| Some((other.due_at, other.why.as_ref()?))).max() {
        Some((_, why)) => {
            format!("尚未发送；该院另一份 | not sent yet; of another bill of this hospital: {why}")
        }
        None => "尚未发送 | not sent yet".to_owned(),
    }
}

fn line(entry: &OutboxEntry, waiting: &[OutboxEntry]) -> String {
    let OutboxEntry { hospital, settlement_id, version, attempts, due_at, .. } = entry;
    let written = since(entry).map_or_else(String::new, shanghai_to_the_second);
    let why = why(entry, waiting);
    format!(
        "{hospital}  {settlement_id} v{version}  自 since {written}  已试 tried {attempts}  下次 next {next}\n  {why}",
        next = shanghai_to_the_second(*due_at),
    )
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_entry_that_was_not_tried_says_what_is_known_of_its_hospital() {
        let entry = |hospital: &str, due_s, why: Option<&str>| OutboxEntry {
            outbox_id: Uuid::nil(),
            stay_id: Uuid::nil(),
            person_id: Uuid::nil(),
            hospital: hospital.into(),
            settlement_id: Uuid::nil(),
            version: 1,
            attempts: 0,
            due_at: Timestamp::from_second(due_s).unwrap(),
            why: why.map(str::to_owned),
        };
        let waiting = [
            entry("A", 300, Some("无地址 | no address")),
            entry("A", 200, Some("无应答 | no answer")),
            entry("A", 100, None),
            entry("B", 100, None),
        ];
        for (entry, said) in waiting.iter().zip([
            "\n  无地址 | no address",
            "\n  无应答 | no answer",
            "\n  尚未发送；该院另一份 | not sent yet; of another bill of this hospital: 无地址 | no address",
            "\n  尚未发送 | not sent yet",
        ]) {
            let line = line(entry, &waiting);
            assert!(line.ends_with(said), "{line}");
        }
    }
}
