//! `yizhan adapter calls`: what was asked of an adapter of late, and what came of it. Nothing of it is a person's.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::Args;
use yizhan_remote::Class;

use super::{Target, no_such_adapter};
use crate::cli::{Exit, block_on, say};
use crate::desk::figures::shanghai_to_the_second;
use crate::runtime::Runtime;
use crate::store::adapter_book::AdapterCall;

/// Hexadecimal digits of a digest that are shown: enough to tell two of one process apart.
const DIGEST_DIGITS: usize = 16;

#[derive(Debug, Args)]
pub(in crate::cli) struct CallsArgs {
    /// 适配器名 | The adapter's name
    name: String,
    /// 最近的多少次 | How many of the newest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    last: u32,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(args: &CallsArgs) -> anyhow::Result<Exit> {
    let store = args.target.open(&Runtime::system())?;
    let name: Arc<str> = Arc::from(args.name.as_str());
    let calls = block_on(store.adapter_calls(Arc::clone(&name), args.last))?;
    if calls.is_empty() {
        let notes = block_on(store.adapter_notes())?;
        if notes.iter().all(|note| note.adapter != name) {
            return Ok(no_such_adapter(&name, &notes));
        }
        say("没有这个适配器的调用记录 | no call of this adapter is kept");
    }
    // As a log is read: the newest stands last.
    calls.iter().rev().for_each(|call| say(&lines(call)));
    Ok(Exit::Ok)
}

fn lines(call: &AdapterCall) -> String {
    let AdapterCall { at, gateway, verb, latency_us, .. } = call;
    let at = shanghai_to_the_second(*at);
    let mut text =
        format!("{at}  {verb}  {}  {} ms  网关 gateway {gateway}", ended(call), in_ms(*latency_us));
    if let Some(id) = &call.operation_id {
        let _ = write!(text, "\n  业务号 operation {id}");
    }
    let (request, answer) = (digest(call.request_digest.as_ref()), digest(call.answer_digest.as_ref()));
    let _ = write!(text, "\n  摘要 digests  请求 request {request}  应答 answer {answer}");
    text
}

/// What it came to; words of a later gateway stand as they are.
fn ended(call: &AdapterCall) -> String {
    let mut text = match Class::of_word(&call.class).map(Class::text) {
        Some(class) => format!("{} {}", class.zh, class.en),
        None => call.class.to_string(),
    };
    if let Some(answer) = &call.answer {
        let _ = write!(text, "  {answer}");
    }
    if let Some(status) = call.http_status {
        let _ = write!(text, "  HTTP {status}");
    }
    text
}

fn in_ms(micros: i64) -> String {
    format!("{}.{}", micros / 1_000, micros % 1_000 / 100)
}

fn digest(digest: Option<&[u8; 32]>) -> String {
    let Some(digest) = digest else { return "-".to_owned() };
    digest.iter().take(DIGEST_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}
