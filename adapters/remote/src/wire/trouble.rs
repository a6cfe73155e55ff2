//! Why a call brought no answer that can be used: what to tell people, and what follows.

use std::time::Duration;

use jiff::SignedDuration;
use yizhan_contract::Text;
use yizhan_contract::payer::{Performed, Unavailable, Visited};

use super::journal::Class;

/// A payer's wishes to be asked later are heard up to this.
pub(crate) const LATER_S_MAX: u64 = 3_600;

/// Why a call brought no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    DeadlinePassed,
    /// The deadline passed while it waited for its turn.
    NoTurn,
    /// The payer is left alone for so long.
    Resting(Duration),
    /// What was to be sent cannot be written.
    NotWritten(Text),
    /// What was kept of the operation was written by another adapter, or by a later gateway.
    Foreign,
    Unreachable(Unreachable),
    /// So many bytes of an answer had come by the deadline.
    Late {
        received: usize,
        patience: Duration,
    },
    /// The payer ended TLS by this alert once it was spoken to.
    TlsRefused(String),
    Broken {
        received: usize,
    },
    Busy {
        status: u16,
        later: Option<Duration>,
    },
    /// Another HTTP status than that of an answer.
    Status {
        status: u16,
        said: Option<String>,
    },
    TooLong {
        bytes_max: usize,
    },
    Unreadable(Text),
    /// An answer that breaks the contract.
    Odd(Text),
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreachable {
    /// The host's name is not known.
    Name,
    /// The other side is not who it should be, or speaks no TLS that we speak.
    Identity(String),
    /// The payer ended the handshake by this alert.
    TlsRefused(String),
    InTime,
    Other(String),
}

impl Trouble {
    /// It certainly never reached the payer.
    pub fn was_not_sent(&self) -> bool {
        matches!(
            self,
            Self::DeadlinePassed
                | Self::NoTurn
                | Self::Resting(_)
                | Self::NotWritten(_)
                | Self::Foreign
                | Self::Unreachable(_)
        )
    }

    /// The way to the payer, or the payer as a whole, is in trouble; a breach of contract or a refusal is not that.
    pub(crate) fn is_transport(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Late { .. }
            | Self::TlsRefused(_)
            | Self::Broken { .. }
            | Self::TooLong { .. }
            | Self::Unreadable(_) => true,
            Self::Status { status, .. } => *status >= 500,
            Self::DeadlinePassed
            | Self::NoTurn
            | Self::Resting(_)
            | Self::NotWritten(_)
            | Self::Foreign
            | Self::Busy { .. }
            | Self::Odd(_) => false,
        }
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            Self::DeadlinePassed | Self::NoTurn | Self::Resting(_) | Self::NotWritten(_) | Self::Foreign => {
                Class::NotSent
            }
            Self::Unreachable(_) => Class::Unreachable,
            Self::Late { .. } => Class::Late,
            Self::TlsRefused(_) | Self::Broken { .. } => Class::Broken,
            Self::Busy { .. } => Class::Busy,
            Self::Status { .. } => Class::Refused,
            Self::TooLong { .. } | Self::Unreadable(_) => Class::Unreadable,
            Self::Odd(_) => Class::Odd,
        }
    }

    fn later(&self) -> Option<SignedDuration> {
        match self {
            Self::Resting(rest) => SignedDuration::try_from(*rest).ok(),
            Self::Busy { later, .. } => later.and_then(|later| SignedDuration::try_from(later).ok()),
            _ => None,
        }
    }

    pub(crate) fn unavailable(&self) -> Unavailable {
        Unavailable { why: self.sentence(), retry_after: self.later() }
    }

    /// What an event has come to that brought no answer.
    pub(crate) fn untold(&self) -> Visited {
        let told = if self.was_not_sent() { Visited::NotSent } else { Visited::Unavailable };
        told(self.unavailable())
    }

    pub(crate) fn unknown(&self) -> Performed {
        Performed::Unknown { poll_after: self.later(), why: self.sentence() }
    }

    /// Both languages in one line, as reasons stand in evidence and logs.
    pub fn sentence(&self) -> String {
        let text = self.text();
        if self.was_not_sent() {
            Text::new(format!("未发送：{}", text.zh), format!("not sent: {}", text.en)).line()
        } else {
            text.line()
        }
    }

    /// What is wrong, for the operator.
    pub fn text(&self) -> Text {
        match self {
            Self::DeadlinePassed => Text::new("期限已过", "its deadline has passed"),
            Self::NoTurn => Text::new(
                "期限内未轮到（concurrency_max 或 requests_per_second_max 已满）",
                "its turn did not come before the deadline (concurrency_max, requests_per_second_max)",
            ),
            Self::Resting(rest) => {
                let seconds = rest.as_secs().max(1);
                Text::new(
                    format!("支付方连续无应答，{seconds} 秒后再试"),
                    format!("the payer failed several times in a row and is left alone for {seconds} s"),
                )
            }
            Self::NotWritten(text) | Self::Unreadable(text) | Self::Odd(text) => text.clone(),
            Self::Foreign => Text::new(
                "所存的业务内容不是本适配器写的，请人工核对",
                "what was kept of the operation was not written by this adapter; a person has to look",
            ),
            Self::Unreachable(why) => why.text(),
            Self::Late { received, patience } => late(*received, *patience),
            Self::TlsRefused(alert) => tls_refused(alert),
            Self::Broken { received: 0 } => {
                Text::new("连接在应答前中断", "the connection broke before an answer came")
            }
            Self::Broken { received } => Text::new(
                format!("连接在应答中途（{received} 字节）中断"),
                format!("the connection broke after {received} bytes of the answer"),
            ),
            Self::Busy { status, .. } => Text::new(
                format!("支付方繁忙（HTTP {status}）"),
                format!("the payer is busy (HTTP {status})"),
            ),
            Self::Status { status, said } => {
                let said = said.as_ref().map(|said| format!(" {said}")).unwrap_or_default();
                Text::new(
                    format!("支付方以 HTTP {status}{said} 应答"),
                    format!("the payer answered with HTTP {status}{said}"),
                )
            }
            Self::TooLong { bytes_max } => Text::new(
                format!("应答超过 {bytes_max} 字节，未读完"),
                format!("the answer is longer than {bytes_max} bytes and was not read to its end"),
            ),
        }
    }
}

fn late(received: usize, patience: Duration) -> Text {
    let waited = patience.as_millis();
    if received == 0 {
        return Text::new(format!("{waited} 毫秒内无应答"), format!("no answer within {waited} ms"));
    }
    Text::new(
        format!("应答过慢：{waited} 毫秒内仅收到 {received} 字节"),
        format!("the answer came too slowly: {received} bytes within {waited} ms"),
    )
}

fn tls_refused(alert: &str) -> Text {
    Text::new(
        format!("支付方拒绝了 TLS 连接（{alert}），请核对 certificate 与 key"),
        format!("the payer refused the TLS connection ({alert}); check certificate and key"),
    )
}

impl Unreachable {
    fn text(&self) -> Text {
        match self {
            Self::Name => Text::new("找不到支付方的主机名", "the payer's host name is not known"),
            Self::Identity(said) => Text::new(
                format!("无法确认支付方身份（{said}），请核对 ca 与网址"),
                format!("the payer's identity is not proven ({said}); check ca and its address"),
            ),
            Self::TlsRefused(alert) => tls_refused(alert),
            Self::InTime => Text::new("连接超时", "no connection in time"),
            Self::Other(said) => Text::new(
                format!("无法连接支付方（{said}）"),
                format!("the payer cannot be reached ({said})"),
            ),
        }
    }
}
