//! TLS to the server: encrypted, and the server's certificate checked.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;
use yizhan_contract::Text;

use super::super::StoreError;

/// Trusts the authorities of `root_certificates` (PEM), or those the system trusts.
pub(super) fn connector(root_certificates: Option<&Path>) -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    match root_certificates {
        Some(file) => {
            let unusable = |why: &Text| {
                StoreError::unavailable(
                    format!("sslrootcert {} 无法使用：{}", file.display(), why.zh),
                    format!("sslrootcert {} cannot be used: {}", file.display(), why.en),
                )
            };
            let no_pem = |why| unusable(&StoreError::said_by("PEM", &why));
            for certificate in CertificateDer::pem_file_iter(file).map_err(no_pem)? {
                let added = roots.add(certificate.map_err(no_pem)?);
                added.map_err(|why| unusable(&StoreError::said_by("TLS", &why)))?;
            }
            if roots.is_empty() {
                return Err(unusable(&Text::new("其中没有证书", "it holds no certificate")));
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
