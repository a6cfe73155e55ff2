//! A simulated payer's own book: what it quoted, what it paid to whom in which year, and the lines of its statement. Pure;
//! decisions are made under the book's lock, so that no two commits use the same part of a cap.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use yizhan_contract::payer::{StatementLine, by_payer};
use yizhan_contract::stay::civil_date;
use yizhan_contract::{Accumulators, Exact, Money, PayerCode};

use super::magic::Magic;
use super::visits::{Heard, Visits};
use crate::book::Kept;
use crate::book::operations::{Begun, Entry, Known, Operations, Outcome};

/// Quotes that can be committed at a time; past it, those that lapsed a day ago are forgotten.
const QUOTES_MAX: usize = 10_000;
/// Between two requests that are in hand at the same time.
const BESIDE_MAX: SignedDuration = SignedDuration::from_mins(1);

/// A quote as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Quoted {
    pub(super) id: String,
    /// Keyed hash of the identity card number.
    pub(super) person: Arc<str>,
    pub(super) year: i16,
    pub(super) magic: Option<Magic>,
    pub(super) valid_until: Timestamp,
    #[serde(with = "by_payer")]
    pub(super) amounts: Vec<(PayerCode, Money)>,
    /// What counts towards the year's bases.
    pub(super) bases: Vec<(PayerCode, Exact)>,
    /// What each payer pays a person in a year, where there is a limit.
    pub(super) caps: Vec<(PayerCode, Money)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    /// The key people are hashed under.
    Opened {
        salt: String,
    },
    Visit(Heard),
    Quoted(Quoted),
    Operation(Entry),
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) salt: String,
    pub(super) operations: Operations,
    pub(super) visits: Visits,
    quotes: HashMap<String, Quoted>,
    pub(super) quotes_given: u64,
    /// Quote → the commit that took it.
    taken: HashMap<String, Arc<str>>,
    used: HashMap<(Arc<str>, i16), Accumulators>,
    pub(super) lines: Vec<StatementLine>,
    references: u64,
}

/// What a decision comes to.
pub(super) enum Decided {
    Conflict,
    /// `is_first`: nobody was told before.
    Told {
        outcome: Outcome,
        is_first: bool,
    },
}

impl Ledger {
    pub(super) fn used(&self, person: &Arc<str>, year: i16) -> Accumulators {
        self.used.get(&(Arc::clone(person), year)).cloned().unwrap_or_default()
    }

    /// The quote behind an operation: its own, or that of the commit it takes back.
    fn quote_of(&self, begun: &Begun) -> Option<&Quoted> {
        let commit = match &begun.reverses {
            Some(original) => &self.operations.get(original)?.begun,
            None => begun,
        };
        self.quotes.get(commit.quote_id.as_deref()?)
    }

    pub(super) fn magic_of(&self, operation_id: &str) -> Option<Magic> {
        self.quote_of(&self.operations.get(operation_id)?.begun)?.magic
    }

    /// Decides on a commit or a reversal (within `window` of its commit), once for all times it is sent.
    pub(super) fn decide(
        &self,
        begun: Begun,
        at: Timestamp,
        window: SignedDuration,
    ) -> (Vec<Record>, Decided) {
        match self.operations.known(&begun) {
            Known::Other => return (Vec::new(), Decided::Conflict),
            Known::Ended(outcome) => {
                let outcome = outcome.clone();
                return (Vec::new(), Decided::Told { outcome, is_first: false });
            }
            // Begun and ended stand in one record: what is open was never decided.
            Known::Open(_) | Known::Never => {}
        }
        let outcome = match begun.reverses {
            None => self.commit(&begun, at),
            Some(_) => self.reversal(&begun, at, window),
        };
        let ended =
            Entry::Ended { id: Arc::clone(&begun.id), at: self.written_at(at), outcome: outcome.clone() };
        let records = [Entry::Begun(begun), ended].map(Record::Operation);
        (records.into(), Decided::Told { outcome, is_first: true })
    }

    /// When a line is written for what came at `at`. What comes side by side is not decided in the order it came in, and lines
    /// stand in the order of their times all the same. A clock that was set back is another matter.
    fn written_at(&self, at: Timestamp) -> Timestamp {
        let last = self.lines.last().map_or(at, |line| line.at);
        if last.duration_since(at) < BESIDE_MAX { at.max(last) } else { at }
    }

