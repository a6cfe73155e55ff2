//! `yizhan accumulators import`: what people had used of the year before the gateway went live.

use std::path::PathBuf;

use clap::Subcommand;

use super::import::{Bar, Target, import_of, tell};
use super::{Exit, block_on, policy};
use crate::roster::opening::OpeningFile;
use crate::runtime::Runtime;
use crate::store::registers::Rows;

#[derive(Debug, Subcommand)]
pub(super) enum AccumulatorsCommand {
    /// 导入年中上线前的累计数（CSV 或 xlsx）| Import opening figures (CSV or xlsx)
    Import {
        file: PathBuf,
        /// 网关所用的政策文件，以核对支付方代码；不填则为随附的示例政策 | The gateway's policy files, which payer codes are held to; none: those shipped
        #[arg(long)]
        policy: Vec<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
}

pub(super) fn run(command: AccumulatorsCommand) -> anyhow::Result<Exit> {
    let AccumulatorsCommand::Import { file, policy, target } = command;
    let runtime = Runtime::system();
    let store = target.open(&runtime)?;
    let bar = Bar::new();
    let known = policy::payers(policy::given(&policy)?.policies());
    let rows = OpeningFile::open(&file)
        .map(|rows| Box::new(rows.map(move |row| row.and_then(|row| row.of_known_payer(&known)))) as Rows<_>);
    let import = import_of(&file, rows, &runtime, bar.callback())?;
    let imported = block_on(store.import_openings(import));
    bar.finish();
    tell(imported?);
    Ok(Exit::Ok)
}
