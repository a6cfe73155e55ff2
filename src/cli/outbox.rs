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
        super::say(&line(entry));
    }
    if waiting.len() > shown {
        super::say(&format!("只列出最早的 {SHOWN_MAX} 份 | the oldest {SHOWN_MAX} are listed"));
    }
    if waiting.is_empty() {
        super::say("没有待送的结算单 | no bill waits to be told");
    }
    Ok(Exit::Ok)
}

fn line(entry: &OutboxEntry) -> String {
    let OutboxEntry { hospital, settlement_id, version, attempts, due_at, why, .. } = entry;
    let written = since(entry).map_or_else(String::new, shanghai_to_the_second);
    let why = why.as_deref().unwrap_or("尚未发送 | not sent yet");
    format!(
        "{hospital}  {settlement_id} v{version}  自 since {written}  已试 tried {attempts}  下次 next {next}\n  {why}",
        next = shanghai_to_the_second(*due_at),
    )
}
