//! One step: read, decided, written if what was read is so still.
//!
//! **Races.** A step that lost twice is decided once more with the rows of its people held.
//!
//! **Lost connections.** While reading, nothing was written: the step is tried again. While writing, the whole
//! batch with its COMMIT may have arrived or not. Each write names itself: by its message's id where there is a
//! message, else by `last_step` on its person's row. Both are looked for on another connection. Found: the step
//! is done. Not found: it may still arrive, so the step is tried again, under the same conditions: whichever
//! write comes first raises the versions and claims the message, and the other one fails. Nothing is written
//! twice, and an answer is given only on what was seen in the store. Where nobody answers for
//! [`super::Options::doubt`], the step ends [`StoreError::InDoubt`].

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use uuid::Uuid;

use super::super::deciding::{self, decide};
use super::super::writes::{Moving, Writes};
use super::super::{Done, Step, StoreError};
use super::fault::{no_answer, postgres_says};
use super::pipeline::{Batch, given};
use super::seen::{Question, Read};
use super::{Failed, Postgres, moving, open, write};

/// How often other steps may be faster before the people are held while the step is decided.
const RACES_MAX: usize = 2;
/// Attempts in all; with people held only new people and new visits can still be raced for.
const CONFLICTS_MAX: usize = 8;
/// Connections that may be lost under one step.
const LOSSES_MAX: usize = 3;
/// Between two questions.
const PAUSE_MS: u64 = 200;

/// A write whose COMMIT was not answered.
struct Doubt {
    step: Uuid,
    owner: Uuid,
    message: Option<Uuid>,
    answer: Vec<u8>,
}

/// What became of an attempt.
enum Attempt {
    Done(Done),
    /// The connection ended while this was written.
    Doubtful(Doubt, String),
}

/// What a decision came to.
enum Decided {
    Done(Done),
    /// What these people had is read first.
    Moves(Box<deciding::Decided>, Vec<Moving>),
    Writes(Box<Writes>),
}

/// Decisions, sealing and packing are work for a core: the threads that carry messages go on meanwhile.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|why| StoreError::Defect(format!("a decision broke off: {why}")))?
}

impl Postgres {
    pub(super) async fn do_step(&self, step: Step) -> Result<Done, StoreError> {
        let step = Arc::new(step);
        let question = Question::new(&self.vault, step.claim.as_ref(), Some(&step.stay), &step.persons);
        let (mut conflicts, mut losses) = (0, 0);
        let mut doubts: Vec<Doubt> = Vec::new();
        loop {
            let attempt = self.attempt(&step, &question, &doubts, conflicts >= RACES_MAX).await;
            let lost = match attempt {
                Ok(Attempt::Done(done)) => return Ok(done),
                Ok(Attempt::Doubtful(doubt, why)) => {
                    doubts.push(doubt);
                    why
                }
                Err(Failed::Lost(why)) => why,
                Err(Failed::Conflict(what)) => {
                    conflicts += 1;
                    if conflicts < CONFLICTS_MAX {
                        continue;
                    }
                    return Err(unless_in_doubt(&doubts, StoreError::Unavailable(what)));
                }
                Err(Failed::Store(why)) => return Err(unless_in_doubt(&doubts, why)),
            };
            losses += 1;
            if losses == LOSSES_MAX {
                return Err(unless_in_doubt(&doubts, StoreError::Unavailable(postgres_says(&lost))));
            }
            if let Some(answer) = self.settled(&doubts).await? {
                return Ok(Done::Decided(answer));
            }
        }
    }

    async fn attempt(
        &self,
        step: &Arc<Step>,
        question: &Question,
        doubts: &[Doubt],
        holding: bool,
    ) -> Result<Attempt, Failed> {
        let client = open::connection(&self.pool).await?;
        if !holding {
            return self.run(&client, step, question, doubts, false).await;
        }
        let held = Transaction(Some(client));
        let done = self.held(held.client()?, step, question, doubts).await?;
        // Where nothing was to be written, the people are still held.
        if held.client()?.batch_execute("ROLLBACK").await.is_ok() {
            held.ended();
        }
        Ok(done)
    }

    /// Decides and writes in one transaction, with the rows of everybody the step looks at held.
    async fn held(
        &self,
        client: &ClientWrapper,
        step: &Arc<Step>,
        question: &Question,
        doubts: &[Doubt],
    ) -> Result<Attempt, Failed> {
        client.batch_execute("BEGIN").await?;
        let people = question.read(client).await?.seen.people;
        let people: Vec<Uuid> = people.iter().map(|row| row.person_id).collect();
        let mut hold = Batch::default();
        // In one order, so that two steps never hold what the other one waits for.
        let sql = "SELECT 1 FROM person WHERE person_id = ANY($1) ORDER BY person_id FOR UPDATE";
        hold.add(sql, given![&people]);
        hold.rows(client).await?;
        self.run(client, step, question, doubts, true).await
    }

