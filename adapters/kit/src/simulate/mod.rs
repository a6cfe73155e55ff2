//! A payer in a box: quotes by a policy file, its own durable book with yearly caps, and people whose numbers make it
//! [misbehave](Magic) on demand.
//!
//! `quoting` (policy and ask into amounts), `visits` (stays it was told of) and `ledger` (what was quoted, paid, taken
//! back) are pure; [`Simulator`] answers the protocol with them.

mod ledger;
mod magic;
mod quoting;
mod visits;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use yizhan_contract::instant::later;
use yizhan_contract::payer::{
    Ask, COMMIT_P95_MS_MAX, Cover, Coverage, Manifest, Need, Performed, Quote, QuoteAnswer, Status,
    Unavailable, Visited,
};
use yizhan_contract::protocol::{
    CommitRequest, CoverageRequest, Head, QuoteRequest, ReverseRequest, STATEMENT_LINES_MAX, Statement,
    StatusRequest, VisitRequest,
};
use yizhan_contract::stay::civil_date;
use yizhan_contract::{IdNumber, Money, PayerCode};
use yizhan_rules::{BaseKind, PolicyError, PolicyShelf};

use crate::book::operations::{Begun, Outcome};
use crate::book::{Book, BookError};
use crate::given::{self, hex};
use crate::service::{Desk, Refusal, Replied, ServeError, Service, Verbs, listen, open};
use ledger::{Decided, Ledger, Quoted, Record};
pub use magic::{Magic, listed};

/// The policy of a payer that was given none.
pub const POLICY: (&str, &str) = ("simulated.toml", include_str!("../../policies/simulated.toml"));
/// How long a quote can be committed where nothing else is said.
const QUOTE_VALID: SignedDuration = SignedDuration::from_mins(30);
/// How long a commit can be reversed where nothing else is said.
const REVERSE_WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);
const SLOW: Duration = Duration::from_secs(3);
/// How often the status of a lost answer is lost as well.
const STATUSES_LOST: u8 = 3;

/// Which payer is simulated, and how.
#[derive(Debug, Clone)]
pub struct Simulated {
    pub policies: PolicyShelf,
    pub serves: Vec<PayerCode>,
    /// A settlement may go on without it.
    pub optional: bool,
    /// It quotes no stay that it was not told of.
    pub sees_visits: bool,
    /// What each quote, commit and reversal takes at least.
    pub takes: Duration,
    /// How long a quote can be committed.
    pub quote_valid: SignedDuration,
    /// How long a commit can be reversed.
    pub reverse_window: SignedDuration,
    /// Of its statement, on a page.
    pub page_lines_max: usize,
    /// What its manifest promises: requests at a time, and in a second.
    pub concurrency_max: u16,
    pub requests_per_second_max: Option<u16>,
}

