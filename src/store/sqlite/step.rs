//! One step: read and decided on a reader, written by the writer if what was read is so still.

use std::sync::Arc;

use rusqlite::Connection;

use super::super::deciding::decide;
use super::super::vault::Vault;
use super::super::writes::Writes;
use super::super::{Done, Step, StoreError};
use super::writer::{Pending, Turn, Writer};
use super::{Sqlite, seen, write};

/// How often other steps may be faster before a step is decided in the writer's own transaction.
const RACES_MAX: usize = 2;

/// What became of a step beside the writer.
enum Aside {
    Done(Done),
    /// Written, or lost to a faster step (absent).
    Queued(Pending<Option<Done>>),
}

/// A step that was read and decided.
enum Ready {
    Done(Done),
    Writes(Box<Writes>),
}

impl Sqlite {
    pub(super) async fn do_step(&self, step: Step) -> Result<Done, StoreError> {
        let step = Arc::new(step);
        for _ in 0..RACES_MAX {
            // In memory there is nobody else to read.
            let Some(readers) = &self.readers else { break };
            let (vault, writer, step) = (Arc::clone(&self.vault), self.writer.clone(), Arc::clone(&step));
            let aside = readers.ask(move |connection| aside(connection, &vault, &writer, &step));
            match aside.await? {
                Aside::Done(done) => return Ok(done),
                Aside::Queued(written) => {
                    if let Some(done) = written.await.map_err(|_| super::writer::stopped())?? {
                        return Ok(done);
                    }
                }
            }
        }
        let vault = Arc::clone(&self.vault);
        self.writer.run(move |connection, turn| in_turn(connection, turn, &vault, &step)).await
    }
}

/// Reads, decides and seals; what is to be written goes straight into the writer's queue.
fn aside(connection: &Connection, vault: &Vault, writer: &Writer, step: &Step) -> Result<Aside, StoreError> {
    let writes = match ready(connection, vault, step)? {
        Ready::Done(done) => return Ok(Aside::Done(done)),
        Ready::Writes(writes) => writes,
    };
    writer.queue(move |connection, turn| written(connection, turn, *writes)).map(Aside::Queued)
}

/// All of a step in the writer's transaction, where nobody can be faster.
fn in_turn(connection: &Connection, turn: &Turn<'_>, vault: &Vault, step: &Step) -> Result<Done, StoreError> {
    let writes = match ready(connection, vault, step)? {
        Ready::Done(done) => return Ok(done),
        Ready::Writes(writes) => writes,
    };
    let lost = || StoreError::Defect("a step was too late in its own transaction".to_owned());
    written(connection, turn, *writes)?.ok_or_else(lost)
}

fn written(connection: &Connection, turn: &Turn<'_>, writes: Writes) -> Result<Option<Done>, StoreError> {
    if write::write(connection, &writes)? {
        return Ok(Some(Done::Decided(writes.answer)));
    }
    turn.take_back();
    Ok(None)
}

/// Reads, lets the step decide, seals.
fn ready(connection: &Connection, vault: &Vault, step: &Step) -> Result<Ready, StoreError> {
    let seen = at_one_moment(connection, || {
        if let Some(claim) = &step.claim
            && let Some(earlier) = seen::earlier(connection, vault, claim)?
        {
            return earlier.done(vault, claim).map(Err);
        }
        seen::seen(connection, vault, step).map(Ok)
    });
    let seen = match seen? {
        Ok(seen) => seen,
        Err(done) => return Ok(Ready::Done(done)),
    };
    let decided = match decide(vault, step, seen)? {
        Ok(decided) => decided,
        Err(done) => return Ok(Ready::Done(done)),
    };
    let moving = decided.moving();
    let belongings = if moving.is_empty() {
        Vec::new()
    } else {
        at_one_moment(connection, || seen::belongings(connection, &moving))?
    };
    let writes = decided.writes(vault, step, belongings)?;
    if writes.is_nothing() {
        return Ok(Ready::Done(Done::Decided(writes.answer)));
    }
    Ok(Ready::Writes(Box::new(writes)))
}

/// Runs questions that must fit each other; the writer's transaction is one moment already.
pub(super) fn at_one_moment<T>(
    connection: &Connection,
    read: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if !connection.is_autocommit() {
        return read();
    }
    connection.prepare_cached("BEGIN")?.execute([])?;
    let read = read();
    connection.prepare_cached("COMMIT")?.execute([])?;
    read
}
