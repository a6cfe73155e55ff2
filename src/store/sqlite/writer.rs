//! The one writer: work queues up, and everything that waits shares one durable commit.
//!
//! Each piece of work runs in a savepoint of its own; its answer goes out after the commit. Work that
//! fails, panics or came too late takes only itself back. Where SQLite gives up the whole transaction (disk full), all
//! of its work is answered as unavailable and nothing of it is there.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::super::StoreError;
use super::super::deciding::said;
use super::manners::Manners;
use super::open::StoreLock;

/// Work that may wait; beyond it the store says at once that it is busy.
pub const QUEUE_STEPS_MAX: usize = 1024;
/// Work that shares one commit.
const BATCH_STEPS_MAX: usize = 64;
/// Rows that long work writes in one turn at most, and at least, however many steps wait.
pub(super) const PIECE_ROWS_MAX: usize = 4000;
const PIECE_ROWS_MIN: usize = 100;

/// What running work can see of the queue, and say.
pub(super) struct Turn<'a> {
    queue: &'a mpsc::Receiver<Box<dyn Job>>,
    /// Rows that long work writes in one transaction; absent: whoever waits decides.
    rows_max: Option<usize>,
    is_taken_back: Cell<bool>,
}

impl Turn<'_> {
    /// Whether long work is to stop here and go on in another turn, after so many rows: as soon as somebody waits in
    /// the queue, or, beside a gateway whose queue cannot be seen, as often as [`Manners`] say.
    pub(super) fn gives_way(&self, rows: usize) -> bool {
        match self.rows_max {
            Some(max) => rows >= max,
            None => rows >= PIECE_ROWS_MAX || (rows >= PIECE_ROWS_MIN && !self.queue.is_empty()),
        }
    }

    /// Nothing of what this work wrote shall stand; it is answered all the same.
    pub(super) fn take_back(&self) {
        self.is_taken_back.set(true);
    }
}

