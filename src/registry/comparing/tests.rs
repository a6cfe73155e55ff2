//! What bounds comparisons, and that whatever falls beyond a bound is counted. One thread and a clock that stands where it
//! is put: what happens when is the same in every run.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::civil::Date;
use tokio::sync::watch;
use tokio::task::{JoinHandle, yield_now};
use yizhan_contract::payer::{
    Manifest, Memo, Operation, Performed, PrepareError, Prepared, StatementLine, Status, Unavailable,
    VisitEventKind,
};

use super::*;
use crate::registry::Compared;
use crate::runtime::{Clock as _, CountedIds, FixedClock};
use crate::settlement::absent::Absent;
use crate::settlement::directory::{Mode, Otherwise, Registered};
use crate::settlement::payers::Adapter;
use crate::settlement::visits::Visited as Known;

const ACME: &str = "acme";

/// Covers nobody, and sees visits.
struct Acme {
    clock: Arc<FixedClock>,
    /// For everything it is told.
    takes: SignedDuration,
    /// Whether it takes in that a visit is called off.
    calls_off: AtomicBool,
    told: Mutex<Vec<VisitEventKind>>,
    nobody: Absent,
}

impl Payer for Acme {
    fn manifest(&self) -> &Manifest {
        self.nobody.manifest()
    }

    fn visit<'a>(&'a self, event: &'a VisitEvent, _: Memo, _: Timestamp) -> Answer<'a, Visited> {
        Box::pin(async move {
            self.told.lock().unwrap().push(event.kind);
            self.clock.sleep_until(later(self.clock.now(), self.takes)).await;
            if event.kind == VisitEventKind::Cancelled && !self.calls_off.load(Ordering::SeqCst) {
                return Visited::Unavailable(Unavailable {
                    why: "日终 | end of day".to_owned(),
                    retry_after: None,
                });
            }
            Visited::Noted { memo: Memo::default() }
        })
    }

