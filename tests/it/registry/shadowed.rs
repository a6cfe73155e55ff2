//! Adapters that are only compared and see visits: what they are told, and that nothing of it stays with them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use yizhan::registry::Compared;
use yizhan::registry::standing::Noted;
use yizhan::runtime::Shutdown;
use yizhan::settlement::bill::{Bill, BillState, ComputedBy};
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::adapter_book::AdapterBook as _;
use yizhan::store::sqlite::Sqlite;
use yizhan_contract::payer::VisitEventKind::{self, Admitted, Cancelled, Charged, Discharged};

use super::begun::{Given, begun, book, goes_ahead, house};
use super::insurer::Insurer;
use crate::away::discharge;
use crate::gateway::{House, Sent};
use crate::installed::until;

const PRIMARY: &str = "mode = \"primary\"\notherwise = \"rules\"\n";
const SHADOW: &str = "mode = \"shadow\"\notherwise = \"rules\"\n";

/// A gateway that serves its registry, over an insurer that quotes no stay it was not told of.
struct Serving {
    insurer: Insurer,
    folder: TempDir,
    book: Arc<Sqlite>,
    house: House,
    again: Arc<Notify>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Serving {
    async fn begin(keys: &str, takes: Duration) -> Self {
        let (mut insurer, folder, book) = (Insurer::open().await, TempDir::new().unwrap(), book());
        insurer.goes().await;
        insurer.sees_visits = true;
        insurer.comes(takes).await;
        insurer.put(folder.path(), keys);
        let given = Given { book: book.clone(), ..Given::to(&insurer) };
        let (registry, _) = begun(folder.path(), given).await.unwrap();
        let house = house(&registry).await;
        let ((stop, stopped), again) = (Shutdown::new(), Arc::<Notify>::default());
        let serving = tokio::spawn(registry.serve(Arc::clone(&again), stopped));
        Self { insurer, folder, book, house, again, stop, serving }
    }

    async fn noted(&self) -> Noted {
        let notes = self.book.adapter_notes().await.unwrap();
        serde_json::from_str(&notes[0].document).unwrap()
    }

    /// From now on its file says this.
    async fn is(&self, mode: &str, keys: &str) {
        self.insurer.put(self.folder.path(), keys);
        self.again.notify_one();
        until(mode, async || (self.noted().await.mode == mode).then_some(())).await;
    }

    /// The one stay there is, by a message of its own.
    async fn send(&self, id: &str, mode: Mode) -> Bill {
        sent(&self.house, id, mode).await
    }

    async fn reverse(&self, bill: &Bill) {
        let gateway = self.house.reception.gateway();
        let handled = gateway.reverse(bill.settlement_id, "test".to_owned(), "desk".to_owned()).await;
        let outcome = Box::pin(gateway.see_through(handled)).await;
        assert!(matches!(&outcome, Outcome::Bill(bill) if bill.state == BillState::Reversed), "{outcome:?}");
    }

    /// What it was told since this was asked last, once it is so much.
    async fn was_told(&self, expected: &[VisitEventKind]) {
        let seen = || self.insurer.visits.lock().unwrap().clone();
        until("it was told", async || (expected.len() <= seen().len()).then_some(())).await;
        assert_eq!(std::mem::take(&mut *self.insurer.visits.lock().unwrap()), expected);
    }

    async fn compared(&self, expected: Compared) {
        until("it is compared", async || (self.noted().await.compared == expected).then_some(())).await;
    }

    async fn end(mut self) {
        let _ = self.stop.send(true);
        self.serving.await.unwrap();
        self.insurer.goes().await;
    }
}

async fn sent(house: &House, id: &str, mode: Mode) -> Bill {
    goes_ahead(house);
    let message = Sent { id: id.to_owned(), ..discharge(id) };
    let (bytes, format) = message.bytes();
    match house.receive(&bytes, format, Some(mode)).await.outcome {
        Outcome::Bill(bill) => *bill,
        other => panic!("{other:?}"),
    }
}

fn computed_by(bill: &Bill) -> ComputedBy {
    bill.payers.iter().find(|line| line.payer.as_str() == "supplementary").unwrap().computed_by
}

/// It decided, and is only compared when the stay is settled: what it knows it is not told again, and it is called off.
/// Once it decides again it is told all of it, for it knows nothing any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_goes_by_what_it_saw_when_it_decided_and_forgets_it() {
    let serving = Serving::begin(PRIMARY, Duration::ZERO).await;
    let quote = serving.send("m1", Mode::Quote).await;
    assert_eq!((quote.state, computed_by(&quote)), (BillState::Quoted, ComputedBy::Payer));
    serving.was_told(&[Admitted, Charged, Discharged]).await;
    serving.is("shadow", SHADOW).await;
    let settled = serving.send("m2", Mode::Settle).await;
    assert_eq!((settled.state, computed_by(&settled)), (BillState::Settled, ComputedBy::Gateway));
    serving.compared(Compared { compared: 1, ..Compared::default() }).await;
    serving.was_told(&[Cancelled]).await;
    serving.reverse(&settled).await;
    serving.is("primary", PRIMARY).await;
    let again = serving.send("m3", Mode::Settle).await;
    assert_eq!((again.state, computed_by(&again)), (BillState::Settled, ComputedBy::Payer));
    serving.was_told(&[Admitted, Charged, Discharged]).await;
    serving.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_that_does_not_hear_that_a_visit_is_called_off_is_told_again() {
    let serving = Serving::begin(SHADOW, Duration::ZERO).await;
    serving.insurer.calls_off_refused.store(1, Ordering::SeqCst);
    assert_eq!(serving.send("m1", Mode::Settle).await.state, BillState::Settled);
    serving.was_told(&[Admitted, Charged, Discharged, Cancelled, Cancelled]).await;
    serving.compared(Compared { compared: 1, ..Compared::default() }).await;
    serving.end().await;
}

/// The gateway ends while it waits to tell it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_called_off_is_counted() {
    let serving = Serving::begin(SHADOW, Duration::ZERO).await;
    serving.insurer.calls_off_refused.store(9, Ordering::SeqCst);
    assert_eq!(serving.send("m1", Mode::Settle).await.state, BillState::Settled);
    let visits = Arc::clone(&serving.insurer.visits);
    let told = async || (4 <= visits.lock().unwrap().len()).then_some(());
    until("it was told", told).await;
    let before = visits.lock().unwrap().len();
    let book = Arc::clone(&serving.book);
    serving.end().await;
    let seen = std::mem::take(&mut *visits.lock().unwrap());
    // Whoever is slow has it told again meanwhile.
    let (of_the_visit, called_off) = seen.split_at(3);
    assert_eq!(of_the_visit, [Admitted, Charged, Discharged]);
    assert!(called_off.iter().all(|kind| *kind == Cancelled), "{seen:?}");
    assert!(before < seen.len(), "it was not told once more: {seen:?}");
    let notes = book.adapter_notes().await.unwrap();
    let noted: Noted = serde_json::from_str(&notes[0].document).unwrap();
    assert_eq!(noted.compared, Compared { compared: 1, not_called_off: 1, ..Compared::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_ends_waits_for_comparisons_under_way() {
    let serving = Serving::begin(SHADOW, Duration::from_millis(500)).await;
    assert_eq!(serving.send("m1", Mode::Settle).await.state, BillState::Settled);
    let seen = Arc::clone(&serving.insurer.visits);
    until("it is being compared", async || (!seen.lock().unwrap().is_empty()).then_some(())).await;
    let book = Arc::clone(&serving.book);
    serving.end().await;
    assert_eq!(*seen.lock().unwrap(), [Admitted, Charged, Discharged, Cancelled]);
    let notes = book.adapter_notes().await.unwrap();
    let noted: Noted = serde_json::from_str(&notes[0].document).unwrap();
    assert_eq!(noted.compared, Compared { compared: 1, ..Compared::default() });
}

/// It saw the visit when it decided, and the gateway ends before it is compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_that_stands_with_a_shadow_nobody_asks_any_more_is_counted() {
    let (mut insurer, folder, book) = (Insurer::open().await, TempDir::new().unwrap(), book());
    insurer.goes().await;
    insurer.sees_visits = true;
    insurer.comes(Duration::ZERO).await;
    insurer.put(folder.path(), PRIMARY);
    let given = Given { book: book.clone(), ..Given::to(&insurer) };
    let (mut registry, _) = begun(folder.path(), given).await.unwrap();
    let house = house(&registry).await;
    assert_eq!(computed_by(&sent(&house, "m1", Mode::Quote).await), ComputedBy::Payer);
    insurer.put(folder.path(), SHADOW);
    registry.look(false).await.unwrap();
    assert_eq!(computed_by(&sent(&house, "m2", Mode::Settle).await), ComputedBy::Gateway);
    let (stop, stopped) = Shutdown::new();
    stop.send(true).unwrap();
    registry.serve(Arc::default(), stopped).await;
    assert_eq!(*insurer.visits.lock().unwrap(), [Admitted, Charged, Discharged]);
    let notes = book.adapter_notes().await.unwrap();
    let noted: Noted = serde_json::from_str(&notes[0].document).unwrap();
    assert_eq!(noted.compared, Compared { unanswered: 1, not_called_off: 1, ..Compared::default() });
    insurer.goes().await;
}
