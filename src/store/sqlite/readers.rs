//! Threads that read beside the writer, each on a connection of its own.
//!
//! Steps decide here, so a question may compute; it never writes. A pool that lends connections to other
//! threads costs each question two more changes of thread, which is most of what a question takes.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::super::StoreError;
use super::super::deciding::said;
use super::open;
use super::writer::{QUEUE_STEPS_MAX, no_thread, queue_is_full, stopped};

const READERS: usize = 4;

type Question = Box<dyn FnOnce(&Connection) + Send>;

pub(super) struct Readers {
    queue: Arc<Queue>,
    /// Ends when every thread has let go of its connection.
    ended: mpsc::Receiver<()>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    comes: Condvar,
}

#[derive(Default)]
struct Waiting {
    questions: VecDeque<Question>,
    is_closed: bool,
}

impl Readers {
    pub(super) fn start(path: &Path) -> Result<Self, StoreError> {
        let queue = Arc::<Queue>::default();
        let (end, ended) = mpsc::channel(1);
        let readers = Self { queue, ended };
        for _ in 0..READERS {
            let connection = Connection::open(path)?;
            open::reading(&connection)?;
            let (queue, end) = (Arc::clone(&readers.queue), end.clone());
            std::thread::Builder::new()
                .name("store reader".to_owned())
                .spawn(move || {
                    serve(&connection, &queue);
                    // In this order: the file is free only when the connection is closed.
                    drop(connection);
                    drop(end);
                })
                .map_err(|why| no_thread(&why))?;
        }
        Ok(readers)
    }

    /// Answers a question; refuses at once where too many wait.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, pending) = oneshot::channel();
        self.queue.push(Box::new(move |connection| {
            let asked = catch_unwind(AssertUnwindSafe(|| question(connection)));
            let asked = asked.unwrap_or_else(|panic| Err(StoreError::Defect(said(panic.as_ref()))));
            // The asker may have gone.
            let _ = answer.send(asked);
        }))?;
        pending.await.map_err(|_| stopped())?
    }

    /// Finishes what waits; returns when every connection is closed.
    pub(super) async fn close(mut self) {
        self.queue.close();
        let _ = self.ended.recv().await;
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Queue {
    fn push(&self, question: Question) -> Result<(), StoreError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.questions.len() >= QUEUE_STEPS_MAX {
            return Err(queue_is_full());
        }
        waiting.questions.push_back(question);
        drop(waiting);
        self.comes.notify_one();
        Ok(())
    }

    /// Absent: closed, and everything is answered.
    fn next(&self) -> Option<Question> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |waiting: &mut Waiting| waiting.questions.is_empty() && !waiting.is_closed;
        let waiting = self.comes.wait_while(waiting, idle);
        waiting.unwrap_or_else(PoisonError::into_inner).questions.pop_front()
    }

    fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.comes.notify_all();
    }
}

fn serve(connection: &Connection, queue: &Queue) {
    while let Some(question) = queue.next() {
        question(connection);
        if !connection.is_autocommit() {
            // A question broke off inside its moment.
            let _ = connection.execute_batch("ROLLBACK");
        }
    }
}
