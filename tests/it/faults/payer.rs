//! Outside payers inside the gateway's process, with books outside of it. Dice say what they do to a request.

use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use yizhan::runtime::Runtime;
use yizhan_contract::Money;
use yizhan_contract::opaque::Opaque;
use yizhan_contract::payer::{
    Answer, Ask, AskedLeg, Manifest, Operation, OperationKind, Payer, Performed, PrepareError, Prepared,
    Quote, QuoteAnswer, QuotedAmount, StatementLine, Status, Unavailable,
};

use super::books::{FileBooks, quote_id};
use crate::simulation::books::{Amounts, Kept};
use crate::simulation::chains::{CHAINS, Kind};
use crate::simulation::dice::Dice;
use crate::simulation::payer::share;

/// What is to be expected of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Temper {
    /// Anything a payer may do.
    Fickle,
    /// Does what it is told, quickly.
    Calm,
    /// Does what it is told, after 20 ms.
    Even,
    /// Quotes, and says nothing of commits: every other one it carries out.
    Silent,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Plain,
    Slow,
    Refuses,
    RefusesUnheard,
    NeverCame,
    /// Done, and nobody hears of it.
    Unheard,
    BreaksOff,
    /// After the gateway gave up waiting, and before it may believe that the request was lost.
    Late,
    Twice,
    OtherAmount,
}

/// One request in so many is treated badly, of ten.
const BAD_IN_TEN: u64 = 4;

pub(crate) struct Fickle {
    kind: Kind,
    manifest: Manifest,
    books: Arc<FileBooks>,
    runtime: Runtime,
    temper: Temper,
    dice: Mutex<Dice>,
}

/// Beside the chains of the simulation: two firm payers, committed side by side, each idempotent.
pub(crate) const SIDE_BY_SIDE: usize = CHAINS.len();

/// A chain of the simulation in which every stay asks somebody: the basic insurance is outside.
pub(crate) fn any_chain(dice: &mut Dice) -> usize {
    let asks = |nth: &usize| CHAINS[*nth].iter().any(|kind| kind.serves.contains(&"basic"));
    let chains: Vec<usize> = (0..CHAINS.len()).filter(asks).collect();
    *dice.one_of(&chains)
}

fn chain(nth: usize) -> Vec<Kind> {
    let firm = &CHAINS[6];
    let idempotent = || firm.iter().map(|kind| Kind { is_idempotent: true, ..*kind }).collect();
    CHAINS.get(nth).map_or_else(idempotent, |chain| chain.to_vec())
}

/// The payers of a chain, each with its books in `folder`.
pub(crate) fn payers(
    nth: usize,
    folder: &Path,
    runtime: &Runtime,
    (temper, seed): (Temper, u64),
) -> Vec<(Arc<str>, Arc<dyn Payer>)> {
    let payer = |kind: &Kind| {
        let payer = Fickle {
            kind: *kind,
            manifest: manifest(kind, temper),
            books: Arc::new(books(kind, folder)),
            runtime: runtime.clone(),
            temper,
            dice: Mutex::new(Dice::of(seed ^ kind.name.len() as u64)),
        };
        (Arc::from(kind.name), Arc::new(payer) as Arc<dyn Payer>)
    };
    chain(nth).iter().map(payer).collect()
}

/// What their books say.
pub(crate) fn kept(nth: usize, folder: &Path) -> Vec<Kept> {
    let kept = |kind: &Kind| Kept {
        name: kind.name.into(),
        serves: manifest(kind, Temper::Calm).serves,
        also_paid: kind.also_paid(),
        books: Arc::new(Mutex::new(books(kind, folder).read().unwrap())),
    };
    chain(nth).iter().map(kept).collect()
}

fn manifest(kind: &Kind, temper: Temper) -> Manifest {
    let not_found_settles_after_s = match temper {
        Temper::Fickle | Temper::Calm => 10,
        // What they do not know when they are asked never comes.
        Temper::Even | Temper::Silent => 0,
    };
    Manifest { concurrency_max: 1_024, ..kind.manifest(not_found_settles_after_s) }
}

fn books(kind: &Kind, folder: &Path) -> FileBooks {
    FileBooks::open(&folder.join(kind.name), kind.is_idempotent).unwrap()
}

impl Fickle {
    fn dice<T>(&self, throw: impl FnOnce(&mut Dice) -> T) -> T {
        throw(&mut self.dice.lock().unwrap())
    }

    async fn pause(&self, most_ms: u64) {
        let pause = match self.temper {
            Temper::Even => 20,
            Temper::Silent => 0,
            Temper::Fickle | Temper::Calm => self.dice(|dice| dice.below(most_ms + 1)),
        };
        let until = self.runtime.now() + SignedDuration::from_millis(pause.cast_signed());
        self.runtime.clock.sleep_until(until).await;
    }

    fn deed(&self, kind: &OperationKind) -> Deed {
        match self.temper {
            Temper::Calm | Temper::Even => return Deed::Plain,
            Temper::Silent => {
                let is_done = self.dice(|dice| dice.percent(50));
                return if is_done { Deed::Unheard } else { Deed::NeverCame };
            }
            Temper::Fickle => {}
        }
        if self.dice(|dice| dice.below(10)) >= BAD_IN_TEN {
            return Deed::Plain;
        }
        let mut deeds = vec![Deed::Slow, Deed::NeverCame, Deed::Unheard, Deed::BreaksOff, Deed::Late];
        if *kind == OperationKind::Commit {
            deeds.extend([Deed::Refuses, Deed::RefusesUnheard]);
            deeds.extend(self.manifest.commits_are_idempotent.then_some(Deed::Twice));
            deeds.extend((!self.manifest.quotes_are_firm).then_some(Deed::OtherAmount));
        } else {
            deeds.push(Deed::Twice);
        }
        self.dice(|dice| *dice.one_of(&deeds))
    }

