//! Adapters that are only compared: asked some time after the settlement, which does not wait for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use yizhan_contract::payer::{Answer, Ask, Payer, QuoteAnswer, VisitEvent, Visited};

use crate::runtime::{Runtime, Shutdown};
use crate::settlement::directory::{Comparing, Directory};
use crate::settlement::shadow::Shadowed;
use crate::settlement::visits;
use crate::telemetry;

/// Settlements that wait for being compared; more are not.
const WAITING_MAX: usize = 1_024;
/// Questions under way at a time.
const AT_ONCE_MAX: usize = 16;
/// How long an adapter may take to answer one.
const WITHIN: SignedDuration = SignedDuration::from_secs(5);
/// Pauses before one that could not be told that a visit was called off is told again.
const CALLED_OFF_AGAIN_S: [i64; 4] = [2, 15, 60, 300];
/// How long comparisons under way may go on after the signal to stop.
const STOP_PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// What came of comparing one adapter with the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Compared {
    /// Settlements whose quotes were compared.
    pub compared: u64,
    /// Of these, how many differ.
    pub differing: u64,
    /// Settlements for which it gave no quote to compare, or was not asked because too many waited.
    pub unanswered: u64,
    /// Settlements whose visit it could not be told to forget, however often that was tried.
    #[serde(default)]
    pub not_called_off: u64,
}

#[derive(Clone)]
pub struct Comparer {
    waiting: mpsc::Sender<Shadowed>,
    taken: Arc<Mutex<Option<mpsc::Receiver<Shadowed>>>>,
    counts: Arc<Mutex<BTreeMap<Arc<str>, Compared>>>,
}

impl Default for Comparer {
    fn default() -> Self {
        let (waiting, taken) = mpsc::channel(WAITING_MAX);
        Self { waiting, taken: Arc::new(Mutex::new(Some(taken))), counts: Arc::default() }
    }
}

impl Comparer {
    pub(super) fn sink(&self) -> Comparing {
        let comparer = self.clone();
        Arc::new(move |shadowed| {
            let adapter = Arc::clone(&shadowed.adapter);
            if comparer.waiting.try_send(shadowed).is_err() {
                comparer.count(&adapter, |counts| counts.unanswered += 1);
            }
        })
    }

    fn count(&self, adapter: &Arc<str>, change: impl FnOnce(&mut Compared)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry(Arc::clone(adapter)).or_default());
    }

    /// What was counted before this gateway began again.
    pub(super) fn go_on(&self, adapter: &Arc<str>, before: Compared) {
        self.count(adapter, |counts| {
            counts.compared += before.compared;
            counts.differing += before.differing;
            counts.unanswered += before.unanswered;
            counts.not_called_off += before.not_called_off;
        });
    }

    pub fn counts(&self, adapter: &str) -> Compared {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(adapter).copied().unwrap_or_default()
    }

    /// Asks what there is to ask, until the signal to stop. What is under way then may go on for a while: whoever was told
    /// of a visit has to be told that it is called off.
    pub(super) async fn serve(self, around: Around, mut stopped: Shutdown) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut taken) = taken else { return };
        let (places, mut under_way) = (Arc::new(Semaphore::new(AT_ONCE_MAX)), JoinSet::new());
        while let Some(place) = free(&places, &mut stopped).await {
            let next = tokio::select! {
                () = stopped.requested() => break,
                next = taken.recv() => next,
            };
            let Some(shadowed) = next else { break };
            let (comparer, around, stopped) = (self.clone(), around.clone(), stopped.clone());
            under_way.spawn(async move { comparer.compare(shadowed, place, around, stopped).await });
            while under_way.try_join_next().is_some() {}
        }
        taken.close();
        while let Ok(left) = taken.try_recv() {
            self.count(&left.adapter, |counts| counts.unanswered += 1);
        }
        let clock = Arc::clone(&around.runtime.clock);
        let patience = clock.sleep_until(later(clock.now(), STOP_PATIENCE));
        let is_cut_off = tokio::select! {
            () = async { while under_way.join_next().await.is_some() {} } => false,
            () = patience => true,
        };
        if is_cut_off {
            telemetry::comparisons_cut_off(under_way.len());
        }
    }

    async fn compare(
        &self,
        shadowed: Shadowed,
        place: OwnedSemaphorePermit,
        around: Around,
        mut stopped: Shutdown,
    ) {
        let mut asked = Asked { known: shadowed.known.clone(), shadowed: &shadowed, around: &around };
        let answer = asked.quote().await;
        let is_off = asked.call_off().await;
        self.judge(&shadowed, answer);
        drop(place);
        if !is_off && !asked.call_off_later(&mut stopped).await {
            telemetry::shadow_not_called_off(&shadowed.adapter);
            self.count(&shadowed.adapter, |counts| counts.not_called_off += 1);
        }
    }

    fn judge(&self, shadowed: &Shadowed, answer: Option<QuoteAnswer>) {
        let differences = match answer {
            Some(QuoteAnswer::Quote(quote)) => shadowed.differences(&quote.amounts),
            Some(QuoteAnswer::NotCovered | QuoteAnswer::Refused { .. }) => shadowed.differences(&[]),
            Some(QuoteAnswer::NotReady { .. } | QuoteAnswer::Unavailable(_)) | None => {
                self.count(&shadowed.adapter, |counts| counts.unanswered += 1);
                return telemetry::shadow_unanswered(&shadowed.adapter);
            }
        };
        for differs in &differences {
            let quoted = differs.quoted.as_ref().map(|amount| amount as _);
            let stay = &shadowed.ask.stay;
            telemetry::shadow_differs(&shadowed.adapter, stay, &differs.payer, &differs.by_rules, quoted);
        }
        telemetry::shadow_compared(&shadowed.adapter, differences.is_empty());
        self.count(&shadowed.adapter, |counts| {
            counts.compared += 1;
            counts.differing += u64::from(!differences.is_empty());
        });
    }
}

