//! A simulated insurer as a service behind TLS, at an address that stays its own while it comes and goes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use yizhan_contract::payer::{
    Coverage, Manifest, Performed, QuoteAnswer, Status, Unavailable, VisitEventKind, Visited,
};
use yizhan_contract::protocol::{
    CommitRequest, CoverageRequest, QuoteRequest, ReverseRequest, Statement, StatusRequest, VisitRequest,
};
use yizhan_kit::Service;
use yizhan_kit::service::{Desk, Replied, TlsFiles, Verbs, listen, open};
use yizhan_kit::simulate::{Simulated, Simulator};

use super::bureau::{Bureau, Says};
use crate::authority::Authority;
use crate::away::policies;
use crate::installed::until;

/// Its file in the folder of adapters.
pub(super) const ATTESTATION: &str = "acme-attestation.json";

/// Its certificates and its book outlive it.
pub(super) struct Insurer {
    pub(super) authority: Authority,
    book: TempDir,
    pub(super) address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// What it says of itself from its next coming on, beside what a simulator says.
    pub(super) says: fn(&mut Manifest),
    /// All that it said when it came last.
    manifest: Manifest,
    /// From its next coming on it takes questions, and says nothing.
    pub(super) is_silent: bool,
    /// Whether it must see visits, from its next coming on, and what it saw of them. Such a one is not asked about cover.
    pub(super) sees_visits: bool,
    pub(super) visits: Arc<Mutex<Vec<VisitEventKind>>>,
    /// So many times it does not take in that a visit is called off.
    pub(super) calls_off_refused: Arc<AtomicUsize>,
    /// Who vouches for it.
    pub(super) bureau: Bureau,
}

impl Insurer {
    /// It goes by the gateway's own policies.
    pub(super) async fn open() -> Self {
        let (authority, book) = (Authority::new(), TempDir::new().unwrap());
        authority.own_file();
        authority.issued("localhost");
        authority.issued("gateway");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let (visits, bureau) = (Arc::default(), Bureau::open());
        let mut insurer = Self {
            authority,
            book,
            address,
            running: None,
            says: |_| {},
            manifest: Manifest::cautious("", "", Vec::new()),
            is_silent: false,
            sees_visits: false,
            visits,
            calls_off_refused: Arc::default(),
            bureau,
        };
        insurer.comes(Duration::ZERO).await;
        insurer
    }

    /// At the address it had before; each answer takes so long at least.
    pub(super) async fn comes(&mut self, takes: Duration) {
        let serves = vec!["supplementary".parse().unwrap()];
        let simulated = || Simulated {
            optional: false,
            sees_visits: self.sees_visits,
            takes,
            ..Simulated::new(policies(), serves.clone())
        };
        // As they were issued once: a certificate that changes is another folder to a gateway.
        let at = |name: &str| self.authority.written_at(name);
        let (certificate, key) = (at("localhost.pem"), at("localhost-key.pem"));
        let tls = Some(TlsFiles { certificate, key, client_ca: at("ca.pem") });
        let service = Service { listen: self.address, tls, book: self.book.path().join("insurer.book") };
        let (stop, stopped) = oneshot::channel();
        // A connection of the service before may have it a moment longer.
        let simulator =
            until("its book is free", async || Simulator::open(simulated(), &service.book).ok()).await;
        let (listener, tls) = listen(&service).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let manifest = simulator.manifest().clone();
        let coverage_valid_s = manifest.coverage_valid_s.filter(|_| !self.sees_visits);
        let mut manifest = Manifest { coverage_valid_s, ..manifest };
        (self.says)(&mut manifest);
        self.manifest = manifest.clone();
        let is_silent = self.is_silent;
        let (visits, calls_off_refused) = (Arc::clone(&self.visits), Arc::clone(&self.calls_off_refused));
        let running = tokio::spawn(async move {
            let until = async { drop(stopped.await) };
            let payer = Said { manifest, is_silent, simulator, visits, calls_off_refused };
            open(listener, tls, Arc::new(Desk::of(payer)), until).await;
        });
        self.running = Some((stop, running));
    }

    pub(super) async fn goes(&mut self) {
        let (stop, running) = self.running.take().unwrap();
        let _ = stop.send(());
        running.await.unwrap();
    }

    /// A file of the folder that leads to it, with further keys.
    pub(super) fn file(&self, keys: &str) -> String {
        let port = self.address.port();
        let at = |name: &str| self.authority.written_at(name).display().to_string();
        let [ca, certificate, key] = ["ca.pem", "gateway.pem", "gateway-key.pem"].map(at);
        format!(
            "name = \"acme\"\nurl = \"https://localhost:{port}\"\nca = \"{ca}\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n{keys}"
        )
    }

    /// Puts an attestation of it, as it came last, into the folder.
    pub(super) fn attests(&self, folder: &Path, says: &Says) {
        self.bureau.attests(&folder.join(ATTESTATION), &self.manifest, says);
    }

    /// With an attestation that holds, where none is named.
    pub(super) fn put(&self, folder: &Path, keys: &str) {
        let keys = match keys.contains("attestation") {
            true => keys.to_owned(),
            false => {
                self.attests(folder, &Says::default());
                format!("attestation = \"{ATTESTATION}\"\n{keys}")
            }
        };
        let keys = &keys;
        std::fs::write(folder.join("acme.toml"), self.file(keys)).unwrap();
    }
}

/// A simulator that says something else of itself.
struct Said {
    simulator: Simulator,
    manifest: Manifest,
    is_silent: bool,
    visits: Arc<Mutex<Vec<VisitEventKind>>>,
    calls_off_refused: Arc<AtomicUsize>,
}

impl Verbs for Said {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn coverage<'a>(&'a self, asked: &'a CoverageRequest, at: Timestamp) -> Replied<'a, Coverage> {
        if self.is_silent {
            return Box::pin(std::future::pending());
        }
        self.simulator.coverage(asked, at)
    }

    fn visit<'a>(&'a self, asked: &'a VisitRequest, at: Timestamp) -> Replied<'a, Visited> {
        self.visits.lock().unwrap().push(asked.event.kind);
        let one_less = |left: usize| left.checked_sub(1);
        if asked.event.kind == VisitEventKind::Cancelled
            && self.calls_off_refused.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
        {
            let why = Unavailable { why: "日终 | end of day".to_owned(), retry_after: None };
            return Box::pin(std::future::ready(Ok(Visited::Unavailable(why))));
        }
        self.simulator.visit(asked, at)
    }

    fn quote<'a>(&'a self, asked: &'a QuoteRequest, at: Timestamp) -> Replied<'a, QuoteAnswer> {
        if self.is_silent {
            return Box::pin(std::future::pending());
        }
        self.simulator.quote(asked, at)
    }

    fn commit<'a>(&'a self, asked: &'a CommitRequest, at: Timestamp) -> Replied<'a, Performed> {
        self.simulator.commit(asked, at)
    }

    fn reverse<'a>(&'a self, asked: &'a ReverseRequest, at: Timestamp) -> Replied<'a, Performed> {
        self.simulator.reverse(asked, at)
    }

    fn status<'a>(&'a self, asked: &'a StatusRequest, at: Timestamp) -> Replied<'a, Status> {
        self.simulator.status(asked, at)
    }

    fn statement<'a>(&'a self, day: Date, after: Option<&'a str>, at: Timestamp) -> Replied<'a, Statement> {
        self.simulator.statement(day, after, at)
    }
}
