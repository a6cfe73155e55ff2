//! `yizhan key new FILE`: the key that everything personal is sealed under.

use std::path::PathBuf;

use clap::Subcommand;

use super::Exit;
use crate::store::seal::Key;

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// 生成新的密钥文件（不会覆盖已有文件）| Make a new key file; never overwrites one
    New { file: PathBuf },
}

pub(super) fn run(command: KeyCommand) -> anyhow::Result<Exit> {
    let KeyCommand::New { file } = command;
    let key = Key::create(&file)?;
    super::say(&format!(
        "已生成密钥 {id}：{file}\n请与数据库分开备份；丢失后任何人都无法解密。\n\
         key {id} written to {file}; back it up apart from the store: nobody can decrypt without it",
        id = key.id(),
        file = file.display(),
    ));
    Ok(Exit::Ok)
}
