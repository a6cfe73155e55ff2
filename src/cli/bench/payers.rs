//! Outside payers that take their time: each serves one payer, quotes half of what it may pay, keeps its word
//! and its own book, and answers after a fixed delay.
//!
//! What a settlement waits for them is their time, not the gateway's: they note it by stay, measured, because
//! a pause of 20 ms takes longer than 20 ms.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use yizhan_contract::instant::later;
use yizhan_contract::opaque::Opaque;
use yizhan_contract::payer::{
    Answer, Ask, Manifest, Operation, OperationKind, Payer, Performed, PrepareError, Prepared, Quote,
    QuoteAnswer, QuotedAmount, StatementLine, Status, Unavailable,
};
use yizhan_contract::stay::civil_date;
use yizhan_contract::{Money, PayerCode};

use super::load::micros;
use crate::runtime::{Runtime, steady};

/// Who is asked; the others are computed by rules.
const OUTSIDE: [&str; 3] = ["disaster", "basic", "supplementary"];
const QUOTE_HOLDS: SignedDuration = SignedDuration::from_hours(1);
const REVERSE_WINDOW_S: u64 = 86_400;
const CONCURRENCY_MAX: u16 = 1_024;

/// What one settlement waited for payers, in µs: quotes one after the other, commits side by side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Waited {
    quotes_us: u64,
    slowest_commit_us: u64,
}

/// How long each stay waited, of all payers together.
#[derive(Debug, Clone, Default)]
pub(super) struct Waits(Arc<Mutex<HashMap<Arc<str>, Waited>>>);

impl Waits {
    fn note(&self, stay: &Arc<str>, add: impl FnOnce(&mut Waited)) {
        add(locked(&self.0).entry(Arc::clone(stay)).or_default());
    }

    /// µs that the payers account for: Σ quotes + the slowest commit.
    pub(super) fn of(&self, stay: &str) -> u64 {
        locked(&self.0).get(stay).map_or(0, |waited| waited.quotes_us + waited.slowest_commit_us)
    }
}

/// An adapter under the name its gateway knows it by.
pub(super) type Named = (Arc<str>, Arc<dyn Payer>);

/// One adapter for each outside payer, and where they note their time.
pub(super) fn outside(delay: Duration, runtime: &Runtime) -> (Vec<Named>, Waits) {
    let waits = Waits::default();
    let codes = OUTSIDE.iter().filter_map(|code| code.parse::<PayerCode>().ok());
    let adapter = |code: PayerCode| -> Named {
        let name = Arc::from(format!("bench_{code}"));
        (name, Arc::new(FirmPayer::new(code, delay, runtime.clone(), waits.clone())))
    };
    (codes.map(adapter).collect(), waits)
}

struct FirmPayer {
    manifest: Manifest,
    payer: PayerCode,
    delay: Duration,
    runtime: Runtime,
    waits: Waits,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    quotes: HashMap<String, (Arc<str>, Money)>,
    /// By operation id.
    done: HashMap<Arc<str>, StatementLine>,
}

impl FirmPayer {
    fn new(payer: PayerCode, delay: Duration, runtime: Runtime, waits: Waits) -> Self {
        let manifest = Manifest {
            quotes_are_firm: true,
            commits_are_idempotent: true,
            reverse_window_s: Some(REVERSE_WINDOW_S),
            not_found_settles_after_s: 0,
            concurrency_max: CONCURRENCY_MAX,
            ..Manifest::cautious("bench", env!("CARGO_PKG_VERSION"), vec![payer.clone()])
        };
        Self { manifest, payer, delay, runtime, waits, book: Mutex::default() }
    }

    fn quoted(&self, ask: &Ask) -> QuoteAnswer {
        let id = self.runtime.next_id().to_string();
        let at_most: Money = ask.legs.iter().map(|leg| leg.pay_at_most).sum();
        let amount = Money::from_fen(at_most.fen() / 2);
        locked(&self.book).quotes.insert(id.clone(), (Arc::clone(&ask.stay), amount));
        QuoteAnswer::Quote(Quote {
            id,
            valid_until: later(self.runtime.now(), QUOTE_HOLDS),
            amounts: vec![QuotedAmount { payer: self.payer.clone(), amount, steps: Vec::new() }],
            also_paid: Vec::new(),
            kept: Opaque::default(),
        })
    }

    /// Does what was ordered, once; a repetition is answered as the first time.
    fn perform_now(&self, operation: &Operation) -> Result<StatementLine, &'static str> {
        let mut book = locked(&self.book);
        if let Some(line) = book.done.get(&operation.id) {
            return Ok(line.clone());
        }
        let amount = match &operation.kind {
            OperationKind::Commit => {
                let quote = operation.quote_id.as_ref().and_then(|id| book.quotes.get(id));
                let (_, amount) = quote.ok_or("no such quote")?;
                if operation.amounts != [(self.payer.clone(), *amount)] {
                    return Err("not the quoted amount");
                }
                *amount
            }
            OperationKind::Reverse { original, .. } => {
                -book.done.get(original).ok_or("nothing to reverse")?.amount
            }
        };
        let line = StatementLine {
            operation_id: operation.id.to_string(),
            reference: format!("B{}", book.done.len() + 1),
            payer: self.payer.clone(),
            amount,
            at: self.runtime.now(),
        };
        book.done.insert(Arc::clone(&operation.id), line.clone());
        Ok(line)
    }

    fn note_commit(&self, operation: &Operation, took_us: u64) {
        let quote = operation.quote_id.as_ref();
        let stay = quote.and_then(|id| Some(Arc::clone(&locked(&self.book).quotes.get(id)?.0)));
        if let Some(stay) = stay {
            self.waits.note(&stay, |waited| waited.slowest_commit_us = waited.slowest_commit_us.max(took_us));
        }
    }
}

