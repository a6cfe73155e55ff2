//! Where an adapter lives, who the kit is to it, and who it is to the kit.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use rustls::client::WantsClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use crate::service::TlsError;
use crate::service::certificates;

/// PEM files of the kit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// Whoever vouches for the adapter; nobody else is believed.
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The adapter that is certified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `https://host:port`, or `http://` to this machine.
    pub url: String,
    pub tls: Option<ClientFiles>,
}

/// Why a target cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("{0}：网址无效，应形如 https://host:8443 | {0}: is no address; it looks like https://host:8443")]
    Address(String),
    #[error(
        "{0}：须用 https 并给出 ca、certificate 与 key；http 仅限本机 | {0}: must be https with ca, certificate and key; http is for this machine alone"
    )]
    NotProtected(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("无法建立 HTTP 客户端（{0}）| no HTTP client can be made: {0}")]
    NoClient(String),
}

/// Who the kit says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    Own,
    Nobody,
    /// A certificate of a CA that was made for this alone.
    Stranger,
}

/// A target that can be called.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) url: Url,
    pub(super) tls: Option<ClientFiles>,
}

impl Target {
    pub(super) fn check(&self) -> Result<Called, TargetError> {
        let bad = || TargetError::Address(self.url.clone());
        let url: Url = self.url.parse().map_err(|_| bad())?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(bad());
        }
        let host = url.host_str().ok_or_else(bad)?.trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        match (url.scheme(), &self.tls) {
            ("https", Some(_)) => Ok(Called { url, tls: self.tls.clone() }),
            ("http", _) if is_here => Ok(Called { url, tls: None }),
            ("http" | "https", _) => Err(TargetError::NotProtected(self.url.clone())),
            _ => Err(bad()),
        }
    }
}

impl Called {
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// `https://host:port/base/v1/quote`
    pub(super) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url.as_str().trim_end_matches('/'))
    }

    /// Absent: the target speaks without TLS.
    pub(super) fn tls_config(
        &self,
        identity: Identity,
        protocols: &[&[u8]],
    ) -> Result<Option<ClientConfig>, TargetError> {
        let Some(files) = &self.tls else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&files.ca)? {
            roots.add(certificate).map_err(TlsError::Unusable)?;
        }
        let builder = trusting(roots)?;
        let mut config = match identity {
            Identity::Nobody => builder.with_no_client_auth(),
            Identity::Own => {
                let key = PrivateKeyDer::from_pem_file(&files.key)
                    .map_err(|why| TlsError::Unreadable { path: files.key.clone(), why })?;
                let own = certificates(&files.certificate)?;
                builder.with_client_auth_cert(own, key).map_err(TlsError::Unusable)?
            }
            Identity::Stranger => {
                let (certificate, key) = stranger()?;
                builder.with_client_auth_cert(vec![certificate], key).map_err(TlsError::Unusable)?
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Some(config))
    }

    /// A client with connections of its own.
    pub(super) fn client(&self, identity: Identity, wait: Duration) -> Result<Client, TargetError> {
        let builder = Client::builder().no_proxy().timeout(wait).redirect(reqwest::redirect::Policy::none());
        // A client wants TLS to be settled also where it is not used.
        let config = match self.tls_config(identity, &[b"h2", b"http/1.1"])? {
            Some(config) => config,
            None => trusting(RootCertStore::empty())?.with_no_client_auth(),
        };
        let builder = builder.tls_backend_preconfigured(config);
        builder.build().map_err(|why| TargetError::NoClient(why.to_string()))
    }
}

fn trusting(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots))
}

/// A certificate that nobody vouches for.
fn stranger() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), TargetError> {
    let made = rcgen::generate_simple_self_signed(vec!["stranger.invalid".to_owned()]);
    let made = made.map_err(|why| TargetError::NoClient(why.to_string()))?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((made.cert.der().clone(), key.into()))
}
