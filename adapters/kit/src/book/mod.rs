//! What a service has to remember across any end: operations and their first answers.
//!
//! `journal` (a file that is only added to, and synced before anything is answered), [`operations`] (what was asked for
//! under which id, and what came of it; pure), [`Book`] (a state that is decided on under a lock, kept in a
//! journal and rebuilt from it).
//!
//! A book is read whole when it is opened and kept in memory, about a KiB for each operation.

mod journal;
pub mod operations;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use journal::BookError;
use journal::{Durable, Journal, Position};

/// A state that is the sum of its records.
pub trait Kept: Default {
    type Record: Serialize + DeserializeOwned;

    /// Must not fail: what was decided is so.
    fn apply(&mut self, record: &Self::Record);
}

/// A state and its journal.
#[derive(Debug)]
pub struct Book<S> {
    held: Mutex<Held<S>>,
    durable: Durable,
}

#[derive(Debug)]
struct Held<S> {
    state: S,
    journal: Journal,
    last: Position,
}

impl<S: Kept> Book<S> {
    /// Opens the book of a file, or begins one.
    ///
    /// # Errors
    /// Another process has it, it is no book, or a record before its last ones is damaged.
    pub fn open(path: &Path) -> Result<Self, BookError> {
        let mut state = S::default();
        let (journal, durable) = Journal::open(path, |line| {
            let records: Vec<S::Record> = serde_json::from_str(line).ok()?;
            records.iter().for_each(|record| state.apply(record));
            Some(())
        })?;
        Ok(Self { held: Mutex::new(Held { state, journal, last: Position::default() }), durable })
    }

    /// Looks at the state. What is seen may not be durable yet: before it is told, wait for the position.
    pub fn read<T>(&self, look: impl FnOnce(&S) -> T) -> (T, Position) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        (look(&held.state), held.last)
    }

    /// Decides on the state and writes what was decided, all of it or nothing. It is durable, and may be told, once the
    /// position is.
    pub fn decide<T>(&self, decide: impl FnOnce(&S) -> (Vec<S::Record>, T)) -> (T, Position) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (records, told) = decide(&held.state);
        if !records.is_empty() {
            records.iter().for_each(|record| held.state.apply(record));
            held.last = held.journal.append(&records);
        }
        (told, held.last)
    }

    /// Waits until everything up to a position would survive the end of this process and of this machine.
    ///
    /// # Errors
    /// It could not be written: the state holds what the file does not, and nothing of it may be told any more.
    pub async fn durable(&self, position: Position) -> Result<(), BookError> {
        self.durable.reached(position).await
    }
}
