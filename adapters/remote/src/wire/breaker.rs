//! A payer that does not answer is left alone for a while.
//!
//! What opens the breaker is transport trouble alone (no connection, no answer in time, 5xx, an unreadable body): a
//! refusal is an answer. Once the rest is over a single question finds out whether the payer answers again; a commit
//! or a reversal never does.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::verb::Verb;

/// Troubles in a row after which a payer is left alone.
pub const TROUBLES_MAX: u32 = 5;
/// The first rest; each one after a question that failed is twice as long.
pub const REST_FIRST: Duration = Duration::from_secs(5);
pub const REST_MAX: Duration = Duration::from_secs(60);

/// While a question finds out, others wait at least so long.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// How a payer stands with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is called.
    Closed,
    /// It is left alone for so long.
    Open { rest: Duration },
    /// The rest is over: the next question, or the one under way, decides.
    HalfOpen,
}

#[derive(Debug)]
enum State {
    Closed { troubles: u32 },
    Open { until: Duration, rest: Duration },
    HalfOpen { rest: Duration, is_asked: bool },
}

#[derive(Debug)]
pub(crate) struct Breaker(Mutex<State>);

/// The right to one call. What it came to is said by [`answered`](Self::answered) or [`failed`](Self::failed);
/// dropped, it says nothing.
#[derive(Debug)]
pub(crate) struct Admitted<'b> {
    breaker: &'b Breaker,
    is_probe: bool,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::Closed { troubles: 0 }))
    }

    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn standing(&self, now: Duration) -> Standing {
        self.with(|state| match state {
            State::Closed { .. } => Standing::Closed,
            State::Open { until, .. } if now < *until => Standing::Open { rest: *until - now },
            State::Open { .. } | State::HalfOpen { .. } => Standing::HalfOpen,
        })
    }

    /// Somebody knows that the payer is back: it is called as if nothing had been.
    pub(crate) fn close(&self) {
        self.with(|state| *state = State::Closed { troubles: 0 });
    }

    /// Whether a call may leave now; else how long to wait before another one is worth it.
    pub(crate) fn admit(&self, verb: Verb, now: Duration) -> Result<Admitted<'_>, Duration> {
        let is_probe = self.with(|state| {
            if let State::Open { until, rest } = *state {
                if now < until {
                    return Err(until - now);
                }
                *state = State::HalfOpen { rest, is_asked: false };
            }
            match state {
                State::HalfOpen { is_asked, .. } if !*is_asked && verb.moves_no_money() => {
                    *is_asked = true;
                    Ok(true)
                }
                State::HalfOpen { .. } => Err(PROBE_WAIT),
                State::Closed { .. } | State::Open { .. } => Ok(false),
            }
        })?;
        Ok(Admitted { breaker: self, is_probe })
    }
}

