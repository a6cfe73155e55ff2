//! What a call came to, told to the host at its end: how long the payer itself took, and what it said.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::payer::{ASK_DEADLINE, COMMIT_DEADLINE, COVER_DEADLINE, Manifest};

use super::trouble::Trouble;
use super::verb::Verb;
use crate::host::Host;

/// A call that has ended, once however often it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'c> {
    pub verb: Verb,
    /// Without what it waited for its turn here; zero where nothing was sent.
    pub took: Duration,
    /// The kind of the answer, such as `quote`, or why there was none that can be used.
    pub came_to: Result<&'static str, &'c Trouble>,
}

/// How long a payer said that it needs; never more than a gateway has for the verb, or a payer that promises more and says
/// nothing at all would be late for no call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    coverage: Duration,
    quote: Duration,
    commit: Duration,
}

impl Pace {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        // Both are asked under one deadline: what the question about cover may take is not the quote's.
        let to_quote = match manifest.coverage_valid_s {
            Some(_) => ASK_DEADLINE - COVER_DEADLINE,
            None => ASK_DEADLINE,
        };
        Self {
            coverage: within(manifest.quote_p95_ms, COVER_DEADLINE),
            quote: within(manifest.quote_p95_ms, to_quote),
            commit: within(manifest.commit_p95_ms, COMMIT_DEADLINE),
        }
    }

    fn of_verb(self, verb: Verb) -> Duration {
        match verb {
            Verb::Commit | Verb::Reverse => self.commit,
            Verb::Coverage => self.coverage,
            Verb::Describe | Verb::Visit | Verb::Quote | Verb::Status | Verb::Statement => self.quote,
        }
    }

    /// Whoever had less time than it asked for is not blamed for being late.
    pub(crate) fn is_fair(self, verb: Verb, trouble: &Trouble) -> bool {
        !matches!(trouble, Trouble::Late { patience, .. } if *patience < self.of_verb(verb))
    }
}

/// A promise, or where that is less what is left of a gateway's time for it when the call leaves: a fifth may have gone by
/// before.
fn within(promise_ms: u32, deadline: SignedDuration) -> Duration {
    Duration::from_millis(promise_ms.into()).min(deadline.unsigned_abs() / 5 * 4)
}

/// A call until its end. Dropped before, nobody waits for it any more: past its deadline the payer was late, earlier
/// nothing is known of it.
pub(crate) struct UnderWay<'h> {
    host: &'h dyn Host,
    verb: Verb,
    deadline: Timestamp,
    pace: Pace,
    sent: Option<Duration>,
    took: Duration,
    is_over: bool,
}

impl<'h> UnderWay<'h> {
    pub(crate) fn begin(host: &'h dyn Host, verb: Verb, deadline: Timestamp, pace: Pace) -> Self {
        Self { host, verb, deadline, pace, sent: None, took: Duration::ZERO, is_over: false }
    }

    pub(crate) fn sent(&mut self) {
        self.sent = Some(self.host.steady());
    }

    /// An answer, or what stands for one.
    pub(crate) fn came(&mut self) {
        if let Some(sent) = self.sent.take() {
            self.took = self.host.steady().saturating_sub(sent);
        }
    }

    pub(crate) fn ended(mut self, came_to: Result<&'static str, &Trouble>) {
        self.is_over = true;
        self.tell(came_to);
    }

