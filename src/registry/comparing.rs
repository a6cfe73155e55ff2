//! Adapters that are only compared: asked some time after the settlement, which does not wait for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, mpsc};
use yizhan_contract::payer::{Answer, Ask, Memo, Payer, QuoteAnswer, VisitEvent, Visited};

use crate::runtime::{Runtime, Shutdown};
use crate::settlement::directory::{Comparing, Directory};
use crate::settlement::shadow::Shadowed;
use crate::telemetry;

/// Settlements that wait for being compared; more are not.
const WAITING_MAX: usize = 1_024;
/// Questions under way at a time.
const AT_ONCE_MAX: usize = 16;
/// How long an adapter may take to answer one.
const WITHIN: SignedDuration = SignedDuration::from_secs(5);

/// What came of comparing one adapter with the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Compared {
    /// Settlements whose quotes were compared.
    pub compared: u64,
    /// Of these, how many differ.
    pub differing: u64,
    /// Settlements for which it gave no quote to compare, or was not asked because too many waited.
    pub unanswered: u64,
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
        });
    }

    pub fn counts(&self, adapter: &str) -> Compared {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(adapter).copied().unwrap_or_default()
    }

    /// Asks what there is to ask, until the signal to stop.
    pub(super) async fn serve(self, directory: Directory, runtime: Runtime, mut stopped: Shutdown) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut taken) = taken else { return };
        let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
        loop {
            let next = tokio::select! {
                () = stopped.requested() => return,
                next = taken.recv() => next,
            };
            let (Some(shadowed), Ok(place)) = (next, Arc::clone(&places).acquire_owned().await) else {
                return;
            };
            let (comparer, directory, runtime) = (self.clone(), directory.clone(), runtime.clone());
            tokio::spawn(async move {
                comparer.compare(&shadowed, &directory, &runtime).await;
                drop(place);
            });
        }
    }

    async fn compare(&self, shadowed: &Shadowed, directory: &Directory, runtime: &Runtime) {
        let payer = directory.named(&shadowed.adapter);
        let asked = Asked { payer: &*payer, runtime };
        let (answer, memo) = asked.quote(shadowed).await;
        // Nothing of the visit stays with an adapter that will not commit it.
        if let Some(called_off) = &shadowed.called_off
            && !matches!(asked.visit(called_off, memo).await, Some(Visited::Noted { .. }))
        {
            telemetry::shadow_not_called_off(&shadowed.adapter);
        }
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

/// An adapter that is only compared.
struct Asked<'a> {
    payer: &'a dyn Payer,
    runtime: &'a Runtime,
}

impl Asked<'_> {
    /// Its quote, once it was told of the visit where it sees visits, and what it keeps of it.
    async fn quote(&self, shadowed: &Shadowed) -> (Option<QuoteAnswer>, Memo) {
        let mut memo = Memo::default();
        for event in &shadowed.visit {
            match self.visit(event, memo.clone()).await {
                Some(Visited::Noted { memo: kept }) => memo = kept,
                Some(Visited::Unavailable(_)) | None => return (None, memo),
            }
        }
        let ask = Ask { memo: memo.clone(), ..shadowed.ask.clone() };
        (self.within(|deadline| self.payer.quote(&ask, deadline)).await, memo)
    }

    async fn visit(&self, event: &VisitEvent, memo: Memo) -> Option<Visited> {
        self.within(|deadline| self.payer.visit(event, memo, deadline)).await
    }

    async fn within<'a, T>(&self, ask: impl FnOnce(Timestamp) -> Answer<'a, T>) -> Option<T> {
        let deadline = self.runtime.now().saturating_add(WITHIN).unwrap_or(Timestamp::MAX);
        tokio::select! {
            answer = ask(deadline) => Some(answer),
            () = self.runtime.clock.sleep_until(deadline) => None,
        }
    }
}