/// Why a payer cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    #[error("未指定要模拟的支付方 | no payer to simulate was named")]
    NoPayer,
    #[error("{0}：所给政策中没有这个支付方 | {0}: no policy that was given has this payer")]
    NoSuchPayer(PayerCode),
    #[error("内置政策有误：{0} | the built-in policy is wrong: {0}")]
    Policy(#[from] PolicyError),
    #[error("无法取得随机数（{0}）| no random numbers: {0}")]
    NoRandom(std::io::Error),
    #[error(transparent)]
    Book(#[from] BookError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl Simulated {
    /// A payer that goes by [`POLICY`].
    ///
    /// # Errors
    /// Never, as a test sees to it.
    pub fn by_default(serves: Vec<PayerCode>) -> Result<Self, PolicyError> {
        Ok(Self::new(PolicyShelf::read([POLICY])?, serves))
    }

    /// A quick and optional payer that goes by these policies.
    pub fn new(policies: PolicyShelf, serves: Vec<PayerCode>) -> Self {
        Self {
            policies,
            serves,
            optional: true,
            sees_visits: false,
            takes: Duration::ZERO,
            quote_valid: QUOTE_VALID,
            reverse_window: REVERSE_WINDOW,
            page_lines_max: STATEMENT_LINES_MAX,
            concurrency_max: 32,
            requests_per_second_max: None,
        }
    }

    /// What it says of itself.
    pub fn manifest(&self) -> Manifest {
        let rules = |payer| self.policies.policies().iter().filter_map(move |policy| policy.payer(payer));
        let by_items = self.serves.iter().flat_map(rules).any(|rule| rule.base.value == BaseKind::Items);
        let needs = [Need::IdNumber, Need::Standing].into_iter().chain(by_items.then_some(Need::Lines));
        let takes_ms = u32::try_from(self.takes.as_millis()).unwrap_or(u32::MAX);
        let manifest = Manifest {
            quotes_are_firm: true,
            commits_are_idempotent: true,
            reverse_window_s: Some(self.reverse_window.as_secs().unsigned_abs()),
            not_found_settles_after_s: 5,
            optional: self.optional,
            sees_visits: self.sees_visits,
            concurrency_max: self.concurrency_max,
            requests_per_second_max: self.requests_per_second_max,
            needs: needs.collect(),
            coverage_valid_s: Some(3_600),
            commit_p95_ms: takes_ms.saturating_add(1_500).min(COMMIT_P95_MS_MAX),
            ..Manifest::cautious("yizhan-simulator", env!("CARGO_PKG_VERSION"), self.serves.clone())
        };
        // One that takes longer than a gateway waits promises the most it may, and is late.
        let quote_p95_ms = takes_ms.saturating_add(500).min(manifest.quote_p95_ms_max());
        Manifest { quote_p95_ms, ..manifest }
    }
}

/// Serves a simulated payer until `until`. `ready` hears where it listens once it does.
///
/// # Errors
/// [`SimulateError`].
pub async fn simulate(
    simulated: Simulated,
    service: Service,
    ready: impl FnOnce(SocketAddr),
    until: impl Future<Output = ()> + Send,
) -> Result<(), SimulateError> {
    let simulator = Simulator::open(simulated, &service.book)?;
    let (listener, tls) = listen(&service).await?;
    ready(listener.local_addr().unwrap_or(service.listen));
    open(listener, tls, Arc::new(Desk::of(simulator)), until).await;
    Ok(())
}

/// The simulated payer.
#[derive(Debug)]
pub struct Simulator {
    simulated: Simulated,
    manifest: Manifest,
    book: Book<Ledger>,
    /// Of each operation whose answers are lost: how often its status was.
    lost: Mutex<HashMap<Arc<str>, u8>>,
}

impl Simulator {
    /// # Errors
    /// [`SimulateError`]: a payer no policy has, or a book that cannot be used.
    pub fn open(simulated: Simulated, book: &Path) -> Result<Self, SimulateError> {
        if simulated.serves.is_empty() {
            return Err(SimulateError::NoPayer);
        }
        let policies = simulated.policies.policies();
        for payer in &simulated.serves {
            if !policies.iter().any(|policy| policy.payer(payer).is_some()) {
                return Err(SimulateError::NoSuchPayer(payer.clone()));
            }
        }
        let book = Book::<Ledger>::open(book)?;
        let drawn = given::drawn::<32>().map_err(SimulateError::NoRandom)?;
        let _ = book.decide(|ledger| {
            let opened = ledger.salt.is_empty().then(|| Record::Opened { salt: hex(&drawn) });
            (opened.into_iter().collect(), ())
        });
        Ok(Self { manifest: simulated.manifest(), simulated, book, lost: Mutex::default() })
    }

    fn person(ledger: &Ledger, number: &IdNumber) -> Arc<str> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, ledger.salt.as_bytes());
        hex(hmac::sign(&key, number.as_str().as_bytes()).as_ref()).into()
    }

    /// What it was not told of a stay and has to know.
    fn lacking(&self, ask: &Ask) -> Option<&'static str> {
        if self.simulated.sees_visits { self.book.read(|ledger| ledger.visits.lacking(ask)).0 } else { None }
    }

    fn quoted(&self, ask: &Ask, at: Timestamp) -> QuoteAnswer {
        if let Some(what) = self.lacking(ask) {
            return QuoteAnswer::NotReady { what: what.to_owned() };
        }
        let refused = |code: &str, message: String| QuoteAnswer::Refused { code: code.to_owned(), message };
        let Some(number) = &ask.person.id_number else {
            return refused(
                "id_number_missing",
                "须提供身份证号 | the identity card number is needed".to_owned(),
            );
        };
        let magic = Magic::of(number.reveal());
        match magic {
            Some(Magic::NotCovered) => return QuoteAnswer::NotCovered,
            Some(Magic::UnknownPerson) => {
                return refused("unknown_person", "查无此人 | nobody knows the person".to_owned());
            }
            Some(Magic::RefusesQuote) => {
                return refused("simulated_refusal", "模拟拒绝 | refused, as its number says".to_owned());
            }
            _ => {}
        }
        let claim = &ask.claim;
        let Some(policy) = self.simulated.policies.find(&claim.insured_region, claim.discharged) else {
            let why = format!(
                "{} {}：无适用政策 | no policy that was given holds there then",
                claim.insured_region, claim.discharged
            );
            return refused("no_policy", why);
        };
        let (answer, _) = self.book.decide(|ledger| {
            let (person, year) = (Self::person(ledger, number.reveal()), claim.discharged.year());
            let legs = match quoting::legs(policy, ask, &ledger.used(&person, year), magic) {
                Ok(legs) => legs,
                Err(why) => return (Vec::new(), refused("not_computable", why)),
            };
            if legs.iter().all(|leg| leg.is_barred) {
                return (Vec::new(), QuoteAnswer::NotCovered);
            }
            let valid_until = later(at, self.simulated.quote_valid);
            let by_payer = |leg: &quoting::Leg| (leg.quoted.payer.clone(), leg.quoted.amount);
            let quoted = Quoted {
                id: format!("Q{}", ledger.quotes_given + 1),
                person,
                year,
                magic,
                valid_until,
                amounts: legs.iter().map(by_payer).collect(),
                bases: legs.iter().map(|leg| (leg.quoted.payer.clone(), leg.base)).collect(),
                caps: legs.iter().filter_map(|leg| Some((leg.quoted.payer.clone(), leg.cap?))).collect(),
            };
            let answer = QuoteAnswer::Quote(Quote {
                id: quoted.id.clone(),
                valid_until,
                amounts: legs.into_iter().map(|leg| leg.quoted).collect(),
                also_paid: Vec::new(),
                kept: Default::default(),
            });
            (vec![Record::Quoted(quoted)], answer)
        });
        answer
    }

    /// Decides, makes it durable, and answers as the person's number says.
    async fn performed(&self, begun: Begun, head: &Head, at: Timestamp) -> Result<Performed, Refusal> {
        let (id, is_commit) = (Arc::clone(&begun.id), begun.reverses.is_none());
        let (decided, position) =
            self.book.decide(|ledger| ledger.decide(begun, at, self.simulated.reverse_window));
        let Decided::Told { outcome, is_first } = decided else { return Err(Refusal::Conflict) };
        self.book.durable(position).await.map_err(|_| Refusal::Failed)?;
        let (magic, _) = self.book.read(|ledger| ledger.magic_of(&id));
        match (magic, is_commit) {
            (Some(Magic::TimesOut | Magic::LosesStatus), true) | (Some(Magic::ReversalTimesOut), false)
                if is_first =>
            {
                tokio::time::sleep(left(head, at)).await;
                Err(Refusal::Silence)
            }
            (Some(Magic::Slow), true) => {
                tokio::time::sleep(SLOW).await;
                Ok(outcome.performed())
            }
            (Some(Magic::WrongSum), true) => Ok(one_fen_more(outcome).performed()),
            _ => Ok(outcome.performed()),
        }
    }

    /// Whether the question after a lost answer is lost as well.
    fn is_lost(&self, operation_id: &Arc<str>) -> bool {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let times = lost.entry(Arc::clone(operation_id)).or_default();
        *times = times.saturating_add(1);
        *times <= STATUSES_LOST
    }
}

