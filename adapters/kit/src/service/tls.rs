//! Certificates of a service: its own, and those of whoever may call it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// PEM files of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Its own certificate, with the chain that leads to its CA.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whoever calls shows a certificate of this CA, or gets no connection.
    pub client_ca: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("无法读取 {path}（{why}），须为 PEM 文件 | cannot read {path}: {why}; it must be a PEM file")]
    Unreadable { path: PathBuf, why: pem::Error },
    #[error("{path} 中没有证书 | {path} holds no certificate")]
    Empty { path: PathBuf },
    #[error(
        "证书与私钥不匹配或不可用（{0}）| certificate and key do not fit together, or are not usable: {0}"
    )]
    Unusable(#[from] rustls::Error),
    #[error("client_ca {path} 不可用（{why}）| client_ca {path} is not usable: {why}")]
    ClientCa { path: PathBuf, why: String },
}

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1; a client without a certificate of the CA gets no connection.
///
/// # Errors
/// Where a file cannot be read, or certificate and key do not fit together.
pub fn server_config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|why| TlsError::Unreadable { path: files.key.clone(), why })?;
    let unusable = |why: String| TlsError::ClientCa { path: files.client_ca.clone(), why };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.client_ca)? {
        roots.add(certificate).map_err(|why| unusable(why.to_string()))?;
    }
    let callers = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let callers = callers.build().map_err(|why| unusable(why.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(callers)
        .with_single_cert(certificates(&files.certificate)?, key)?;
    config.alpn_protocols = [b"h2".as_slice(), b"http/1.1"].map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// The certificates of a PEM file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |why| TlsError::Unreadable { path: path.to_owned(), why };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect();
    let found = found.map_err(unreadable)?;
    if found.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned() });
    }
    Ok(found)
}
