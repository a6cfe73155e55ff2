//! Mistakes at the payers' and hospitals' side: in an adapter, and on the way out.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use yizhan::outbox::Letter;
use yizhan::runtime::Clock;
use yizhan::store::OutboxEntry;
use yizhan_contract::payer::{
    Answer, Ask, Manifest, Memo, Operation, Payer, Performed, PrepareError, Prepared, QuoteAnswer,
    StatementLine, Status, Unavailable, VisitEvent, Visited,
};

use super::{Mistake, Mutant};
use crate::simulation::payer::Line;

/// How long a hasty adapter waits for an answer.
const HASTE: SignedDuration = SignedDuration::from_secs(3);

/// A line to a payer that a mutant's adapter uses.
pub(crate) struct Adapter {
    pub(crate) line: Line,
    pub(crate) mutant: Arc<Mutant>,
}

impl Mutant {
    pub(crate) fn at_payers(&self, lines: &[Line]) {
        for line in lines {
            line.books.lock().unwrap().forgets_tombstones = self.mistake == Mistake::IgnoreTombstones;
        }
    }

    pub(crate) fn tells_the_newest_first(&self) -> bool {
        self.mistake == Mistake::TellTheNewestFirst
    }

    /// What is told, on its way out.
    pub(crate) fn letter(&self, letter: Letter) -> Letter {
        match self.mistake {
            Mistake::TellUnderNewId => Letter { id: Uuid::from_u128(letter.id.as_u128() ^ 1), ..letter },
            _ => letter,
        }
    }
}

/// Everything that is due, as if no stay had a queue.
pub(crate) fn newest_first(
    mut waiting: Vec<OutboxEntry>,
    now: Timestamp,
    busy: &[Arc<str>],
) -> Vec<OutboxEntry> {
    waiting.retain(|entry| entry.due_at <= now && !busy.contains(&entry.hospital));
    waiting.reverse();
    waiting
}

impl Adapter {
    /// Sent again where no answer comes.
    async fn hasty(&self, prepared: &Prepared, deadline: Timestamp) -> Performed {
        let clock = &self.line.sim.clock;
        tokio::select! {
            biased;
            answer = self.line.perform(prepared, deadline) => answer,
            () = clock.sleep_until(clock.now() + HASTE) => self.line.perform(prepared, deadline).await,
        }
    }
}

impl Payer for Adapter {
    fn manifest(&self) -> &Manifest {
        self.line.manifest()
    }

    fn visit<'a>(&'a self, event: &'a VisitEvent, memo: Memo, deadline: Timestamp) -> Answer<'a, Visited> {
        self.line.visit(event, memo, deadline)
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        Box::pin(async move {
            let mut answer = self.line.quote(ask, deadline).await;
            if let (Mistake::TrustLapsedQuotes, QuoteAnswer::Quote(quote)) =
                (self.mutant.mistake, &mut answer)
            {
                quote.valid_until += SignedDuration::from_hours(24);
            }
            answer
        })
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        self.line.prepare(operation)
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed> {
        match self.mutant.mistake {
            Mistake::SendAgainInTheCall => Box::pin(self.hasty(prepared, deadline)),
            _ => self.line.perform(prepared, deadline),
        }
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Status> {
        self.line.status(prepared, deadline)
    }

    fn statement(
        &self,
        day: Date,
        deadline: Timestamp,
    ) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        self.line.statement(day, deadline)
    }
}
