//! A certificate authority of a test's own: for servers, and for clients that must show who they are.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use yizhan::config::Tls;

/// A certificate authority, and the files it made.
pub(crate) struct Authority {
    folder: TempDir,
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Under the name of what it signs, OpenSSL would take that for signed by itself.
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        Self { folder: TempDir::new().unwrap(), params, key: KeyPair::generate().unwrap() }
    }

    fn own(&self) -> CertificateDer<'static> {
        self.params.self_signed(&self.key).unwrap().der().clone()
    }

    fn signed(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        (certificate, key)
    }

    pub(crate) fn written_at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn written(&self, name: &str, text: &str) -> PathBuf {
        let path = self.written_at(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Its own certificate, for whoever is to trust it.
    pub(crate) fn own_file(&self) -> PathBuf {
        self.written("ca.pem", &self.params.self_signed(&self.key).unwrap().pem())
    }

    /// Certificate and key for `name`, written as `<name>.pem` and `<name>-key.pem`.
    pub(crate) fn issued(&self, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.signed(name);
        let certificate = self.written(&format!("{name}.pem"), &certificate.pem());
        (certificate, self.written(&format!("{name}-key.pem"), &key.serialize_pem()))
    }

    /// As the configuration names its files.
    pub(crate) fn configured(&self, asks_clients: bool) -> Tls {
        let (certificate, key) = self.signed("localhost");
        let client_ca = asks_clients.then(|| self.own_file());
        Tls {
            certificate: self.written("server.pem", &certificate.pem()),
            key: self.written("server.key", &key.serialize_pem()),
            client_ca,
        }
    }

    /// A client of this authority's servers that offers `protocols` (ALPN).
    pub(crate) fn client(&self, shows_certificate: bool, protocols: &[&[u8]]) -> TlsConnector {
        self.connector(shows_certificate.then_some(self), protocols)
    }

    /// A client whose certificate another authority signed.
    pub(crate) fn client_signed_by(&self, other: &Self) -> TlsConnector {
        self.connector(Some(other), &[])
    }

    fn connector(&self, signed_by: Option<&Self>, protocols: &[&[u8]]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.own()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match signed_by {
            Some(authority) => {
                let (certificate, key) = authority.signed("hospital");
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}
