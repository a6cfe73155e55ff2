//! What is wrong with a configuration: which key of which file, and what to write there.

use std::net::SocketAddr;
use std::path::PathBuf;

use yizhan_contract::PayerCode;

use crate::system;
use yizhan_rules::toml_file::Mistake;

/// The operator's side; trying again changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "配置文件 {path} {zh}（示例见 schemas/yizhan.example.toml）| configuration file {path} {en} (schemas/yizhan.example.toml is an example)",
        path = path.display(), zh = system::refused(why).zh, en = system::refused(why).en
    )]
    Unreadable { path: PathBuf, why: std::io::Error },
    #[error("{origin}: {mistake}")]
    Invalid { origin: String, mistake: Mistake },
    #[error(
        "环境变量 {0} 不对应任何配置项，请更正或取消 | environment variable {0} names no key of the configuration; correct or unset it"
    )]
    UnknownVariable(String),
    #[error(
        "{key} = {address} 未加密即可从本机以外访问：请配置 [tls]，或写明 plain_text_beyond_loopback = true | {key} = {address} listens beyond this machine without TLS: set [tls], or plain_text_beyond_loopback = true"
    )]
    PlainTextBeyondLoopback { key: &'static str, address: SocketAddr },
    #[error(
        "payers.{payer} 未配置：请写明适配器名或 \"rules\"（支付方没有默认值）| payers.{payer} is not set: name an adapter or \"rules\" for it (no payer has a default)"
    )]
    PayerNotNamed { payer: PayerCode },
    #[error(
        "payers.{payer} = {named:?} 未知：未配置 adapters（适配器文件夹），请配置，或改为 \"rules\" | payers.{payer} = {named:?} is not known: adapters is not set; name the folder of adapters there, or write \"rules\""
    )]
    UnknownAdapter { payer: PayerCode, named: String },
}
