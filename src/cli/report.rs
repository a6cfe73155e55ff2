//! `yizhan report --day D`.

use clap::Args;
use jiff::civil::Date;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use yizhan_contract::Text;
use yizhan_rules::PolicyShelf;

use super::import::Target;
use super::{Exit, block_on, policy};
use crate::desk::figures::width;
use crate::desk::words::{EN, ZH};
use crate::runtime::Runtime;
use crate::settlement::bill::BillState;
use crate::store::ReportLine;
use crate::store::ledger::PATIENT;

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
    if lines.is_empty() {
        super::say("当日没有结算 | no settlement on this day");
        return Ok(Exit::Ok);
    }
    let names = policy::shelf(&[])?;
    let titles = [
        ["医院", "支付方", "状态", "笔数", "支付（元）"].map(str::to_owned),
        ["hospital", "payer", "state", "count", "paid"].map(str::to_owned),
    ];
    table(titles.into_iter().chain(lines.iter().map(|line| in_words(line, &names))).collect());
    Ok(Exit::Ok)
}

/// Payer and state as people call them; `--json` has the codes.
fn in_words(line: &ReportLine, names: &PolicyShelf) -> [String; 5] {
    let payer = match line.payer.as_str() {
        PATIENT => format!("{} {}", ZH.share_bar, EN.patient_share),
        code => both(&policy::payer_name(names, code)),
    };
    let state: Result<BillState, serde::de::value::Error> =
        BillState::deserialize(line.state.as_str().into_deserializer());
    let state = state.map_or_else(|_| line.state.clone(), |state| both(&state.text()));
    [line.hospital.clone(), payer, state, line.count.to_string(), line.paid.to_string()]
}

fn both(text: &Text) -> String {
    format!("{} {}", text.zh, text.en)
}

/// Texts to the left, figures to the right.
fn table(rows: Vec<[String; 5]>) {
    let widest = |column: usize| rows.iter().map(|row| width(&row[column])).max().unwrap_or_default();
    let widths = [0, 1, 2, 3, 4].map(widest);
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (text, columns))| {
            let blank = " ".repeat(columns.saturating_sub(width(text)));
            if column < 3 { format!("{text}{blank}") } else { format!("{blank}{text}") }
        });
        super::say(&cells.collect::<Vec<_>>().join("  "));
    }
}
