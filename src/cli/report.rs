//! `yizhan report --day D`.

use clap::Args;
use jiff::civil::Date;

use super::import::Target;
use super::{Exit, block_on};
use crate::runtime::Runtime;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// 日期（北京时间）| The day, in Shanghai
    #[arg(long)]
    day: Date,
    #[command(flatten)]
    target: Target,
    /// 每行一个 JSON | One JSON document per line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: ReportArgs) -> anyhow::Result<Exit> {
    let store = args.target.open(&Runtime::system())?;
    let lines = block_on(store.report(args.day))?;
    if args.json {
        for line in &lines {
            super::say(&serde_json::to_string(line)?);
        }
        return Ok(Exit::Ok);
    }
    super::say(&format!("{:<16}{:<24}{:<18}{:>8}{:>20}", "hospital", "payer", "state", "count", "paid"));
    for line in &lines {
        super::say(&format!(
            "{:<16}{:<24}{:<18}{:>8}{:>20}",
            line.hospital, line.payer, line.state, line.count, line.paid
        ));
    }
    if lines.is_empty() {
        super::say("当日没有结算 | no settlement on this day");
    }
    Ok(Exit::Ok)
}
