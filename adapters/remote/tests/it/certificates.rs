//! Certificates of a test: a CA, a payer on this machine, a gateway, and some that are not to be believed.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use yizhan_remote::TlsFiles;

/// What a payer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    Itself,
    /// A certificate of the right CA for another name.
    AnotherName,
    /// A certificate of a CA nobody configured.
    AnotherCa,
    Expired,
}

/// Files of both sides in a folder of their own.
pub(crate) struct Certificates {
    pub(crate) folder: TempDir,
}

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, folder: &Path, file: &str, name: &str, is_expired: bool) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if is_expired {
            (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
        }
        let certificate = params.signed_by(&key, &self.0).unwrap();
        std::fs::write(folder.join(format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{file}-key.pem")), key.serialize_pem()).unwrap();
    }
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ca, other) = (Ca::new("yizhan test CA"), Ca::new("somebody else's CA"));
        std::fs::write(folder.path().join("ca.pem"), ca.0.pem()).unwrap();
        ca.issue(folder.path(), "payer", "localhost", false);
        ca.issue(folder.path(), "another-name", "payer.example", false);
        ca.issue(folder.path(), "expired", "localhost", true);
        ca.issue(folder.path(), "gateway", "gateway.example", false);
        other.issue(folder.path(), "another-ca", "localhost", false);
        Self { folder }
    }

    /// What the gateway is configured with.
    pub(crate) fn client(&self, has_certificate: bool) -> TlsFiles {
        let file = |name: &str| has_certificate.then(|| name.into());
        let files =
            TlsFiles { ca: "ca.pem".into(), certificate: file("gateway.pem"), key: file("gateway-key.pem") };
        files.relative_to(self.folder.path())
    }

    /// A payer's side, which wants to see a gateway's certificate or does not.
    pub(crate) fn server(&self, shows: Shows, protocols: &[&[u8]], wants_certificate: bool) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let file = match shows {
            Shows::Itself => "payer",
            Shows::AnotherName => "another-name",
            Shows::AnotherCa => "another-ca",
            Shows::Expired => "expired",
        };
        let path = |name: String| self.folder.path().join(name);
        let chain = vec![CertificateDer::from_pem_file(path(format!("{file}.pem"))).unwrap()];
        let key = PrivateKeyDer::from_pem_file(path(format!("{file}-key.pem"))).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if wants_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(path("ca.pem".to_owned())).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}
