//! One operation after the other, for each commit: written down before it is sent, sent once, its first answer kept.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use yizhan_contract::payer::{Operation, OperationKind, Payer, Performed, Prepared, Status};

use super::bridge::{Line, Remembered, still_working};
use super::lanes::Lanes;
use super::verbs::Refusal;
use crate::book::Book;
use crate::book::operations::{Begun, Entry, Known, Outcome, REVERSED_BEFORE};
use crate::given;

/// A payer and what is remembered of it.
pub(super) struct House {
    pub(super) payer: Arc<dyn Payer>,
    pub(super) book: Book<Remembered>,
    pub(super) lanes: Lanes,
    /// Requests the payer works on at a time.
    pub(super) places: Arc<Semaphore>,
    /// Nothing that was sent before can still be on its way when this is long ago.
    pub(super) opened: Timestamp,
}

/// What a lane found: an answer, or the operation as it stands.
enum Found {
    Other,
    Ended(Performed),
    Open(Begun),
    Never,
}

impl House {
    /// Carries an operation out, or tells what came of it before.
    pub(super) async fn carry(
        &self,
        begun: Begun,
        deadline: Timestamp,
        left: Duration,
    ) -> Result<Performed, Refusal> {
        let end = Instant::now() + left;
        let _lane = self.lanes.enter(begun.commit_id()).await;
        let (found, position) = self.book.read(|held| match held.operations.known(&begun) {
            Known::Other => Found::Other,
            Known::Ended(outcome) => Found::Ended(outcome.performed()),
            Known::Open(begun) => Found::Open(begun.clone()),
            Known::Never => Found::Never,
        });
        match found {
            Found::Other => Err(Refusal::Conflict),
            Found::Ended(performed) => {
                self.book.durable(position).await.map_err(|_| Refusal::Failed)?;
                Ok(performed)
            }
            Found::Open(begun) => self.take_up(&begun, deadline).await,
            // A request is not begun after its deadline, however long it waited for its turn.
            Found::Never if end <= Instant::now() => Err(Refusal::Busy { retry_after_s: 1 }),
            Found::Never if begun.reverses.is_some() => self.reverse(begun, deadline).await,
            Found::Never => self.commit(begun, deadline).await,
        }
    }

    async fn commit(&self, begun: Begun, deadline: Timestamp) -> Result<Performed, Refusal> {
        let (foreseen, _) = self.book.read(|held| held.operations.foreseen_commit(&begun));
        if let Some(outcome) = foreseen {
            return self.foreseen(begun, outcome).await;
        }
        let (kept, _) = self.book.read(|held| held.kept(begun.quote_id.as_deref()));
        let operation = Operation {
            id: Arc::clone(&begun.id),
            stay: Arc::clone(&begun.stay),
            kind: OperationKind::Commit,
            quote_id: begun.quote_id.clone(),
            kept,
            amounts: begun.amounts.clone(),
        };
        self.send(begun, &operation, deadline).await
    }

    async fn reverse(&self, begun: Begun, deadline: Timestamp) -> Result<Performed, Refusal> {
        let original = Arc::clone(begun.commit_id());
        // What earlier ones came to decides what this one may do.
        let (open, _) = self.book.read(|held| {
            let earlier =
                held.operations.get(&original).into_iter().chain(held.operations.reversals(&original));
            let open = earlier.filter(|operation| operation.ended.is_none());
            open.map(|operation| operation.begun.clone()).collect::<Vec<_>>()
        });
        for earlier in &open {
            let is_original = earlier.id == original;
            let status = self.ask(earlier, deadline).await?;
            if !is_original && status.is_none() {
                return Ok(still_working());
            }
        }
        let (found, _) = self.book.read(|held| {
            let foreseen = held.operations.foreseen_reversal(&begun);
            (foreseen, held.operations.get(&original).map(|operation| operation.begun.clone()))
        });
        let (None, Some(commit)) = &found else {
            let outcome = found.0.unwrap_or_else(|| Outcome::nothing_to_reverse(&begun.id));
            return self.foreseen(begun, outcome).await;
        };
        let prepared = commit.prepared.clone().unwrap_or_else(|| Prepared::from(Vec::new()));
        let operation = Operation {
            id: Arc::clone(&begun.id),
            stay: Arc::clone(&begun.stay),
            kind: OperationKind::Reverse { original: Arc::clone(&original), prepared },
            quote_id: commit.quote_id.clone(),
            kept: self.book.read(|held| held.kept(commit.quote_id.as_deref())).0,
            amounts: begun.amounts.clone(),
        };
        let performed = self.send(begun, &operation, deadline).await?;
        self.end_what_was_reversed(&original, &performed).await?;
        Ok(performed)
    }

    /// A commit whose outcome nobody knew is known once it is taken back.
    async fn end_what_was_reversed(&self, original: &Arc<str>, reversed: &Performed) -> Result<(), Refusal> {
        let Performed::Committed { amounts, reference } = reversed else { return Ok(()) };
        let (is_open, _) = self
            .book
            .read(|held| held.operations.get(original).is_some_and(|operation| operation.ended.is_none()));
        if !is_open {
            return Ok(());
        }
        let outcome = if amounts.is_empty() {
            Outcome::refused(
                REVERSED_BEFORE,
                "已先行冲正，不再办理 | was reversed before it came, and is not made",
            )
        } else {
            Outcome::Done { amounts: amounts.clone(), reference: reference.clone() }
        };
        self.end(original, outcome).await.map(|_| ())
    }

