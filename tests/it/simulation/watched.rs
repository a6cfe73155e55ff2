//! The saga's function while it is watched. A gateway takes a plain function; whose run it is, its thread knows.

use std::cell::RefCell;
use std::sync::Arc;

use jiff::Timestamp;
use yizhan::settlement::saga::{self, Course, Event, Part, Saga, Stepped};

use super::mutant::Mutant;
use super::noted::is_advanced;
use super::sim::Sim;

type Run = (Arc<Sim>, Option<Arc<Mutant>>);

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// From now on, this thread's sagas are of this run.
pub(crate) fn by(sim: &Arc<Sim>, mutant: Option<Arc<Mutant>>) {
    RUN.set(Some((Arc::clone(sim), mutant)));
}

pub(crate) fn step(saga: Saga, event: Event, at: Timestamp) -> Stepped {
    let (sim, mutant) = RUN.with_borrow(Clone::clone).unwrap();
    let stepped = match mutant {
        Some(mutant) => mutant.step(saga, event, at),
        None => saga::step(saga, event, at),
    };
    watch(&sim, &stepped.saga);
    stepped
}

/// Notes where the saga of each operation is.
fn watch(sim: &Sim, saga: &Saga) {
    let word = match saga.course {
        Course::Committing | Course::Committed => "committing",
        Course::Requoting => "requoting",
        Course::Delivering if is_advanced(saga) => "advanced",
        Course::Delivering => "delivering",
        Course::Undoing(_) | Course::Undone(_) => "undoing",
        Course::Reversing(_) | Course::Reversed(_) => "reversing",
    };
    for call in &saga.calls {
        for part in [Part::Commit, Part::Undo] {
            if let Some(operation) = call.operation(part) {
                sim.saw(&operation.id, word);
            }
        }
    }
}
