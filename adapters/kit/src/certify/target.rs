//! Where an adapter lives, who the kit is to it, and who it is to the kit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use rustls::client::WantsClientCert;
use rustls::crypto::ring;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, ClientConfig, ConfigBuilder, Error, RootCertStore};

use crate::given;
use crate::service::TlsError;
use crate::service::certificates;

/// PEM files of the kit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// Whoever vouches for the adapter; nobody else is believed.
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// By the CA of the kit's own; absent: whether an expired certificate is refused is not tried.
    pub expired: Option<PairFiles>,
    /// What will be shown once the kit's own is renewed; absent: whether it is let in is not tried.
    pub next: Option<PairFiles>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
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
    #[error(
        "{0}：这份证书尚未过期，不能用于 --expired | {0}: has not expired; --expired is for one that has"
    )]
    NotExpired(String),
    #[error(
        "{0}：这份证书并非由 --ca 签发，或不在有效期内，不能用于 --next | {0}: is not good under --ca now; --next is for one that is"
    )]
    NotGood(String),
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
    /// The certificate that has expired; where there is none, nobody.
    Expired,
    /// The certificate that follows the kit's own; where there is none, nobody.
    Next,
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
            ("https", Some(files)) => {
                files.expired.as_ref().map_or(Ok(()), |expired| expired.has_expired(&files.ca))?;
                files.next.as_ref().map_or(Ok(()), |next| next.is_good(&files.ca))?;
                Ok(Called { url, tls: self.tls.clone() })
            }
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

    /// `http://host:port/base/v1/quote`, whatever is spoken there.
    pub(super) fn plain_address(&self, path: &str) -> String {
        let (host, base) = (self.url.host_str().unwrap_or_default(), self.url.path().trim_end_matches('/'));
        format!("http://{host}:{}{base}{path}", self.port())
    }

    /// Absent: the target speaks without TLS.
    pub(super) fn tls_config(
        &self,
        identity: Identity,
        protocols: &[&[u8]],
    ) -> Result<Option<ClientConfig>, TargetError> {
        let Some(files) = &self.tls else { return Ok(None) };
        let builder = trusting(roots(&files.ca)?)?;
        let of_pair = |pair: &PairFiles| shown(&pair.certificate, &pair.key);
        let shown = match identity {
            Identity::Own => Some(shown(&files.certificate, &files.key)?),
            Identity::Expired => files.expired.as_ref().map(of_pair).transpose()?,
            Identity::Next => files.next.as_ref().map(of_pair).transpose()?,
            Identity::Stranger => Some(stranger()?),
            Identity::Nobody => None,
        };
        let mut config = match shown {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(TlsError::Unusable)?,
            None => builder.with_no_client_auth(),
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

impl PairFiles {
    /// Days are looked at before whoever vouches, so that it need not be the adapter's CA that does.
    ///
    /// # Errors
    /// It cannot be read, or whoever takes it would be right.
    fn has_expired(&self, ca: &Path) -> Result<(), TargetError> {
        match self.taken(ca)? {
            Err(Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            )) => Ok(()),
            _ => Err(TargetError::NotExpired(self.certificate.display().to_string())),
        }
    }

    /// # Errors
    /// It cannot be read, or whoever refuses it would be right.
    fn is_good(&self, ca: &Path) -> Result<(), TargetError> {
        self.taken(ca)?.map_err(|_| TargetError::NotGood(self.certificate.display().to_string()))
    }

    /// Whether those who trust this authority take it now.
    fn taken(&self, ca: &Path) -> Result<Result<(), Error>, TargetError> {
        let chain = certificates(&self.certificate)?;
        let unusable =
            |why: VerifierBuilderError| TlsError::ClientCa { path: ca.to_owned(), why: why.to_string() };
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider);
        let verifier = verifier.build().map_err(unusable)?;
        let now = Duration::from_secs(given::now().as_second().unsigned_abs());
        let Some((leaf, between)) = chain.split_first() else {
            return Ok(Err(Error::NoCertificatesPresented));
        };
        let verified = verifier.verify_client_cert(leaf, between, UnixTime::since_unix_epoch(now));
        Ok(verified.map(|_| ()))
    }
}

type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn shown(certificate: &Path, key: &Path) -> Result<Shown, TlsError> {
    let unreadable = |why| TlsError::Unreadable { path: key.to_owned(), why };
    Ok((certificates(certificate)?, PrivateKeyDer::from_pem_file(key).map_err(unreadable)?))
}

fn roots(ca: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(TlsError::Unusable)?;
    }
    Ok(roots)
}

fn trusting(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots))
}

/// A certificate that nobody vouches for.
fn stranger() -> Result<Shown, TargetError> {
    let made = rcgen::generate_simple_self_signed(vec!["stranger.invalid".to_owned()]);
    let made = made.map_err(|why| TargetError::NoClient(why.to_string()))?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}