    fn commit(&self, begun: &Begun, at: Timestamp) -> Outcome {
        if let Some(outcome) = self.operations.foreseen_commit(begun) {
            return outcome;
        }
        let Some(quoted) = self.quote_of(begun) else {
            return Outcome::refused("quote_unknown", "没有这笔试算 | there is no such quote");
        };
        if quoted.valid_until <= at {
            return Outcome::refused("quote_expired", "试算已过期 | the quote has lapsed");
        }
        let sorted = |amounts: &[(PayerCode, Money)]| {
            let mut amounts = amounts.to_vec();
            amounts.sort();
            amounts
        };
        if sorted(&begun.amounts) != sorted(&quoted.amounts) {
            return Outcome::refused("amounts_differ", "与试算金额不符 | are not the amounts of the quote");
        }
        if self.is_taken(quoted) {
            return Outcome::refused("quote_taken", "此试算已支付 | the quote was committed already");
        }
        if quoted.magic == Some(Magic::RefusesCommit) {
            return Outcome::refused("simulated_refusal", "模拟拒绝 | refused, as its number says");
        }
        let used = self.used(&quoted.person, quoted.year);
        let is_beyond = |(payer, amount): &(PayerCode, Money)| {
            let cap = quoted.caps.iter().find(|(capped, _)| capped == payer);
            cap.is_some_and(|(_, cap)| *cap < used.of(payer).paid + *amount)
        };
        if quoted.amounts.iter().any(is_beyond) {
            return Outcome::refused("cap_reached", "年度限额不足 | more than is left of the year's cap");
        }
        let reference = self.reference('P', at);
        Outcome::Done { amounts: begun.amounts.clone(), reference }
    }

    /// Whether a commit that was not reversed holds the quote.
    fn is_taken(&self, quoted: &Quoted) -> bool {
        let Some(commit) = self.taken.get(&quoted.id) else { return false };
        let mut reversals = self.operations.reversals(commit).filter_map(|reversal| reversal.ended.as_ref());
        !reversals.any(Outcome::moved)
    }

    fn reversal(&self, begun: &Begun, at: Timestamp, window: SignedDuration) -> Outcome {
        if let Some(outcome) = self.operations.foreseen_reversal(begun) {
            return outcome;
        }
        let commit = self.operations.get(begun.commit_id());
        let Some(Outcome::Done { amounts, .. }) = commit.and_then(|commit| commit.ended.as_ref()) else {
            return Outcome::nothing_to_reverse(&begun.id);
        };
        let made = commit.map_or(at, |commit| commit.begun.at);
        if window < at.duration_since(made) {
            return Outcome::refused("window_closed", "已超过冲正期限 | can no longer be reversed");
        }
        Outcome::Done { amounts: amounts.clone(), reference: self.reference('R', at) }
    }

    fn reference(&self, kind: char, at: Timestamp) -> String {
        format!("{kind}{}-{}", civil_date(at).strftime("%Y%m%d"), self.references + 1)
    }

    /// Moves what an operation moved: the year's sums, and a line for each payer.
    fn book(&mut self, begun: &Begun, outcome: &Outcome, at: Timestamp) {
        let Outcome::Done { amounts, reference } = outcome else { return };
        self.references += 1;
        let is_commit = begun.reverses.is_none();
        let Some(quoted) = self.quote_of(begun).cloned() else { return };
        if amounts.is_empty() {
            return;
        }
        if is_commit {
            self.taken.insert(quoted.id.clone(), Arc::clone(&begun.id));
        }
        let used = self.used.entry((Arc::clone(&quoted.person), quoted.year)).or_default();
        used.admissions =
            if is_commit { used.admissions.saturating_add(1) } else { used.admissions.saturating_sub(1) };
        for (payer, amount) in amounts {
            let base = quoted.bases.iter().find(|(of, _)| of == payer).map_or(Exact::ZERO, |(_, base)| *base);
            let of_payer = used.payers.entry(payer.clone()).or_default();
            let (moved, sum) = match is_commit {
                true => (*amount, of_payer.base.plus(base)),
                false => (-*amount, of_payer.base.minus(base)),
            };
            of_payer.paid += moved;
            of_payer.base = sum.unwrap_or(of_payer.base);
            let line = StatementLine {
                operation_id: begun.id.to_string(),
                reference: reference.clone(),
                payer: payer.clone(),
                amount: moved,
                at,
            };
            let times = if is_commit && quoted.magic == Some(Magic::Twice) { 2 } else { 1 };
            self.lines.extend(std::iter::repeat_n(line, times));
        }
    }

    fn forget_quotes(&mut self, newest: Timestamp) {
        let day = SignedDuration::from_hours(24);
        let (taken, quotes) = (&self.taken, &mut self.quotes);
        quotes.retain(|id, quoted| taken.contains_key(id) || newest.duration_since(quoted.valid_until) < day);
    }
}

impl Kept for Ledger {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Opened { salt } => self.salt.clone_from(salt),
            Record::Visit(heard) => self.visits.apply(heard),
            Record::Quoted(quoted) => {
                self.quotes_given += 1;
                if QUOTES_MAX <= self.quotes.len() {
                    self.forget_quotes(quoted.valid_until);
                }
                self.quotes.insert(quoted.id.clone(), quoted.clone());
            }
            Record::Operation(entry) => {
                self.operations.apply(entry);
                if let Entry::Ended { id, at, outcome } = entry
                    && let Some(begun) = self.operations.get(id).map(|operation| operation.begun.clone())
                {
                    self.book(&begun, outcome, *at);
                }
            }
        }
    }
}
