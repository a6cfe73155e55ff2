//! A quote through the adapter against a bare call of the HTTP client: the same bytes, to the same server, in one run.
//!
//! Goal: at most twice as long.

#![expect(clippy::unwrap_used, reason = "a bench that cannot begin has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use yizhan_contract::claim::ClaimLine;
use yizhan_contract::payer::{Ask, Manifest, Payer, QuoteAnswer};
use yizhan_contract::protocol::QuoteRequest;
use yizhan_contract::revealing;
use yizhan_remote::{Connection, Host, Journal, Remote, Target, TlsFiles};

const DEADLINE_S: i64 = 5;

struct BenchHost {
    begun: Instant,
    from: Timestamp,
}

impl Host for BenchHost {
    fn now(&self) -> Timestamp {
        self.from.saturating_add(SignedDuration::try_from(self.steady()).unwrap()).unwrap()
    }

    fn steady(&self) -> Duration {
        self.begun.elapsed()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// The protocol's page, where the messages come from.
fn page() -> Value {
    serde_json::from_str(include_str!("../../../schemas/adapter.openapi.json")).unwrap()
}

/// The page's question, with so many charge lines.
fn ask(lines: usize) -> Ask {
    let examples =
        &page()["paths"]["/v1/quote"]["post"]["requestBody"]["content"]["application/json"]["examples"];
    let mut ask: Ask = serde_json::from_value(examples["request"]["value"]["ask"].clone()).unwrap();
    let line = json!({
        "id": "1", "code": "XM0001", "category": "surgery", "class": "A", "amount": "4000.00",
        "self_funded": "0.00", "over_limit": "0.00", "upfront_copay": "0.00", "in_scope": "4000.00",
    });
    let line: ClaimLine = serde_json::from_value(line).unwrap();
    ask.claim.lines = vec![line; lines];
    ask
}

fn manifest() -> Manifest {
    let manifest = Manifest::cautious("bench", "1", vec!["supplementary".parse().unwrap()]);
    Manifest { concurrency_max: 64, ..manifest }
}

struct Server {
    folder: TempDir,
    port: u16,
}

/// Answers every request with the page's quote, over HTTP/2 and TLS.
async fn server() -> Server {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
    let own = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], own)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let examples =
        &page()["paths"]["/v1/quote"]["post"]["responses"]["200"]["content"]["application/json"]["examples"];
    let mut answer = examples["quote"]["value"].clone();
    answer["valid_until"] = json!("9999-12-01T00:00:00Z");
    let answer = bytes::Bytes::from(answer.to_string());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                stream.set_nodelay(true).unwrap();
                let stream = acceptor.accept(stream).await.unwrap();
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let answer = answer.clone();
                    tokio::spawn(async move {
                        let mut body = request.into_body();
                        while let Some(Ok(chunk)) = body.data().await {
                            let _ = body.flow_control().release_capacity(chunk.len());
                        }
                        let head = http::Response::builder().header("content-type", "application/json");
                        let mut sending = respond.send_response(head.body(()).unwrap(), false).unwrap();
                        sending.send_data(answer, true).unwrap();
                    });
                }
            });
        }
    });
    Server { folder, port }
}

/// The client library as it comes, over TLS that believes the same certificate.
fn bare(server: &Server) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(server.folder.path().join("ca.pem")).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Client::builder().no_proxy().tls_backend_preconfigured(config).build().unwrap()
}

fn remote(server: &Server, host: &Arc<BenchHost>) -> Remote {
    let (journal, mut records) = Journal::new(&**host);
    tokio::spawn(async move { while records.recv().await.is_some() {} });
    let tls = TlsFiles { ca: server.folder.path().join("ca.pem"), certificate: None, key: None };
    let base_url = format!("https://localhost:{}", server.port);
    let target = Target { adapter: "bench".into(), base_url, tls: Some(tls) };
    let connection = Connection { target, host: Arc::clone(host) as Arc<dyn Host>, journal };
    Remote::new(&connection, manifest()).unwrap()
}

fn calls(criterion: &mut Criterion) {
    // The server beside the client, each on a thread of its own: neither works in the other's time.
    let beside = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = beside.block_on(server());
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let from = "2020-07-02T02:15:00Z".parse().unwrap();
    let host = Arc::new(BenchHost { begun: Instant::now(), from });
    let (bare, remote) = (bare(&server), remote(&server, &host));
    let url = format!("https://localhost:{}/v1/quote", server.port);
    let deadline = || host.now().saturating_add(SignedDuration::from_secs(DEADLINE_S)).unwrap();
    let mut group = criterion.benchmark_group("remote_call");
    for lines in [0, 60] {
        let ask = ask(lines);
        let head = yizhan_contract::protocol::Head::until(deadline());
        let request = revealing(|| serde_json::to_vec(&QuoteRequest { head, ask: ask.clone() })).unwrap();
        group.bench_function(BenchmarkId::new("bare", lines), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    let request =
                        bare.post(&url).header(CONTENT_TYPE, "application/json").body(request.clone());
                    black_box(request.send().await.unwrap().bytes().await.unwrap())
                })
            });
        });
        group.bench_function(BenchmarkId::new("remote", lines), |bencher| {
            bencher.iter(|| {
                let answer = runtime.block_on(remote.quote(&ask, deadline()));
                assert!(matches!(answer, QuoteAnswer::Quote(_)), "{answer:?}");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