fn left(head: &Head, at: Timestamp) -> Duration {
    Duration::try_from(head.deadline.duration_since(at)).unwrap_or_default()
}

fn one_fen_more(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Done { mut amounts, reference } => {
            if let Some((_, amount)) = amounts.first_mut() {
                *amount += Money::FEN;
            }
            Outcome::Done { amounts, reference }
        }
        refused @ Outcome::Refused { .. } => refused,
    }
}

impl Verbs for Simulator {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn coverage<'a>(&'a self, asked: &'a CoverageRequest, _: Timestamp) -> Replied<'a, Coverage> {
        let question = &asked.question;
        let number = question.person.id_number.as_ref().map(|number| number.reveal());
        let answer = match number.map(Magic::of) {
            None | Some(Some(Magic::UnknownPerson)) => Coverage::UnknownPerson,
            Some(magic) => {
                let is_covered = magic != Some(Magic::NotCovered);
                let cover = |payer: &PayerCode| Cover {
                    payer: payer.clone(),
                    in_force: is_covered && self.manifest.serves.contains(payer),
                    from: None,
                    to: None,
                };
                Coverage::Covers { covers: question.payers.iter().map(cover).collect() }
            }
        };
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn visit<'a>(&'a self, asked: &'a VisitRequest, _: Timestamp) -> Replied<'a, Visited> {
        Box::pin(async move {
            if !self.simulated.sees_visits {
                return Ok(Visited::Noted { memo: asked.memo.clone() });
            }
            let (visited, position) = self.book.decide(|ledger| {
                let (heard, visited) = ledger.visits.hear(&asked.event);
                (heard.map(Record::Visit).into_iter().collect(), visited)
            });
            self.book.durable(position).await.map_err(|_| Refusal::Failed)?;
            Ok(visited)
        })
    }

