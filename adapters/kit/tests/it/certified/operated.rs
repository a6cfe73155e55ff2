//! What becomes of operations, and what the book says of them, by a simulated payer with one fault.

use jiff::Timestamp;
use yizhan_contract::Money;
use yizhan_contract::payer::{Performed, StatementLine, Status};
use yizhan_contract::protocol::{CommitRequest, ReverseRequest, Statement, StatusRequest};
use yizhan_contract::stay::civil_date;
use yizhan_kit::service::{Refusal, Verbs as _};

use super::faults::Fault;
use super::faulty::{Faulty, dawdle};
use super::memory::InHand;

/// Amounts in fen whose references are mixed up: only many stays at once have them.
const MIXED_UP: std::ops::Range<i64> = 1_020..1_030;

impl Faulty {
    /// Whether nobody has heard of an operation.
    async fn is_unknown(&self, id: &str, asked: &ReverseRequest, at: Timestamp) -> bool {
        let question = StatusRequest { head: asked.head.clone(), operation_id: id.into() };
        self.inner.status(&question, at).await == Ok(Status::NotFound)
    }

    pub(super) async fn committed(&self, asked: &CommitRequest, at: Timestamp) -> Result<Performed, Refusal> {
        let id = asked.operation_id.to_string();
        let done = |reference: &str| {
            let (amounts, reference) = (asked.amounts.clone(), reference.to_owned());
            Ok(Performed::Committed { amounts, reference })
        };
        let is_first = self.memory.of().commits.insert(id.clone());
        let _in_hand = InHand::of(&self.memory, &id);
        let _turn = if self.has(Fault::ForgetsTombstones) { Some(self.turn.lock().await) } else { None };
        if self.memory.of().fenced.contains(&id) {
            let code = "reversed_before".to_owned();
            return Ok(Performed::Refused { message: code.clone(), code });
        }
        let is_of_no_quote = asked.quote_id.as_deref().is_some_and(|quote| quote.contains("no-quote"));
        if self.has(Fault::CommitsWithoutAQuote) && is_of_no_quote {
            return done(&format!("P-{id}"));
        }
        if self.has(Fault::RefusesToPayNothing) && asked.amounts.iter().all(|(_, amount)| amount.is_zero()) {
            let code = "nothing_to_pay".to_owned();
            return Ok(Performed::Refused { message: code.clone(), code });
        }
        let is_beside_others = self.memory.of().in_hand.len() > 1;
        if self.has(Fault::CommitsSlowlyUnderLoad) && is_beside_others {
            dawdle().await;
        }
        let answer = self.inner.commit(asked, at).await;
        let is_beside_others = is_beside_others || self.memory.of().in_hand.len() > 1;
        let mut memory = self.memory.of();
        if memory.in_hand.get(&id).is_some_and(|times| 1 < *times) {
            memory.twice.insert(id.clone());
        }
        if is_beside_others {
            memory.committed_beside_others.insert(id.clone());
        }
        if asked.quote_id.as_ref().is_some_and(|quote| memory.capped_quotes.contains(quote)) {
            memory.capped_commits.insert(id.clone());
        }
        match answer {
            Err(Refusal::Conflict) if self.has(Fault::TakesOtherContent) => done("P-conflict"),
            Ok(Performed::Committed { mut amounts, reference }) => {
                if self.has(Fault::AnswersMoreThanItPaid) {
                    amounts[0].1 += Money::FEN;
                }
                let reference = match self.fault {
                    Some(Fault::AnswersAnewEachTime) if !is_first => format!("{reference}-again"),
                    Some(Fault::MixesReferencesUp) if MIXED_UP.contains(&amounts[0].1.fen()) => {
                        "P-1".to_owned()
                    }
                    _ => reference,
                };
                Ok(Performed::Committed { amounts, reference })
            }
            Ok(Performed::Refused { code, message }) => {
                memory.refused.push(line(&id, asked.amounts[0].1, at));
                let is_past_the_cap = code == "cap_reached" && is_beside_others;
                if self.has(Fault::RacesPastTheCap) && is_past_the_cap
                    || self.has(Fault::CommitsAnySum) && code == "amounts_differ"
                {
                    return done(&format!("P-{id}"));
                }
                let code =
                    if self.has(Fault::ForgetsRefusals) && !is_first { "again".to_owned() } else { code };
                let message = if self.has(Fault::RefusesWithoutAReason) { String::new() } else { message };
                Ok(Performed::Refused { code, message })
            }
            other => other,
        }
    }