    async fn run(
        &self,
        client: &ClientWrapper,
        step: &Arc<Step>,
        question: &Question,
        doubts: &[Doubt],
        has_begun: bool,
    ) -> Result<Attempt, Failed> {
        let Read { earlier, seen } = question.read(client).await?;
        if let (Some(claim), Some(earlier)) = (&step.claim, earlier) {
            let is_ours = doubts.iter().any(|doubt| doubt.message == Some(earlier.message_id));
            return Ok(Attempt::Done(match earlier.done(&self.vault, claim)? {
                Done::Repeated(answer) if is_ours => Done::Decided(answer),
                done => done,
            }));
        }
        let (vault, deciding) = (Arc::clone(&self.vault), Arc::clone(step));
        let decided = aside(move || {
            let decided = match decide(&vault, &deciding, seen)? {
                Ok(decided) => decided,
                Err(done) => return Ok(Decided::Done(done)),
            };
            let moving = decided.moving();
            if !moving.is_empty() {
                return Ok(Decided::Moves(Box::new(decided), moving));
            }
            Ok(Decided::Writes(Box::new(decided.writes(&vault, &deciding, Vec::new())?)))
        });
        let writes = match decided.await? {
            Decided::Done(done) => return Ok(Attempt::Done(done)),
            Decided::Writes(writes) => *writes,
            Decided::Moves(decided, moving) => {
                let belongings = moving::belongings(client, &moving).await?;
                let (vault, deciding) = (Arc::clone(&self.vault), Arc::clone(step));
                aside(move || decided.writes(&vault, &deciding, belongings)).await?
            }
        };
        if writes.is_nothing() {
            return Ok(Attempt::Done(Done::Decided(writes.answer)));
        }
        let named = self.vault.ids.next(step.at);
        match commit(client, &writes, named, has_begun).await {
            Ok(()) => Ok(Attempt::Done(Done::Decided(writes.answer))),
            Err(Failed::Lost(why)) => Ok(Attempt::Doubtful(Doubt::of(writes, named), why)),
            Err(why) => Err(why),
        }
    }

    /// Asks after writes whose COMMIT was not answered, until somebody answers.
    async fn settled(&self, doubts: &[Doubt]) -> Result<Option<Vec<u8>>, StoreError> {
        if doubts.is_empty() {
            return Ok(None);
        }
        let asking = async {
            loop {
                if let Ok(client) = open::connection(&self.pool).await
                    && let Ok(landed) = landed(&client, doubts).await
                {
                    return landed.map(|doubt| doubt.answer.clone());
                }
                tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
            }
        };
        let asked = tokio::time::timeout(self.doubt, asking).await;
        asked.map_err(|_| StoreError::InDoubt(no_answer()))
    }
}

/// As long as a write may still take place, nobody may be told that it did not.
fn unless_in_doubt(doubts: &[Doubt], why: StoreError) -> StoreError {
    match why {
        why if doubts.is_empty() => why,
        StoreError::Unavailable(what) | StoreError::Schema(what) => StoreError::InDoubt(what),
        why => StoreError::InDoubt(StoreError::said_by("PostgreSQL", &why)),
    }
}

impl Doubt {
    fn of(writes: Writes, step: Uuid) -> Self {
        let message = writes.message.as_ref().map(|message| message.message_id);
        Self { step, owner: writes.owner, message, answer: writes.answer }
    }
}

/// The first of the writes that is in the store.
async fn landed<'d>(client: &ClientWrapper, doubts: &'d [Doubt]) -> Result<Option<&'d Doubt>, Failed> {
    let mut batch = Batch::default();
    for Doubt { step, owner, message, .. } in doubts {
        match message {
            Some(message) => {
                let sql = "SELECT 1 FROM message WHERE person_id = $1 AND message_id = $2";
                batch.add(sql, given![*owner, *message]);
            }
            None => {
                let sql = "SELECT 1 FROM person WHERE person_id = $1 AND last_step = $2";
                batch.add(sql, given![*owner, *step]);
            }
        }
    }
    let found = batch.rows(client).await?;
    Ok(doubts.iter().zip(found).find(|(_, rows)| !rows.is_empty()).map(|(doubt, _)| doubt))
}

/// Sends a transaction with its COMMIT. The first thing that failed says what became of it: an error took
/// the transaction back, the end of the connection leaves it open.
pub(super) async fn commit(
    client: &ClientWrapper,
    writes: &Writes,
    step: Uuid,
    has_begun: bool,
) -> Result<(), Failed> {
    let mut batch = Batch::default();
    if !has_begun {
        batch.add("BEGIN", Vec::new());
    }
    write::write(&mut batch, writes, step);
    batch.add("COMMIT", Vec::new());
    let Err(why) = batch.rows(client).await else { return Ok(()) };
    // Mostly the COMMIT has ended it; where one of the statements could not be sent, that was not sent either.
    client.batch_execute("ROLLBACK").await?;
    Err(why.into())
}

/// A connection with an open transaction: unless it was ended, the connection is closed, not given back.
struct Transaction(Option<Object>);

impl Transaction {
    fn client(&self) -> Result<&ClientWrapper, StoreError> {
        self.0.as_deref().ok_or_else(|| StoreError::Defect("a transaction without a connection".to_owned()))
    }

    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}
