//! An adapter that is watched: what its calls come to counts against its budget.
//!
//! What counts is what a stay waits for and what is the payer's doing. A call that never left because too many were under
//! way, or came too fast for the payer's pace, says nothing of the payer: its time was spent here. One that did not leave
//! because the payer is left alone counts as unanswered: a payer that is gone is sent so little that it would never use
//! its budget up. `unavailable` is an answer the contract allows, but no stay comes on with it, and that is what the
//! budget is there for. `unknown` to an operation is not counted: a payer that books in the background says it to every
//! commit, and keeps its word when it is asked. Nor is a call late that had less time than its manifest asks for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use yizhan_contract::Text;
use yizhan_contract::payer::{
    Answer, Ask, Manifest, Memo, Operation, Payer, Performed, PrepareError, Prepared, QuoteAnswer,
    StatementLine, Status, Unavailable, VisitEvent, Visited,
};
use yizhan_remote::{Ended, Host, Trouble, Verb};

use super::budget::{Budget, Limits};
use crate::settlement::absent::Absent;
use crate::telemetry;

/// What is remembered of an adapter over changes of its file: by its name.
pub(super) struct Watch {
    name: Arc<str>,
    host: Arc<dyn Host>,
    budget: Budget,
    terms: Mutex<Option<Terms>>,
    fallen: Mutex<Option<Fallen>>,
    /// Rings when it falls.
    falling: Arc<Notify>,
}

/// What its file says of it now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) limits: Limits,
    /// Where it decides nothing no stay waits for it, and what its calls come to counts for nothing, then or later.
    pub(super) may_fall: bool,
}

/// Since when and why an adapter is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallen {
    pub since: Timestamp,
    pub why: Text,
}

impl Watch {
    pub(super) fn new(name: Arc<str>, host: Arc<dyn Host>, falling: Arc<Notify>) -> Self {
        let (budget, terms, fallen) = (Budget::default(), Mutex::default(), Mutex::default());
        Self { name, host, budget, terms, fallen, falling }
    }

    /// Nothing counts before it is said by which terms.
    pub(super) fn go_by(&self, terms: Terms) {
        *self.terms.lock().unwrap_or_else(PoisonError::into_inner) = Some(terms);
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

    fn note(&self, took: Duration, has_failed: bool) {
        let terms = *self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Terms { limits, .. }) = terms.filter(|terms| terms.may_fall) else { return };
        let used_up = self.budget.note(&limits, self.host.steady(), took, has_failed);
        if let Some(why) = used_up.filter(|_| self.fallen().is_none()) {
            telemetry::adapter_fell(&self.name, &why.en);
            self.fall(Fallen { since: self.host.now(), why });
            self.falling.notify_one();
        }
    }
}

/// The host of one adapter: the gateway's, which hears what its calls come to.
impl Host for Watch {
    fn now(&self) -> Timestamp {
        self.host.now()
    }

    fn steady(&self) -> Duration {
        self.host.steady()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.host.fill_random(bytes);
    }

    fn ended(&self, call: Ended<'_>) {
        if let Some(has_failed) = counts(&call) {
            self.note(call.took, has_failed);
        }
    }
}

/// Whether a stay could not go on with it; absent: it says nothing of the payer.
fn counts(call: &Ended<'_>) -> Option<bool> {
    match call.verb {
        Verb::Visit | Verb::Coverage | Verb::Quote | Verb::Commit | Verb::Reverse => {}
        // No stay waits for these.
        Verb::Describe | Verb::Status | Verb::Statement => return None,
    }
    match call.came_to {
        Ok(kind) => Some(kind == "unavailable"),
        Err(Trouble::DeadlinePassed | Trouble::NoTurn | Trouble::NotWritten(_) | Trouble::Foreign) => None,
        Err(_) => Some(true),
    }
}

/// An adapter whose service has not said what it is: nothing is sent to it, and stays wait for it all the same.
pub(super) struct Unheard {
    pub(super) inner: Absent,
    pub(super) watch: Arc<Watch>,
}

impl Payer for Unheard {
    fn manifest(&self) -> &Manifest {
        self.inner.manifest()
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        self.watch.note(Duration::ZERO, true);
        self.inner.quote(ask, deadline)
    }