    fn tell(&self, came_to: Result<&'static str, &Trouble>) {
        if came_to.err().is_none_or(|trouble| self.pace.is_fair(self.verb, trouble)) {
            self.host.ended(Ended { verb: self.verb, took: self.took, came_to });
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.sent.is_some() && self.deadline <= self.host.now() {
            self.came();
            self.tell(Err(&Trouble::Late { received: 0, patience: self.took }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::paused::Paused;

    fn promising(p95_ms: u32, says_cover: bool) -> Manifest {
        let coverage_valid_s = says_cover.then_some(60);
        let cautious = Manifest::cautious("acme", "1", vec!["supplementary".parse().unwrap()]);
        Manifest { quote_p95_ms: p95_ms, commit_p95_ms: p95_ms, coverage_valid_s, ..cautious }
    }

    /// Whether a payer that promised so much is to blame for saying nothing for so long.
    fn is_fair(verb: Verb, p95_ms: u32, says_cover: bool, silent_ms: u64) -> bool {
        let late = Trouble::Late { received: 0, patience: Duration::from_millis(silent_ms) };
        Pace::of(&promising(p95_ms, says_cover)).is_fair(verb, &late)
    }

    #[test]
    fn silence_for_all_the_time_a_gateway_has_is_the_payers_whatever_it_promised() {
        for p95_ms in [500, 3_000, 9_000, u32::MAX] {
            assert!(is_fair(Verb::Coverage, p95_ms, true, 2_490), "{p95_ms}");
            // After a question about cover that it did not answer either.
            assert!(is_fair(Verb::Visit, p95_ms, true, 2_400), "{p95_ms}");
            assert!(is_fair(Verb::Quote, p95_ms, true, 2_400), "{p95_ms}");
            assert!(is_fair(Verb::Quote, p95_ms, false, 4_990), "{p95_ms}");
            assert!(is_fair(Verb::Status, p95_ms, false, 4_990), "{p95_ms}");
            assert!(is_fair(Verb::Commit, p95_ms, true, 9_990), "{p95_ms}");
            assert!(is_fair(Verb::Reverse, p95_ms, true, 9_990), "{p95_ms}");
        }
        assert!(!is_fair(Verb::Coverage, 3_000, true, 1_900));
        assert!(!is_fair(Verb::Quote, 3_000, true, 1_900));
        assert!(!is_fair(Verb::Quote, 3_000, false, 2_990));
        assert!(is_fair(Verb::Quote, 3_000, false, 3_000));
        assert!(!is_fair(Verb::Commit, 9_000, false, 7_900));
        assert!(!is_fair(Verb::Commit, 500, false, 490));
    }

    /// Hears what calls come to.
    struct Hears {
        clock: Paused,
        heard: Mutex<Vec<(u128, String)>>,
    }

    impl Host for Hears {
        fn now(&self) -> Timestamp {
            self.clock.now()
        }

        fn steady(&self) -> Duration {
            self.clock.steady()
        }

        fn fill_random(&self, bytes: &mut [u8]) {
            self.clock.fill_random(bytes);
        }

        fn ended(&self, call: Ended<'_>) {
            let came_to = call.came_to.map_or_else(|trouble| trouble.text().en.to_string(), str::to_owned);
            self.heard.lock().unwrap().push((call.took.as_millis(), came_to));
        }
    }

    /// How it ends.
    enum Ends {
        /// Nothing is sent: it waits here for all its time.
        Waits,
        Answers,
        Late {
            after_ms: u64,
        },
        /// Whoever asked waits no longer.
        Dropped,
    }

    /// A call of a payer that asks for 500 ms, which waits for its turn, is sent, and ends after so long.
    async fn check(waits_ms: u64, takes_ms: u64, deadline_ms: i64, ends: Ends, heard: &[(u128, &str)]) {
        let host = Hears { clock: Paused::new(), heard: Mutex::default() };
        let deadline = host.now() + jiff::SignedDuration::from_millis(deadline_ms);
        let pace = Pace::of(&promising(500, false));
        let mut call = UnderWay::begin(&host, Verb::Quote, deadline, pace);
        tokio::time::advance(Duration::from_millis(waits_ms)).await;
        if !matches!(ends, Ends::Waits) {
            call.sent();
        }
        tokio::time::advance(Duration::from_millis(takes_ms)).await;
        if !matches!(ends, Ends::Dropped) {
            call.came();
        }
        match ends {
            Ends::Waits => call.ended(Err(&Trouble::NoTurn)),
            Ends::Answers => call.ended(Ok("quote")),
            Ends::Late { after_ms } => {
                let patience = Duration::from_millis(after_ms);
                call.ended(Err(&Trouble::Late { received: 0, patience }));
            }
            Ends::Dropped => drop(call),
        }
        let told = host.heard.lock().unwrap();
        let told: Vec<_> = told.iter().map(|(took, came_to)| (*took, came_to.as_str())).collect();
        assert_eq!(told, heard);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_call_waits_for_here_is_not_the_payers_time_and_who_had_too_little_is_not_late() {
        let no_turn = Trouble::NoTurn.text();
        check(3_000, 70, 5_000, Ends::Answers, &[(70, "quote")]).await;
        check(5_000, 0, 5_000, Ends::Waits, &[(0, &no_turn.en)]).await;
        check(0, 990, 1_000, Ends::Late { after_ms: 990 }, &[(990, "no answer within 990 ms")]).await;
        // It came to the payer with less than the payer had asked for.
        check(600, 390, 1_000, Ends::Late { after_ms: 390 }, &[]).await;
        check(0, 1_000, 1_000, Ends::Dropped, &[(1_000, "no answer within 1000 ms")]).await;
        check(600, 400, 1_000, Ends::Dropped, &[]).await;
        check(0, 700, 1_000, Ends::Dropped, &[]).await;
    }
}
