//! What is wrong with a configuration: which key of which file, and what to write there.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::Error as TomlError;
use yizhan_contract::{PayerCode, Text};

use crate::system;

/// The operator's side; trying again changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "配置文件 {path} {zh}（示例见 schemas/yizhan.example.toml）| configuration file {path} {en} (schemas/yizhan.example.toml is an example)",
        path = path.display(), zh = system::refused(why).zh, en = system::refused(why).en
    )]
    Unreadable { path: PathBuf, why: std::io::Error },
    /// `place` is a key, or a line of a file that is no TOML.
    #[error("{origin}: {place}: {zh} | {en}", zh = text.zh, en = text.en)]
    Invalid { origin: String, place: String, text: Text },
    #[error(
        "环境变量 {0} 不对应任何配置项，请更正或取消 | environment variable {0} names no key of the configuration; correct or unset it"
    )]
    UnknownVariable(String),
    #[error(
        "{key} = {address} 未加密即可从本机以外访问：请配置 [tls]，或写明 plain_text_beyond_loopback = true | {key} = {address} listens beyond this machine without TLS: set [tls], or plain_text_beyond_loopback = true"
    )]
    PlainTextBeyondLoopback { key: &'static str, address: SocketAddr },
    #[error(
        "payers.{payer} 未配置：请写明适配器名或 \"rules\"（付款方没有默认值）| payers.{payer} is not set: name an adapter or \"rules\" for it (no payer has a default)"
    )]
    PayerNotNamed { payer: PayerCode },
    #[error(
        "payers.{payer} = {named:?} 未知：本网关只按 \"rules\" 计算，请改为 \"rules\" | payers.{payer} = {named:?} is not known: this gateway computes by \"rules\"; write that"
    )]
    UnknownAdapter { payer: PayerCode, named: String },
}

impl ConfigError {
    /// A text that is no TOML, by its line.
    pub(super) fn no_toml(origin: &str, text: &str, why: &TomlError) -> Self {
        let before = why.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        let said = why.message();
        Self::Invalid {
            origin: origin.to_owned(),
            place: line.to_string(),
            text: Text::new(
                format!("该行不是有效的 TOML（{said}），请对照 schemas/yizhan.example.toml 更正"),
                format!("the line is no valid TOML ({said}); compare schemas/yizhan.example.toml"),
            ),
        }
    }

    /// A key that does not fit, by its path.
    pub(super) fn no_such_value(origin: &str, why: &serde_path_to_error::Error<TomlError>) -> Self {
        let said = why.inner().message();
        // A key that is missing is named by what was said, not by the path, which ends above it.
        let path = why.path().to_string();
        let (place, text) = match quoted_after(said, "missing field ") {
            Some(key) if path == "." => (key.to_owned(), missing()),
            Some(key) => (format!("{path}.{key}"), missing()),
            None => (path, in_words(said)),
        };
        Self::Invalid { origin: origin.to_owned(), place, text }
    }
}

fn missing() -> Text {
    Text::new("缺少该项，请补上", "is missing; add it")
}

/// Of "missing field `store`", `store`.
fn quoted_after<'m>(message: &'m str, start: &str) -> Option<&'m str> {
    message.strip_prefix(start)?.strip_prefix('`')?.split('`').next()
}

/// The parser's remark about one value as a sentence.
fn in_words(said: &str) -> Text {
    // Types of ours say it in both languages themselves.
    if let Some((zh, en)) = said.split_once(" | ") {
        return Text::new(zh, en);
    }
    let expected = said.split_once(", expected ").map(|(_, expected)| expected);
    let listed =
        expected.map(|listed| listed.trim_start_matches("one of ").replace('`', "").replace(" or ", ", "));
    let known = listed.unwrap_or_default();
    if said.starts_with("unknown field ") {
        return Text::new(
            format!("没有这个配置项，请更正或删除；此处可用：{known}"),
            format!("is no key; correct or remove it; known here: {known}"),
        );
    }
    if said.starts_with("unknown variant ") {
        return Text::new(format!("只能是：{known}"), format!("must be one of: {known}"));
    }
    match expected {
        Some("u16" | "u32" | "u64" | "usize" | "a nonzero u16") => Text::new(
            "须为不小于 0 的整数，不加引号",
            "must be a whole number, 0 or more, without quotation marks",
        ),
        Some("a boolean") => {
            Text::new("须为 true 或 false，不加引号", "must be true or false, without quotation marks")
        }
        Some("a string" | "path string") => {
            Text::new("须为带引号的文本", "must be a text in quotation marks")
        }
        _ if said.contains("socket address") => {
            Text::new("须为“地址:端口”，如 127.0.0.1:8080", "must be address:port, such as 127.0.0.1:8080")
        }
        _ => Text::new(
            format!("取值无效（{said}），请更正"),
            format!("holds no valid value ({said}); correct it"),
        ),
    }
}