impl Admitted<'_> {
    /// Any answer shows that the payer is there.
    pub(crate) fn answered(mut self) {
        self.is_probe = false;
        self.breaker.with(|state| *state = State::Closed { troubles: 0 });
    }

    pub(crate) fn failed(mut self, now: Duration) {
        let is_probe = std::mem::take(&mut self.is_probe);
        self.breaker.with(|state| {
            let rest = match state {
                State::Closed { troubles } => {
                    *troubles += 1;
                    (*troubles >= TROUBLES_MAX).then_some(REST_FIRST)
                }
                State::HalfOpen { rest, .. } if is_probe => Some((*rest * 2).min(REST_MAX)),
                // A call from before the rest: it says nothing new.
                State::HalfOpen { .. } | State::Open { .. } => None,
            };
            if let Some(rest) = rest {
                *state = State::Open { until: now + rest, rest };
            }
        });
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.with(|state| {
                if let State::HalfOpen { is_asked, .. } = state {
                    *is_asked = false;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line of a breaker's story, at a second of its clock.
    enum Event {
        /// A call is admitted and answered.
        Answered(Verb),
        Failed(Verb),
        /// Not admitted, for so many more seconds.
        Held(Verb, u64),
        Stands(Standing),
        /// Somebody orders that it is called again.
        Ordered,
    }
    use Event::{Answered, Failed, Held, Ordered, Stands};

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn check(name: &str, story: &[(u64, Event)]) {
        let breaker = Breaker::new();
        for (line, (second, event)) in story.iter().enumerate() {
            let now = at(*second);
            match event {
                Answered(verb) => breaker.admit(*verb, now).unwrap().answered(),
                Failed(verb) => breaker.admit(*verb, now).unwrap().failed(now),
                Held(verb, left) => {
                    let held = breaker.admit(*verb, now).map(drop).unwrap_err();
                    assert_eq!(held, at(*left), "{name}, line {line}");
                }
                Ordered => breaker.close(),
                Stands(standing) => assert_eq!(breaker.standing(now), *standing, "{name}, line {line}"),
            }
        }
    }

    #[test]
    fn five_troubles_in_a_row_open_it_and_a_question_closes_it() {
        check(
            "opens and closes",
            &[
                (0, Failed(Verb::Quote)),
                (0, Failed(Verb::Commit)),
                (0, Failed(Verb::Status)),
                (0, Failed(Verb::Quote)),
                (1, Stands(Standing::Closed)),
                (1, Failed(Verb::Reverse)),
                (2, Stands(Standing::Open { rest: at(4) })),
                (2, Held(Verb::Quote, 4)),
                (2, Held(Verb::Commit, 4)),
                (6, Stands(Standing::HalfOpen)),
                (6, Held(Verb::Commit, 1)),
                (6, Held(Verb::Reverse, 1)),
                (6, Answered(Verb::Status)),
                (6, Stands(Standing::Closed)),
                (6, Answered(Verb::Commit)),
            ],
        );
    }

    #[test]
    fn what_moves_no_money_closes_it() {
        use Verb::{Coverage, Describe, Quote, Statement, Status, Visit};
        for verb in [Describe, Coverage, Visit, Quote, Status, Statement] {
            let mut story: Vec<_> = (0..TROUBLES_MAX).map(|_| (0, Failed(Quote))).collect();
            story.extend([(5, Answered(verb)), (5, Stands(Standing::Closed))]);
            check(verb.word(), &story);
        }
    }

    #[test]
    fn an_answer_between_troubles_starts_the_count_again() {
        let mut story = Vec::new();
        for _ in 0..10 {
            story.extend((0..TROUBLES_MAX - 1).map(|_| (0, Failed(Verb::Quote))));
            story.push((0, Answered(Verb::Quote)));
        }
        story.push((0, Stands(Standing::Closed)));
        check("counts in a row", &story);
    }

    #[test]
    fn an_order_ends_the_rest_and_begins_the_count_again() {
        let mut story: Vec<_> = (0..TROUBLES_MAX).map(|_| (0, Failed(Verb::Quote))).collect();
        story.extend([
            (1, Stands(Standing::Open { rest: at(4) })),
            (1, Ordered),
            (1, Stands(Standing::Closed)),
        ]);
        story.extend((0..TROUBLES_MAX - 1).map(|_| (1, Failed(Verb::Commit))));
        story.extend([(1, Stands(Standing::Closed)), (1, Failed(Verb::Quote))]);
        story.push((1, Stands(Standing::Open { rest: at(5) })));
        check("ordered", &story);
    }

    #[test]
    fn rests_double_up_to_a_minute() {
        let mut story: Vec<_> = (0..TROUBLES_MAX).map(|_| (0, Failed(Verb::Quote))).collect();
        let mut now = 0;
        for rest in [5, 10, 20, 40, 60, 60] {
            story.push((now, Stands(Standing::Open { rest: at(rest) })));
            now += rest;
            story.push((now, Failed(Verb::Status)));
        }
        check("doubles", &story);
    }

    #[test]
    fn one_question_at_a_time_is_asked_and_one_that_is_dropped_gives_its_turn_back() {
        let breaker = Breaker::new();
        for _ in 0..TROUBLES_MAX {
            breaker.admit(Verb::Quote, at(0)).unwrap().failed(at(0));
        }
        let probe = breaker.admit(Verb::Quote, at(5)).unwrap();
        assert!(breaker.admit(Verb::Status, at(5)).is_err(), "one is under way");
        drop(probe);
        let probe = breaker.admit(Verb::Status, at(5)).unwrap();
        probe.failed(at(6));
        assert_eq!(breaker.standing(at(6)), Standing::Open { rest: at(10) });
    }

    #[test]
    fn calls_from_before_the_rest_change_it_only_by_an_answer() {
        let breaker = Breaker::new();
        let early: Vec<_> = (0..3).map(|_| breaker.admit(Verb::Commit, at(0)).unwrap()).collect();
        for _ in 0..TROUBLES_MAX {
            breaker.admit(Verb::Quote, at(1)).unwrap().failed(at(1));
        }
        let mut early = early.into_iter();
        early.next().unwrap().failed(at(3));
        assert_eq!(breaker.standing(at(3)), Standing::Open { rest: at(3) });
        drop(early.next());
        assert_eq!(breaker.standing(at(3)), Standing::Open { rest: at(3) });
        early.next().unwrap().answered();
        assert_eq!(breaker.standing(at(3)), Standing::Closed);
    }
}
