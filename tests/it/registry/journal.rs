//! Calls of adapters are written down after the fact: while the store does not take them no settlement waits, and what
//! is lost by that is counted.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use yizhan::registry::Registry;
use yizhan::runtime::{Clock as _, CountedIds, FixedClock, Runtime, Shutdown, SystemClock};
use yizhan::settlement::bill::ComputedBy;
use yizhan::store::adapter_book::{AdapterBook, AdapterCall, AdapterNote};
use yizhan::store::sqlite::Sqlite;
use yizhan::store::{Answer, StoreError};
use yizhan_contract::Text;
use yizhan_remote::RECORDS_WAITING_MAX;

use super::begun::{Given, begun, book, decided, house};
use super::insurer::Insurer;
use crate::gateway::House;
use crate::installed::until;

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Down,
    Hangs,
}

/// A store that does not always take calls.
struct Book {
    inner: Arc<Sqlite>,
    mood: watch::Sender<Mood>,
    /// How many calls came with each batch, taken or not.
    batches: Mutex<Vec<usize>>,
}

impl AdapterBook for Book {
    fn adapter_notes(&self) -> Answer<'_, Vec<AdapterNote>> {
        self.inner.adapter_notes()
    }

    fn note_adapter(&self, note: AdapterNote) -> Answer<'_, ()> {
        self.inner.note_adapter(note)
    }

    fn reset_adapter(&self, adapter: Arc<str>) -> Answer<'_, u64> {
        self.inner.reset_adapter(adapter)
    }

    fn forget_adapter(&self, adapter: Arc<str>, gateway: Arc<str>) -> Answer<'_, ()> {
        self.inner.forget_adapter(adapter, gateway)
    }

    fn keep_calls(&self, calls: Vec<AdapterCall>) -> Answer<'_, ()> {
        Box::pin(async move {
            self.batches.lock().unwrap().push(calls.len());
            let mood = *self.mood.subscribe().wait_for(|mood| *mood != Mood::Hangs).await.unwrap();
            match mood {
                Mood::Down => Err(StoreError::Unavailable(Text::new("无法连接", "it cannot be reached"))),
                Mood::Well | Mood::Hangs => self.inner.keep_calls(calls).await,
            }
        })
    }

    fn forget_calls(&self, before: Timestamp, limit: u32) -> Answer<'_, u64> {
        self.inner.forget_calls(before, limit)
    }

    fn adapter_calls(&self, adapter: Arc<str>, last: u32) -> Answer<'_, Vec<AdapterCall>> {
        self.inner.adapter_calls(adapter, last)
    }

    fn calls_kept(&self, adapter: Arc<str>) -> Answer<'_, u64> {
        self.inner.calls_kept(adapter)
    }
}

/// A gateway whose insurer decides, and that keeps its calls.
struct Kept {
    insurer: Insurer,
    _folder: TempDir,
    registry: Registry,
    house: House,
    clock: Arc<FixedClock>,
    book: Arc<Book>,
    stop: watch::Sender<bool>,
    keeping: JoinHandle<()>,
}

