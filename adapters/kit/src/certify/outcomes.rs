//! Commits and reversals, and how it is found out what became of them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;
use yizhan_contract::payer::{Manifest, Performed, Status};
use yizhan_contract::{Money, PayerCode};

use super::asking::POLL_EACH;
use super::bench::{Bench, Quoted};
use super::came::Came;
use super::verdict::{Stop, Verdict, not_applicable};

/// Questions about what is still being worked on.
const POLLS_MAX: u32 = 150;
/// A manifest may let "not found" settle for longer than is waited here.
const SETTLES_MAX: Duration = Duration::from_secs(30);
/// Past the time in which it settles.
const ASKED_BEYOND: Duration = Duration::from_secs(5);

/// What came of an operation in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Done { amounts: Vec<(PayerCode, Money)>, reference: String },
    Refused { code: String },
}

impl End {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }

    /// What it moved.
    pub(super) fn total(&self) -> Money {
        match self {
            Self::Done { amounts, .. } => amounts.iter().map(|(_, amount)| *amount).sum(),
            Self::Refused { .. } => Money::ZERO,
        }
    }
}

impl Bench {
    /// Sends a commit and waits for its end.
    pub(super) async fn commit(&self, id: &str, quoted: &Quoted) -> Result<(End, Came), Stop> {
        let came = self.caller.post("/v1/commit", &self.commit_body(id, quoted)).await;
        self.end_of(id, came).await
    }

    /// Sends a commit again whose answer never came. Absent: nobody has seen it, and it may still be on its way to a system
    /// that would book it twice.
    pub(super) async fn commit_again(&self, id: &str, quoted: &Quoted) -> Result<Option<(End, Came)>, Stop> {
        let came = self.caller.post("/v1/commit", &self.commit_body(id, quoted)).await;
        let Manifest { commits_are_idempotent, reverse_window_s, .. } = self.manifest();
        let may_stay_open = !commits_are_idempotent && reverse_window_s.is_some();
        if may_stay_open
            && matches!(came.answer()?, Performed::Unknown { .. })
            && matches!(self.status(id).await.answer()?, Status::NotFound)
        {
            return Ok(None);
        }
        self.end_of(id, came).await.map(Some)
    }

    /// Commits a new quote of a covered person; it is done.
    pub(super) async fn committed(&self) -> Result<(String, Quoted, End), Stop> {
        let quoted = self.quote_some(&self.data.people.covered, None).await?;
        let id = self.id("commit");
        let (end, came) = self.commit(&id, &quoted).await?;
        came.holds(end.is_done(), "支付成功（done）", "the commit is done")?;
        self.wrote(&id, end.total());
        Ok((id, quoted, end))
    }

    pub(super) async fn reverse(
        &self,
        id: &str,
        original: &str,
        quoted: &Quoted,
    ) -> Result<(End, Came), Stop> {
        let came = self.caller.post("/v1/reverse", &self.reverse_body(id, original, quoted)).await;
        self.end_of(id, came).await
    }

    pub(super) async fn status(&self, id: &str) -> Came {
        self.caller.post("/v1/status", &json!({"operation_id": id})).await
    }

    /// Sends a commit with a deadline of its own, once.
    pub(super) async fn commit_until(&self, id: &str, quoted: &Quoted, deadline: Timestamp) -> Came {
        let body = self.commit_body(id, quoted);
        self.caller.post_once("/v1/commit", &self.caller.with_deadline(body, deadline)).await
    }

    /// What an answer to a commit or a reversal says; of "unknown", what status says in the end.
    pub(super) async fn end_of(&self, id: &str, came: Came) -> Result<(End, Came), Stop> {
        match came.answer()? {
            Performed::Committed { amounts, reference } => {
                self.moved(id, &amounts);
                Ok((End::Done { amounts, reference }, came))
            }
            Performed::Refused { code, .. } => Ok((End::Refused { code }, came)),
            Performed::Unknown { .. } => self.settled(id).await,
        }
    }

    /// Asks until the outcome of an operation is known; one that nobody has heard of has none.
    pub(super) async fn settled(&self, id: &str) -> Result<(End, Came), Stop> {
        let mut came = self.status(id).await;
        for _ in 0..POLLS_MAX {
            match came.answer()? {
                Status::Done { amounts, reference } => {
                    self.moved(id, &amounts);
                    return Ok((End::Done { amounts, reference }, came));
                }
                Status::Refused { code } => return Ok((End::Refused { code }, came)),
                Status::NotFound => break,
                Status::Pending | Status::Unavailable(_) => tokio::time::sleep(POLL_EACH).await,
            }
            came = self.status(id).await;
        }
        came.is_not("status 给出最终结果", "an outcome, by status")
    }

    /// Gives back what a trial has moved, where that is possible.
    pub(super) async fn give_back(&self, original: &str, quoted: &Quoted) -> Verdict {
        if self.manifest().reverse_window_s.is_none() {
            return Ok(());
        }
        let id = self.id("back");
        let (end, came) = self.reverse(&id, original, quoted).await?;
        self.wrote(&id, end.total());
        came.holds(end.is_done(), "冲正成功（done）", "the reversal is done")
    }

    /// What the gateway does with a commit that nobody has seen and that must not be sent twice: a reversal settles it, and
    /// nothing of it is booked any more.
    pub(super) async fn fenced_off(&self, id: &str, quoted: &Quoted) -> Verdict {
        let fence = self.id("fence");
        let (end, came) = self.reverse(&fence, id, quoted).await?;
        came.holds(end.is_done(), "冲正成功（done）", "the reversal is done")?;
        let (end, came) = self.commit(id, quoted).await?;
        came.holds(!end.is_done(), "冲正之后不再办理", "not made once it was reversed")?;
        let (booked, came) = self.booked(&[id, &fence]).await?;
        came.holds(booked.is_zero(), "账中合计 0.00", "0.00 in the book altogether")
    }

    pub(super) fn reversible(&self) -> Verdict {
        match self.manifest().reverse_window_s {
            Some(_) => Ok(()),
            None => not_applicable("该支付方不支持冲正", "this payer takes nothing back"),
        }
    }

    /// Asks about an operation that nobody was answered, as a gateway does before it sends anything again: until it has come to
    /// an end, or until what is not found cannot be on its way any more. Absent: nobody has heard of it.
    pub(super) async fn asked_about(&self, id: &str) -> Result<(Option<End>, Came), Stop> {
        let settles = Duration::from_secs(self.manifest().not_found_settles_after_s).min(SETTLES_MAX);
        let until = Instant::now() + settles + ASKED_BEYOND;
        let working_until = until.max(Instant::now() + POLL_EACH * POLLS_MAX);
        loop {
            let came = self.status(id).await;
            let waited_for = match came.answer()? {
                Status::Done { amounts, reference } => {
                    self.moved(id, &amounts);
                    return Ok((Some(End::Done { amounts, reference }), came));
                }
                Status::Refused { code } => return Ok((Some(End::Refused { code }), came)),
                Status::NotFound if until <= Instant::now() => return Ok((None, came)),
                Status::NotFound => until,
                Status::Pending | Status::Unavailable(_) => working_until,
            };
            if waited_for <= Instant::now() {
                return came.is_not("status 给出最终结果", "an outcome, by status");
            }
            tokio::time::sleep(POLL_EACH).await;
        }
    }
}
