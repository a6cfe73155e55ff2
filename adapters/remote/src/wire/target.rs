//! Where a payer lives and how each side proves who it is.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Url;
use rustls::client::WantsClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use serde::Deserialize;
use yizhan_contract::Text;

/// PEM files: whom we believe, and who we are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificates of whoever vouches for the payer; nobody else is believed.
    pub ca: PathBuf,
    /// Ours, with the chain that leads to its CA; with `key`, or neither.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// A payer's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The name the host gives the adapter.
    pub adapter: Arc<str>,
    /// `https://…`, without query; `http://` to this machine alone.
    pub base_url: String,
    pub tls: Option<TlsFiles>,
}

/// Why a payer cannot be called at all; the operator's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetError {
    Address,
    /// No TLS, to somewhere else than this machine.
    NotProtected,
    NotBare,
    Unreadable {
        path: PathBuf,
        why: String,
    },
    HalfIdentity,
    Unusable(String),
    NoClient,
}

pub(super) fn no_address() -> Text {
    Text::new("网址无效", "is no address of a payer")
}

impl TargetError {
    /// For the operator, in both languages.
    pub fn text(&self) -> Text {
        match self {
            Self::Address => no_address(),
            Self::NotProtected => Text::new(
                "网址须为 https（仅对本机可用 http），并给出 ca",
                "the address must be https (http to this machine alone), with a ca",
            ),
            Self::NotBare => Text::new(
                "网址不得含用户名、查询或片段",
                "the address must hold no user name, query or fragment",
            ),
            Self::Unreadable { path, why } => {
                let path = path.display();
                Text::new(
                    format!("无法读取 {path}（{why}），须为 PEM 文件"),
                    format!("cannot read {path}: {why}; it must be a PEM file"),
                )
            }
            Self::HalfIdentity => {
                Text::new("certificate 与 key 须同时给出", "certificate and key go together")
            }
            Self::Unusable(why) => Text::new(
                format!("证书与私钥不匹配或不可用（{why}）"),
                format!("certificate and key do not fit together, or are not usable: {why}"),
            ),
            Self::NoClient => Text::new("无法建立 HTTP 客户端", "no HTTP client can be made"),
        }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Text { zh, en } = self.text();
        write!(f, "{zh} | {en}")
    }
}

impl std::error::Error for TargetError {}

impl Target {
    /// Whether it is an address at all; files are not looked at.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), TargetError> {
        self.base().map(|_| ())
    }

    /// Whether its certificates can be used; nobody is asked.
    ///
    /// # Errors
    /// What is wrong with them, or with the address.
    pub fn check_files(&self) -> Result<(), TargetError> {
        self.check()?;
        self.tls.as_ref().map_or(Ok(()), |files| files.client().map(|_| ()))
    }

    /// The address, ending without a slash, checked.
    pub(super) fn base(&self) -> Result<Url, TargetError> {
        let url: Url = self.base_url.parse().map_err(|_| TargetError::Address)?;
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_bare {
            return Err(TargetError::NotBare);
        }
        match url.scheme() {
            "https" if self.tls.is_some() => Ok(url),
            "http" if self.tls.is_none() && is_this_machine(&url) => Ok(url),
            "http" | "https" => Err(TargetError::NotProtected),
            _ => Err(TargetError::Address),
        }
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl TlsFiles {
    /// The same files, where relative paths begin at `folder`.
    #[must_use]
    pub fn relative_to(&self, folder: &Path) -> Self {
        let from = |path: &PathBuf| folder.join(path);
        Self {
            ca: from(&self.ca),
            certificate: self.certificate.as_ref().map(from),
            key: self.key.as_ref().map(from),
        }
    }

    /// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1; certificate and name of the payer are always checked.
    pub(super) fn client(&self) -> Result<ClientConfig, TargetError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots.add(certificate).map_err(|why| unreadable(&self.ca, why.to_string()))?;
        }
        let builder = believing(roots)?;
        let mut config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let own = PrivateKeyDer::from_pem_file(key).map_err(|why| unreadable(key, said(&why)))?;
                builder.with_client_auth_cert(certificates(certificate)?, own).map_err(unusable)?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => return Err(TargetError::HalfIdentity),
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn unusable(why: rustls::Error) -> TargetError {
    TargetError::Unusable(why.to_string())
}

fn believing(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TargetError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(builder.with_safe_default_protocol_versions().map_err(unusable)?.with_root_certificates(roots))
}

/// For a payer on this machine that is spoken to without TLS: it believes nobody.
pub(super) fn no_client() -> Result<ClientConfig, TargetError> {
    Ok(believing(RootCertStore::empty())?.with_no_client_auth())
}

fn unreadable(path: &Path, why: String) -> TargetError {
    TargetError::Unreadable { path: path.to_owned(), why }
}

fn said(why: &pem::Error) -> String {
    match why {
        pem::Error::NoItemsFound => "没有所需内容 nothing of the kind in it".to_owned(),
        pem::Error::Io(why) => why.kind().to_string(),
        _ => "不是 PEM no PEM".to_owned(),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TargetError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|why| unreadable(path, said(&why)))?;
    if found.is_empty() {
        return Err(unreadable(path, said(&pem::Error::NoItemsFound)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payer_beyond_this_machine_is_spoken_to_behind_tls_alone() {
        let tls = || Some(TlsFiles { ca: "ca.pem".into(), certificate: None, key: None });
        for (address, tls, refused) in [
            ("https://acme.example/api", tls(), None),
            ("https://acme.example:8443", tls(), None),
            ("http://127.0.0.1:9000", None, None),
            ("http://[::1]:9000", None, None),
            ("http://localhost:9000/x", None, None),
            ("https://acme.example", None, Some(TargetError::NotProtected)),
            ("http://acme.example", None, Some(TargetError::NotProtected)),
            ("http://acme.example", tls(), Some(TargetError::NotProtected)),
            ("http://10.0.0.1", None, Some(TargetError::NotProtected)),
            ("http://127.0.0.1.acme.example", None, Some(TargetError::NotProtected)),
            ("ftp://127.0.0.1", None, Some(TargetError::Address)),
            ("acme.example", tls(), Some(TargetError::Address)),
            ("", tls(), Some(TargetError::Address)),
            ("https://user:word@acme.example", tls(), Some(TargetError::NotBare)),
            ("https://acme.example/?token=1", tls(), Some(TargetError::NotBare)),
            ("https://acme.example/#x", tls(), Some(TargetError::NotBare)),
        ] {
            let target = Target { adapter: "acme".into(), base_url: address.to_owned(), tls };
            assert_eq!(target.base().err(), refused, "{address}");
        }
    }
}