impl Kept {
    async fn begin(mood: Mood) -> Self {
        let (insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
        insurer.put(folder.path(), "mode = \"primary\"\notherwise = \"rules\"\n");
        let book =
            Arc::new(Book { inner: book(), mood: watch::Sender::new(mood), batches: Mutex::default() });
        let clock = Arc::new(FixedClock::at(SystemClock.now()));
        let runtime = Runtime { clock: clock.clone(), ids: Arc::<CountedIds>::default() };
        let given = Given { book: book.clone(), runtime, ..Given::to(&insurer) };
        let (registry, keeper) = begun(folder.path(), given).await.unwrap();
        let house = house(&registry).await;
        let (stop, stopped) = Shutdown::new();
        let keeping = tokio::spawn(keeper.serve(stopped));
        Self { insurer, _folder: folder, registry, house, clock, book, stop, keeping }
    }

    /// Calls that come too late to leave the house are written down, too.
    async fn calls(&self, count: usize) {
        let adapter = self.registry.directory().named(&"acme".into());
        let (day, past) = ("2020-07-01".parse().unwrap(), self.clock.now() - SignedDuration::from_secs(1));
        for _ in 0..count {
            adapter.statement(day, past).await.unwrap_err();
        }
    }

    /// By whom a stay is decided whose calls are in time by the adapter's clock, too: it is put forward to have calls kept.
    async fn decided(&self, nth: u32) -> ComputedBy {
        self.house.clock.put(self.house.clock.now().max(self.clock.now()));
        decided(&self.house, nth).await
    }

    /// One batch comes to the store.
    async fn turn(&self) {
        // Again where nobody waited yet for the time that was put forward.
        until("a batch comes", async || {
            let is_there = !self.book.batches.lock().unwrap().is_empty();
            if !is_there {
                self.clock.advance(SignedDuration::from_secs(1));
            }
            is_there.then_some(())
        })
        .await;
    }

    async fn are_kept(&self, calls: usize) {
        until(&format!("{calls} calls are kept"), async || {
            self.clock.advance(SignedDuration::from_secs(1));
            (self.book.calls_kept("acme".into()).await.unwrap() == calls as u64).then_some(())
        })
        .await;
    }

    async fn end(&mut self) {
        self.stop.send(true).unwrap();
        (&mut self.keeping).await.unwrap();
        self.insurer.goes().await;
    }
}

/// As whoever watches the gateway sees it.
fn lost(recorder: &PrometheusRecorder) -> usize {
    let shown = recorder.handle().render();
    let line = shown.lines().find_map(|line| line.strip_prefix("yizhan_adapter_calls_lost_total "));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_store_that_hangs_holds_up_no_settlement_and_calls_that_find_no_place_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _told = metrics::set_default_local_recorder(&recorder);
    let mut kept = Kept::begin(Mood::Hangs).await;
    assert_eq!(kept.decided(1).await, ComputedBy::Payer);
    kept.turn().await;
    let first = kept.book.batches.lock().unwrap()[0];
    kept.calls(RECORDS_WAITING_MAX + 3).await;
    assert_eq!(kept.decided(2).await, ComputedBy::Payer);

    // It is back: all that waited is written down, and what did not is told.
    kept.book.mood.send_replace(Mood::Well);
    kept.are_kept(first + RECORDS_WAITING_MAX).await;
    let of_a_settlement = until("calls are told as lost", async || lost(&recorder).checked_sub(4)).await + 1;
    assert_eq!(kept.decided(3).await, ComputedBy::Payer);
    kept.are_kept(first + RECORDS_WAITING_MAX + of_a_settlement).await;
    kept.end().await;
    assert_eq!(lost(&recorder), 3 + of_a_settlement);
}

/// What the insurer's service said of itself is the first of them.
#[tokio::test]
async fn a_batch_that_a_store_does_not_take_is_counted_and_the_rest_is_written_once_it_is_back() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _told = metrics::set_default_local_recorder(&recorder);
    let mut kept = Kept::begin(Mood::Down).await;
    kept.calls(600).await;
    kept.turn().await;
    assert_eq!(lost(&recorder), 256);
    kept.book.mood.send_replace(Mood::Well);
    kept.are_kept(1 + 600 - 256).await;
    kept.end().await;
    assert_eq!((lost(&recorder), &*kept.book.batches.lock().unwrap()), (256, &vec![256, 256, 89]));
}

#[tokio::test]
async fn calls_that_are_left_when_a_gateway_ends_without_its_store_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _told = metrics::set_default_local_recorder(&recorder);
    let mut kept = Kept::begin(Mood::Down).await;
    kept.calls(600).await;
    kept.end().await;
    assert_eq!(lost(&recorder), 1 + 600);
}
