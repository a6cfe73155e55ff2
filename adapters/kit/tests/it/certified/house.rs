//! Where an adapter under test lives: a runtime of its own that can be ended at any moment, on a port that stays.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use yizhan_kit::certify::{Restart, Restarting, Target};
use yizhan_kit::service::{Desk, Handler, open, server_config};
use yizhan_kit::simulate::{Simulated, Simulator};

use super::faults::Fault;
use super::faulty::Faulty;
use super::front;
use super::memory::Memory;
use super::twisted::Twisted;
use crate::certificates::certificates;

/// For everything of an ended adapter to be gone.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// For a quote to be committed that the kit waits for the end of.
const SHORT: SignedDuration = SignedDuration::from_secs(4);

fn simulated() -> Simulated {
    Simulated::by_default(vec!["supplementary".parse().unwrap()]).unwrap()
}

fn simulator(book: &Path, sees_visits: bool) -> Simulator {
    Simulator::open(Simulated { sees_visits, ..simulated() }, book).unwrap()
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
            let inner = simulator(book, fault.is_some_and(Fault::is_of_visits));
            let desk = Arc::new(Desk::of(Faulty::of(inner, fault, Arc::clone(&remembered))));
            Arc::new(Twisted::of(desk, fault))
        };
        Self::begun(Box::new(make), fault, memory).await
    }

    /// The simulated payer, which quotes no stay that it was not told of.
    pub(crate) async fn that_sees_visits() -> Arc<Self> {
        Self::with(|book| {
            let faultless = Faulty::of(simulator(book, true), None, Arc::default());
            Arc::new(Desk::of(faultless))
        })
        .await
    }

    /// The simulated payer, whose quotes lapse within seconds.
    pub(crate) async fn of_short_quotes() -> Arc<Self> {
        Self::with(|book| {
            let simulator = Simulator::open(Simulated { quote_valid: SHORT, ..simulated() }, book).unwrap();
            Arc::new(Desk::of(simulator))
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

    async fn begin(&self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
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

    async fn end(&self) {
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
}