impl Payer for FirmPayer {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn quote<'a>(&'a self, ask: &'a Ask, _deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        Box::pin(async move {
            let asked = steady();
            tokio::time::sleep(self.delay).await;
            let answer = self.quoted(ask);
            let took = micros(steady().duration_since(asked));
            self.waits.note(&ask.stay, |waited| waited.quotes_us += took);
            answer
        })
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        serde_json::to_vec(operation).map(Prepared::from).map_err(|why| PrepareError(why.to_string()))
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, _deadline: Timestamp) -> Answer<'a, Performed> {
        Box::pin(async move {
            let sent = steady();
            tokio::time::sleep(self.delay).await;
            let Ok(operation) = serde_json::from_slice::<Operation>(&prepared.0) else {
                return refused("not what was prepared");
            };
            let answer = match self.perform_now(&operation) {
                Ok(line) => {
                    Performed::Committed { amounts: operation.amounts.clone(), reference: line.reference }
                }
                Err(why) => refused(why),
            };
            self.note_commit(&operation, micros(steady().duration_since(sent)));
            answer
        })
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, _deadline: Timestamp) -> Answer<'a, Status> {
        Box::pin(async move {
            tokio::time::sleep(self.delay).await;
            let operation = serde_json::from_slice::<Operation>(&prepared.0).ok();
            let done = operation.and_then(|operation| {
                let reference = locked(&self.book).done.get(&operation.id)?.reference.clone();
                Some(Status::Done { amounts: operation.amounts, reference })
            });
            done.unwrap_or(Status::NotFound)
        })
    }

    fn statement(
        &self,
        day: Date,
        _deadline: Timestamp,
    ) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        let book = locked(&self.book);
        let lines = book.done.values().filter(|line| civil_date(line.at) == day).cloned().collect();
        Box::pin(async move { Ok(lines) })
    }
}

fn refused(why: &str) -> Performed {
    Performed::Refused { code: "refused".to_owned(), message: why.to_owned() }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payer() -> (FirmPayer, Waits) {
        let waits = Waits::default();
        let basic = "basic".parse().unwrap();
        (FirmPayer::new(basic, Duration::from_millis(1), Runtime::system(), waits.clone()), waits)
    }

    fn ordered(payer: &FirmPayer, id: &str, kind: OperationKind, quote_id: &str, fen: i64) -> Prepared {
        let amounts = vec![(payer.payer.clone(), Money::from_fen(fen))];
        let quote_id = Some(quote_id.to_owned());
        let (stay, kept) = ("S1".into(), Opaque::default());
        payer.prepare(&Operation { id: id.into(), stay, kind, quote_id, kept, amounts }).unwrap()
    }

    #[tokio::test]
    async fn a_payer_keeps_its_word_once_and_takes_it_back() {
        let (payer, waits) = payer();
        locked(&payer.book).quotes.insert("Q1".to_owned(), ("S1".into(), Money::from_fen(100)));
        let commit = ordered(&payer, "O1", OperationKind::Commit, "Q1", 100);
        assert_eq!(payer.status(&commit, Timestamp::MAX).await, Status::NotFound);
        let first = payer.perform(&commit, Timestamp::MAX).await;
        assert!(matches!(first, Performed::Committed { .. }), "{first:?}");
        assert_eq!(payer.perform(&commit, Timestamp::MAX).await, first);
        assert!(matches!(payer.status(&commit, Timestamp::MAX).await, Status::Done { .. }));
        assert!(waits.of("S1") >= 1_000);
        let taking_back = OperationKind::Reverse { original: "O1".into(), prepared: commit };
        let reverse = ordered(&payer, "O2", taking_back, "Q1", 100);
        assert!(matches!(payer.perform(&reverse, Timestamp::MAX).await, Performed::Committed { .. }));
        let today = civil_date(payer.runtime.now());
        let lines = payer.statement(today, Timestamp::MAX).await.unwrap();
        assert_eq!((lines.len(), lines.iter().map(|line| line.amount).sum::<Money>()), (2, Money::ZERO));
    }

    #[tokio::test]
    async fn what_was_not_quoted_is_refused() {
        let (payer, _) = payer();
        locked(&payer.book).quotes.insert("Q1".to_owned(), ("S1".into(), Money::from_fen(100)));
        for (quote, fen) in [("Q1", 101), ("Q2", 100)] {
            let commit = ordered(&payer, "O1", OperationKind::Commit, quote, fen);
            let answer = payer.perform(&commit, Timestamp::MAX).await;
            assert!(matches!(answer, Performed::Refused { .. }), "{answer:?}");
        }
    }
}
