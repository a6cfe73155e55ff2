//! Where a hospital takes its bills: an MLLP listener, or an address that is posted to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use yizhan_contract::Text;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReturnAddress {
    /// `host:port` of a listener that takes EHC^E10.
    Mllp(String),
    /// The bill is posted here as JSON.
    Http(Url),
}

impl fmt::Display for ReturnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mllp(address) => f.write_str(address),
            Self::Http(url) => fmt::Display::fmt(url, f),
        }
    }
}

impl FromStr for ReturnAddress {
    type Err = Text;

    fn from_str(text: &str) -> Result<Self, Text> {
        if text.contains("://") {
            return Ok(Self::Http(http(text)?));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => {
                Ok(Self::Mllp(text.to_owned()))
            }
            _ => Err(neither()),
        }
    }
}

fn neither() -> Text {
    Text::new("须为 主机:端口 或 https://… 地址", "is neither host:port nor https://…; write one of them")
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
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(Text::new(
            "http:// 只可用于本机，请改用 https://",
            "is http:// beyond this machine; use https://",
        )),
        _ => Err(neither()),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
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
}
