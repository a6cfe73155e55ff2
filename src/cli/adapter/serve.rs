//! `yizhan adapter serve`: an insurer's own interface, as a mapping describes it, served by the adapter protocol; so that
//! it is certified like any other adapter.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio::sync::mpsc;
use yizhan_contract::payer::Payer as _;
use yizhan_kit::service::TlsFiles;
use yizhan_kit::{ServeError, Service, stop_signal};
use yizhan_remote::{CallRecord, Class};

use crate::cli::{Exit, block_on, complain, say};
use crate::registry;
use crate::runtime::Runtime;

#[derive(Debug, Args)]
#[command(
    after_help = "未得到应答的请求逐条写到标准错误，不含个人数据 | Calls that were not answered are told on standard error, with nothing of a person\n\
退出码 | Exit codes: 0 已按要求停止 stopped as asked · 2 参数、地址或证书 arguments, address or certificates · 3 映射文件有误 the mapping is \
refused · 4 账本无法使用 the book cannot be used"
)]
pub(in crate::cli) struct ServeArgs {
    /// 映射文件，示例见 schemas/mapping.example.toml | The mapping; see schemas/mapping.example.toml
    #[arg(long, value_name = "FILE")]
    mapping: PathBuf,
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

pub(super) fn run(args: ServeArgs) -> anyhow::Result<Exit> {
    let (mapped, calls) = match registry::mapped(&args.mapping, Runtime::system()) {
        Ok(opened) => opened,
        Err(error) => {
            for mistake in error.mistakes {
                complain(&format!("{}: {mistake}", args.mapping.display()));
            }
            return Ok(Exit::Refused);
        }
    };
    let tls = match (args.certificate, args.key, args.client_ca) {
        (Some(certificate), Some(key), Some(client_ca)) => Some(TlsFiles { certificate, key, client_ca }),
        _ => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let manifest = mapped.manifest();
    let name = format!("{} {}", manifest.adapter, manifest.version);
    let ready = |at: SocketAddr| {
        say(&format!("{name} 已在 {scheme}://{at} 提供适配器协议 | speaks the adapter protocol there"));
    };
    let service = Service { listen: args.listen, tls, book: args.book };
    let served = block_on(async {
        let telling = tokio::spawn(tell(calls));
        let served = yizhan_kit::serve(mapped, service, ready, stop_signal()).await;
        telling.abort();
        served
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

/// What came of calls that were not answered: whoever wrote the mapping looks here first.
async fn tell(mut calls: mpsc::Receiver<CallRecord>) {
    while let Some(call) = calls.recv().await {
        if call.class != Class::Answered {
            let status = call.http_status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            let id = call.operation_id.as_deref().unwrap_or("-");
            let (at, verb, class, ms) =
                (call.at, call.verb.word(), call.class.word(), call.latency.as_millis());
            complain(&format!("{at} {verb} {id} {class} HTTP {status} {ms} ms"));
        }
    }
}