    /// Of what it is to forget no stay waits.
    fn visit<'a>(&'a self, event: &'a VisitEvent, memo: Memo, deadline: Timestamp) -> Answer<'a, Visited> {
        self.inner.visit(event, memo, deadline)
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        self.inner.prepare(operation)
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed> {
        self.watch.note(Duration::ZERO, true);
        self.inner.perform(prepared, deadline)
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

#[cfg(test)]
mod tests {
    use yizhan_remote::Unreachable;

    use super::*;
    use crate::registry::host::OfRuntime;
    use crate::runtime::Runtime;

    /// Whether a call counts, and as what.
    fn check(verb: Verb, came_to: Result<&'static str, Trouble>, expected: Option<bool>) {
        let took = Duration::from_secs(1);
        let ended = Ended { verb, took, came_to: came_to.as_ref().map(|kind| *kind) };
        assert_eq!(counts(&ended), expected, "{ended:?}");
    }

    #[test]
    fn what_is_the_payers_doing_and_a_stay_waits_for_counts() {
        let (fine, failed) = (Some(false), Some(true));
        check(Verb::Quote, Ok("quote"), fine);
        check(Verb::Quote, Ok("refused"), fine);
        check(Verb::Quote, Ok("unavailable"), failed);
        check(Verb::Visit, Ok("unavailable"), failed);
        check(Verb::Commit, Ok("unknown"), fine);
        check(Verb::Commit, Err(Trouble::Broken { received: 0 }), failed);
        check(Verb::Coverage, Err(Trouble::Odd(Text::new("错", "odd"))), failed);
        check(Verb::Quote, Err(Trouble::Status { status: 502, said: None }), failed);
        check(Verb::Quote, Err(Trouble::Resting(Duration::from_secs(5))), failed);
        let late = |received| Trouble::Late { received, patience: Duration::from_secs(5) };
        check(Verb::Visit, Ok("noted"), fine);
        check(Verb::Coverage, Ok("unknown_person"), fine);
        check(Verb::Coverage, Ok("unavailable"), failed);
        check(Verb::Reverse, Ok("done"), fine);
        check(Verb::Reverse, Ok("unknown"), fine);
        check(Verb::Commit, Ok("refused"), fine);
        check(Verb::Quote, Err(late(0)), failed);
        check(Verb::Reverse, Err(late(40)), failed);
        check(Verb::Quote, Err(Trouble::Unreachable(Unreachable::Name)), failed);
        check(Verb::Visit, Err(Trouble::TlsRefused("bad_certificate".to_owned())), failed);
        check(Verb::Quote, Err(Trouble::Busy { status: 429, later: None }), failed);
        check(Verb::Quote, Err(Trouble::TooLong { bytes_max: 9 }), failed);
        check(Verb::Commit, Err(Trouble::Unreadable(Text::new("错", "unreadable"))), failed);
        check(Verb::Quote, Err(Trouble::NoTurn), None);
        check(Verb::Quote, Err(Trouble::DeadlinePassed), None);
        check(Verb::Commit, Err(Trouble::NotWritten(Text::new("错", "not written"))), None);
        check(Verb::Reverse, Err(Trouble::Foreign), None);
        check(Verb::Status, Err(Trouble::Broken { received: 0 }), None);
        check(Verb::Statement, Err(late(0)), None);
        check(Verb::Statement, Ok("unavailable"), None);
        check(Verb::Describe, Ok("description"), None);
    }

    /// By which terms it goes, and how many of its calls fail then; whether it has fallen in the end.
    fn falls(turns: &[(bool, usize)]) -> bool {
        let host = Arc::new(OfRuntime::new(Runtime::system()));
        let watch = Watch::new("acme".into(), host, Arc::default());
        let (window, slow) = (Duration::from_secs(86_400), Duration::from_secs(10));
        let limits = Limits { window, calls_min: 3, failed_percent_max: 50, slow, slow_percent_max: 100 };
        for (may_fall, calls) in turns {
            watch.go_by(Terms { limits, may_fall: *may_fall });
            for _ in 0..*calls {
                watch.note(Duration::ZERO, true);
            }
        }
        watch.fallen().is_some()
    }

    #[test]
    fn what_it_does_while_it_decides_nothing_counts_for_nothing() {
        assert!(falls(&[(true, 3)]));
        assert!(falls(&[(true, 2), (false, 9), (true, 1)]), "what it did before counts still");
        assert!(!falls(&[(false, 9)]));
        assert!(!falls(&[(false, 9), (true, 2)]));
        assert!(falls(&[(false, 9), (true, 3)]));
    }
}
