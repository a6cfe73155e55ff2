//! `yizhan catalogue import`.

use std::path::PathBuf;

use clap::Subcommand;

use super::import::{Bar, Target, import_of, tell};
use super::{Exit, block_on};
use crate::catalogue::CatalogueFile;
use crate::runtime::Runtime;
use crate::store::registers::Rows;

#[derive(Debug, Subcommand)]
pub(super) enum CatalogueCommand {
    /// 导入目录（CSV 或 xlsx）| Import a catalogue (CSV or xlsx)
    Import {
        file: PathBuf,
        #[command(flatten)]
        target: Target,
    },
}

pub(super) fn run(command: CatalogueCommand) -> anyhow::Result<Exit> {
    let CatalogueCommand::Import { file, target } = command;
    let runtime = Runtime::system();
    let store = target.open(&runtime)?;
    let bar = Bar::new();
    let rows = CatalogueFile::open(&file).map(|rows| Box::new(rows) as Rows<_>);
    let import = import_of(&file, rows, &runtime, bar.callback())?;
    let imported = block_on(store.import_catalogue(import));
    bar.finish();
    tell(imported?);
    Ok(Exit::Ok)
}
