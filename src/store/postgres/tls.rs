//! TLS to the server: encrypted, and the server's certificate checked.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::StoreError;

/// Trusts the authorities of `root_certificates` (PEM), or those the system trusts.
pub(super) fn connector(root_certificates: Option<&Path>) -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    match root_certificates {
        Some(file) => {
            let unusable = |why: &dyn std::fmt::Display| {
                StoreError::unavailable(
                    format!("sslrootcert {} 无法使用：{why}", file.display()),
                    format!("sslrootcert {} cannot be used: {why}", file.display()),
                )
            };
            for certificate in CertificateDer::pem_file_iter(file).map_err(|why| unusable(&why))? {
                let certificate = certificate.map_err(|why| unusable(&why))?;
                roots.add(certificate).map_err(|why| unusable(&why))?;
            }
            if roots.is_empty() {
                return Err(unusable(&"holds no certificate"));
            }
        }
        // One broken certificate among the system's many is no reason to trust none.
        None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| StoreError::Defect(why.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