    fn quote<'a>(&'a self, _: &'a Ask, _: Timestamp) -> Answer<'a, QuoteAnswer> {
        Box::pin(std::future::ready(QuoteAnswer::NotCovered))
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        self.nobody.prepare(operation)
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed> {
        self.nobody.perform(prepared, deadline)
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Status> {
        self.nobody.status(prepared, deadline)
    }

    fn statement(&self, day: Date, at: Timestamp) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        self.nobody.statement(day, at)
    }
}

/// The settlement of the protocol's own example.
fn settlement() -> Shadowed {
    let page = include_str!("../../../schemas/adapter.openapi.json");
    let page: serde_json::Value = serde_json::from_str(page).unwrap();
    let example = |verb: &str, name: &str| {
        let asked = &page["paths"][format!("/v1/{verb}")]["post"]["requestBody"];
        asked["content"]["application/json"]["examples"][name]["value"].clone()
    };
    let event = |name: &str| -> VisitEvent {
        serde_json::from_value(example("visit", name)["event"].clone()).unwrap()
    };
    Shadowed {
        adapter: ACME.into(),
        known: Known::default(),
        visit: ["admitted", "charged", "discharged"].map(event).into(),
        called_off: Some(event("cancelled")),
        ask: serde_json::from_value(example("quote", "request")["ask"].clone()).unwrap(),
        by_rules: Vec::new(),
    }
}

struct Served {
    comparer: Comparer,
    acme: Arc<Acme>,
    clock: Arc<FixedClock>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Served {
    /// So many settlements come before anybody compares them.
    async fn begin(settlements: usize, takes: SignedDuration, calls_off: bool) -> Self {
        let clock = Arc::new(FixedClock::at("2020-07-02T02:00:00Z".parse().unwrap()));
        let nobody = Absent::not_configured(ACME, Vec::new());
        let calls_off = AtomicBool::new(calls_off);
        let acme = Arc::new(Acme { clock: clock.clone(), takes, calls_off, told: Mutex::default(), nobody });
        let adapter = Adapter { name: ACME.into(), payer: acme.clone(), serves: Vec::new() };
        let (mode, otherwise) = (Mode::Shadow, Otherwise::Rules);
        let directory = Directory::default();
        directory
            .put(&[Registered { adapter, mode, otherwise, fallen: None, unproven: None }], Vec::new())
            .unwrap();
        let (comparer, settled) = (Comparer::default(), settlement());
        let sink = comparer.sink();
        (0..settlements).for_each(|_| sink(settled.clone()));
        let runtime = Runtime { clock: clock.clone(), ids: Arc::<CountedIds>::default() };
        let (stop, stopped) = Shutdown::new();
        let serving = tokio::spawn(comparer.clone().serve(Around { directory, runtime }, stopped));
        Self { comparer, acme, clock, stop, serving }
    }

    /// Once nothing more happens before the clock is put forward again.
    async fn after(&self, pause: SignedDuration) {
        self.clock.advance(pause);
        for _ in 0..5_000 {
            yield_now().await;
        }
    }

    /// How often it was told that a visit is called off.
    fn called_off(&self) -> usize {
        self.acme.told.lock().unwrap().iter().filter(|kind| **kind == VisitEventKind::Cancelled).count()
    }

    fn counts(&self, expected: Compared) {
        assert_eq!(self.comparer.counts.of(ACME), expected);
    }
}

const NO_TIME: SignedDuration = SignedDuration::ZERO;

#[tokio::test]
async fn a_settlement_more_than_may_wait_is_counted_as_unanswered() {
    let served = Served::begin(WAITING_MAX + 1, NO_TIME, true).await;
    served.counts(Compared { unanswered: 1, ..Compared::default() });
    served.after(NO_TIME).await;
    served.counts(Compared { compared: 1_024, unanswered: 1, ..Compared::default() });
}

#[tokio::test]
async fn no_more_are_asked_at_a_time_than_may_be() {
    let served = Served::begin(AT_ONCE_MAX + 4, SignedDuration::from_secs(1), true).await;
    served.after(NO_TIME).await;
    assert_eq!(*served.acme.told.lock().unwrap(), [VisitEventKind::Admitted; AT_ONCE_MAX]);
}

/// Told of one thing after the other, each in time, it would take sixteen seconds.
#[tokio::test]
async fn comparisons_that_go_on_after_the_signal_to_stop_are_cut_off_and_counted() {
    let served = Served::begin(AT_ONCE_MAX + 1, SignedDuration::from_secs(4), true).await;
    served.after(NO_TIME).await;
    served.stop.send(true).unwrap();
    served.after(NO_TIME).await;
    served.counts(Compared { unanswered: 1, ..Compared::default() });
    served.after(SignedDuration::from_secs(4)).await;
    served.after(SignedDuration::from_secs(4)).await;
    served.after(SignedDuration::from_millis(1_999)).await;
    assert!(!served.serving.is_finished(), "they were not waited for");
    served.after(SignedDuration::from_millis(1)).await;
    assert!(served.serving.is_finished(), "they are waited for still");
    served.counts(Compared { unanswered: 17, not_called_off: 16, ..Compared::default() });
    assert_eq!(served.called_off(), 0);
}

#[tokio::test]
async fn one_more_than_wait_to_be_called_off_later_is_counted_and_not_told_again() {
    let served = Served::begin(CALLED_OFF_LATER_MAX + 1, NO_TIME, false).await;
    served.after(NO_TIME).await;
    assert_eq!(served.called_off(), CALLED_OFF_LATER_MAX + 1);
    let expected = Compared { compared: 257, not_called_off: 1, ..Compared::default() };
    served.counts(expected);
    // The others are told once more before the gateway ends.
    served.acme.calls_off.store(true, Ordering::SeqCst);
    served.stop.send(true).unwrap();
    served.after(NO_TIME).await;
    assert!(served.serving.is_finished(), "they were told, and are waited for");
    assert_eq!(served.called_off(), CALLED_OFF_LATER_MAX + 1 + CALLED_OFF_LATER_MAX);
    served.counts(expected);
}

#[tokio::test]
async fn one_that_is_never_called_off_is_told_four_times_more_and_counted() {
    let served = Served::begin(1, NO_TIME, false).await;
    served.after(NO_TIME).await;
    for (told, pause_s) in (1..).zip(CALLED_OFF_AGAIN_S) {
        served.after(SignedDuration::from_secs(pause_s - 1)).await;
        assert_eq!(served.called_off(), told, "too early");
        served.counts(Compared { compared: 1, ..Compared::default() });
        served.after(SignedDuration::from_secs(1)).await;
        assert_eq!(served.called_off(), told + 1);
    }
    served.counts(Compared { compared: 1, not_called_off: 1, ..Compared::default() });
    served.after(SignedDuration::from_hours(1)).await;
    assert_eq!(served.called_off(), 5);
}
