//! One step: read, decided, written if what was read is so still.
//!
//! **Races.** A step that lost waits for the others of its person that are at this gateway ([`super::lanes`]);
//! one that lost twice is decided once more with the rows of its people held.
//!
//! **Lost connections.** While reading, nothing was written: the step is tried again. While writing, the whole
//! batch with its COMMIT may have arrived or not. Each write names itself: by its message's id where there is a
//! message, else in `last_steps` on its person's row. Both are looked for on another connection. Found: the step
//! is done. Not found: it may still arrive, so the step is tried again, under the same conditions: whichever
//! write comes first raises the versions and claims the message, and the other one fails. Each attempt looks for
//! the earlier ones after it has read: one that arrives later still makes it fail. Nothing is written twice, and
//! an answer is given only on what was seen in the store. Where nobody answers for [`super::Options::doubt`], or
//! so many steps came after it that the name may be gone, the step ends [`StoreError::InDoubt`]; so it does where the
//! server stands still.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use uuid::Uuid;
use yizhan_contract::Text;

use super::super::deciding::{self, decide};
use super::super::writes::{Moving, Writes};
use super::super::{Done, Step, StoreError};
use super::fault::{in_time, no_answer, postgres_says, spent};
use super::pipeline::{Batch, given};
use super::seen::{Question, Read};
use super::write::{self, NAMED_STEPS};
use super::{Failed, Postgres, moving, open};

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
    /// The owner's, that the write would have raised.
    version: i64,
    message: Option<Uuid>,
    answer: Vec<u8>,
}

/// What became of an attempt.
enum Attempt {
    Done(Done),
    /// Somebody else was faster with this person. Nothing was written.
    Raced(Uuid, Text),
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
        let mut lane = None;
        let mut doubts: Vec<Doubt> = Vec::new();
        loop {
            let attempt = self.attempt(&step, &question, &doubts, conflicts >= RACES_MAX).await;
            let lost = match attempt {
                Ok(Attempt::Done(done)) => return Ok(done),
                Ok(Attempt::Raced(person, what)) => {
                    if lane.is_none() {
                        let waited = self.lanes.of(person).await;
                        lane = Some(waited.map_err(|why| unless_in_doubt(&doubts, why))?);
                    }
                    Err(what)
                }
                Ok(Attempt::Doubtful(doubt, why)) => {
                    doubts.push(doubt);
                    Ok(why)
                }
                Err(Failed::Conflict(what)) => Err(what),
                Err(Failed::Lost(why)) => Ok(why),
                Err(why @ Failed::Silent { .. }) => return Err(unless_in_doubt(&doubts, why.given_up())),
                Err(Failed::Store(why)) => return Err(unless_in_doubt(&doubts, why)),
            };
            match lost {
                Err(raced) => {
                    conflicts += 1;
                    if conflicts == CONFLICTS_MAX {
                        return Err(unless_in_doubt(&doubts, StoreError::Unavailable(raced)));
                    }
                }
                Ok(connection) => {
                    losses += 1;
                    if losses == LOSSES_MAX {
                        let why = StoreError::Unavailable(postgres_says(&connection));
                        return Err(unless_in_doubt(&doubts, why));
                    }
                    if let Some(answer) = self.settled(&doubts).await? {
                        return Ok(Done::Decided(answer));
                    }
                }
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
            let outcome = self.run(&client, step, question, doubts, false).await;
            return spent(client, outcome);
        }
        let held = Transaction(Some(client));
        let done = self.held(held.client()?, step, question, doubts).await?;
        // Where nothing was to be written, the people are still held.
        if in_time(held.client()?.batch_execute("ROLLBACK")).await.is_ok() {
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
        in_time(client.batch_execute("BEGIN")).await?;
        let people = question.read(client).await?.seen.people;
        let mut people: Vec<Uuid> = people.iter().map(|row| row.person_id).collect();
        let mut hold = Batch::default();
        // One after the other, because rows of several shards cannot be held by one statement, and in one order, so
        // that two steps never hold what the other one waits for.
        people.sort_unstable();
        for person in &people {
            hold.add("SELECT 1 FROM person WHERE person_id = $1 FOR UPDATE", given![*person]);
        }
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
        if let Some(doubt) = landed(client, doubts).await? {
            return Ok(Attempt::Done(Done::Decided(doubt.answer.clone())));
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
            Err(Failed::Silent { .. }) => Err(Failed::Silent { has_sent_commit: true }),
            Err(Failed::Conflict(what)) => Ok(Attempt::Raced(writes.owner, what)),
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
                if let Ok(client) = open::connection(&self.pool).await {
                    match landed(&client, doubts).await {
                        Ok(landed) => return Ok(landed.map(|doubt| doubt.answer.clone())),
                        Err(Failed::Store(why @ StoreError::InDoubt(_))) => return Err(why),
                        Err(_) => {}
                    }
                }
                tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
            }
        };
        let asked = tokio::time::timeout(self.doubt, asking).await;
        asked.unwrap_or_else(|_| Err(StoreError::InDoubt(no_answer())))
    }
}

/// As long as a write may still take place, nobody may be told that it did not.
fn unless_in_doubt(doubts: &[Doubt], why: StoreError) -> StoreError {
    match why {
        why if doubts.is_empty() => why,
        StoreError::Unavailable(what) | StoreError::Schema(what) => StoreError::InDoubt(what),
        why => StoreError::InDoubt(why.text()),
    }
}

impl Doubt {
    fn of(writes: Writes, step: Uuid) -> Self {
        let message = writes.message.as_ref().map(|message| message.message_id);
        let version = writes.people.iter().find(|(person, _)| *person == writes.owner);
        let version = version.map_or(0, |(_, version)| *version);
        Self { step, owner: writes.owner, version, message, answer: writes.answer }
    }
}

/// The first of the writes that is in the store.
async fn landed<'d>(client: &ClientWrapper, doubts: &'d [Doubt]) -> Result<Option<&'d Doubt>, Failed> {
    let mut batch = Batch::default();
    for Doubt { step, owner, version, message, .. } in doubts {
        match message {
            Some(message) => {
                let sql = "SELECT true FROM message WHERE person_id = $1 AND message_id = $2";
                batch.add(sql, given![*owner, *message]);
            }
            None => {
                // NULL: as many steps as are remembered may have come after it.
                let sql = "SELECT $2 = ANY(last_steps) OR CASE
                             WHEN cardinality(last_steps) < $4 OR version - $3 <= $4 THEN false END
                           FROM person WHERE person_id = $1";
                batch.add(sql, given![*owner, *step, *version, NAMED_STEPS]);
            }
        }
    }
    for (doubt, rows) in doubts.iter().zip(batch.rows(client).await?) {
        match rows.first().map(|row| row.get::<_, Option<bool>>(0)) {
            Some(Some(true)) => return Ok(Some(doubt)),
            Some(None) => {
                let why = Text::new(
                    "此人其后的写入过多，已无法判断",
                    "too many steps of this person have followed to tell",
                );
                return Err(StoreError::InDoubt(why).into());
            }
            Some(Some(false)) | None => {}
        }
    }
    Ok(None)
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
    if !matches!(why, Failed::Silent { .. }) {
        in_time(client.batch_execute("ROLLBACK")).await?;
    }
    Err(why)
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
