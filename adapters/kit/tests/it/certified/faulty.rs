//! A simulated payer with one fault in what it does, and with one in what it says.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use yizhan_contract::Money;
use yizhan_contract::payer::{
    COVER_DEADLINE, Coverage, KEPT_BYTES_MAX, Manifest, Need, Performed, Person, QuoteAnswer, Status,
    Unavailable, VisitEvent, VisitEventKind, Visited,
};
use yizhan_contract::protocol::{
    CommitRequest, CoverageRequest, QuoteRequest, ReverseRequest, Statement, StatusRequest, VisitRequest,
};
use yizhan_contract::stay::civil_date;
use yizhan_kit::service::{Refusal, Replied, Verbs};
use yizhan_kit::simulate::{Magic, Simulator};

use super::faults::Fault;
use super::house::SHORT;
use super::memory::Memory;

/// What a slow answer takes longer than its manifest promises.
const SLOW: Duration = Duration::from_millis(150);
const PROMISED_MS: u32 = 75;

/// Promises of speed that are kept on a loaded machine, too, and that a gateway takes: only who is slow on purpose is found so.
pub(crate) fn leisurely(manifest: Manifest) -> Manifest {
    Manifest { quote_p95_ms: 2_000, commit_p95_ms: 9_000, ..manifest }
}

/// Whoever must see visits wants to be told all there is.
const EVERYTHING: [Need; 9] = [
    Need::IdNumber,
    Need::Name,
    Need::Birth,
    Need::Sex,
    Need::Card,
    Need::VisitNumber,
    Need::Diagnoses,
    Need::Lines,
    Need::Standing,
];

