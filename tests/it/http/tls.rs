//! The interface over TLS, as the configuration's files make it.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use yizhan::config::Tls;
use yizhan::tls;

use super::client::Ask;
use super::served::Setting;

/// A certificate authority, and the files it made.
struct Authority {
    folder: TempDir,
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
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

    fn written(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn configured(&self, asks_clients: bool) -> Tls {
        let (certificate, key) = self.signed("localhost");
        let client_ca =
            asks_clients.then(|| self.written("ca.pem", &self.params.self_signed(&self.key).unwrap().pem()));
        Tls {
            certificate: self.written("server.pem", &certificate.pem()),
            key: self.written("server.key", &key.serialize_pem()),
            client_ca,
        }
    }

    fn client(&self, shows_certificate: bool) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.own()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = if shows_certificate {
            let (certificate, key) = self.signed("hospital");
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        TlsConnector::from(Arc::new(config))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_the_same_is_said_and_nothing_in_clear() {
    let authority = Authority::new();
    let config = tls::server_config(&authority.configured(false), tls::HTTP_PROTOCOLS).unwrap();
    assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    let served = Setting { tls: Some(config), ..Setting::default() }.serve().await;
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = authority.client(false).connect(name, stream).await.unwrap();
    let reply = Ask::get("/healthz").over(stream).await;
    assert_eq!((reply.status, reply.header("strict-transport-security")), (200, "max-age=31536000"));

    let mut plain = TcpStream::connect(served.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, &Ask::get("/healthz").bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.windows(4).any(|bytes| bytes == b"HTTP"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_client_authority_is_named_a_client_shows_its_certificate() {
    let authority = Authority::new();
    let config = tls::server_config(&authority.configured(true), tls::HTTP_PROTOCOLS).unwrap();
    let served = Setting { tls: Some(config), ..Setting::default() }.serve().await;
    let connected = async |shows_certificate| {
        let stream = TcpStream::connect(served.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = authority.client(shows_certificate).connect(name, stream).await?;
        // TLS 1.3 tells a client that it was refused after its side of the handshake.
        tokio::io::AsyncWriteExt::write_all(&mut stream, &Ask::get("/healthz").bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map(|_| answer)
    };
    assert!(connected(true).await.unwrap().starts_with(b"HTTP/1.1 200"));
    assert!(connected(false).await.is_err());
}

#[test]
fn what_cannot_be_used_is_said_with_its_file() {
    let authority = Authority::new();
    let good = authority.configured(true);
    let said = |tls: &Tls| tls::server_config(tls, &[]).unwrap_err().to_string();
    assert!(tls::server_config(&good, &[]).unwrap().alpn_protocols.is_empty());
    let missing = Tls { certificate: PathBuf::from("nowhere.pem"), ..good.clone() };
    assert!(said(&missing).contains("nowhere.pem"));
    let empty = Tls { certificate: authority.written("empty.pem", ""), ..good.clone() };
    assert!(said(&empty).contains("empty.pem holds no certificate"));
    let other = KeyPair::generate().unwrap().serialize_pem();
    let misfit = Tls { key: authority.written("other.key", &other), ..good };
    assert!(said(&misfit).contains("do not fit together"));
}
