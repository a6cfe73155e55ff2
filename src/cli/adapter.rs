//! `yizhan adapter`: insurers' adapters as the gateways see them, and as insurers try them before that.

mod calls;
mod certify;
mod serve;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use yizhan_attestation::Verified;
use yizhan_contract::Text;

use super::import::Target;
use super::{Exit, block_on};
use crate::desk::figures::shanghai_to_the_second;
use crate::registry::built_in::BuiltIn;
use crate::registry::{self, standing::Noted};
use crate::runtime::Runtime;
use crate::store::adapter_book::AdapterNote;

#[derive(Debug, Subcommand)]
pub(super) enum AdapterCommand {
    /// 各网关中的适配器：模式、是否应答、自动停用、比较结果、文件错误 | Adapters in every gateway: mode, whether they answer, why not asked, what was compared, mistakes
    List(ListArgs),
    /// 检查一个适配器文件（不访问保险公司）| Read one adapter's file; nobody is asked
    Check(CheckArgs),
    /// 恢复自动停用的适配器；各网关 2 秒内执行 | Ask an adapter again that had used its budget up; every gateway does within 2 s
    Reset(ResetArgs),
    /// 最近对一个适配器的调用：何时、多久、结果、摘要；不含个人数据 | The last calls of an adapter: when, how long, what came of them, digests; nothing of a person
    Calls(calls::CallsArgs),
    /// 评测一个适配器：L0 至 L7，逐项说明应为与实为 | Certify an adapter: L0 to L7, with what was expected and what came
    Certify(Box<certify::CertifyArgs>),
    /// 把映射文件描述的接口作为适配器服务，供评测 | Serve what a mapping describes as an adapter, so that it can be certified
    Serve(serve::ServeArgs),
    /// 生成评测签名密钥（已存在则不变），并显示其公钥 | Make the key that signs attestations, where there is none, and say its public half
    Keys(certify::KeysArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// 适配器文件，示例见 schemas/adapter.example.toml | The file; see schemas/adapter.example.toml
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ResetArgs {
    /// 适配器名 | The adapter's name
    name: String,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(command: AdapterCommand, built_in: BuiltIn) -> anyhow::Result<Exit> {
    match command {
        AdapterCommand::List(args) => list(&args),
        AdapterCommand::Check(args) => Ok(check(&args, built_in)),
        AdapterCommand::Reset(args) => reset(&args),
        AdapterCommand::Calls(args) => calls::run(&args),
        AdapterCommand::Certify(args) => certify::run(*args),
        AdapterCommand::Serve(args) => serve::run(args, &built_in),
        AdapterCommand::Keys(args) => certify::keys(&args),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<Exit> {
    let store = args.target.open(&Runtime::system())?;
    let notes = block_on(store.adapter_notes())?;
    if notes.is_empty() {
        super::say("没有网关登记过适配器 | no gateway has written down any adapter");
    }
    for note in &notes {
        match serde_json::from_str(&note.document) {
            Ok(noted) => lines(note, &noted).iter().for_each(|line| super::say(line)),
            Err(_) => super::say(&format!("{}  {}  ?", note.adapter, note.gateway)),
        }
    }
    Ok(Exit::Ok)
}

fn lines(note: &AdapterNote, noted: &Noted) -> Vec<String> {
    let both = |text: &Text| format!("{} | {}", text.zh, text.en);
    let AdapterNote { adapter, gateway, noted_at, .. } = note;
    let Noted { mode, version, compared, .. } = noted;
    let at = shanghai_to_the_second(*noted_at);
    let payers = noted.payers.join(", ");
    let mut lines = vec![
        format!("{adapter}  {mode}  {payers}  {version}"),
        format!("  网关 gateway {gateway}  {at}  {}", both(&noted.standing)),
    ];
    if compared.compared + compared.unanswered > 0 {
        lines.push(format!(
            "  比较 compared {}  不同 differing {}  未应答 unanswered {}",
            compared.compared, compared.differing, compared.unanswered
        ));
    }
    if compared.not_called_off > 0 {
        let count = compared.not_called_off;
        lines.push(format!("  住院通知未能撤销 visits that could not be called off {count}"));
    }
    if let Some(by) = &noted.vouched {
        lines.push(format!("  {}", both(by)));
    }
    if let Some(why) = &noted.unproven {
        lines.push(format!("  只比较 only compared  {}", both(why)));
    }
    if let Some(fallen) = &noted.fallen {
        let since = shanghai_to_the_second(fallen.since);
        lines.push(format!("  已停用 not asked  自 since {since}  {}", both(&fallen.why)));
    }
    lines.extend(noted.mistakes.iter().map(|mistake| format!("  {}: {}", noted.file, both(mistake))));
    lines
}

fn check(args: &CheckArgs, built_in: BuiltIn) -> Exit {
    match registry::check(&args.file, built_in) {
        Ok((file, verified)) => {
            super::say(&format!("{}  {}  文件有效 | the file is good", file.name, file.mode.word()));
            if file.mode.decides() {
                super::say(&attested(verified.as_ref()));
            }
            Exit::Ok
        }
        Err(mistakes) => {
            for mistake in mistakes {
                super::complain(&format!("{}: {mistake}", args.file.display()));
            }
            Exit::Refused
        }
    }
}

/// What stands in its attestation; whether its key counts, each gateway's `[trust]` says.
fn attested(verified: Option<&Verified>) -> String {
    let Some(Verified { attestation, by }) = verified else {
        return "没有评测证明：网关只比较，不由其决定 | it has no attestation: gateways compare it, and it decides nothing".to_owned();
    };
    let reached = attestation.reached.map_or_else(|| "-".to_owned(), |level| level.to_string());
    let until = shanghai_to_the_second(attestation.expires);
    let left_out = attestation.left_out().map(|left_out| format!("  {} | {}", left_out.zh, left_out.en));
    format!(
        "评测证明 attestation  {} {}  {reached}  有效期至 until {until}  密钥 key {by}{}",
        attestation.adapter,
        attestation.adapter_version,
        left_out.unwrap_or_default()
    )
}

fn reset(args: &ResetArgs) -> anyhow::Result<Exit> {
    let store = args.target.open(&Runtime::system())?;
    let name = &args.name;
    if block_on(store.reset_adapter(Arc::from(name.as_str())))? == 0 {
        return Ok(no_such_adapter(name, &block_on(store.adapter_notes())?));
    }
    super::say("已登记，各网关 2 秒内恢复询问 | recorded; every gateway asks it again within 2 s");
    Ok(Exit::Ok)
}

/// Says which there are.
fn no_such_adapter(name: &str, notes: &[AdapterNote]) -> Exit {
    let known: BTreeSet<&str> = notes.iter().map(|note| &*note.adapter).collect();
    let known =
        if known.is_empty() { "-".to_owned() } else { known.into_iter().collect::<Vec<_>>().join(", ") };
    super::complain(&format!(
        "没有名为 {name} 的适配器，现有：{known} | no adapter is called {name}; there are: {known}"
    ));
    Exit::Refused
}
