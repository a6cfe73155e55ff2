//! `yizhan report --day D`.

use clap::Args;
use jiff::civil::Date;

use super::import::Target;
use super::{Exit, block_on};
use crate::desk::figures::width;
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
    super::say(&row(["医院", "付款方", "状态", "笔数", "支付（元）"]));
    super::say(&row(["hospital", "payer", "state", "count", "paid"]));
    for line in &lines {
        let (count, paid) = (line.count.to_string(), line.paid.to_string());
        super::say(&row([&line.hospital, &line.payer, &line.state, &count, &paid]));
    }
    if lines.is_empty() {
        super::say("当日没有结算 | no settlement on this day");
    }
    Ok(Exit::Ok)
}

/// Texts to the left, figures to the right.
fn row([hospital, payer, state, count, paid]: [&str; 5]) -> String {
    let blank = |text: &str, columns: usize| " ".repeat(columns.saturating_sub(width(text)));
    let left = |text: &str, columns| text.to_owned() + &blank(text, columns);
    let right = |text: &str, columns| blank(text, columns) + text;
    left(hospital, 16) + &left(payer, 24) + &left(state, 18) + &right(count, 8) + &right(paid, 20)
}