    /// Written down with its outcome, which nothing has to be sent for.
    async fn foreseen(&self, begun: Begun, outcome: Outcome) -> Result<Performed, Refusal> {
        let performed = outcome.performed();
        let ended = Entry::Ended { id: Arc::clone(&begun.id), at: given::now(), outcome };
        self.write(vec![Entry::Begun(begun), ended]).await?;
        Ok(performed)
    }

    /// Made ready, written down, sent.
    async fn send(
        &self,
        begun: Begun,
        operation: &Operation,
        deadline: Timestamp,
    ) -> Result<Performed, Refusal> {
        let prepared = match self.payer.prepare(operation) {
            Ok(prepared) => prepared,
            Err(why) => {
                let outcome = Outcome::refused("cannot_be_sent", &why.to_string());
                return self.foreseen(begun, outcome).await;
            }
        };
        let id = Arc::clone(&begun.id);
        let begun = Begun { prepared: Some(prepared.clone()), ..begun };
        self.write(vec![Entry::Begun(begun)]).await?;
        self.perform(&id, &prepared, deadline).await
    }

    async fn perform(
        &self,
        id: &Arc<str>,
        prepared: &Prepared,
        deadline: Timestamp,
    ) -> Result<Performed, Refusal> {
        let place = self.places.acquire().await;
        let performed = self.payer.perform(prepared, deadline).await;
        drop(place);
        let outcome = match performed {
            Performed::Committed { amounts, reference } => Outcome::Done { amounts, reference },
            Performed::Refused { code, message } => Outcome::Refused { code, message },
            unknown @ Performed::Unknown { .. } => return Ok(unknown),
        };
        self.end(id, outcome).await
    }

    /// An operation that was sent before and whose outcome is not known: asked about, and sent again only where
    /// the payer has certainly not seen it, or does not mind.
    async fn take_up(&self, begun: &Begun, deadline: Timestamp) -> Result<Performed, Refusal> {
        let Some(prepared) = &begun.prepared else { return Err(Refusal::Failed) };
        match self.ask(begun, deadline).await? {
            Some(outcome) => Ok(outcome.performed()),
            None if self.may_be_sent_again(begun, prepared, deadline).await => {
                self.perform(&begun.id, prepared, deadline).await
            }
            None => Ok(still_working()),
        }
    }

    async fn may_be_sent_again(&self, begun: &Begun, prepared: &Prepared, deadline: Timestamp) -> bool {
        let manifest = self.payer.manifest();
        if manifest.commits_are_idempotent {
            return true;
        }
        let quiet =
            SignedDuration::from_secs(manifest.not_found_settles_after_s.try_into().unwrap_or(i64::MAX));
        let last_sent = begun.at.max(self.opened);
        quiet <= given::now().duration_since(last_sent)
            && self.payer.status(prepared, deadline).await == Status::NotFound
    }

    /// What the payer says became of an operation, kept if it is for good.
    async fn ask(&self, begun: &Begun, deadline: Timestamp) -> Result<Option<Outcome>, Refusal> {
        let Some(prepared) = &begun.prepared else { return Ok(None) };
        let outcome = outcome_of(self.payer.status(prepared, deadline).await);
        if let Some(outcome) = &outcome {
            self.end(&begun.id, outcome.clone()).await?;
        }
        Ok(outcome)
    }

    pub(super) async fn status(&self, id: &Arc<str>, deadline: Timestamp) -> Result<Status, Refusal> {
        let (commit, _) =
            self.book.read(|held| held.operations.get(id).map(|known| known.begun.commit_id().clone()));
        let Some(commit) = commit else { return Ok(Status::NotFound) };
        let lane = self.lanes.try_enter(&commit);
        // Read in the lane: what somebody was working on until now has ended.
        let (found, position) = self.book.read(|held| held.operations.get(id).cloned());
        let Some(operation) = found else { return Ok(Status::NotFound) };
        if let Some(outcome) = &operation.ended {
            self.book.durable(position).await.map_err(|_| Refusal::Failed)?;
            return Ok(outcome.status());
        }
        let (Some(_), Some(prepared)) = (lane, &operation.begun.prepared) else { return Ok(Status::Pending) };
        let status = self.payer.status(prepared, deadline).await;
        if let Some(outcome) = outcome_of(status.clone()) {
            self.end(id, outcome).await?;
        }
        Ok(status)
    }

    async fn end(&self, id: &Arc<str>, outcome: Outcome) -> Result<Performed, Refusal> {
        let performed = outcome.performed();
        self.write(vec![Entry::Ended { id: Arc::clone(id), at: given::now(), outcome }]).await?;
        Ok(performed)
    }

    async fn write(&self, entries: Vec<Entry>) -> Result<(), Refusal> {
        let lines = entries.into_iter().map(Line::Operation).collect();
        let ((), position) = self.book.decide(|_| (lines, ()));
        self.book.durable(position).await.map_err(|_| Refusal::Failed)
    }
}

/// What a status says for good.
fn outcome_of(status: Status) -> Option<Outcome> {
    match status {
        Status::Done { amounts, reference } => Some(Outcome::Done { amounts, reference }),
        Status::Refused { code } => Some(Outcome::Refused { message: code.clone(), code }),
        Status::NotFound | Status::Pending | Status::Unavailable(_) => None,
    }
}