trait Job: Send {
    fn run(&mut self, connection: &Connection, turn: &Turn<'_>) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Work<T, F> {
    work: Option<F>,
    value: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F> Job for Work<T, F>
where
    F: FnOnce(&Connection, &Turn<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &Connection, turn: &Turn<'_>) -> Result<(), StoreError> {
        let work = self.work.take().ok_or_else(stopped)?;
        self.value = Some(work(connection, turn)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { value, answer, .. } = *self;
        // The asker may have gone; the work stands all the same.
        let _ = answer.send(outcome.and_then(|()| value.ok_or_else(stopped)));
    }
}

/// The asking side.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    commits: Arc<AtomicU64>,
}

pub(super) type Pending<T> = oneshot::Receiver<Result<T, StoreError>>;

impl Writer {
    /// Starts the thread that owns the connection; `ended` fires when it has let go of everything.
    pub(super) fn start(
        connection: Connection,
        lock: Option<StoreLock>,
        manners: Option<Manners>,
    ) -> Result<(Self, oneshot::Receiver<()>), StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE_STEPS_MAX);
        let (end, ended) = oneshot::channel();
        let commits = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&commits);
        std::thread::Builder::new()
            .name("store writer".to_owned())
            .spawn(move || {
                serve(&connection, waiting, &counter, manners);
                // In this order: the file is free only when the connection is closed.
                drop(connection);
                drop(lock);
                let _ = end.send(());
            })
            .map_err(|why| no_thread(&why))?;
        Ok((Self { queue, commits }, ended))
    }

    /// Durable commits since the store was opened.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Runs work and waits for its commit; refuses at once where the queue is full.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Turn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue(work)?.await.map_err(|_| stopped())?
    }

    /// Queues work; refuses at once where the queue is full.
    pub(super) fn queue<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Turn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Pending<T>, StoreError> {
        let (job, answer) = boxed(work);
        self.queue.try_send(job).map_err(|why| match why {
            mpsc::error::TrySendError::Full(_) => queue_is_full(),
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        Ok(answer)
    }

    /// Work that stands in the queue now.
    pub(super) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Queues work from a thread that may wait for a place in the queue.
    pub(super) fn queue_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Turn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Pending<T>, StoreError> {
        let (job, answer) = boxed(work);
        self.queue.blocking_send(job).map_err(|_| stopped())?;
        Ok(answer)
    }
}

fn boxed<T: Send + 'static>(
    work: impl FnOnce(&Connection, &Turn<'_>) -> Result<T, StoreError> + Send + 'static,
) -> (Box<dyn Job>, Pending<T>) {
    let (answer, pending) = oneshot::channel();
    (Box::new(Work { work: Some(work), value: None, answer }), pending)
}

pub(super) fn queue_is_full() -> StoreError {
    StoreError::unavailable(
        format!("已有 {QUEUE_STEPS_MAX} 个步骤在等待"),
        format!("{QUEUE_STEPS_MAX} steps are waiting already"),
    )
}

pub(super) fn no_thread(why: &std::io::Error) -> StoreError {
    StoreError::unavailable(format!("无法启动工作线程：{why}"), format!("no thread could be started: {why}"))
}

pub(super) fn stopped() -> StoreError {
    StoreError::unavailable("数据库已关闭", "the store has been closed")
}

fn serve(
    connection: &Connection,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    commits: &AtomicU64,
    mut manners: Option<Manners>,
) {
    while let Some(first) = queue.blocking_recv() {
        if let Some(manners) = &mut manners {
            manners.let_others(connection);
        }
        let rows_max = manners.as_ref().map(Manners::rows_max);
        let done = match execute(connection, "BEGIN IMMEDIATE") {
            Ok(()) => batch(connection, first, &mut queue, rows_max),
            Err(why) => {
                first.answer(Err(why));
                continue;
            }
        };
        if done.is_empty() && connection.is_autocommit() {
            continue;
        }
        let outcome = execute(connection, "COMMIT");
        match &outcome {
            Ok(()) => _ = commits.fetch_add(1, Ordering::Relaxed),
            // A commit that failed may have left the transaction open.
            Err(_) if !connection.is_autocommit() => _ = execute(connection, "ROLLBACK"),
            Err(_) => {}
        }
        for job in done {
            job.answer(outcome.clone());
        }
    }
}

/// Runs what waits; returns what must be answered after the commit.
fn batch(
    connection: &Connection,
    first: Box<dyn Job>,
    queue: &mut mpsc::Receiver<Box<dyn Job>>,
    rows_max: Option<usize>,
) -> Vec<Box<dyn Job>> {
    let mut done: Vec<Box<dyn Job>> = Vec::new();
    let mut next = Some(first);
    while let Some(mut job) = next.take() {
        match in_savepoint(connection, job.as_mut(), queue, rows_max) {
            Ok(()) => done.push(job),
            Err(why) => {
                job.answer(Err(why));
                if connection.is_autocommit() {
                    for job in done.drain(..) {
                        job.answer(Err(StoreError::unavailable(
                            "事务已放弃",
                            "the transaction was given up",
                        )));
                    }
                    return done;
                }
            }
        }
        if done.len() < BATCH_STEPS_MAX && rows_max.is_none() {
            next = queue.try_recv().ok();
        }
    }
    done
}

fn in_savepoint(
    connection: &Connection,
    job: &mut dyn Job,
    queue: &mpsc::Receiver<Box<dyn Job>>,
    rows_max: Option<usize>,
) -> Result<(), StoreError> {
    execute(connection, "SAVEPOINT work")?;
    let turn = Turn { queue, rows_max, is_taken_back: Cell::new(false) };
    let ran = catch_unwind(AssertUnwindSafe(|| job.run(connection, &turn)))
        .unwrap_or_else(|panic| Err(StoreError::Defect(said(panic.as_ref()))));
    if ran.is_ok() && !turn.is_taken_back.get() {
        return execute(connection, "RELEASE work");
    }
    if !connection.is_autocommit() {
        execute(connection, "ROLLBACK TO work")?;
        execute(connection, "RELEASE work")?;
    }
    ran
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
