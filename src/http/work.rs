//! What was begun ends, whether or not anybody waits for it: a client that hangs up or loses patience
//! must not leave a settlement half way.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tracing::Instrument;
use uuid::Uuid;

use super::caller::Caller;
use crate::intake::reception::Received;
use crate::refusal::{Code, Money, Refusal};

pub(super) struct Limits {
    /// Messages and requests in hand at once; one more is told to come again.
    pub in_hand_max: u32,
    /// Answers kept for clients that did not wait; the oldest goes first.
    pub tickets_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_hand_max: 1_024, tickets_max: 1_024 }
    }
}

pub(super) struct Work {
    runtime: Handle,
    limits: Limits,
    seats: Arc<Semaphore>,
    tickets: Mutex<VecDeque<Ticket>>,
}

/// Something begun, to be waited for by any number of clients.
pub(super) struct Begun<T>(watch::Receiver<Option<Arc<T>>>);

impl<T> Clone for Begun<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Where a client that did not wait finds its answer.
struct Ticket {
    id: Uuid,
    caller: Caller,
    begun: Begun<Received>,
}

impl Work {
    pub(super) fn new(runtime: Handle, limits: Limits) -> Self {
        let seats = Arc::new(Semaphore::new(limits.in_hand_max as usize));
        Self { runtime, limits, seats, tickets: Mutex::new(VecDeque::new()) }
    }

    /// # Errors
    /// Where too much is in hand already; nothing was begun.
    pub(super) fn begin<T: Send + Sync + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<Begun<T>, Refusal> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| too_much_in_hand())?;
        let (tell, told) = watch::channel(None);
        let work = async move {
            let ended = work.await;
            tell.send_replace(Some(Arc::new(ended)));
            drop(seat);
        };
        self.runtime.spawn(work.in_current_span());
        Ok(Begun(told))
    }

    /// Keeps an answer for `caller` under `id`.
    pub(super) fn keep(&self, id: Uuid, caller: Caller, begun: Begun<Received>) {
        let mut tickets = self.tickets();
        tickets.push_front(Ticket { id, caller, begun });
        tickets.truncate(self.limits.tickets_max);
    }

    /// With whom the answer was kept for.
    pub(super) fn kept(&self, id: Uuid) -> Option<(Caller, Begun<Received>)> {
        let tickets = self.tickets();
        let ticket = tickets.iter().find(|ticket| ticket.id == id)?;
        Some((ticket.caller.clone(), ticket.begun.clone()))
    }

    /// Waits until nothing is in hand.
    ///
    /// # Errors
    /// How much still is, where that takes longer than `drain`.
    pub(super) async fn finish(&self, drain: Duration) -> Result<(), usize> {
        let all = self.limits.in_hand_max;
        match timeout(drain, self.seats.acquire_many(all)).await {
            Ok(_) => Ok(()),
            Err(_) => Err((all as usize).saturating_sub(self.seats.available_permits())),
        }
    }

    fn tickets(&self) -> MutexGuard<'_, VecDeque<Ticket>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Begun<T> {
    /// What it ended in; `None` where that takes longer than `patience`.
    ///
    /// # Errors
    /// Where it broke off inside the gateway.
    pub(super) async fn within(&mut self, patience: Duration) -> Result<Option<Arc<T>>, Refusal> {
        match timeout(patience, self.0.wait_for(Option::is_some)).await {
            Err(_) => Ok(None),
            Ok(Ok(ended)) => Ok(ended.clone()),
            Ok(Err(_)) => Err(broke_off()),
        }
    }
}

fn too_much_in_hand() -> Refusal {
    Refusal::new(Code::TooManyRequests, "网关正在处理的报文过多", "the gateway has too many messages in hand")
}

/// Whether it broke off before or after the money moved is not known here.
fn broke_off() -> Refusal {
    Refusal::new(Code::Internal, "网关内部处理中断", "it broke off inside the gateway")
        .money(Money::BeingConfirmed)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn work(in_hand_max: u32, tickets_max: usize) -> Work {
        Work::new(Handle::current(), Limits { in_hand_max, tickets_max })
    }

    /// What somebody begins who is refused.
    async fn refusal<T: Send + Sync + 'static>(begun: Result<Begun<T>, Refusal>) -> Refusal {
        match begun {
            Ok(mut begun) => begun.within(PATIENCE).await.map(|_| ()).unwrap_err(),
            Err(refusal) => refusal,
        }
    }

    #[tokio::test]
    async fn one_too_many_is_told_to_come_again_and_nothing_of_it_is_begun() {
        let work = work(1, 1);
        let (tell, told) = tokio::sync::oneshot::channel();
        let mut first = work.begin(told).unwrap();
        let refused = refusal(work.begin(async { panic!("it was begun") })).await;
        assert_eq!((refused.code, refused.money), (Code::TooManyRequests, Money::NotMoved));
        assert_eq!(work.finish(Duration::ZERO).await, Err(1));
        tell.send(()).unwrap();
        assert!(first.within(PATIENCE).await.unwrap().is_some());
        assert_eq!(work.finish(PATIENCE).await, Ok(()));
        assert!(work.begin(async {}).is_ok());
    }

    #[tokio::test]
    async fn what_breaks_off_leaves_open_whether_money_moved_and_frees_its_seat() {
        let work = work(1, 1);
        let refused = refusal(work.begin(async { panic!("a defect") })).await;
        assert_eq!((refused.code, refused.money), (Code::Internal, Money::BeingConfirmed));
        assert_eq!(work.finish(PATIENCE).await, Ok(()));
    }

    #[tokio::test]
    async fn the_newest_answers_are_kept_each_for_its_caller() {
        let work = work(3, 2);
        let ids = [1, 2, 3].map(Uuid::from_u128);
        for (nth, id) in ids.iter().enumerate() {
            let caller = Caller { hospital: Arc::from(format!("H{nth}")) };
            work.keep(*id, caller, work.begin(pending::<Received>()).unwrap());
        }
        let kept = ids.map(|id| work.kept(id).map(|(caller, _)| caller.hospital.to_string()));
        assert_eq!(kept, [None, Some("H1".to_owned()), Some("H2".to_owned())]);
    }
}