/// Absent: the signal to stop came first.
async fn free(places: &Arc<Semaphore>, stopped: &mut Shutdown) -> Option<OwnedSemaphorePermit> {
    tokio::select! {
        () = stopped.requested() => None,
        place = Arc::clone(places).acquire_owned() => place.ok(),
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// What adapters are called with.
#[derive(Clone)]
pub(super) struct Around {
    pub(super) directory: Directory,
    pub(super) runtime: Runtime,
}

/// An adapter that is only compared, and what it knows of the visit.
struct Asked<'a> {
    shadowed: &'a Shadowed,
    known: visits::Visited,
    around: &'a Around,
}

impl Asked<'_> {
    /// Its quote, once it was told of the visit what it does not know, where it sees visits.
    async fn quote(&mut self) -> Option<QuoteAnswer> {
        for event in &self.shadowed.visit {
            if !self.known.knows(event) && !self.tell(event).await {
                return None;
            }
        }
        let ask = Ask { memo: self.known.memo(), ..self.shadowed.ask.clone() };
        let payer = self.payer();
        self.within(|deadline| payer.quote(&ask, deadline)).await
    }

    /// Nothing of the visit stays with an adapter that will not commit it. Whether that is so.
    async fn call_off(&mut self) -> bool {
        match &self.shadowed.called_off {
            Some(event) if self.known.stands() => self.tell(event).await,
            Some(_) | None => true,
        }
    }

    /// The same again and again, and once more before the gateway ends.
    async fn call_off_later(&mut self, stopped: &mut Shutdown) -> bool {
        let clock = Arc::clone(&self.around.runtime.clock);
        for pause_s in CALLED_OFF_AGAIN_S {
            let again = later(clock.now(), SignedDuration::from_secs(pause_s));
            let is_last = tokio::select! {
                () = stopped.requested() => true,
                () = clock.sleep_until(again) => false,
            };
            if self.call_off().await {
                return true;
            }
            if is_last {
                break;
            }
        }
        false
    }

    /// Whether it has taken the event in.
    async fn tell(&mut self, event: &VisitEvent) -> bool {
        let (payer, memo) = (self.payer(), self.known.memo());
        match self.within(|deadline| payer.visit(event, memo, deadline)).await {
            Some(Visited::Noted { memo }) => {
                self.known.heard(event, memo);
                true
            }
            Some(Visited::Unavailable(_)) | None => {
                self.known.may_have_heard(event);
                false
            }
        }
    }

    /// As it is reached now.
    fn payer(&self) -> Arc<dyn Payer> {
        self.around.directory.named(&self.shadowed.adapter)
    }

    async fn within<'a, T>(&self, ask: impl FnOnce(Timestamp) -> Answer<'a, T>) -> Option<T> {
        let Runtime { clock, .. } = &self.around.runtime;
        let deadline = later(clock.now(), WITHIN);
        tokio::select! {
            answer = ask(deadline) => Some(answer),
            () = clock.sleep_until(deadline) => None,
        }
    }
}
