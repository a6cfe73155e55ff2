//! The command line: one file per subcommand.

mod accumulators;
mod adapter;
mod attention;
mod backup;
mod bench;
mod catalogue;
mod certs;
mod demo;
pub mod gateway_name;
mod house;
mod import;
mod key;
mod ledger;
mod opened;
mod outbox;
mod policy;
mod report;
mod roster;
pub mod serve;
mod settle;
mod simulate;
mod usage;
mod workload;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::refusal::Code;
use crate::registry::built_in::BuiltIn;
use crate::settlement::bill::BillState;
use crate::settlement::outcome::Outcome;

/// 一站：出院“一站式”结算网关 | one-stop settlement at hospital discharge
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 110,
    after_help = "退出码 | Exit codes: 0 成功 ok · 2 用法或配置 usage or \
configuration · 3 报文被拒 refused input · 4 支付方或存储失败 a payer or the store failed · 5 需人工处理 needs attention"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// 无需配置的演示：样例报文进，结算单出 | No configuration: sample messages in, bills out
    Demo(demo::DemoArgs),
    /// 运行网关 | Run the gateway
    Serve(serve::ServeArgs),
    /// 结算文件中的报文 | Settle messages from files
    Settle(settle::SettleArgs),
    /// 名册 | The roster of beneficiaries
    #[command(subcommand)]
    Roster(roster::RosterCommand),
    /// 目录 | The catalogue of items
    #[command(subcommand)]
    Catalogue(catalogue::CatalogueCommand),
    /// 年中上线时的累计数 | Opening figures for going live in mid-year
    #[command(subcommand)]
    Accumulators(accumulators::AccumulatorsCommand),
    /// 保险公司的适配器 | Insurers' adapters
    #[command(subcommand)]
    Adapter(adapter::AdapterCommand),
    /// 政策文件 | Policy files
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// 某日各医院、各支付方的结算汇总 | Settlements of a day by hospital, payer and state
    Report(report::ReportArgs),
    /// 账目 | The ledger
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// 等待人工处理的结算 | Settlements that wait for a person
    #[command(subcommand)]
    Attention(attention::AttentionCommand),
    /// 待送医院的结算单 | Bills that hospitals are still to be told
    Outbox(outbox::OutboxArgs),
    /// 在线备份 | Back up while the gateway runs
    Backup(backup::BackupArgs),
    /// 恢复备份 | Restore a backup
    Restore(backup::RestoreArgs),
    /// 压测：在同一次运行中与本机裸提交对照 | Measure the gateway beside the machine's own limits
    Bench(Box<bench::BenchArgs>),
    /// 模拟的支付方与医院，供联调 | Simulated payers and hospitals, for trying things out
    #[command(subcommand)]
    Simulate(simulate::SimulateCommand),
    /// 开发用 CA 与证书，切勿用于生产 | A CA and certificates for development, never for production
    Certs(certs::CertsArgs),
    /// 密钥文件 | Key files
    #[command(subcommand)]
    Key(key::KeyCommand),
}

/// Threads that carry messages; the store's writer and readers have their own.
const WORKERS: usize = 2;

/// How a command ended; the higher code wins where several are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    Ok,
    /// Usage or configuration.
    Usage,
    /// Refused input.
    Refused,
    /// A payer or the store failed.
    Failed,
    /// Somebody has to look.
    NeedsAttention,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Failed => 4,
            Self::NeedsAttention => 5,
        }
    }

    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Bill(bill) => Self::of_state(bill.state),
            Outcome::Noted(noted) => Self::of_state(noted.state),
            Outcome::Refused(refused) => {
                let codes = refused.refusals.iter().map(|refusal| Self::of_refusal(refusal.code));
                codes.max().unwrap_or(Self::Refused)
            }
        }
    }

    fn of_state(state: BillState) -> Self {
        if state == BillState::NeedsAttention { Self::NeedsAttention } else { Self::Ok }
    }

    fn of_refusal(code: Code) -> Self {
        match code {
            Code::StoreUnavailable | Code::PayerUnavailable | Code::PayerRefused | Code::Internal => {
                Self::Failed
            }
            _ => Self::Refused,
        }
    }
}

/// Entry of the binary.
pub fn main() -> ExitCode {
    main_with(BuiltIn::default())
}

/// Entry of a binary of one's own: the same commands, with payers that are part of it.
pub fn main_with(built_in: BuiltIn) -> ExitCode {
    let cli = match usage::read() {
        Ok(cli) => cli,
        Err(error) => {
            usage::tell(&error);
            // Help and version are no errors.
            return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { 0 });
        }
    };
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                complain(&format!("{error}"));
                return ExitCode::from(Exit::Failed.code());
            }
        };
    // A store's readers are closed by the runtime, whenever the last of them goes.
    let _entered = runtime.enter();
    let ended = match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args, built_in),
        Command::Settle(args) => settle::run(args),
        Command::Roster(command) => roster::run(command),
        Command::Catalogue(command) => catalogue::run(command),
        Command::Accumulators(command) => accumulators::run(command),
        Command::Adapter(command) => adapter::run(command, built_in),
        Command::Policy(command) => policy::run(command),
        Command::Report(args) => report::run(args),
        Command::Ledger(command) => ledger::run(command),
        Command::Attention(command) => attention::run(command),
        Command::Outbox(args) => outbox::run(args),
        Command::Backup(args) => backup::backup(args),
        Command::Restore(args) => backup::restore(args),
        Command::Bench(args) => bench::run(&args),
        Command::Simulate(command) => simulate::run(command),
        Command::Certs(args) => certs::run(args),
        Command::Key(command) => key::run(command),
    };
    match ended {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(house::exit_of(&error).code())
        }
    }
}

/// One answer on standard output; a closed pipe ends the saying, not the work.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
}

/// What went wrong, on standard error.
fn complain(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "yizhan: {text}");
}

/// Runs the asynchronous part of a command.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(work)
}
