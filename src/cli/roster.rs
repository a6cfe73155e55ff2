//! `yizhan roster import`.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use jiff::civil::Date;

use super::import::{Bar, Target, import_of, tell};
use super::{Exit, block_on};
use crate::roster::{RosterFile, RosterMode};
use crate::runtime::Runtime;
use crate::store::registers::Rows;

#[derive(Debug, Subcommand)]
pub(super) enum RosterCommand {
    /// 导入名册（CSV 或 xlsx）| Import a roster (CSV or xlsx)
    Import {
        file: PathBuf,
        #[command(flatten)]
        target: Target,
        /// snapshot：文件即全部，缺少的人自 --as-of 起终止；delta：只改文件中的人 | snapshot: the file is all there is;
        /// delta: it changes only the people it names
        #[arg(long, value_enum, default_value_t = Mode::Snapshot)]
        mode: Mode,
        /// snapshot 的截止日期 | Day on which whoever is missing from a snapshot ends
        #[arg(long)]
        as_of: Option<Date>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Mode {
    Snapshot,
    Delta,
}

pub(super) fn run(command: RosterCommand) -> anyhow::Result<Exit> {
    let RosterCommand::Import { file, target, mode, as_of } = command;
    let mode = match (mode, as_of) {
        (Mode::Snapshot, Some(as_of)) => RosterMode::Snapshot { as_of },
        (Mode::Snapshot, None) => bail!("snapshot 导入必须给出 --as-of | a snapshot needs --as-of"),
        (Mode::Delta, None) => RosterMode::Delta,
        (Mode::Delta, Some(_)) => bail!("--as-of 只用于 snapshot | --as-of goes with snapshot only"),
    };
    let runtime = Runtime::system();
    let store = target.open(&runtime)?;
    let bar = Bar::new();
    let rows = RosterFile::open(&file).map(|rows| Box::new(rows) as Rows<_>);
    let import = import_of(&file, rows, &runtime, bar.callback())?;
    let imported = block_on(store.import_roster(import, mode));
    bar.finish();
    tell(imported?);
    Ok(Exit::Ok)
}
