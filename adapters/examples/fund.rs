//! A payer in Rust, compiled into a gateway of one's own: a fund that pays 95 of 100 of what is left in scope.
//!
//! `main` is all that it takes to register it. Its adapter file says `built_in = true`, and `adapter serve --payer fund` serves the
//! fund alone, so that it is certified like any other. Its book stands in `fund.book`.

use std::error::Error;
use std::future::ready;
use std::path::Path;
use std::process::ExitCode;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use yizhan::BuiltIn;
use yizhan_contract::payer::{
    Answer, Ask, Manifest, Operation, OperationKind, Payer, Performed, PrepareError, Prepared, Quote,
    QuoteAnswer, QuotedAmount, StatementLine, Status, Unavailable,
};
use yizhan_contract::stay::civil_date;
use yizhan_contract::{Exact, Money, PayerCode, Ratio};
use yizhan_kit::book::{Book, Kept};

fn main() -> ExitCode {
    yizhan::main_with(BuiltIn::default().with("fund", || Fund::open(Path::new("fund.book"))))
}

/// What an operation came to; never changed afterwards.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ended {
    id: String,
    reverses: Option<String>,
    at: Timestamp,
    performed: Performed,
}

/// In the order of writing.
#[derive(Debug, Default)]
struct Ledger(Vec<Ended>);

impl Kept for Ledger {
    type Record = Ended;

    fn apply(&mut self, ended: &Ended) {
        self.0.push(ended.clone());
    }
}

impl Ledger {
    fn find(&self, id: &str) -> Option<&Ended> {
        self.0.iter().find(|ended| ended.id == id)
    }

    fn moved(&self, id: &str) -> bool {
        self.find(id).is_some_and(|ended| !ended.amounts().is_empty())
    }

    /// What becomes of an operation that came for the first time.
    fn decide(&self, operation: &Operation) -> Performed {
        let done = |amounts| {
            let reference = format!("F-{}", self.0.len() + 1);
            Performed::Committed { amounts, reference }
        };
        let refused =
            |code: &str, why: &str| Performed::Refused { code: code.to_owned(), message: why.to_owned() };
        let reversals_of = |id: &str| self.0.iter().any(|ended| ended.reverses.as_deref() == Some(id));
        match &operation.kind {
            OperationKind::Commit if reversals_of(&operation.id) => {
                refused("reversed_before", "已先行冲正，不再办理 | was reversed before it came")
            }
            OperationKind::Commit if *operation.kept != *kept(&operation.amounts) => {
                refused("quote_unknown", "没有这笔试算，或金额不符 | no such quote, or other amounts")
            }
            OperationKind::Commit => done(operation.amounts.clone()),
            OperationKind::Reverse { original, .. } if !self.moved(original) => done(Vec::new()),
            OperationKind::Reverse { original, .. } if reversals_of(original) => {
                refused("already_reversed", "已冲正，不再重复 | is reversed already")
            }
            OperationKind::Reverse { .. } => done(operation.amounts.clone()),
        }
    }
}

impl Ended {
    fn amounts(&self) -> &[(PayerCode, Money)] {
        match &self.performed {
            Performed::Committed { amounts, .. } => amounts,
            Performed::Refused { .. } | Performed::Unknown { .. } => &[],
        }
    }

    fn lines(&self) -> Vec<StatementLine> {
        let Performed::Committed { amounts, reference } = &self.performed else { return Vec::new() };
        let line = |(payer, amount): &(PayerCode, Money)| StatementLine {
            operation_id: self.id.clone(),
            reference: reference.clone(),
            payer: payer.clone(),
            amount: if self.reverses.is_some() { -*amount } else { *amount },
            at: self.at,
        };
        amounts.iter().map(line).collect()
    }
}

/// What a commit has to bring with it from its quote.
fn kept(amounts: &[(PayerCode, Money)]) -> Vec<u8> {
    amounts.iter().map(|(payer, amount)| format!("{payer} {amount}\n")).collect::<String>().into_bytes()
}

struct Fund {
    manifest: Manifest,
    share: Exact,
    book: Book<Ledger>,
}

