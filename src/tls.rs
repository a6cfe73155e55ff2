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
    #[error(
        "tls：{path} 中没有证书，请核对 tls.certificate | tls: {path} holds no certificate; check tls.certificate"
    )]
    Empty { path: PathBuf },
    #[error(
        "tls：证书与私钥不匹配或不可用（{0}），请核对 tls.certificate 与 tls.key | tls: certificate and key do not fit together, or are not usable: {0}; check tls.certificate and tls.key"
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
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|why| TlsError::Unreadable { path: tls.key.clone(), why })?;
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
    let mut roots = RootCertStore::empty();
    // One broken certificate among the system's many is no reason to trust none.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
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
