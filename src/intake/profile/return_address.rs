//! Where a hospital takes its bills: an MLLP listener, or an address that is posted to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use yizhan_contract::Text;

const MLLPS: &str = "mllps://";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReturnAddress {
    Mllp(Listener),
    /// The bill is posted here as JSON.
    Http(Url),
}

/// What takes EHC^E10.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// `host:port`
    pub address: String,
    /// Over TLS, as `mllps://host:port`.
    pub is_secure: bool,
}

impl fmt::Display for ReturnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mllp(Listener { address, is_secure: false }) => f.write_str(address),
            Self::Mllp(Listener { address, is_secure: true }) => write!(f, "{MLLPS}{address}"),
            Self::Http(url) => fmt::Display::fmt(url, f),
        }
    }
}

impl FromStr for ReturnAddress {
    type Err = Text;

    fn from_str(text: &str) -> Result<Self, Text> {
        match text.strip_prefix(MLLPS) {
            Some(address) => Ok(Self::Mllp(listener(address, true)?)),
            None if text.contains("://") => Ok(Self::Http(http(text)?)),
            None => Ok(Self::Mllp(listener(text, false)?)),
        }
    }
}

impl ReturnAddress {
    /// Whether bills would travel beyond this machine for everybody on the way to read.
    pub fn is_plain_beyond_loopback(&self) -> bool {
        let Self::Mllp(Listener { address, is_secure: false }) = self else { return false };
        !address.rsplit_once(':').is_some_and(|(host, _)| is_loopback(host))
    }
}

fn listener(address: &str, is_secure: bool) -> Result<Listener, Text> {
    let is_one = address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if is_one { Ok(Listener { address: address.to_owned(), is_secure }) } else { Err(neither()) }
}

fn neither() -> Text {
    Text::new(
        "须为 主机:端口、mllps://主机:端口 或 https://… 地址",
        "is neither host:port, mllps://host:port nor https://…; write one of them",
    )
}

fn http(text: &str) -> Result<Url, Text> {
    let url = Url::parse(text).map_err(|why| {
        Text::new(format!("不是有效的网址（{why}），请更正"), format!("is no address ({why}); correct it"))
    })?;
    // Addresses are written to logs.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Text::new(
            "地址中不得含用户名或密码，请删除",
            "holds a user name or password; take it out",
        ));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if url.host_str().is_some_and(is_loopback) => Ok(url),
        "http" => Err(Text::new(
            "http:// 只可用于本机，请改用 https://",
            "is http:// beyond this machine; use https://",
        )),
        _ => Err(neither()),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_or_refused_with_a_reason() {
        for (text, expected) in [
            ("his.example:6661", Ok("his.example:6661")),
            ("[::1]:6661", Ok("[::1]:6661")),
            ("mllps://his.example:6661", Ok("mllps://his.example:6661")),
            ("mllps://his.example", Err("neither")),
            ("mllps://his.example:6661/x", Err("neither")),
            ("https://his.example/bills", Ok("https://his.example/bills")),
            ("http://127.0.0.1:8089/bills", Ok("http://127.0.0.1:8089/bills")),
            ("http://localhost/bills", Ok("http://localhost/bills")),
            ("http://[::1]/bills", Ok("http://[::1]/bills")),
            ("http://his.example/bills", Err("beyond this machine")),
            ("https://desk:secret@his.example/", Err("password")),
            ("ftp://his.example/", Err("neither")),
            ("his.example", Err("neither")),
            ("his.example:0", Err("neither")),
            (":6661", Err("neither")),
        ] {
            let read = text.parse::<ReturnAddress>().map(|address| address.to_string());
            match expected {
                Ok(expected) => assert_eq!(read, Ok(expected.to_owned())),
                Err(expected) => assert!(read.is_err_and(|why| why.en.contains(expected)), "{text}"),
            }
        }
    }

    #[test]
    fn only_plain_text_to_others_is_plain() {
        for (text, is_plain) in [
            ("his.example:6661", true),
            ("10.0.0.7:6661", true),
            ("mllps://his.example:6661", false),
            ("127.0.0.1:6661", false),
            ("localhost:6661", false),
            ("[::1]:6661", false),
            ("https://his.example/", false),
        ] {
            assert_eq!(text.parse::<ReturnAddress>().unwrap().is_plain_beyond_loopback(), is_plain, "{text}");
        }
    }
}
