//! `yizhan simulate`: the other side, for trying things out.

mod hospital;
mod payer;
mod told;

use clap::Subcommand;

use super::Exit;

#[derive(Debug, Subcommand)]
pub(super) enum SimulateCommand {
    /// 按政策文件应答的支付方，账本经得起 kill -9 | A payer that answers by policy files; its book survives kill -9
    Payer(Box<payer::PayerArgs>),
    /// 发送出院报文的医院，每种格式都有 | Hospitals that send discharges, in every dialect a gateway reads
    Hospital(Box<hospital::HospitalArgs>),
}

pub(super) fn run(command: SimulateCommand) -> anyhow::Result<Exit> {
    match command {
        SimulateCommand::Payer(args) => payer::run(*args),
        SimulateCommand::Hospital(args) => hospital::run(&args),
    }
}
