//! Faults of connections: what stands between the network and an adapter that is right otherwise.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use yizhan_kit::service::{Handler, open, server_config};

use super::faults::Fault;
use super::memory::Memory;
use crate::certificates::certificates;

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

pub(crate) async fn serve(
    listener: TcpListener,
    handler: Arc<dyn Handler>,
    fault: Fault,
    memory: Arc<Memory>,
) {
    match fault {
        Fault::LetsAnybodyIn | Fault::BelievesAnyAuthority | Fault::TakesTheExpired | Fault::PinsTheLeaf => {
            let tls = Arc::new(careless(fault));
            open(listener, Some(tls), handler, std::future::pending()).await;
        }
        fault => Front::of(handler, fault, memory).await.accept(listener).await,
    }
}

/// A service that asks nobody for a certificate, takes any, does not know what day it is, or knows one certificate by heart.
fn careless(fault: Fault) -> ServerConfig {
    let files = certificates().of_service();
    let read = |path: &Path| CertificateDer::from_pem_file(path).unwrap();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(read(&files.client_ca)).unwrap();
    let callers = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let careful = callers.build().unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = match fault {
        Fault::LetsAnybodyIn => builder.with_no_client_auth(),
        _ => builder.with_client_cert_verifier(Arc::new(Careless { careful, fault })),
    };
    let mut config = builder.with_single_cert(vec![read(&files.certificate)], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// When its clock stopped: before anything expired.
const STOPPED_AT: Duration = Duration::from_secs(1_560_000_000);

/// Wants a certificate, and does not care whose, or how old it is.
#[derive(Debug)]
struct Careless {
    careful: Arc<dyn ClientCertVerifier>,
    fault: Fault,
}

impl ClientCertVerifier for Careless {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match self.fault {
            Fault::BelievesAnyAuthority => Ok(ClientCertVerified::assertion()),
            Fault::PinsTheLeaf => {
                let known = CertificateDer::from_pem_file(certificates().path("caller.pem")).unwrap();
                if *shown != known {
                    return Err(CertificateError::ApplicationVerificationFailure.into());
                }
                self.careful.verify_client_cert(shown, between, now)
            }
            _ => {
                let at = UnixTime::since_unix_epoch(STOPPED_AT);
                self.careful.verify_client_cert(shown, between, at)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.careful.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.careful.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.careful.supported_verify_schemes()
    }
}

/// Takes TLS off, looks at the requests, and hands them on to the adapter behind it.
#[derive(Clone)]
struct Front {
    fault: Fault,
    memory: Arc<Memory>,
    tls: TlsAcceptor,
    behind: std::net::SocketAddr,
    /// Connections that said half a request and no more.
    halves: watch::Sender<usize>,
    dead: watch::Sender<bool>,
}

impl Front {
    async fn of(handler: Arc<dyn Handler>, fault: Fault, memory: Arc<Memory>) -> Self {
        let mut config = server_config(&certificates().of_service()).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let behind = listener.local_addr().unwrap();
        tokio::spawn(open(listener, None, handler, std::future::pending()));
        let (halves, dead) = (watch::Sender::new(0), watch::Sender::new(false));
        Self { fault, memory, tls: TlsAcceptor::from(Arc::new(config)), behind, halves, dead }
    }

    async fn accept(self, listener: TcpListener) {
        let mut dying = self.dead.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = dying.wait_for(|dead| *dead) => return,
            };
            let (stream, _) = accepted.unwrap();
            let (front, mut dying) = (self.clone(), self.dead.subscribe());
            tokio::spawn(async move {
                tokio::select! {
                    () = front.take(stream) => {}
                    _ = dying.wait_for(|dead| *dead) => {}
                }
            });
        }
    }

    async fn take(&self, stream: TcpStream) {
        let mut first = [0];
        if !matches!(stream.peek(&mut first).await, Ok(1)) {
            return;
        }
        if first != [HANDSHAKE] {
            return match self.fault {
                Fault::SpeaksPlainText => self.hand_on(stream).await,
                Fault::DiesOfNonsense => drop(self.dead.send_replace(true)),
                _ => {}
            };
        }
        if self.fault == Fault::IsHeldUpByTheSlow {
            let _ = self.halves.subscribe().wait_for(|halves| *halves == 0).await;
        }
        if let Ok(stream) = self.tls.accept(stream).await {
            self.hand_on(stream).await;
        }
    }

    /// Bytes both ways, with an eye on whether requests are whole.
    async fn hand_on(&self, stream: impl AsyncRead + AsyncWrite) {
        let (mut from_client, mut to_client) = tokio::io::split(stream);
        let (mut from_behind, mut to_behind) = TcpStream::connect(self.behind).await.unwrap().into_split();
        let there = async {
            let (mut requests, mut bytes) = (Requests::default(), vec![0; 16 * 1024]);
            loop {
                let read = from_client.read(&mut bytes).await;
                if read.as_ref().is_err_and(|why| why.kind() == ErrorKind::ConnectionReset) {
                    // Whoever goes with the answer unread resets the connection.
                    self.memory.of().left.extend(requests.operation.take());
                }
                let read = read.unwrap_or(0);
                if read == 0 {
                    break;
                }
                let was_half = requests.is_half();
                requests.saw(&bytes[..read]);
                if self.fault == Fault::StatusHidesWhatWasLeft && requests.is_by_hand {
                    self.memory.of().left.extend(requests.operation.take());
                }
                self.count(was_half, requests.is_half());
                if to_behind.write_all(&bytes[..read]).await.is_err() {
                    break;
                }
            }
            self.count(requests.is_half(), false);
            if self.fault == Fault::CompletesHalfRequests {
                let _ = to_behind.write_all(&vec![b' '; requests.missing]).await;
                // What was begun is finished, though nobody hears of it.
                let () = std::future::pending().await;
            }
        };
        let back = async {
            let mut bytes = vec![0; 16 * 1024];
            while let Ok(read @ 1..) = from_behind.read(&mut bytes).await {
                let said = &mut bytes[..read];
                if self.fault == Fault::FailsOnTheEndless && said.starts_with(b"HTTP/1.1 413") {
                    said[9..12].copy_from_slice(b"500");
                }
                if to_client.write_all(said).await.is_err() {
                    break;
                }
            }
            let _ = to_client.shutdown().await;
        };
        tokio::select! {
            () = there => {}
            () = back => {}
        }
    }

    fn count(&self, was_half: bool, is_half: bool) {
        match (was_half, is_half) {
            (false, true) => self.halves.send_modify(|halves| *halves += 1),
            (true, false) => self.halves.send_modify(|halves| *halves -= 1),
            _ => {}
        }
    }
}

/// How far the requests on a connection have come.
#[derive(Default)]
struct Requests {
    head: Vec<u8>,
    /// Bytes of the body that are still to come.
    missing: usize,
    body: Vec<u8>,
    /// Of the last request that was whole and named one.
    operation: Option<String>,
    /// Only connections by hand, which are cut, do not say what they accept.
    is_by_hand: bool,
}

impl Requests {
    fn saw(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let of_body = self.missing.min(bytes.len());
            self.missing -= of_body;
            self.body.extend_from_slice(&bytes[..of_body]);
            if 0 < of_body && self.missing == 0 {
                let body =
                    serde_json::from_slice::<Value>(&std::mem::take(&mut self.body)).unwrap_or_default();
                self.operation = body["operation_id"].as_str().map(str::to_owned);
            }
            bytes = &bytes[of_body..];
            let Some((first, rest)) = bytes.split_first() else { return };
            self.head.push(*first);
            bytes = rest;
            if self.head.ends_with(b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&std::mem::take(&mut self.head)).to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                self.is_by_hand = !head.contains("\r\naccept:");
                self.missing = length.map_or(0, |length| length.trim().parse().unwrap());
            }
        }
    }

    fn is_half(&self) -> bool {
        0 < self.missing || !self.head.is_empty()
    }
}
