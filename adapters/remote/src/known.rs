//! Answers about coverage, kept as long as the payer says they hold, a no for a minute at most: a stay that is priced
//! again asks once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use yizhan_contract::payer::{Cover, Coverage, CoverageQuestion};
use yizhan_contract::{PayerCode, revealing};
use zeroize::Zeroizing;

use crate::host::Host;
use crate::wire::Digest;
use crate::wire::keyed::hmac_sha256;

/// Answers kept at a time; the oldest go first.
const KEPT_MAX: usize = 10_000;

/// How long it is relied on that a person is unknown, or not covered: who is enrolled a minute later is not to be settled
/// with nothing.
const NO_MAX: Duration = Duration::from_secs(60);

/// Keyed by a digest of person, payer and day under a number of this process: no person can be read out of it.
pub(crate) struct Known {
    key: Zeroizing<[u8; 32]>,
    valid: Option<Duration>,
    kept: Mutex<Kept>,
    kept_max: usize,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<Digest, Answer>,
    oldest_first: VecDeque<(Duration, Digest)>,
}

struct Answer {
    until: Duration,
    /// Absent: the payer does not know the person.
    cover: Option<Cover>,
}

impl Known {
    pub(crate) fn new(host: &dyn Host, valid_s: Option<u32>) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        host.fill_random(key.as_mut());
        let valid = valid_s.map(|seconds| Duration::from_secs(seconds.into()));
        Self { key, valid, kept: Mutex::default(), kept_max: KEPT_MAX }
    }

    /// Whether the payer is asked about coverage at all.
    pub(crate) fn is_asked(&self) -> bool {
        self.valid.is_some()
    }

    fn keys(&self, question: &CoverageQuestion) -> Vec<Digest> {
        let person = Zeroizing::new(revealing(|| serde_json::to_vec(&question.person)).unwrap_or_default());
        let day = question.on.to_string();
        let key = |payer: &str| {
            hmac_sha256(
                self.key.as_slice(),
                [person.as_slice(), b"\0", payer.as_bytes(), b"\0", day.as_bytes()],
            )
        };
        question.payers.iter().map(|payer| key(payer.as_str())).collect()
    }

    /// What is known of every payer asked about; absent where one has to be asked.
    pub(crate) fn look_up(&self, question: &CoverageQuestion, now: Duration) -> Option<Coverage> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut covers = Vec::with_capacity(question.payers.len());
        for key in self.keys(question) {
            let answer = kept.answers.get(&key).filter(|answer| now < answer.until)?;
            match &answer.cover {
                Some(cover) => covers.push(cover.clone()),
                None => return Some(Coverage::UnknownPerson),
            }
        }
        (!covers.is_empty()).then_some(Coverage::Covers { covers })
    }

    pub(crate) fn keep(&self, question: &CoverageQuestion, answer: &Coverage, now: Duration) {
        let Some(valid) = self.valid else { return };
        let of = |payer: &PayerCode| match answer {
            Coverage::Covers { covers } => {
                covers.iter().find(|cover| cover.payer == *payer).cloned().map(Some)
            }
            Coverage::UnknownPerson => Some(None),
            Coverage::NotSaid | Coverage::Unavailable(_) => None,
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, payer) in self.keys(question).into_iter().zip(&question.payers) {
            if let Some(cover) = of(payer) {
                let is_no = cover.as_ref().is_none_or(|cover| !cover.in_force);
                let valid = if is_no { valid.min(NO_MAX) } else { valid };
                kept.put(key, Answer { until: now + valid, cover });
            }
        }
        kept.make_room(now, self.kept_max);
    }
}

impl Kept {
    fn put(&mut self, key: Digest, answer: Answer) {
        self.oldest_first.push_back((answer.until, key));
        self.answers.insert(key, answer);
    }