    fn quote<'a>(&'a self, asked: &'a QuoteRequest, at: Timestamp) -> Replied<'a, QuoteAnswer> {
        Box::pin(async move {
            tokio::time::sleep(self.simulated.takes).await;
            let number = asked.ask.person.id_number.as_ref();
            if number.and_then(|number| Magic::of(number.reveal())) == Some(Magic::Slow) {
                tokio::time::sleep(SLOW).await;
            }
            Ok(self.quoted(&asked.ask, at))
        })
    }

    fn commit<'a>(&'a self, asked: &'a CommitRequest, at: Timestamp) -> Replied<'a, Performed> {
        Box::pin(async move {
            tokio::time::sleep(self.simulated.takes).await;
            self.performed(Begun::commit(asked, at), &asked.head, at).await
        })
    }

    fn reverse<'a>(&'a self, asked: &'a ReverseRequest, at: Timestamp) -> Replied<'a, Performed> {
        Box::pin(async move {
            tokio::time::sleep(self.simulated.takes).await;
            self.performed(Begun::reversal(asked, at), &asked.head, at).await
        })
    }

    fn status<'a>(&'a self, asked: &'a StatusRequest, _: Timestamp) -> Replied<'a, Status> {
        Box::pin(async move {
            let id = &asked.operation_id;
            let (found, position) = self.book.read(|ledger| {
                let outcome = ledger.operations.get(id).and_then(|operation| operation.ended.clone());
                outcome.map(|outcome| (outcome, ledger.magic_of(id)))
            });
            let Some((outcome, magic)) = found else { return Ok(Status::NotFound) };
            if magic == Some(Magic::LosesStatus) && self.is_lost(id) {
                let why = "模拟：查询无结果 | simulated: no answer about it".to_owned();
                return Ok(Status::Unavailable(Unavailable { why, retry_after: None }));
            }
            self.book.durable(position).await.map_err(|_| Refusal::Failed)?;
            Ok(outcome.status())
        })
    }

    fn statement<'a>(&'a self, day: Date, after: Option<&'a str>, _: Timestamp) -> Replied<'a, Statement> {
        Box::pin(async move {
            let first = after.map_or(Ok(0), str::parse::<usize>).unwrap_or(usize::MAX);
            let (page, position) = self.book.read(|ledger| {
                let of_day = ledger.lines.iter().enumerate().skip(first);
                let mut of_day = of_day.filter(|(_, line)| civil_date(line.at) == day);
                let page = of_day.by_ref().take(self.simulated.page_lines_max);
                let lines: Vec<_> = page.map(|(_, line)| line.clone()).collect();
                let next = of_day.next().map(|(place, _)| place.to_string());
                Statement { day, lines, next }
            });
            self.book.durable(position).await.map_err(|_| Refusal::Failed)?;
            Ok(page)
        })
    }
}
