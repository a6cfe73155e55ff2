//! Adapters that are only compared: asked some time after the settlement, which does not wait for them.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use yizhan_contract::instant::later;
use yizhan_contract::payer::{ASK_DEADLINE, Answer, Ask, Payer, QuoteAnswer, VisitEvent, Visited};

use super::compared::{Counts, Standing};
use crate::runtime::{Runtime, Shutdown};
use crate::settlement::directory::{Comparing, Directory};
use crate::settlement::shadow::Shadowed;
use crate::telemetry;

/// Settlements that wait for being compared; more are not.
const WAITING_MAX: usize = 1_024;
/// Questions under way at a time.
const AT_ONCE_MAX: usize = 16;
/// Adapters that wait for being told again that a visit was called off; those beyond are not told again.
const CALLED_OFF_LATER_MAX: usize = 256;
/// Pauses before one that could not be told that a visit was called off is told again.
const CALLED_OFF_AGAIN_S: [i64; 4] = [2, 15, 60, 300];
/// How long comparisons under way may go on after the signal to stop.
const STOP_PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// A settlement that waits for being compared.
struct Comparison {
    shadowed: Shadowed,
    standing: Standing,
}

impl Comparison {
    fn of(mut shadowed: Shadowed, counts: Counts) -> Self {
        let (known, called_off) = (std::mem::take(&mut shadowed.known), shadowed.called_off.take());
        let adapter = Arc::clone(&shadowed.adapter);
        let standing = Standing { adapter, known, called_off, counts, is_judged: false };
        Self { shadowed, standing }
    }
}

#[derive(Clone)]
pub struct Comparer {
    waiting: mpsc::Sender<Comparison>,
    taken: Arc<Mutex<Option<mpsc::Receiver<Comparison>>>>,
    pub(super) counts: Counts,
}

impl Default for Comparer {
    fn default() -> Self {
        let (waiting, taken) = mpsc::channel(WAITING_MAX);
        Self { waiting, taken: Arc::new(Mutex::new(Some(taken))), counts: Counts::default() }
    }
}

impl Comparer {
    pub(super) fn sink(&self) -> Comparing {
        let comparer = self.clone();
        Arc::new(move |shadowed| {
            // What finds no place is counted where it is dropped.
            drop(comparer.waiting.try_send(Comparison::of(shadowed, comparer.counts.clone())));
        })
    }

    /// Asks what there is to ask, until the signal to stop. What is under way then may go on for a while: whoever was told
    /// of a visit has to be told that it is called off.
    pub(super) async fn serve(self, around: Around, mut stopped: Shutdown) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut taken) = taken else { return };
        let (rooms, mut under_way) = (Rooms::new(around), JoinSet::new());
        while let Some(place) = rooms.place(&mut stopped).await {
            let next = tokio::select! {
                biased;
                () = stopped.requested() => break,
                next = taken.recv() => next,
            };
            let Some(comparison) = next else { break };
            let (comparer, rooms, stopped) = (self.clone(), rooms.clone(), stopped.clone());
            under_way.spawn(async move { comparer.compare(comparison, place, rooms, stopped).await });
            while under_way.try_join_next().is_some() {}
        }
        // Whoever waits still is counted, and nobody waits from now on.
        drop(taken);
        let clock = Arc::clone(&rooms.around.runtime.clock);
        let patience = clock.sleep_until(later(clock.now(), STOP_PATIENCE));
        let is_cut_off = tokio::select! {
            () = async { while under_way.join_next().await.is_some() {} } => false,
            () = patience => true,
        };
        if is_cut_off {
            telemetry::comparisons_cut_off(under_way.len());
            // Until all of them are gone, and they and what stands with their adapters are counted.
            under_way.shutdown().await;
        }
    }

    /// Who has to be told again later that the visit is called off gives its place up; nothing but that is kept for it.
    async fn compare(
        &self,
        comparison: Comparison,
        place: OwnedSemaphorePermit,
        rooms: Rooms,
        mut stopped: Shutdown,
    ) {
        let Comparison { shadowed, standing } = comparison;
        let mut asked = Asked { standing, around: &rooms.around };
        let answer = asked.quote(&shadowed).await;
        asked.call_off().await;
        self.judge(&shadowed, answer);
        asked.standing.is_judged = true;
        drop((shadowed, place));
        if asked.standing.known.stands()
            && let Ok(_room) = Arc::clone(&rooms.later).try_acquire_owned()
        {
            asked.call_off_later(&rooms, &mut stopped).await;
        }
    }

    fn judge(&self, shadowed: &Shadowed, answer: Option<QuoteAnswer>) {
        let differences = match answer {
            Some(QuoteAnswer::Quote(quote)) => shadowed.differences(&quote.amounts),
            Some(QuoteAnswer::NotCovered | QuoteAnswer::Refused { .. }) => shadowed.differences(&[]),
            Some(QuoteAnswer::NotReady { .. } | QuoteAnswer::Unavailable(_)) | None => {
                self.counts.change(&shadowed.adapter, |counts| counts.unanswered += 1);
                return telemetry::shadow_unanswered(&shadowed.adapter);
            }
        };
        for differs in &differences {
            let quoted = differs.quoted.as_ref().map(|amount| amount as _);
            let stay = &shadowed.ask.stay;
            telemetry::shadow_differs(&shadowed.adapter, stay, &differs.payer, &differs.by_rules, quoted);
        }
        telemetry::shadow_compared(&shadowed.adapter, differences.is_empty());
        self.counts.change(&shadowed.adapter, |counts| {
            counts.compared += 1;
            counts.differing += u64::from(!differences.is_empty());
        });
    }
}