    pub(super) async fn reversed(&self, asked: &ReverseRequest, at: Timestamp) -> Result<Performed, Refusal> {
        let (id, original) = (asked.operation_id.to_string(), asked.original_operation_id.to_string());
        let nothing = || Ok(Performed::Committed { amounts: Vec::new(), reference: format!("R-{id}") });
        if self.memory.of().commits.contains(&id) {
            return self.inner.reverse(asked, at).await;
        }
        let is_first = self.memory.of().reversals.insert(id.clone());
        let _turn = if self.has(Fault::ForgetsTombstones) { Some(self.turn.lock().await) } else { None };
        match self.fault {
            Some(Fault::RefusesItsOwnReversal) if !is_first => {
                let code = "already_reversed".to_owned();
                return Ok(Performed::Refused { message: code.clone(), code });
            }
            Some(Fault::KeepsNoTombstones) if self.is_unknown(&original, asked, at).await => {
                return nothing();
            }
            Some(Fault::ForgetsTombstones) if self.is_unknown(&original, asked, at).await => {
                self.memory.of().fenced.insert(original);
                return nothing();
            }
            Some(Fault::LeavesCommitsHanging) if self.memory.of().in_hand.contains_key(&original) => {
                return nothing();
            }
            _ => {}
        }
        let answer = self.inner.reverse(asked, at).await;
        let mut memory = self.memory.of();
        memory.is_cap_kept |= self.has(Fault::KeepsTheCap) && memory.capped_commits.contains(&original);
        match (self.fault, answer) {
            (Some(Fault::GivesLessBack), Ok(Performed::Committed { mut amounts, reference })) => {
                amounts.iter_mut().for_each(|(_, amount)| *amount -= Money::FEN);
                Ok(Performed::Committed { amounts, reference })
            }
            (Some(Fault::ReversesTwice), Ok(Performed::Refused { code, .. }))
                if code == "already_reversed" =>
            {
                let amounts = asked.amounts.clone();
                memory.extra.push(line(&id, -amounts[0].1, at));
                Ok(Performed::Committed { amounts, reference: format!("R-{id}") })
            }
            (_, answer) => answer,
        }
    }

    pub(super) fn status_of(&self, id: &str, status: Status) -> Status {
        let memory = self.memory.of();
        match (self.fault, status) {
            (Some(Fault::UnknownIsPending), Status::NotFound) => Status::Pending,
            (Some(Fault::StatusTellsAnotherSum), Status::Done { mut amounts, reference }) => {
                amounts.iter_mut().for_each(|(_, amount)| *amount += Money::FEN);
                Status::Done { amounts, reference }
            }
            (Some(Fault::AnswersBeforeItIsDurable), _) if memory.hidden.contains(id) => Status::NotFound,
            (Some(Fault::StatusHidesWhatWasLeft), _) if memory.left.contains(id) => Status::NotFound,
            (Some(Fault::ForgetsTombstones), _) if memory.fenced.contains(id) => {
                Status::Refused { code: "reversed_before".to_owned() }
            }
            (_, status) => status,
        }
    }

    pub(super) fn bookkeep(&self, page: &mut Statement) {
        let memory = self.memory.of();
        match self.fault {
            Some(Fault::LosesALine) => drop(page.lines.pop()),
            Some(Fault::ReversalsArePositive) => {
                page.lines.iter_mut().for_each(|line| line.amount = line.amount.abs());
            }
            Some(Fault::BooksWhatItRefused) => {
                let of_day = memory.refused.iter().filter(|line| civil_date(line.at) == page.day);
                page.lines.extend(of_day.cloned());
                page.lines.sort_by_key(|line| line.at);
            }
            Some(Fault::ReversesTwice) => page.lines.extend(memory.extra.iter().cloned()),
            Some(Fault::OrdersBackwards) => page.lines.reverse(),
            Some(Fault::StopsAtAPage) => page.next = None,
            Some(
                fault @ (Fault::BooksTwiceAtOnce
                | Fault::BooksTwiceThoughItAsksForOneAtATime
                | Fault::BooksAgainWhatWasLeft
                | Fault::BooksAgainWhatWasLate),
            ) => {
                let again = match fault {
                    Fault::BooksAgainWhatWasLeft => &memory.left,
                    Fault::BooksAgainWhatWasLate => &memory.hurried,
                    _ => &memory.twice,
                };
                let again = page.lines.iter().filter(|line| again.contains(&line.operation_id));
                let again: Vec<_> = again.cloned().collect();
                page.lines.extend(again);
            }
            _ => {}
        }
    }
}

fn line(id: &str, amount: Money, at: Timestamp) -> StatementLine {
    let (operation_id, reference) = (id.to_owned(), format!("X-{id}"));
    StatementLine { operation_id, reference, payer: "supplementary".parse().unwrap(), amount, at }
}
