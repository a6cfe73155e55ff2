//! Whether a certificate would be taken by whoever trusts the authority, asked of the library that will decide it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;

use super::{Side, Wanted};

/// Key, signature, days, use and every name.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(
    authority: &Path,
    wanted: &Wanted,
    (certificate, key): (&[u8], &[u8]),
    now: Timestamp,
) -> Result<(), String> {
    let said = |why: &dyn std::fmt::Display| why.to_string();
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    let own = CertificateDer::from_pem_file(authority).map_err(|why| said(&why))?;
    roots.add(own).map_err(|why| said(&why))?;
    let roots = Arc::new(roots);
    let leaf = CertificateDer::from_pem_slice(certificate).map_err(|why| said(&why))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|why| said(&why))?;
    CertifiedKey::from_der(vec![leaf.clone()], key, &provider).map_err(|why| said(&why))?;
    let since = Duration::from_secs(now.as_second().unsigned_abs());
    let at = UnixTime::since_unix_epoch(since);
    match wanted.side {
        Side::Client => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|why| said(&why))?;
            verifier.verify_client_cert(&leaf, &[], at).map_err(|why| said(&why))?;
        }
        Side::Server => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|why| said(&why))?;
            for host in &wanted.hosts {
                let name = ServerName::try_from(host.as_str()).map_err(|why| said(&why))?;
                verifier.verify_server_cert(&leaf, &[], &name, &[], at).map_err(|why| said(&why))?;
            }
        }
    }
    Ok(())
}
