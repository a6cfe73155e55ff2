//! Where a hospital takes its bills: an MLLP listener, or an address that is posted to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

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
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text.contains("://") {
            return Ok(Self::Http(http(text)?));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => {
                Ok(Self::Mllp(text.to_owned()))
            }
            _ => Err("is neither host:port nor https://…"),
        }
    }
}

fn http(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is no address")?;
    // Addresses are written to logs.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or password");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err("is http:// beyond this machine; use https://"),
        _ => Err("is neither host:port nor https://…"),
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
                Ok(expected) => assert_eq!(read.as_deref(), Ok(expected)),
                Err(expected) => assert!(read.is_err_and(|why| why.contains(expected)), "{text}"),
            }
        }
    }
}
