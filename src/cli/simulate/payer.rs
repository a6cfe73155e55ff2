//! `yizhan simulate payer`: an insurer's service for trying things out, with people who make it misbehave.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use yizhan_contract::PayerCode;
use yizhan_kit::book::BookError;
use yizhan_kit::service::TlsFiles;
use yizhan_kit::simulate::{POLICY, SimulateError, Simulated, listed, simulate};
use yizhan_kit::{Service, stop_signal};
use yizhan_rules::{PolicyShelf, SHIPPED};

use crate::cli::{Exit, block_on, complain, policy, say};

#[derive(Debug, Args)]
#[command(after_help = people())]
pub(in crate::cli) struct PayerArgs {
    /// 要模拟的支付方；多个须在政策的顺序中相邻 | The payer; several stand side by side in the policy's order
    #[arg(long = "payer", value_name = "CODE", required_unless_present = "list")]
    payers: Vec<PayerCode>,
    /// 账本文件，不存在时创建；一个账本只能由一个进程使用 | Its book, made where it is not there; one process has it
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    book: Option<PathBuf>,
    /// 监听地址；不配证书时只能是本机 | Where it listens; without certificates on this machine alone
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9443")]
    listen: SocketAddr,
    /// 政策文件，可多个；不填则为随附的示例政策，另有适用于 99 地区（评测）的模拟政策 | Policy files; none: those shipped, and the simulated one for region 99, which the conformance kit asks about
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// 服务证书（PEM，含证书链），见 yizhan certs | Its certificate as PEM, with its chain; see `yizhan certs`
    #[arg(long, value_name = "FILE", requires = "key", requires = "client_ca")]
    certificate: Option<PathBuf>,
    /// 证书的私钥 | The certificate's private key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// 为调用方签发证书的 CA；没有其证书的得不到连接 | The CA of those who may call; nobody else gets a connection
    #[arg(long, value_name = "FILE", requires = "certificate")]
    client_ca: Option<PathBuf>,
    /// 每次试算、支付、冲正至少用时的毫秒数 | What a quote, a commit and a reversal take at least, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    takes_ms: u16,
    /// 承诺同时办理的请求数 | Requests it promises to work on at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    concurrency: u16,
    /// 承诺每秒办理的请求数；不填则不限 | Requests a second it promises to take; absent: any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    requests_per_second: Option<u16>,
    /// 没有它不能结算（默认可以缺席）| No settlement goes on without it; else it may be left out
    #[arg(long)]
    required: bool,
    /// 须先告知住院（manifest 的 sees_visits），未告知的不予试算 | It sees visits: no stay is quoted that it was not told of
    #[arg(long)]
    sees_visits: bool,
    /// 列出特殊身份证号后结束 | List the identity card numbers that make it misbehave, and end
    #[arg(long, exclusive = true)]
    list: bool,
}

/// Every number that decides what it does.
fn people() -> String {
    let mut text =
        "特殊身份证号（均为虚构，无人使用）| Identity card numbers that decide what it does, all of nobody:"
            .to_owned();
    for (number, magic) in listed() {
        let does = magic.text();
        text += &format!("\n  {}  {} | {}", number.as_str(), does.zh, does.en);
    }
    text
}

pub(super) fn run(args: PayerArgs) -> anyhow::Result<Exit> {
    if args.list {
        say(&people());
        return Ok(Exit::Ok);
    }
    let simulated = Simulated {
        optional: !args.required,
        sees_visits: args.sees_visits,
        takes: Duration::from_millis(args.takes_ms.into()),
        concurrency_max: args.concurrency,
        requests_per_second_max: args.requests_per_second,
        ..Simulated::new(policies(&args.policies)?, args.payers)
    };
    let files = args.certificate.zip(args.key).zip(args.client_ca);
    let tls = files.map(|((certificate, key), client_ca)| TlsFiles { certificate, key, client_ca });
    let book = args.book.context("缺少参数 --book | --book is missing")?;
    let (told, scheme) = (told(&simulated, &book), if tls.is_some() { "https" } else { "http" });
    let service = Service { listen: args.listen, tls, book };
    let ready = |at| say(&format!("{scheme}://{at}\n{told}"));
    match block_on(simulate(simulated, service, ready, stop_signal())) {
        Ok(()) => {
            say("已停止 | stopped");
            Ok(Exit::Ok)
        }
        Err(SimulateError::Book(why @ (BookError::Unusable { .. } | BookError::Damaged { .. }))) => {
            complain(&why.to_string());
            Ok(Exit::Failed)
        }
        Err(why) => Err(why.into()),
    }
}

fn policies(files: &[PathBuf]) -> anyhow::Result<PolicyShelf> {
    if files.is_empty() {
        return Ok(PolicyShelf::read(SHIPPED.iter().copied().chain([POLICY]))?);
    }
    policy::shelf(files)
}

/// What is served: whom, by what, and how to end it.
fn told(simulated: &Simulated, book: &std::path::Path) -> String {
    let payers: Vec<_> = simulated.serves.iter().map(ToString::to_string).collect();
    let labels: Vec<_> =
        simulated.policies.policies().iter().map(|policy| policy.label().to_string()).collect();
    let (payers, book, labels) = (payers.join(", "), book.display(), labels.join(", "));
    format!(
        "模拟支付方 {payers}，账本 {book}；Ctrl-C 或 SIGTERM 停止；特殊身份证号见 --list\n\
         simulates {payers}; its book is {book}; Ctrl-C or SIGTERM ends it; --list has the numbers that make it misbehave\n\
         政策 policies  {labels}"
    )
}