    /// The oldest go first: those that end before an older one give their room once that has.
    fn make_room(&mut self, now: Duration, kept_max: usize) {
        while let Some((until, key)) = self.oldest_first.front().copied() {
            if self.oldest_first.len() <= kept_max && now < until {
                break;
            }
            self.oldest_first.pop_front();
            // Answered again since, it lives on under its later entry.
            if self.answers.get(&key).is_some_and(|answer| answer.until <= until) {
                self.answers.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use yizhan_contract::payer::Person;

    use super::*;
    use crate::paused::Paused;

    fn known(valid_s: Option<u32>, kept_max: usize) -> Known {
        Known { kept_max, ..Known::new(&Paused::new(), valid_s) }
    }

    fn question(card: &str, payer: &str, on: &str) -> CoverageQuestion {
        let person: Person = serde_json::from_value(serde_json::json!({"card": card})).unwrap();
        CoverageQuestion { person, payers: vec![payer.parse().unwrap()], on: on.parse().unwrap() }
    }

    fn covered(question: &CoverageQuestion) -> Coverage {
        let cover = |payer: &yizhan_contract::PayerCode| Cover {
            payer: payer.clone(),
            in_force: true,
            from: None,
            to: None,
        };
        Coverage::Covers { covers: question.payers.iter().map(cover).collect() }
    }

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_holds_for_its_person_payer_and_day_and_for_its_time() {
        let known = known(Some(60), 10);
        let asked = question("1", "supplementary", "2020-07-02");
        known.keep(&asked, &covered(&asked), at(0));
        assert_eq!(known.look_up(&asked, at(59)), Some(covered(&asked)));
        assert_eq!(known.look_up(&asked, at(60)), None, "it was over");
        for other in [
            question("2", "supplementary", "2020-07-02"),
            question("1", "accident", "2020-07-02"),
            question("1", "supplementary", "2020-07-03"),
        ] {
            assert_eq!(known.look_up(&other, at(1)), None);
        }
        let both = CoverageQuestion {
            payers: vec!["supplementary".parse().unwrap(), "accident".parse().unwrap()],
            ..asked.clone()
        };
        assert_eq!(known.look_up(&both, at(1)), None, "one of two is not enough");
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_was_said_is_kept() {
        let known = known(Some(60), 10);
        let asked = question("1", "supplementary", "2020-07-02");
        known.keep(&asked, &Coverage::NotSaid, at(0));
        assert_eq!(known.look_up(&asked, at(0)), None);
        known.keep(&asked, &Coverage::UnknownPerson, at(0));
        assert_eq!(known.look_up(&asked, at(0)), Some(Coverage::UnknownPerson));
    }

    #[tokio::test(start_paused = true)]
    async fn a_no_is_not_relied_on_for_longer_than_a_minute() {
        let known = known(Some(3_600), 10);
        let of = |card: &str| question(card, "supplementary", "2020-07-02");
        let (covered_one, unknown, lapsed) = (of("1"), of("2"), of("3"));
        known.keep(&covered_one, &covered(&covered_one), at(0));
        known.keep(&unknown, &Coverage::UnknownPerson, at(0));
        let Coverage::Covers { mut covers } = covered(&lapsed) else { unreachable!("it covers") };
        covers[0].in_force = false;
        known.keep(&lapsed, &Coverage::Covers { covers }, at(0));
        let is_known =
            |second| [&covered_one, &unknown, &lapsed].map(|of| known.look_up(of, at(second)).is_some());
        assert_eq!(is_known(59), [true, true, true]);
        assert_eq!(is_known(60), [true, false, false]);
        assert_eq!(is_known(3_600), [false, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_go_first_and_what_was_asked_again_stays() {
        let known = known(Some(60), 3);
        let of = |card: &str| question(card, "supplementary", "2020-07-02");
        for (second, card) in [(0, "1"), (1, "2"), (2, "1"), (3, "3"), (4, "4")] {
            known.keep(&of(card), &covered(&of(card)), at(second));
        }
        let is_known = |card: &str| known.look_up(&of(card), at(5)).is_some();
        assert_eq!(["1", "2", "3", "4"].map(is_known), [true, false, true, true]);
        let lengths = || {
            let kept = known.kept.lock().unwrap();
            (kept.answers.len(), kept.oldest_first.len())
        };
        assert_eq!(lengths(), (3, 3));
        known.keep(&of("5"), &covered(&of("5")), at(100));
        assert_eq!(lengths(), (1, 1), "what was over was kept");
    }
}
