//! How fast receivers are tried: one delivery at a time for each, and pauses that grow while one does not answer.
//! Hospitals that have none are looked at as seldom as one that never answers.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::instant::later;

/// Pauses double from the first to the last, in seconds.
pub const BACKOFF_S_MIN: i64 = 1;
pub const BACKOFF_S_MAX: i64 = 300;

/// When to try again after so many attempts without success.
pub(super) fn backoff(attempts: u32, now: Timestamp) -> Timestamp {
    let doubled = 1_i64.checked_shl(attempts.saturating_sub(1)).filter(|doubled| doubled.is_positive());
    let pause_s = doubled.map_or(BACKOFF_S_MAX, |doubled| (BACKOFF_S_MIN * doubled).min(BACKOFF_S_MAX));
    later(now, SignedDuration::from_secs(pause_s))
}

/// Receivers by address; who is not here is free.
#[derive(Debug, Default)]
pub(super) struct Receivers(HashMap<String, Receiver>);

#[derive(Debug)]
struct Receiver {
    /// Absent: a delivery is under way.
    left_alone_until: Option<Timestamp>,
    /// Deliveries in a row that did not reach it.
    missed: u32,
}

impl Receivers {
    pub(super) fn is_busy(&self, address: &str, now: Timestamp) -> bool {
        let busy = |receiver: &Receiver| receiver.left_alone_until.is_none_or(|until| now < until);
        self.0.get(address).is_some_and(busy)
    }

    /// Deliveries.
    pub(super) fn under_way(&self) -> usize {
        self.0.values().filter(|receiver| receiver.left_alone_until.is_none()).count()
    }

    pub(super) fn begun(&mut self, address: String) {
        let missed = self.0.get(&address).map_or(0, |receiver| receiver.missed);
        self.0.insert(address, Receiver { left_alone_until: None, missed });
    }

    pub(super) fn ended(&mut self, address: &str, was_reached: bool, now: Timestamp) {
        if was_reached {
            self.0.remove(address);
        } else if let Some(receiver) = self.0.get_mut(address) {
            receiver.missed = receiver.missed.saturating_add(1);
            receiver.left_alone_until = Some(backoff(receiver.missed, now));
        }
    }
}

/// Hospitals that were found without an address, by code, and until when nothing of theirs is read.
#[derive(Debug, Default)]
pub(super) struct Homeless(HashMap<Arc<str>, Timestamp>);

impl Homeless {
    /// Until when it is left alone.
    pub(super) fn found(&mut self, hospital: &Arc<str>, now: Timestamp) -> Timestamp {
        let until = backoff(u32::MAX, now);
        self.0.insert(Arc::clone(hospital), until);
        until
    }

    pub(super) fn left_alone(&self, now: Timestamp) -> impl Iterator<Item = Arc<str>> {
        self.0.iter().filter(move |(_, until)| now < **until).map(|(hospital, _)| Arc::clone(hospital))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_600_000_000 + seconds).unwrap()
    }

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let pauses = [1, 2, 3, 9, 10, 64, u32::MAX].map(|attempts| backoff(attempts, after(0)));
        assert_eq!(pauses, [1, 2, 4, 256, 300, 300, 300].map(after));
    }

    #[test]
    fn a_receiver_that_does_not_answer_is_left_alone_longer_each_time() {
        let mut receivers = Receivers::default();
        assert!(!receivers.is_busy("a", after(0)));
        for (at, free) in [(0, 1), (10, 12), (20, 24)] {
            receivers.begun("a".to_owned());
            assert!(receivers.is_busy("a", after(at + 3600)) && !receivers.is_busy("b", after(at)));
            receivers.ended("a", false, after(at));
            assert!(receivers.is_busy("a", after(free - 1)) && !receivers.is_busy("a", after(free)));
        }
        receivers.begun("a".to_owned());
        receivers.ended("a", true, after(30));
        assert!(!receivers.is_busy("a", after(30)));
    }

    #[test]
    fn a_hospital_without_an_address_is_left_alone_for_five_minutes() {
        let mut homeless = Homeless::default();
        assert_eq!(homeless.found(&"a".into(), after(0)), after(300));
        homeless.found(&"b".into(), after(10));
        for (at, left_alone) in [(299, vec!["a", "b"]), (300, vec!["b"]), (310, vec![])] {
            let mut hospitals: Vec<_> = homeless.left_alone(after(at)).collect();
            hospitals.sort();
            assert_eq!(hospitals.iter().map(|hospital| &**hospital).collect::<Vec<_>>(), left_alone);
        }
    }
}
