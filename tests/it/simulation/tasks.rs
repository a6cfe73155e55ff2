//! Tasks on one thread; the next one to run is a throw of the dice.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::dice::Dice;

/// Whose task it is: it dies with its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Gateway(usize),
    /// Hospitals, payers, the network.
    Outside,
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    owner: Owner,
    work: Work,
    bell: Arc<Bell>,
}

/// Where tasks are handed in, from inside of other tasks as well.
#[derive(Clone, Default)]
pub(crate) struct Spawner(Arc<Mutex<Vec<(Owner, Work)>>>);

impl Spawner {
    pub(crate) fn spawn(&self, owner: Owner, work: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().unwrap().push((owner, Box::pin(work)));
    }
}

#[derive(Default)]
pub(crate) struct Tasks {
    spawner: Spawner,
    tasks: BTreeMap<u64, Task>,
    count: u64,
}

impl Tasks {
    pub(crate) fn new(spawner: Spawner) -> Self {
        Self { spawner, ..Self::default() }
    }

    /// Runs one task that can go on, until it waits; whether there was one.
    pub(crate) fn run_one(&mut self, dice: &mut Dice, is_stalled: impl Fn(Owner) -> bool) -> bool {
        self.take_in();
        let ready: Vec<u64> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.bell.0.load(Ordering::Relaxed) && !is_stalled(task.owner))
            .map(|(key, _)| *key)
            .collect();
        if ready.is_empty() {
            return false;
        }
        let key = *dice.one_of(&ready);
        let Some(task) = self.tasks.get_mut(&key) else { return true };
        task.bell.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&task.bell));
        if task.work.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(()) {
            self.tasks.remove(&key);
        }
        true
    }

    /// Everything of one owner is gone, wherever it was.
    pub(crate) fn kill(&mut self, owner: Owner) {
        self.take_in();
        self.tasks.retain(|_, task| task.owner != owner);
    }

    fn take_in(&mut self) {
        for (owner, work) in std::mem::take(&mut *self.spawner.0.lock().unwrap()) {
            self.count += 1;
            let bell = Arc::new(Bell(AtomicBool::new(true)));
            self.tasks.insert(self.count, Task { owner, work, bell });
        }
    }
}

/// A value that one task leaves for another.
#[derive(Debug)]
pub(crate) struct Slot<T>(Arc<Mutex<(Option<T>, Option<Waker>)>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new((None, None))))
    }

    pub(crate) fn put(&self, value: T) {
        let mut slot = self.0.lock().unwrap();
        slot.0 = Some(value);
        if let Some(waker) = slot.1.take() {
            waker.wake();
        }
    }
}

impl<T> Future for Slot<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.0.lock().unwrap();
        match slot.0.take() {
            Some(value) => Poll::Ready(value),
            None => {
                slot.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Lets others go first.
#[derive(Debug, Default)]
pub(crate) struct GiveWay(bool);

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