impl Fund {
    fn open(book: &Path) -> Result<Self, Box<dyn Error>> {
        let cautious = Manifest::cautious("fund", "1.0.0", vec!["supplementary".parse()?]);
        let manifest = Manifest {
            quotes_are_firm: true,
            commits_are_idempotent: true,
            reverse_window_s: Some(30 * 24 * 3600),
            concurrency_max: 16,
            ..cautious
        };
        Ok(Self { manifest, share: "0.95".parse::<Ratio>()?.into(), book: Book::open(book)? })
    }

    /// The first outcome of an operation, whenever it is asked for; on the disk before it is told.
    async fn carried_out(&self, prepared: &Prepared) -> Result<Performed, Box<dyn Error + Send + Sync>> {
        let operation: Operation = serde_json::from_slice(&prepared.0)?;
        let (performed, position) = self.book.decide(|ledger| {
            if let Some(ended) = ledger.find(&operation.id) {
                return (Vec::new(), ended.performed.clone());
            }
            let performed = ledger.decide(&operation);
            let reverses = match &operation.kind {
                OperationKind::Commit => None,
                OperationKind::Reverse { original, .. } => Some(original.to_string()),
            };
            let (id, at) = (operation.id.to_string(), now());
            (vec![Ended { id, reverses, at, performed: performed.clone() }], performed)
        });
        self.book.durable(position).await?;
        Ok(performed)
    }

    fn quoted(&self, ask: &Ask, deadline: Timestamp) -> Option<Quote> {
        let [leg] = &ask.legs[..] else { return None };
        let share = leg.in_scope_left.exact().times(self.share).ok()?.round();
        let amounts = vec![(leg.payer.clone(), share.min(leg.pay_at_most))];
        let quoted = |(payer, amount): &(PayerCode, Money)| QuotedAmount {
            payer: payer.clone(),
            amount: *amount,
            steps: Vec::new(),
        };
        Some(Quote {
            id: format!("Q-{}", ask.stay),
            valid_until: deadline.saturating_add(SignedDuration::from_mins(30)).ok()?,
            amounts: amounts.iter().map(quoted).collect(),
            also_paid: Vec::new(),
            kept: kept(&amounts).into(),
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "a payer has a clock of its own")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn unavailable(why: &str) -> Unavailable {
    Unavailable { why: why.to_owned(), retry_after: None }
}

impl Payer for Fund {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        let none = || QuoteAnswer::Unavailable(unavailable("无法计算 | cannot be computed"));
        Box::pin(ready(self.quoted(ask, deadline).map_or_else(none, QuoteAnswer::Quote)))
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        serde_json::to_vec(operation).map(Prepared::from).map_err(|why| PrepareError(why.to_string()))
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Performed> {
        Box::pin(async move {
            let unknown = |why: &dyn Error| Performed::Unknown { poll_after: None, why: why.to_string() };
            self.carried_out(prepared).await.unwrap_or_else(|why| unknown(&*why))
        })
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Status> {
        let operation: Result<Operation, _> = serde_json::from_slice(&prepared.0);
        let Ok(Operation { id, .. }) = operation else {
            return Box::pin(ready(Status::Unavailable(unavailable("无法读取 | cannot be read"))));
        };
        let (found, position) = self.book.read(|ledger| ledger.find(&id).cloned());
        Box::pin(async move {
            if self.book.durable(position).await.is_err() {
                return Status::Pending;
            }
            match found.map(|ended| ended.performed) {
                Some(Performed::Committed { amounts, reference }) => Status::Done { amounts, reference },
                Some(Performed::Refused { code, .. }) => Status::Refused { code },
                Some(Performed::Unknown { .. }) => Status::Pending,
                None => Status::NotFound,
            }
        })
    }

    fn statement(&self, day: Date, _: Timestamp) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        let of_day = |ledger: &Ledger| {
            let ended = ledger.0.iter().filter(|ended| civil_date(ended.at) == day);
            ended.flat_map(Ended::lines).collect()
        };
        let (lines, position) = self.book.read(of_day);
        Box::pin(async move {
            let durable = self.book.durable(position).await;
            durable.map(|()| lines).map_err(|why| unavailable(&why.to_string()))
        })
    }
}
