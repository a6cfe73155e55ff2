//! `yizhan simulate`: the other side, for trying things out.

mod payer;

use clap::Subcommand;

use super::Exit;

#[derive(Debug, Subcommand)]
pub(super) enum SimulateCommand {
    /// 按政策文件应答的支付方，账本经得起 kill -9 | A payer that answers by policy files; its book survives kill -9
    Payer(Box<payer::PayerArgs>),
}

pub(super) fn run(command: SimulateCommand) -> anyhow::Result<Exit> {
    match command {
        SimulateCommand::Payer(args) => payer::run(*args),
    }
}
