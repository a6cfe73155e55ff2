//! Simulated payers behind TLS, in this process, and what each request took them: from its last byte to their answer.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use yizhan::runtime::steady;
use yizhan_contract::payer::Manifest;
use yizhan_kit::Service;
use yizhan_kit::service::{Asked, Desk, Handler, Reply, TlsFiles, listen, open};
use yizhan_kit::simulate::{Simulated, Simulator};
use yizhan_rules::PolicyShelf;

/// What one stay took its payers, in µs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Took {
    pub(crate) quotes_us: i64,
    pub(crate) quotes: usize,
    pub(crate) slowest_commit_us: i64,
    pub(crate) commits: usize,
}

/// By stay; and the stays by whose they are.
#[derive(Default)]
struct Notes {
    took: HashMap<String, Took>,
    stays: HashMap<String, String>,
}

pub(crate) struct Insurers {
    pub(crate) runtime: tokio::runtime::Runtime,
    folder: TempDir,
    notes: Arc<Mutex<Notes>>,
}

impl Insurers {
    /// With certificates for all, and none of them there yet.
    pub(crate) fn new(folder: TempDir) -> Self {
        issue(folder.path());
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        Self { runtime, folder, notes: Arc::default() }
    }

    pub(crate) fn certificates(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One that goes by the gateway's own policies, without which nothing is settled; each answer takes so long at least.
    pub(crate) fn begin(&self, payer: &str, takes: Duration) -> (SocketAddr, Manifest) {
        let by_default = Simulated::by_default(vec![payer.parse().unwrap()]).unwrap();
        let policies = PolicyShelf::shipped().unwrap();
        let simulated = Simulated { policies, optional: false, takes, ..by_default };
        let (certificate, key) = (self.file("localhost.pem"), self.file("localhost-key.pem"));
        let tls = Some(TlsFiles { certificate, key, client_ca: self.file("ca.pem") });
        let book = self.file(&format!("{payer}.book"));
        let service = Service { listen: SocketAddr::from(([127, 0, 0, 1], 0)), tls, book };
        let manifest = simulated.manifest();
        let inner = Arc::new(Desk::of(Simulator::open(simulated, &service.book).unwrap()));
        let timed = Arc::new(Timed { inner, notes: Arc::clone(&self.notes) });
        self.runtime.block_on(async {
            let (listener, tls) = listen(&service).await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(open(listener, tls, timed, std::future::pending()));
            (address, manifest)
        })
    }

    /// What the stay of the person with this number took them.
    pub(crate) fn took(&self, id_number: &str) -> Took {
        let notes = self.notes.lock().unwrap();
        notes.stays.get(id_number).and_then(|stay| notes.took.get(stay)).copied().unwrap_or_default()
    }

    pub(crate) fn commits(&self) -> usize {
        self.notes.lock().unwrap().took.values().map(|took| took.commits).sum()
    }
}

struct Timed {
    inner: Arc<dyn Handler>,
    notes: Arc<Mutex<Notes>>,
}

impl Handler for Timed {
    fn handle(self: Arc<Self>, asked: Asked) -> Pin<Box<dyn Future<Output = Option<Reply>> + Send>> {
        Box::pin(async move {
            let (path, body) = (asked.path.clone(), asked.body.clone());
            let began = steady();
            let reply = Arc::clone(&self.inner).handle(asked).await;
            let us = i64::try_from(steady().duration_since(began).as_micros()).unwrap();
            let request = serde_json::from_slice::<Value>(&body).unwrap_or_default();
            self.notes.lock().unwrap().note(&path, &request, us);
            reply
        })
    }
}

impl Notes {
    fn note(&mut self, path: &str, request: &Value, us: i64) {
        match path {
            "/v1/quote" => {
                let Some(stay) = request["ask"]["stay"].as_str() else { return };
                if let Some(number) = request["ask"]["person"]["id_number"].as_str() {
                    self.stays.insert(number.to_owned(), stay.to_owned());
                }
                let took = self.took.entry(stay.to_owned()).or_default();
                took.quotes_us += us;
                took.quotes += 1;
            }
            "/v1/commit" => {
                let Some(stay) = request["stay"].as_str() else { return };
                let took = self.took.entry(stay.to_owned()).or_default();
                took.slowest_commit_us = took.slowest_commit_us.max(us);
                took.commits += 1;
            }
            _ => {}
        }
    }
}

/// An authority, and what it says of the payers and of the gateway.
fn issue(folder: &Path) {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write("ca.pem", authority.self_signed(&authority_key).unwrap().pem());
    let issuer = Issuer::from_params(&authority, &authority_key);
    for name in ["localhost", "gateway"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        write(&format!("{name}.pem"), params.signed_by(&key, &issuer).unwrap().pem());
        write(&format!("{name}-key.pem"), key.serialize_pem());
    }
}
