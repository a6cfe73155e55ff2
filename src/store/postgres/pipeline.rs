//! Statements that go to the server together, and their answers.
//!
//! Everything is sent before any answer is waited for, so a batch costs one round trip. Statements follow
//! each other on one connection in the order they were added.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

use super::fault::{Failed, in_time};

/// What a statement is given for one of its `$n`.
pub(super) type Given<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// `$1`, `$2`, … of a statement.
macro_rules! given {
    ($($value:expr),* $(,)?) => { vec![$(Box::new($value) as $crate::store::postgres::pipeline::Given<'_>),*] };
}
pub(super) use given;

/// Statements to be sent together.
#[derive(Default)]
pub(super) struct Batch<'a>(Vec<(&'static str, Vec<Given<'a>>)>);

impl<'a> Batch<'a> {
    pub(super) fn add(&mut self, sql: &'static str, given: Vec<Given<'a>>) {
        self.0.push((sql, given));
    }

    /// Sends all; the rows of each, or the first thing that went wrong. What follows a statement that could not
    /// even be sent is not sent either: a COMMIT must not go out for half a transaction.
    pub(super) async fn rows(self, client: &ClientWrapper) -> Result<Vec<Vec<Row>>, Failed> {
        in_time(self.answers(client)).await
    }

    async fn answers(self, client: &ClientWrapper) -> Result<Vec<Vec<Row>>, Error> {
        let prepared = in_order(self.0.iter().map(|(sql, _)| client.prepare_cached(sql)).collect()).await?;
        let statements = self.0.into_iter().zip(prepared);
        in_order(statements.map(|((_, given), prepared)| answer(client, prepared, given)).collect()).await
    }
}

async fn answer(
    client: &ClientWrapper,
    prepared: Statement,
    given: Vec<Given<'_>>,
) -> Result<Vec<Row>, Error> {
    let given: Vec<&(dyn ToSql + Sync)> = given.iter().map(|one| &**one as &(dyn ToSql + Sync)).collect();
    client.query(&prepared, &given).await
}

/// Runs all at the same time and waits for all that began. Each begins, and with it sends its request, in the
/// order given: that is what the order of statements on the connection hangs on. None begins after one that
/// failed at once.
async fn in_order<T, F: Future<Output = Result<T, Error>>>(futures: Vec<F>) -> Result<Vec<T>, Error> {
    let mut running: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = Vec::with_capacity(running.len());
    poll_fn(move |context| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        while done.len() < running.len() {
            let output = match running[done.len()].as_mut().poll(context) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            };
            let has_failed = matches!(output, Some(Err(_)));
            done.push(output);
            if has_failed {
                running.truncate(done.len());
            }
        }
        if done.iter().any(Option::is_none) {
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut done).into_iter().flatten().collect())
    })
    .await
}