    async fn quoted(&self, ask: &Ask) -> QuoteAnswer {
        let is_fickle = self.temper == Temper::Fickle;
        match self.dice(|dice| dice.below(30)) {
            0 if is_fickle => return QuoteAnswer::Unavailable(unavailable()),
            1 if is_fickle => return std::future::pending().await,
            2 if is_fickle => {
                return QuoteAnswer::Refused { code: "no".into(), message: "not covered".into() };
            }
            // Away more often, where nobody has to wait for it.
            3..=8 if is_fickle && self.manifest.optional => return QuoteAnswer::Unavailable(unavailable()),
            _ => self.pause(200).await,
        }
        let amount = |leg: &AskedLeg| QuotedAmount {
            payer: leg.payer.clone(),
            amount: Money::from_fen(leg.pay_at_most.fen() * share(&leg.payer) / 100),
            steps: Vec::new(),
        };
        QuoteAnswer::Quote(Quote {
            id: quote_id(&ask.stay, self.dice(Dice::throw)),
            valid_until: self.runtime.now() + SignedDuration::from_mins(30),
            amounts: ask.legs.iter().map(amount).collect(),
            kept: Opaque::default(),
            also_paid: self.kind.also(ask),
        })
    }

    async fn performed(&self, operation: Operation, deadline: Timestamp) -> Performed {
        let deed = self.deed(&operation.kind);
        match deed {
            Deed::NeverCame => return std::future::pending().await,
            Deed::Late => {
                tokio::spawn(self.late(operation, deadline));
                return std::future::pending().await;
            }
            Deed::Slow => self.pause(8_000).await,
            _ => self.pause(200).await,
        }
        let amounts = match deed {
            Deed::Refuses | Deed::RefusesUnheard => None,
            Deed::OtherAmount => Some(less(&operation.amounts)),
            _ => Some(operation.amounts.clone()),
        };
        let done = arrive(Arc::clone(&self.books), operation.clone(), amounts.clone()).await;
        if deed == Deed::Twice {
            arrive(Arc::clone(&self.books), operation, amounts).await;
        }
        match deed {
            Deed::Unheard | Deed::RefusesUnheard => std::future::pending().await,
            Deed::BreaksOff => {
                Performed::Unknown { poll_after: None, why: "the connection broke off".into() }
            }
            _ => {
                if self.temper != Temper::Even {
                    self.pause(200).await;
                }
                done
            }
        }
    }

    /// The network: it does not end with the call that was given up.
    fn late(&self, operation: Operation, deadline: Timestamp) -> impl Future<Output = ()> + 'static {
        let settles_ms = self.manifest.not_found_settles_after_s.cast_signed() * 1_000;
        let after_ms = self.dice(|dice| dice.below(settles_ms.unsigned_abs() / 2)).cast_signed();
        let at = deadline + SignedDuration::from_millis(after_ms);
        let (clock, books) = (Arc::clone(&self.runtime.clock), Arc::clone(&self.books));
        async move {
            clock.sleep_until(at).await;
            let amounts = Some(operation.amounts.clone());
            arrive(books, operation, amounts).await;
        }
    }

    async fn asked(&self, id: Arc<str>) -> Status {
        if self.temper == Temper::Silent {
            return Status::Unavailable(unavailable());
        }
        if self.temper == Temper::Fickle {
            match self.dice(|dice| dice.below(10)) {
                0 => return Status::Unavailable(unavailable()),
                1 => return std::future::pending().await,
                _ => {}
            }
        }
        self.pause(100).await;
        let books = Arc::clone(&self.books);
        tokio::task::spawn_blocking(move || books.status(&id)).await.unwrap().unwrap()
    }
}

/// Written down before anybody hears of it.
async fn arrive(books: Arc<FileBooks>, operation: Operation, amounts: Option<Amounts>) -> Performed {
    tokio::task::spawn_blocking(move || books.arrive(operation, amounts)).await.unwrap().unwrap()
}

fn less(quoted: &Amounts) -> Amounts {
    let less = |amount: &Money| Money::from_fen(amount.fen() * 9 / 10);
    quoted.iter().map(|(payer, amount)| (payer.clone(), less(amount))).collect()
}

fn unavailable() -> Unavailable {
    Unavailable { why: "down".into(), retry_after: None }
}

fn read(prepared: &Prepared) -> Operation {
    serde_json::from_slice(&prepared.0).unwrap()
}

impl Payer for Fickle {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn quote<'a>(&'a self, ask: &'a Ask, _deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        Box::pin(self.quoted(ask))
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        serde_json::to_vec(operation).map(Prepared::from).map_err(|why| PrepareError(why.to_string()))
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed> {
        Box::pin(self.performed(read(prepared), deadline))
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, _deadline: Timestamp) -> Answer<'a, Status> {
        Box::pin(self.asked(read(prepared).id))
    }

    fn statement(&self, _day: Date, _: Timestamp) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        Box::pin(async { Err(unavailable()) })
    }
}
