//! Calls of adapters, written down in batches after the fact. No settlement waits for it; what finds no place is counted.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use yizhan_contract::instant::later;
use yizhan_remote::{CallRecord, Class, Journal};

use crate::runtime::{Runtime, Shutdown};
use crate::store::adapter_book::{AdapterBook, AdapterCall};
use crate::telemetry;

/// Calls of one batch.
const BATCH_CALLS_MAX: usize = 256;
/// How long calls are gathered.
const GATHER: SignedDuration = SignedDuration::from_secs(1);
/// How often calls are looked for whose time is over, and how many are forgotten in one turn.
const FORGET_EVERY: SignedDuration = SignedDuration::from_hours(1);
const FORGET_CALLS_MAX: u32 = 5_000;

/// Who writes calls down.
pub struct Keeper {
    pub(super) calls: mpsc::Receiver<CallRecord>,
    pub(super) journal: Journal,
    pub(super) book: Arc<dyn AdapterBook>,
    pub(super) gateway: Arc<str>,
    pub(super) runtime: Runtime,
    /// How long calls are kept.
    pub(super) kept_for: SignedDuration,
}

impl Keeper {
    /// Writes until the signal to stop, and what is there then. A store that does not take a batch is asked again in the
    /// next turn, with the next batch; in the last turn what is left is counted.
    pub async fn serve(mut self, mut stopped: Shutdown) {
        let clock = Arc::clone(&self.runtime.clock);
        let mut forget_at = clock.now();
        let mut lost = 0;
        loop {
            let next = later(clock.now(), GATHER);
            let is_over = tokio::select! {
                () = stopped.requested() => true,
                () = clock.sleep_until(next) => false,
            };
            while self.write().await {}
            let lost_by_now = self.journal.lost();
            telemetry::calls_not_kept(lost_by_now - std::mem::replace(&mut lost, lost_by_now));
            if is_over {
                return telemetry::calls_left(self.calls.len());
            }
            if forget_at <= clock.now() {
                self.forget().await;
                forget_at = later(clock.now(), FORGET_EVERY);
            }
        }
    }

    /// One batch; whether there may be more.
    async fn write(&mut self) -> bool {
        let mut calls = Vec::new();
        while calls.len() < BATCH_CALLS_MAX
            && let Ok(record) = self.calls.try_recv()
        {
            tell(&record);
            calls.push(kept(record, &self.gateway));
        }
        let count = calls.len();
        if count == 0 {
            return false;
        }
        if let Err(why) = self.book.keep_calls(calls).await {
            telemetry::calls_not_written(count as u64, &why);
            return false;
        }
        count == BATCH_CALLS_MAX
    }

    async fn forget(&self) {
        let before = self.runtime.now().saturating_sub(self.kept_for).unwrap_or(Timestamp::MIN);
        loop {
            match self.book.forget_calls(before, FORGET_CALLS_MAX).await {
                Ok(forgotten) if forgotten == u64::from(FORGET_CALLS_MAX) => {}
                Ok(_) => return,
                Err(why) => return telemetry::calls_not_written(0, &why),
            }
        }
    }
}

/// An answer that cannot be used is named in the log as well. What never left is not: it would be one line for every stay
/// while a payer is left alone.
fn tell(record: &CallRecord) {
    if let (Some(why), false) = (&record.why, record.class == Class::NotSent) {
        let CallRecord { adapter, verb, operation_id, class, http_status, .. } = record;
        telemetry::call_unusable(
            adapter,
            verb.word(),
            operation_id.as_deref(),
            class.word(),
            *http_status,
            why,
        );
    }
}

fn kept(record: CallRecord, gateway: &Arc<str>) -> AdapterCall {
    AdapterCall {
        at: record.at,
        gateway: Arc::clone(gateway),
        adapter: record.adapter,
        verb: record.verb.word().into(),
        operation_id: record.operation_id,
        request_digest: record.request_digest,
        answer_digest: record.answer_digest,
        latency_us: i64::try_from(record.latency.as_micros()).unwrap_or(i64::MAX),
        class: record.class.word().into(),
        answer: record.answer.map(Into::into),
        http_status: record.http_status,
    }
}
