//! Certificates into TLS configurations, the same for every listener and for whoever is called by this gateway.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::Deserialize;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// What an HTTP listener offers in the handshake; the listener for MLLP offers nothing.
pub const HTTP_PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// What the operator says of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM, the server's own certificate first.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Where set, clients must show a certificate that this CA signed.
    pub client_ca: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(
        "tls：无法读取 {path}（{why}），须为 PEM 文件 | tls: cannot read {path}: {why}; it must be a PEM file"
    )]
    Unreadable { path: PathBuf, why: pem::Error },
    #[error("tls：{path} 中没有证书，请核对该文件 | tls: {path} holds no certificate; check the file")]
    Empty { path: PathBuf },
    #[error(
        "tls：证书与私钥不匹配或不可用（{0}），请核对 certificate 与 key | tls: certificate and key do not fit together, or are not usable: {0}; check certificate and key"
    )]
    Unusable(#[from] rustls::Error),
    #[error("tls：client_ca {path} 不可用（{why}）| tls: client_ca {path} is not usable: {why}")]
    ClientCa { path: PathBuf, why: String },
}

/// Names ring as the provider for clients that take the process's own; whoever was first stays.
pub fn install_provider() {
    let _ = ring::default_provider().install_default();
}

/// TLS 1.2 and 1.3; where `client_ca` is set, a client without its certificate gets no connection.
///
/// # Errors
/// Where a file cannot be read, or certificate and key do not fit together.
pub fn server_config(tls: &Tls, protocols: &[&[u8]]) -> Result<ServerConfig, TlsError> {
    let certificates = certificates(&tls.certificate)?;
    let key = key_of(&tls.key)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let builder = match &tls.client_ca {
        Some(path) => builder.with_client_cert_verifier(client_verifier(path)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(certificates, key)?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

/// Trusts the authorities that the system trusts.
///
/// # Errors
/// Where the provider knows no version of TLS that is safe.
pub fn client_config() -> Result<ClientConfig, TlsError> {
    ClientTls::read(None, None)?.config()
}

/// By whom a client of ours knows a server, and what it shows of itself.
#[derive(Debug)]
pub struct ClientTls {
    authorities: Vec<CertificateDer<'static>>,
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    /// Its own certificate first.
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The same key; ureq takes one from a file alone.
    for_ureq: PrivateKey<'static>,
}

impl ClientTls {
    /// PEM files: of the authority (absent: those that the system trusts), of the client's certificate and of its key.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn read(ca: Option<&Path>, own: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let authorities = match ca {
            Some(path) => certificates(path)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let own = own.map(|(certificate, key)| Own::read(certificate, key));
        Ok(Self { authorities, own: own.transpose()? })
    }

    /// # Errors
    /// Where certificate and key do not fit together.
    pub fn config(&self) -> Result<ClientConfig, TlsError> {
        let mut roots = RootCertStore::empty();
        // One broken certificate among the system's many is no reason to trust none.
        roots.add_parsable_certificates(self.authorities.iter().cloned());
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        Ok(match &self.own {
            Some(Own { chain, key, .. }) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
            None => builder.with_no_client_auth(),
        })
    }

    /// The same for a client of HTTP that waits.
    pub fn for_ureq(&self) -> TlsConfig {
        let all = |certificates: &[CertificateDer<'_>]| -> Vec<_> {
            certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
        };
        let own = |own: &Own| ClientCert::new_with_certs(&all(&own.chain), own.for_ureq.to_owned());
        TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&all(&self.authorities)))
            .client_cert(self.own.as_ref().map(own))
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build()
    }
}

impl Own {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let unreadable = |why| TlsError::Unreadable { path: key.to_owned(), why: pem::Error::Io(why) };
        let for_ureq = PrivateKey::from_pem(&std::fs::read(key).map_err(unreadable)?);
        let for_ureq = for_ureq.map_err(|why| rustls::Error::General(why.to_string()))?;
        Ok(Self { chain: certificates(certificate)?, key: key_of(key)?, for_ureq })
    }
}

fn key_of(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|why| TlsError::Unreadable { path: path.to_owned(), why })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |why| TlsError::Unreadable { path: path.to_owned(), why };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect();
    let found = found.map_err(unreadable)?;
    if found.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned() });
    }
    Ok(found)
}

fn client_verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |why: String| TlsError::ClientCa { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|why| unusable(why.to_string()))?;
    }
    let provider = Arc::new(ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|why| unusable(why.to_string()))
}