pub(crate) struct Faulty {
    pub(super) inner: Simulator,
    manifest: Manifest,
    pub(super) fault: Option<Fault>,
    pub(super) memory: Arc<Memory>,
    quotes_in_hand: AtomicUsize,
    /// Faults that would race with themselves take one operation at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl Faulty {
    pub(crate) fn of(inner: Simulator, fault: Option<Fault>, memory: Arc<Memory>) -> Self {
        let mut manifest = leisurely(inner.manifest().clone());
        if manifest.sees_visits {
            manifest.needs = EVERYTHING.into();
            manifest.commits_zero = true;
        }
        match fault {
            Some(Fault::AllowsNothingAtOnce) => manifest.concurrency_max = 0,
            Some(Fault::PromisesMoreThanIsWaitedFor) => manifest.quote_p95_ms = 9_000,
            Some(Fault::BooksTwiceThoughItAsksForOneAtATime) => manifest.concurrency_max = 1,
            Some(Fault::ReversesAfterItsWindow) => {
                manifest.reverse_window_s = Some(SHORT.as_secs().unsigned_abs())
            }
            Some(Fault::RefusesToPayNothing) => manifest.commits_zero = true,
            Some(Fault::RepeatsTheNameEscaped | Fault::WritesTheNameEscaped) => {
                manifest.needs.insert(Need::Name);
            }
            Some(Fault::StatusHidesWhatWasLeft) => manifest.not_found_settles_after_s = 0,
            Some(Fault::QuotesSlowlyUnderLoad) => manifest.quote_p95_ms = PROMISED_MS,
            Some(Fault::CommitsSlowlyUnderLoad) => manifest.commit_p95_ms = PROMISED_MS,
            _ => {}
        }
        let (quotes_in_hand, turn) = Default::default();
        Self { inner, manifest, fault, memory, quotes_in_hand, turn }
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The request as the fault reads it.
    fn misread(&self, asked: &QuoteRequest) -> QuoteRequest {
        let mut asked = asked.clone();
        let total = asked.ask.claim.buckets.total;
        let magic = asked.ask.person.id_number.as_ref().and_then(|number| Magic::of(number.reveal()));
        for leg in &mut asked.ask.legs {
            if self.has(Fault::PaysAboveTheMost) && leg.pay_at_most.is_positive() {
                leg.pay_at_most = total;
            }
            if self.has(Fault::PaysWhereNothingMay) && leg.pay_at_most.is_zero() {
                leg.pay_at_most = Money::FEN;
            }
            if magic == Some(Magic::Capped) && self.memory.of().is_cap_kept {
                leg.pay_at_most = Money::ZERO;
            }
        }
        if self.has(Fault::CoversEverybody) && magic == Some(Magic::NotCovered) {
            let number = Magic::Covered.number().clone();
            asked.ask.person.id_number = Some(yizhan_contract::Personal::new(number));
        }
        asked
    }

    async fn quoted(&self, asked: &QuoteRequest, at: Timestamp) -> Result<QuoteAnswer, Refusal> {
        let others = self.quotes_in_hand.fetch_add(1, Ordering::Relaxed);
        if self.has(Fault::QuotesSlowlyUnderLoad) && 0 < others {
            dawdle().await;
        }
        let asked = self.misread(asked);
        let mut answer = self.inner.quote(&asked, at).await;
        if let (true, Ok(QuoteAnswer::Quote(quote))) = (self.has(Fault::CountsWhatItIsToldAgain), &mut answer)
            && self.memory.was_told_again(&asked.ask.stay)
        {
            quote.amounts[0].amount -= Money::FEN;
        }
        self.quotes_in_hand.fetch_sub(1, Ordering::Relaxed);
        let magic = asked.ask.person.id_number.as_ref().and_then(|number| Magic::of(number.reveal()));
        if let (Some(Magic::Capped), Ok(QuoteAnswer::Quote(quote))) = (magic, &answer) {
            self.memory.of().capped_quotes.insert(quote.id.clone());
        }
        answer
    }

    async fn told(&self, asked: &VisitRequest, at: Timestamp) -> Result<Visited, Refusal> {
        let event = &asked.event;
        if !is_whole(event) {
            return Ok(not_now());
        }
        let is_called_off = self.memory.of().called_off.contains(&*event.stay);
        let is_unheard = !is_called_off && !self.memory.of().told.contains_key(&*event.stay);
        let times = self.memory.hears(event);
        let answer = self.inner.visit(asked, at).await?;
        Ok(match self.fault {
            Some(Fault::MissesCharges) if event.kind == VisitEventKind::Charged => not_now(),
            Some(Fault::RefusesToBeToldAgain) if 1 < times => not_now(),
            Some(Fault::RefusesToCallOffTheUnheard)
                if is_unheard && event.kind == VisitEventKind::Cancelled =>
            {
                not_now()
            }
            Some(Fault::KeepsTooMuch) => Visited::Noted { memo: vec![b'9'; KEPT_BYTES_MAX + 1].into() },
            Some(Fault::StaysCalledOff) if is_called_off => {
                let asked = VisitRequest { event: called_off(event), ..asked.clone() };
                self.inner.visit(&asked, at).await?
            }
            _ => answer,
        })
    }
}

/// Whether all that its manifest needs to know was told.
fn is_whole(event: &VisitEvent) -> bool {
    let has_charges = matches!(event.kind, VisitEventKind::Charged | VisitEventKind::Discharged);
    let Person { id_number, name, birth, sex, card } = &event.person;
    let is_known =
        id_number.is_some() && name.is_some() && birth.is_some() && sex.is_some() && card.is_some();
    is_known
        && event.visit_number.is_some()
        && !event.diagnoses.is_empty()
        && has_charges != event.lines.is_empty()
}

fn not_now() -> Visited {
    Visited::Unavailable(Unavailable { why: "not now".to_owned(), retry_after: None })
}

fn called_off(event: &VisitEvent) -> VisitEvent {
    VisitEvent { kind: VisitEventKind::Cancelled, ..event.clone() }
}

/// Nothing comes of it for a while.
pub(super) async fn dawdle() {
    dawdle_for(SLOW).await;
}

async fn dawdle_for(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

impl Verbs for Faulty {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn coverage<'a>(&'a self, asked: &'a CoverageRequest, at: Timestamp) -> Replied<'a, Coverage> {
        Box::pin(async move {
            let mut answer = self.inner.coverage(asked, at).await?;
            if self.has(Fault::SaysTooLateWhoIsCovered) && answer != Coverage::UnknownPerson {
                dawdle_for(COVER_DEADLINE.unsigned_abs() + SLOW).await;
            }
            if self.has(Fault::KnowsEverybody) && answer == Coverage::UnknownPerson {
                return Ok(Coverage::Covers { covers: Vec::new() });
            }
            if let (true, Coverage::Covers { covers }) =
                (self.has(Fault::SaysEverybodyIsCovered), &mut answer)
            {
                covers.iter_mut().for_each(|cover| cover.in_force = true);
            }
            Ok(answer)
        })
    }

    fn visit<'a>(&'a self, asked: &'a VisitRequest, at: Timestamp) -> Replied<'a, Visited> {
        Box::pin(self.told(asked, at))
    }

    fn quote<'a>(&'a self, asked: &'a QuoteRequest, at: Timestamp) -> Replied<'a, QuoteAnswer> {
        Box::pin(self.quoted(asked, at))
    }

    fn commit<'a>(&'a self, asked: &'a CommitRequest, at: Timestamp) -> Replied<'a, Performed> {
        Box::pin(self.committed(asked, at))
    }

    fn reverse<'a>(&'a self, asked: &'a ReverseRequest, at: Timestamp) -> Replied<'a, Performed> {
        Box::pin(self.reversed(asked, at))
    }

    fn status<'a>(&'a self, asked: &'a StatusRequest, at: Timestamp) -> Replied<'a, Status> {
        Box::pin(async move {
            let status = self.inner.status(asked, at).await?;
            Ok(self.status_of(&asked.operation_id, status))
        })
    }

    fn statement<'a>(&'a self, day: Date, after: Option<&'a str>, at: Timestamp) -> Replied<'a, Statement> {
        Box::pin(async move {
            let asked = if self.has(Fault::MixesDaysUp) { civil_date(at) } else { day };
            let after = after.filter(|_| !self.has(Fault::IgnoresAfter));
            let mut page = self.inner.statement(asked, after, at).await?;
            page.day = day;
            self.bookkeep(&mut page);
            Ok(page)
        })
    }
}

/// What is boxed and sent between threads.
pub(super) type Sent<T> = Pin<Box<dyn Future<Output = T> + Send>>;
