//! The verbs of a [`Payer`]: what a simple payer need not do itself, because this book does it. Each operation is made
//! ready, written down, and only then carried out; whatever is sent again gets the first answer again.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use yizhan_contract::instant::later;
use yizhan_contract::opaque::Opaque;
use yizhan_contract::payer::{
    Coverage, Manifest, Payer, Performed, QuoteAnswer, Status, Unavailable, Visited,
};
use yizhan_contract::protocol::{
    CommitRequest, CoverageRequest, QuoteRequest, ReverseRequest, STATEMENT_LINES_MAX, Statement,
    StatusRequest, VisitRequest,
};

use super::carrying::House;
use super::lanes::Lanes;
use super::verbs::{Refusal, Replied, Verbs};
use crate::book::operations::{Begun, Entry, Operations};
use crate::book::{Book, BookError, Kept};
use crate::given;

/// Quotes whose own bytes are held for their commit; past it, those that lapsed are let go.
const QUOTES_HELD_MAX: usize = 10_000;
/// A book of one day asks for no deadline; it gets this long.
const STATEMENT_WAIT: SignedDuration = SignedDuration::from_secs(30);
/// When to ask again about what is still being worked on.
const POLL_AFTER: SignedDuration = SignedDuration::from_secs(1);

/// A payer with a book of its operations.
pub struct Bridge {
    house: Arc<House>,
}

/// What the bridge remembers: operations, and of quotes the bytes their payer wants to have again.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub(super) operations: Operations,
    quotes: HashMap<String, (Timestamp, Opaque)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Operation(Entry),
    Quote { id: String, valid_until: Timestamp, kept: Opaque },
}

impl Kept for Remembered {
    type Record = Line;

    fn apply(&mut self, line: &Line) {
        match line {
            Line::Operation(entry) => self.operations.apply(entry),
            Line::Quote { id, valid_until, kept } => {
                if QUOTES_HELD_MAX <= self.quotes.len() {
                    // Times of the book itself, so that it is rebuilt as it was.
                    let newest = *valid_until;
                    let day = SignedDuration::from_hours(24);
                    self.quotes.retain(|_, (until, _)| newest.duration_since(*until) < day);
                }
                self.quotes.insert(id.clone(), (*valid_until, kept.clone()));
            }
        }
    }
}

impl Remembered {
    pub(super) fn kept(&self, quote_id: Option<&str>) -> Opaque {
        quote_id.and_then(|id| self.quotes.get(id)).map(|(_, kept)| kept.clone()).unwrap_or_default()
    }
}

impl Bridge {
    /// # Errors
    /// The book cannot be used.
    pub fn open(payer: Arc<dyn Payer>, book: &Path) -> Result<Self, BookError> {
        let places = usize::from(payer.manifest().concurrency_max).max(1);
        let house = House {
            places: Arc::new(Semaphore::new(places)),
            payer,
            book: Book::open(book)?,
            lanes: Lanes::default(),
            opened: given::now(),
        };
        Ok(Self { house: Arc::new(house) })
    }

    /// Carries an operation out in a task of its own, which goes on when the deadline ends the waiting for it.
    async fn performed(&self, begun: Begun, deadline: Timestamp) -> Result<Performed, Refusal> {
        let left = left(deadline, begun.at);
        let house = Arc::clone(&self.house);
        let work = tokio::spawn(async move { house.carry(begun, deadline, left).await });
        match tokio::time::timeout(left, work).await {
            Ok(Ok(performed)) => performed,
            Ok(Err(_panicked)) => Err(Refusal::Failed),
            Err(_) => Ok(still_working()),
        }
    }

    /// A question that changes nothing: given up at its deadline.
    async fn told<T>(
        &self,
        deadline: Timestamp,
        at: Timestamp,
        unavailable: impl FnOnce(Unavailable) -> T,
        answer: impl Future<Output = T> + Send,
    ) -> Result<T, Refusal> {
        let asking = async {
            let _place = self.house.places.acquire().await;
            answer.await
        };
        let told = tokio::time::timeout(left(deadline, at), asking).await;
        Ok(told.unwrap_or_else(|_| {
            let why = "期限内未得到应答 | no answer within the deadline".to_owned();
            unavailable(Unavailable { why, retry_after: None })
        }))
    }
}

