//! `yizhan adapter serve`: an insurer's own interface, as a mapping describes it, or a payer that is part of this program,
//! served by the adapter protocol; so that it is certified like any other adapter.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::sync::mpsc;
use yizhan_contract::payer::Payer;
use yizhan_kit::service::TlsFiles;
use yizhan_kit::{ServeError, Service, stop_signal};
use yizhan_remote::{CallRecord, Class};

use crate::cli::{Exit, block_on, complain, say};
use crate::registry;
use crate::registry::built_in::BuiltIn;
use crate::runtime::Runtime;

#[derive(Debug, Args)]
#[command(
    after_help = "未得到应答的请求逐条写到标准错误，不含个人数据 | Calls that were not answered are told on standard error, with nothing of a person\n\
退出码 | Exit codes: 0 已按要求停止 stopped as asked · 2 参数、地址或证书 arguments, address or certificates · 3 映射文件有误 the mapping is \
refused · 4 账本无法使用 the book cannot be used"
)]
pub(in crate::cli) struct ServeArgs {
    /// 映射文件，示例见 schemas/mapping.example.toml | The mapping; see schemas/mapping.example.toml
    #[arg(long, value_name = "FILE", required_unless_present = "payer", conflicts_with = "payer")]
    mapping: Option<PathBuf>,
    /// 编入本程序的支付方的名称 | The name of a payer that is part of this program
    #[arg(long, value_name = "NAME")]
    payer: Option<String>,
    /// 监听地址，如 127.0.0.1:9443；没有证书时仅限本机 | Where it listens, such as 127.0.0.1:9443; without certificates on this machine alone
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// 记录业务办理情况的账本文件，不存在则新建 | The book of its operations; made where it does not exist
    #[arg(long, value_name = "FILE")]
    book: PathBuf,
    /// 服务证书（含证书链），PEM | Its certificate with the chain, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["key", "client_ca"])]
    certificate: Option<PathBuf>,
    /// 该证书的私钥，PEM | Its private key, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["certificate", "client_ca"])]
    key: Option<PathBuf>,
    /// 为调用方签发证书的 CA，PEM | The CA of whoever may call, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["certificate", "key"])]
    client_ca: Option<PathBuf>,
}

pub(super) fn run(args: ServeArgs, built_in: &BuiltIn) -> anyhow::Result<Exit> {
    let (payer, calls) = match opened(&args, built_in) {
        Ok(opened) => opened,
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| complain(mistake));
            return Ok(Exit::Refused);
        }
    };
    let tls = match (args.certificate, args.key, args.client_ca) {
        (Some(certificate), Some(key), Some(client_ca)) => Some(TlsFiles { certificate, key, client_ca }),
        _ => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let manifest = payer.manifest();
    let name = format!("{} {}", manifest.adapter, manifest.version);
    let ready = |at: SocketAddr| {
        say(&format!("{name} 已在 {scheme}://{at} 提供适配器协议 | speaks the adapter protocol there"));
    };
    let service = Service { listen: args.listen, tls, book: args.book };
    let served = block_on(async {
        if let Some(calls) = calls {
            tokio::spawn(tell(calls));
        }
        yizhan_kit::serve(payer, service, ready, stop_signal()).await
    });
    match served {
        Ok(()) => Ok(Exit::Ok),
        Err(why @ ServeError::Book(_)) => {
            complain(&why.to_string());
            Ok(Exit::Failed)
        }
        Err(why) => Err(why.into()),
    }
}

/// A payer, and what is told of its calls; or every mistake.
type Opened = (Arc<dyn Payer>, Option<mpsc::Receiver<CallRecord>>);

fn opened(args: &ServeArgs, built_in: &BuiltIn) -> Result<Opened, Vec<String>> {
    if let Some(file) = &args.mapping {
        let mapped = registry::mapped(file, Runtime::system());
        return mapped.map(|(mapped, calls)| (Arc::new(mapped) as _, Some(calls))).map_err(|error| {
            let file = file.display();
            error.mistakes.iter().map(|mistake| format!("{file}: {mistake}")).collect()
        });
    }
    let name = args.payer.as_deref().unwrap_or_default();
    match built_in.payer(name) {
        Some(Ok(payer)) => Ok((payer, None)),
        Some(Err(why)) => Err(vec![format!("{name}：无法启用（{why}）| {name}: cannot be used: {why}")]),
        None => {
            let known: Vec<&str> = built_in.names().collect();
            let known = if known.is_empty() { "-".to_owned() } else { known.join(", ") };
            Err(vec![format!(
                "{name}：没有以此名称登记的支付方，已登记：{known} | {name}: no payer is registered under this name; there are: {known}"
            )])
        }
    }
}

/// What came of calls that were not answered: whoever wrote the mapping looks here first.
async fn tell(mut calls: mpsc::Receiver<CallRecord>) {
    while let Some(call) = calls.recv().await {
        if call.class != Class::Answered {
            let status = call.http_status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            let id = call.operation_id.as_deref().unwrap_or("-");
            let (at, verb, class, ms) =
                (call.at, call.verb.word(), call.class.word(), call.latency.as_millis());
            let why = call.why.as_deref().unwrap_or("-");
            complain(&format!("{at} {verb} {id} {class} HTTP {status} {ms} ms: {why}"));
        }
    }
}
