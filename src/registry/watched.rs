//! An adapter that is watched: what its calls come to counts against its budget.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use yizhan_contract::Text;
use yizhan_contract::payer::{
    Answer, Ask, Coverage, CoverageQuestion, Manifest, Memo, Operation, Payer, Performed, PrepareError,
    Prepared, QuoteAnswer, StatementLine, Status, Unavailable, VisitEvent, Visited,
};
use yizhan_remote::Host;

use super::budget::{Budget, Limits};
use crate::telemetry;

/// What is remembered of an adapter over changes of its file: by its name.
#[derive(Default)]
pub(super) struct Watch {
    budget: Budget,
    fallen: Mutex<Option<Fallen>>,
    /// Rings when it falls.
    falling: Arc<Notify>,
}

/// Since when and why an adapter is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallen {
    pub since: Timestamp,
    pub why: Text,
}

impl Watch {
    pub(super) fn ringing(falling: Arc<Notify>) -> Self {
        Self { falling, ..Self::default() }
    }

    pub(super) fn fallen(&self) -> Option<Fallen> {
        self.fallen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn fall(&self, fallen: Fallen) {
        self.fallen.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fallen);
    }

    /// It is asked again, and what it did before counts no more.
    pub(super) fn reset(&self) {
        self.budget.forget();
        self.fallen.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

pub(super) struct Watched {
    pub(super) name: Arc<str>,
    pub(super) inner: Arc<dyn Payer>,
    pub(super) watch: Arc<Watch>,
    pub(super) limits: Limits,
    pub(super) host: Arc<dyn Host>,
    /// Its budget is of no account where it decides nothing.
    pub(super) may_fall: bool,
}

impl Watched {
    async fn timed<T>(&self, deadline: Timestamp, call: Answer<'_, T>, has_failed: fn(&T) -> bool) -> T {
        let mut timed = Timed { watched: self, deadline, began: self.host.steady(), is_over: false };
        let answer = call.await;
        timed.is_over = true;
        self.note(timed.began, has_failed(&answer));
        answer
    }

    fn note(&self, began: Duration, has_failed: bool) {
        let now = self.host.steady();
        let used_up = self.watch.budget.note(&self.limits, now, now.saturating_sub(began), has_failed);
        if let Some(why) = used_up.filter(|_| self.may_fall && self.watch.fallen().is_none()) {
            telemetry::adapter_fell(&self.name, &why.en);
            self.watch.fall(Fallen { since: self.host.now(), why });
            self.watch.falling.notify_one();
        }
    }
}

/// A call under way. Given up at its deadline it failed; given up before, nothing is known of it.
struct Timed<'w> {
    watched: &'w Watched,
    deadline: Timestamp,
    began: Duration,
    is_over: bool,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.deadline <= self.watched.host.now() {
            self.watched.note(self.began, true);
        }
    }
}

impl Payer for Watched {
    fn manifest(&self) -> &Manifest {
        self.inner.manifest()
    }

    fn visit<'a>(&'a self, event: &'a VisitEvent, memo: Memo, deadline: Timestamp) -> Answer<'a, Visited> {
        let call = self.inner.visit(event, memo, deadline);
        Box::pin(self.timed(deadline, call, |answer| matches!(answer, Visited::Unavailable(_))))
    }

    fn coverage<'a>(&'a self, question: &'a CoverageQuestion, deadline: Timestamp) -> Answer<'a, Coverage> {
        // Mostly answered from what is known already, which says nothing of the payer.
        self.inner.coverage(question, deadline)
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        let call = self.inner.quote(ask, deadline);
        Box::pin(self.timed(deadline, call, |answer| matches!(answer, QuoteAnswer::Unavailable(_))))
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        self.inner.prepare(operation)
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed> {
        let call = self.inner.perform(prepared, deadline);
        Box::pin(self.timed(deadline, call, |answer| matches!(answer, Performed::Unknown { .. })))
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Status> {
        self.inner.status(prepared, deadline)
    }

    fn statement(
        &self,
        day: Date,
        deadline: Timestamp,
    ) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        self.inner.statement(day, deadline)
    }
}
