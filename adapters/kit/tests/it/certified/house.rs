//! Where an adapter under test lives: a runtime of its own that can be ended at any moment, on a port that stays.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use yizhan_contract::protocol::STATEMENT_LINES_MAX;
use yizhan_kit::certify::{Restart, Restarting, Said, Target};
use yizhan_kit::service::{Asked, Desk, Handler, Problem, ProblemKind, Reply, open, server_config};
use yizhan_kit::simulate::{Simulated, Simulator};

use super::cheaper::Cheaper;
use super::faults::Fault;
use super::faulty::{Faulty, Sent};
use super::front;
use super::memory::Memory;
use super::twisted::Twisted;
use crate::certificates::certificates;

/// For everything of an ended adapter to be gone.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// For a quote to be committed, and a commit to be reversed, that the kit waits for the end of.
pub(super) const SHORT: SignedDuration = SignedDuration::from_secs(4);

/// Of a statement that has more pages than one before long.
const PAGE_LINES: usize = 50;

fn simulated() -> Simulated {
    Simulated::by_default(vec!["supplementary".parse().unwrap()]).unwrap()
}

fn simulator(book: &Path, fault: Option<Fault>) -> Simulator {
    let sees_visits = fault.is_some_and(Fault::is_of_visits);
    let page_lines_max = if fault.is_some_and(Fault::is_of_pages) { STATEMENT_LINES_MAX } else { PAGE_LINES };
    Simulator::open(Simulated { sees_visits, page_lines_max, ..simulated() }, book).unwrap()
}

/// Makes an adapter on its book.
type Make = Box<dyn Fn(&Path) -> Arc<dyn Handler> + Send + Sync>;

/// An adapter with at most one fault, served over TLS.
pub(crate) struct House {
    folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    make: Make,
    fault: Option<Fault>,
    /// What a fault remembers across restarts.
    memory: Arc<Memory>,
    running: Mutex<Option<Runtime>>,
}

impl House {
    /// The simulated payer with at most one fault.
    pub(crate) async fn of(fault: Option<Fault>) -> Arc<Self> {
        let memory: Arc<Memory> = Arc::default();
        let remembered = Arc::clone(&memory);
        let make = move |book: &Path| -> Arc<dyn Handler> {
            let inner = simulator(book, fault);
            let desk = Arc::new(Desk::of(Faulty::of(inner, fault, Arc::clone(&remembered))));
            Arc::new(Twisted::of(desk, fault, Arc::clone(&remembered)))
        };
        Self::begun(Box::new(make), fault, memory).await
    }

    /// The simulated payer, which quotes no stay that it was not told of.
    pub(crate) async fn that_sees_visits() -> Arc<Self> {
        Self::with(|book| {
            let simulator = Simulator::open(Simulated { sees_visits: true, ..simulated() }, book).unwrap();
            Arc::new(Desk::of(Faulty::of(simulator, None, Arc::default())))
        })
        .await
    }

    /// The simulated payer, but that it pays a fen less than it quotes, and says that it may.
    pub(crate) async fn of_quotes_that_are_not_firm() -> Arc<Self> {
        Self::with(|book| Arc::new(Desk::of(Cheaper::of(simulator(book, None))))).await
    }

    /// The simulated payer, whose quotes lapse within seconds and whose commits cannot be reversed after as many.
    pub(crate) async fn of_short_terms() -> Arc<Self> {
        Self::with(|book| {
            let short = Simulated { quote_valid: SHORT, reverse_window: SHORT, ..simulated() };
            Arc::new(Desk::of(Simulator::open(short, book).unwrap()))
        })
        .await
    }

    /// The simulated payer, which takes one request at a time.
    pub(crate) async fn that_takes_one_at_a_time() -> Arc<Self> {
        Self::with(|book| {
            let simulated = Simulated { concurrency_max: 1, page_lines_max: PAGE_LINES, ..simulated() };
            let simulator = Simulator::open(simulated, book).unwrap();
            let desk = Desk::of(Faulty::of(simulator, None, Arc::default()));
            Arc::new(OneAtATime { desk: Arc::new(desk), free: Semaphore::new(1) })
        })
        .await
    }

    /// Whatever answers the protocol by its book.
    pub(crate) async fn with(make: impl Fn(&Path) -> Arc<dyn Handler> + Send + Sync + 'static) -> Arc<Self> {
        Self::begun(Box::new(make), None, Arc::default()).await
    }

    async fn begun(make: Make, fault: Option<Fault>, memory: Arc<Memory>) -> Arc<Self> {
        // Nobody else gets the port between two lives of the adapter: it is asked for again by number.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let house = Self {
            folder: tempfile::tempdir().unwrap(),
            address: listener.local_addr().unwrap(),
            make,
            fault,
            memory,
            running: Mutex::new(None),
        };
        drop(listener);
        house.begin().await;
        Arc::new(house)
    }

    pub(crate) fn target(&self) -> Target {
        let tls = Some(certificates().of_caller());
        Target { url: format!("https://localhost:{}", self.address.port()), tls }
    }

    fn book(&self) -> PathBuf {
        self.folder.path().join("book")
    }

    pub(super) async fn begin(&self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        self.memory.says("ready");
        let handler = (self.make)(&self.book());
        let tls = Arc::new(server_config(&certificates().of_service()).unwrap());
        let (address, fault, memory) = (self.address, self.fault, Arc::clone(&self.memory));
        let listening = runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.unwrap();
            let serving = match fault.filter(|fault| fault.is_in_front()) {
                Some(fault) => tokio::spawn(front::serve(listener, handler, fault, memory)),
                None => tokio::spawn(open(listener, Some(tls), handler, std::future::pending())),
            };
            drop(serving);
        });
        listening.await.unwrap();
        *self.running.lock().unwrap() = Some(runtime);
    }

    pub(super) async fn end(&self) {
        let Some(runtime) = self.running.lock().unwrap().take() else { return };
        // Tasks are dropped where they stand, as by kill -9; the book alone keeps what it was handed.
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(ENDS_WITHIN)).await.unwrap();
        if self.fault == Some(Fault::ForgetsEverything) {
            std::fs::remove_file(self.book()).unwrap();
        }
        self.memory.restarted();
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(runtime) = self.running.lock().unwrap().take() {
            runtime.shutdown_background();
        }
    }
}

/// Whoever comes while it is at work is told that it is busy.
struct OneAtATime {
    desk: Arc<Desk<Faulty>>,
    free: Semaphore,
}

impl Handler for OneAtATime {
    fn handle(self: Arc<Self>, asked: Asked) -> Sent<Option<Reply>> {
        Box::pin(async move {
            match self.free.try_acquire() {
                Ok(_free) => Arc::clone(&self.desk).handle(asked).await,
                Err(_) => Some(Problem { retry_after_s: Some(0), ..Problem::of(ProblemKind::Busy) }.reply()),
            }
        })
    }
}

/// Ends the house and begins it anew, as a process control would.
pub(crate) struct Control(pub(crate) Arc<House>);

impl Restart for Control {
    fn restart(&self) -> Restarting<'_> {
        Box::pin(async move {
            self.0.end().await;
            self.0.begin().await;
            Ok(())
        })
    }

    fn said(&self) -> io::Result<Option<Said>> {
        let said = self.0.memory.of().said.clone();
        Ok(Some(Box::new(io::Cursor::new(said))))
    }
}