/// How much may be under way, and with what.
#[derive(Clone)]
struct Rooms {
    around: Around,
    /// For calls.
    places: Arc<Semaphore>,
    /// For waiting.
    later: Arc<Semaphore>,
}

impl Rooms {
    fn new(around: Around) -> Self {
        let (places, later) = (Semaphore::new(AT_ONCE_MAX), Semaphore::new(CALLED_OFF_LATER_MAX));
        Self { around, places: Arc::new(places), later: Arc::new(later) }
    }

    /// Absent: the signal to stop came first.
    async fn place(&self, stopped: &mut Shutdown) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = stopped.requested() => None,
            place = Arc::clone(&self.places).acquire_owned() => place.ok(),
        }
    }
}

/// What adapters are called with.
#[derive(Clone)]
pub(super) struct Around {
    pub(super) directory: Directory,
    pub(super) runtime: Runtime,
}

/// An adapter that is only compared, and what it knows of the visit.
struct Asked<'a> {
    standing: Standing,
    around: &'a Around,
}

impl Asked<'_> {
    /// Its quote, once it was told of the visit what it does not know, where it sees visits.
    async fn quote(&mut self, shadowed: &Shadowed) -> Option<QuoteAnswer> {
        for event in &shadowed.visit {
            if !self.standing.known.knows(event) && !self.tell(event).await {
                return None;
            }
        }
        let ask = Ask { memo: self.standing.known.memo(), ..shadowed.ask.clone() };
        let payer = self.payer();
        self.within(|deadline| payer.quote(&ask, deadline)).await
    }

    /// Nothing of the visit stays with an adapter that will not commit it.
    async fn call_off(&mut self) {
        if let Some(event) = self.standing.called_off.clone().filter(|_| self.standing.known.stands()) {
            self.tell(&event).await;
        }
    }

    /// The same again and again, in its turn, and once more before the gateway ends.
    async fn call_off_later(&mut self, rooms: &Rooms, stopped: &mut Shutdown) {
        let clock = Arc::clone(&self.around.runtime.clock);
        for pause_s in CALLED_OFF_AGAIN_S {
            let again = later(clock.now(), SignedDuration::from_secs(pause_s));
            let is_last = tokio::select! {
                () = stopped.requested() => true,
                () = clock.sleep_until(again) => false,
            };
            let _place = rooms.places.acquire().await;
            self.call_off().await;
            if is_last || !self.standing.known.stands() {
                break;
            }
        }
    }

    /// Whether it has taken the event in.
    async fn tell(&mut self, event: &VisitEvent) -> bool {
        let (payer, memo) = (self.payer(), self.standing.known.memo());
        match self.within(|deadline| payer.visit(event, memo, deadline)).await {
            Some(Visited::Noted { memo }) => {
                self.standing.known.heard(event, memo);
                true
            }
            Some(Visited::Unavailable(_)) | None => {
                self.standing.known.may_have_heard(event);
                false
            }
            Some(Visited::NotSent(_)) => false,
        }
    }

    /// As it is reached now.
    fn payer(&self) -> Arc<dyn Payer> {
        self.around.directory.named(&self.standing.adapter)
    }

    async fn within<'a, T>(&self, ask: impl FnOnce(Timestamp) -> Answer<'a, T>) -> Option<T> {
        let Runtime { clock, .. } = &self.around.runtime;
        let deadline = later(clock.now(), ASK_DEADLINE);
        tokio::select! {
            answer = ask(deadline) => Some(answer),
            () = clock.sleep_until(deadline) => None,
        }
    }
}
