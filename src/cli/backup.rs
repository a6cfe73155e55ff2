//! `yizhan backup` and `yizhan restore`.

use std::path::PathBuf;

use clap::Args;

use super::import::{Bar, Target};
use super::opened::{self, Opened};
use super::{Exit, block_on};
use crate::runtime::Runtime;
use crate::store::seal::Key;
use crate::store::sqlite;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// 备份写到这个新文件 | The new file the backup is written to
    to: PathBuf,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// 备份文件 | The backup
    from: PathBuf,
    #[command(flatten)]
    target: Target,
}

pub(super) fn backup(args: BackupArgs) -> anyhow::Result<Exit> {
    let dump = format!("pg_dump --format=custom --file={} '{}'", args.to.display(), args.target.store);
    opened::only_file(&args.target.store, &dump)?;
    let Opened::File(store) = args.target.open(&Runtime::system())? else { return Ok(Exit::Usage) };
    let bar = Bar::new();
    block_on(store.backup(&args.to, bar.pages()))?;
    bar.finish();
    super::say(&format!(
        "已备份到 {to} | backed up to {to}; keep the key file apart",
        to = args.to.display()
    ));
    Ok(Exit::Ok)
}

pub(super) fn restore(args: RestoreArgs) -> anyhow::Result<Exit> {
    let restore =
        format!("pg_restore --exit-on-error --dbname='{}' {}", args.target.store, args.from.display());
    let to = opened::only_file(&args.target.store, &restore)?;
    let key_file = opened::key_file_of(&args.target.store, args.target.key.as_deref())?;
    let key = if key_file.exists() { Some(Key::read(&key_file)?) } else { None };
    let bar = Bar::new();
    sqlite::restore(&args.from, to, key.as_ref(), bar.pages())?;
    bar.finish();
    super::say(&format!("已恢复到 {to} | restored to {to}", to = to.display()));
    Ok(Exit::Ok)
}