fn left(deadline: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(deadline.duration_since(at)).unwrap_or_default()
}

pub(super) fn still_working() -> Performed {
    Performed::Unknown {
        poll_after: Some(POLL_AFTER), why: "仍在办理 | is still being worked on".to_owned()
    }
}

impl Verbs for Bridge {
    fn manifest(&self) -> &Manifest {
        self.house.payer.manifest()
    }

    fn coverage<'a>(&'a self, asked: &'a CoverageRequest, at: Timestamp) -> Replied<'a, Coverage> {
        let deadline = asked.head.deadline;
        let answer = self.house.payer.coverage(&asked.question, deadline);
        Box::pin(self.told(deadline, at, Coverage::Unavailable, answer))
    }

    fn visit<'a>(&'a self, asked: &'a VisitRequest, at: Timestamp) -> Replied<'a, Visited> {
        let deadline = asked.head.deadline;
        let answer = self.house.payer.visit(&asked.event, asked.memo.clone(), deadline);
        Box::pin(async move {
            // A payer behind this service is no affair of whoever asks it.
            match self.told(deadline, at, Visited::Unavailable, answer).await? {
                Visited::NotSent(why) => Ok(Visited::Unavailable(why)),
                answer @ (Visited::Noted { .. } | Visited::Unavailable(_)) => Ok(answer),
            }
        })
    }

    fn quote<'a>(&'a self, asked: &'a QuoteRequest, at: Timestamp) -> Replied<'a, QuoteAnswer> {
        let deadline = asked.head.deadline;
        let answer = self.house.payer.quote(&asked.ask, deadline);
        Box::pin(async move {
            let answer = self.told(deadline, at, QuoteAnswer::Unavailable, answer).await?;
            if let QuoteAnswer::Quote(quote) = &answer
                && !quote.kept.is_empty()
            {
                let (id, kept) = (quote.id.clone(), quote.kept.clone());
                let line = Line::Quote { id, valid_until: quote.valid_until, kept };
                let ((), position) = self.house.book.decide(|_| (vec![line], ()));
                self.house.book.durable(position).await.map_err(|_| Refusal::Failed)?;
            }
            Ok(answer)
        })
    }

    fn commit<'a>(&'a self, asked: &'a CommitRequest, at: Timestamp) -> Replied<'a, Performed> {
        Box::pin(self.performed(Begun::commit(asked, at), asked.head.deadline))
    }

    fn reverse<'a>(&'a self, asked: &'a ReverseRequest, at: Timestamp) -> Replied<'a, Performed> {
        Box::pin(self.performed(Begun::reversal(asked, at), asked.head.deadline))
    }

    fn status<'a>(&'a self, asked: &'a StatusRequest, at: Timestamp) -> Replied<'a, Status> {
        let deadline = asked.head.deadline;
        Box::pin(async move {
            let house = Arc::clone(&self.house);
            let id = Arc::clone(&asked.operation_id);
            let work = tokio::spawn(async move { house.status(&id, deadline).await });
            match tokio::time::timeout(left(deadline, at), work).await {
                Ok(Ok(status)) => status,
                Ok(Err(_panicked)) => Err(Refusal::Failed),
                Err(_) => Ok(Status::Pending),
            }
        })
    }

    fn statement<'a>(
        &'a self,
        day: jiff::civil::Date,
        after: Option<&'a str>,
        at: Timestamp,
    ) -> Replied<'a, Statement> {
        Box::pin(async move {
            let deadline = later(at, STATEMENT_WAIT);
            let book = self.house.payer.statement(day, deadline);
            let book = tokio::time::timeout(left(deadline, at), book).await;
            let Ok(Ok(lines)) = book else { return Err(Refusal::Busy { retry_after_s: 5 }) };
            let first = after.map_or(Ok(0), str::parse::<usize>).unwrap_or(usize::MAX);
            let end = first.saturating_add(STATEMENT_LINES_MAX);
            let next = (end < lines.len()).then(|| end.to_string());
            let lines = lines.into_iter().skip(first).take(STATEMENT_LINES_MAX).collect();
            Ok(Statement { day, lines, next })
        })
    }
}
