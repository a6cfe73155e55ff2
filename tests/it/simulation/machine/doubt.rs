//! A payer that loses whatever it is sent: a person has to hear of it in time, and what a person orders is acted upon.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan::settlement::saga::event::Resolution;
use yizhan::settlement::saga::{
    CLOCKS_APART_MAX, COMMIT_DEADLINE, Event, LEASE, Operation, Part, Saga, Sent, Terms, UNKNOWN_ATTENTION,
    Wanted,
};
use yizhan_contract::Money;
use yizhan_contract::payer::{Performed, Status};

use super::rules::Watched;
use super::{Ids, call, manifest, seconds, start};
use crate::simulation::dice::Dice;

/// How the payer loses things, and how gateways fare meanwhile.
#[derive(Debug, Clone, Copy)]
struct Losing {
    commits_are_idempotent: bool,
    /// A reversal arrives, so that every commit is fenced off and another one sent.
    reversals_arrive: bool,
    /// Each gateway dies after so long, and what it has not kept is forgotten.
    dies_every: Option<SignedDuration>,
}

pub(super) fn saga_of(waves: &[u8], terms: Terms, ids: &mut Ids) -> Saga {
    let mut dice = Dice::of(1);
    let calls = waves.iter().enumerate().map(|(nth, wave)| {
        let manifest = manifest(nth, &mut dice);
        let called = call(&manifest, *wave, Money::from_fen(1_000), ids, start());
        yizhan::settlement::saga::Call { terms, ..called }
    });
    Saga::begun(calls.collect(), "gateway 0".into())
}

pub(super) const TERMS: Terms = Terms {
    quotes_are_firm: true,
    commits_are_idempotent: true,
    reverse_window_s: Some(86_400),
    not_found_settles_after_s: 5,
};

/// One event after the other until `until`; whether and when a person first had to look.
struct Play {
    losing: Losing,
    watched: Watched,
    ids: Ids,
    at: Timestamp,
    coming: Vec<(Timestamp, Event)>,
    attention_from: Option<Timestamp>,
}

impl Play {
    fn new(losing: Losing) -> Self {
        let mut ids = Ids::default();
        let terms = Terms { commits_are_idempotent: losing.commits_are_idempotent, ..TERMS };
        let watched = Watched::new(saga_of(&[0], terms, &mut ids));
        Self { losing, watched, ids, at: start(), coming: Vec::new(), attention_from: None }
    }

    fn feed(&mut self, event: Event) {
        self.coming.retain(|(_, event)| *event != Event::Woken);
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for want in self.watched.step(event, self.at).unwrap() {
                events.extend(self.carry_out(want));
            }
        }
        let has_attention = self.watched.saga.attention.is_some();
        assert!(
            has_attention || self.attention_from.is_none(),
            "it is taken from the person: {:?}",
            self.losing
        );
        self.attention_from = self.attention_from.or(has_attention.then_some(self.at));
    }

    fn carry_out(&mut self, want: Wanted) -> Option<Event> {
        let id = |call: usize, part| self.watched.saga.calls[call].operation(part).unwrap().id.clone();
        let (after, event) = match want {
            Wanted::Prepare { call, part } => {
                return Some(Event::Prepared { call, part, operation: self.ids.operation(self.at) });
            }
            Wanted::Send { call, part } => {
                let answer = Performed::Unknown { poll_after: None, why: "no answer".into() };
                (COMMIT_DEADLINE, Event::Performed { operation: id(call, part), answer })
            }
            Wanted::Ask { call, part } => {
                let arrived = part == Part::Undo && self.losing.reversals_arrive;
                let answer = match arrived {
                    true => Status::Done {
                        amounts: self.watched.saga.calls[call].legs.clone(),
                        reference: "R".into(),
                    },
                    false => Status::NotFound,
                };
                (SignedDuration::from_millis(100), Event::Asked { operation: id(call, part), answer })
            }
            Wanted::Wake { at } => (at.duration_since(self.at), Event::Woken),
            Wanted::Requote | Wanted::Finish => panic!("{want:?} of a payer that loses everything"),
        };
        self.coming.push((self.at + after, event));
        None
    }

    fn run(&mut self, until: Timestamp) {
        let mut dies_at = self.losing.dies_every.map_or(Timestamp::MAX, |every| self.at + every);
        self.feed(Event::Begun);
        loop {
            let next = self.coming.iter().enumerate().min_by_key(|(_, (at, _))| *at);
            let next = next.map_or((usize::MAX, Timestamp::MAX), |(nth, (at, _))| (nth, *at));
            self.at = self.at.max(next.1.min(dies_at));
            match () {
                () if until < self.at => return,
                () if dies_at <= next.1 => {
                    dies_at = self.at + self.losing.dies_every.unwrap();
                    self.coming.clear();
                    self.watched.saga = self.watched.durable.clone();
                    self.feed(Event::TakenOver { by: "gateway 1".into(), is_gone: false });
                }
                () => {
                    let (_, event) = self.coming.swap_remove(next.0);
                    self.feed(event);
                }
            }
        }
    }
}

/// Neither sending again, nor a fence, nor another gateway makes the five minutes begin anew.
#[test]
fn a_payer_that_loses_everything_comes_before_a_person_in_time() {
    // The first answer is missed after ten seconds, or by whoever takes over from a gateway that died before.
    let first_doubt = COMMIT_DEADLINE.max(LEASE);
    for commits_are_idempotent in [true, false] {
        for reversals_arrive in [true, false] {
            for dies_every_s in [None, Some(7), Some(40), Some(200)] {
                let dies_every = dies_every_s.map(SignedDuration::from_secs);
                let losing = Losing { commits_are_idempotent, reversals_arrive, dies_every };
                let mut play = Play::new(losing);
                play.run(start() + SignedDuration::from_mins(30));
                let from = play.attention_from.unwrap_or_else(|| panic!("nobody hears of it: {losing:?}"));
                let latest = start() + first_doubt + UNKNOWN_ATTENTION;
                assert!(from <= latest, "{losing:?}: only {:#}", from.duration_since(start()));
                let since = play.watched.saga.attention.unwrap().since;
                assert!(since <= from, "{losing:?}: {since}");
            }
        }
    }
}

/// A person who orders to ask again is obeyed by the gateway that takes the saga up, at once.
#[test]
fn a_retry_is_asked_as_soon_as_it_is_taken_up() {
    let losing = Losing { commits_are_idempotent: true, reversals_arrive: false, dies_every: None };
    let mut play = Play::new(losing);
    play.run(start() + SignedDuration::from_mins(6));
    let wanted = play
        .watched
        .step(Event::RetryOrdered { operator: "operator".into(), reason: "telephone".into() }, play.at)
        .unwrap();
    assert_eq!(wanted, [], "who hears the order only takes it down");
    play.watched.saga = play.watched.durable.clone();
    let taken_over = Event::TakenOver { by: "gateway 1".into(), is_gone: false };
    let wanted = play.watched.step(taken_over, play.at).unwrap();
    assert!(wanted.contains(&Wanted::Ask { call: 0, part: Part::Commit }), "{wanted:?}");
}

/// What a person knows of one payer sends nothing to the next one by itself: nobody would carry it out.
#[test]
fn a_resolved_operation_leaves_the_next_one_to_be_sent() {
    let mut ids = Ids::default();
    let mut watched = Watched::new(saga_of(&[0, 1], TERMS, &mut ids));
    watched.step(Event::Begun, start()).unwrap();
    let first = watched.saga.calls[0].commit.id.clone();
    let answer = Performed::Unknown { poll_after: None, why: "no answer".into() };
    let at = start() + COMMIT_DEADLINE;
    watched.step(Event::Performed { operation: first.clone(), answer }, at).unwrap();
    let as_ = Resolution::Done { amounts: watched.saga.calls[0].legs.clone(), reference: "R".into() };
    let (operator, reason) = ("operator".to_owned(), "asked".to_owned());
    let wanted = watched.step(Event::Resolved { operation: first, as_, operator, reason }, at).unwrap();
    assert_eq!((wanted, &watched.durable.calls[1].commit.state), (vec![], &Sent::Intended));
}

/// A gateway's own times are believed as they are; another one's clock may have been behind ours when it sent.
#[test]
fn what_another_gateway_sent_may_have_left_later_than_it_says() {
    let zero = SignedDuration::ZERO;
    for (driven_by, is_gone, apart) in [
        (Some("gateway 0"), false, zero),
        (Some("gateway 0"), true, zero),
        (Some("gateway 1"), false, CLOCKS_APART_MAX),
        // It held the lease when it died, and had not come to drive the stay.
        (Some("gateway 1"), true, CLOCKS_APART_MAX),
        (None, false, CLOCKS_APART_MAX),
    ] {
        let mut ids = Ids::default();
        let terms = Terms { commits_are_idempotent: false, ..TERMS };
        let saga = Saga { driven_by: driven_by.map(Arc::from), ..saga_of(&[0], terms, &mut ids) };
        let mut watched = Watched::new(saga);
        watched.step(Event::Begun, start()).unwrap();
        let operation = watched.saga.calls[0].commit.id.clone();
        let answer = Performed::Unknown { poll_after: None, why: "it broke off".into() };
        watched.step(Event::Performed { operation: operation.clone(), answer }, start()).unwrap();
        watched.step(Event::TakenOver { by: "gateway 0".into(), is_gone }, start()).unwrap();
        let is_apart = apart != zero;
        let what = format!("{driven_by:?} {is_gone}");
        assert_eq!(watched.durable.has_changed_hands, is_apart, "{what}");
        let said = watched.saga.log.iter().any(|entry| entry.what.contains("another gateway"));
        assert_eq!(said, is_apart, "{what}: {:?}", watched.saga.log);
        let believed_from = start() + seconds(terms.not_found_settles_after_s) + apart;
        let mut asked = |at| {
            let answer = Status::NotFound;
            watched.step(Event::Asked { operation: operation.clone(), answer }, at).unwrap()
        };
        let fence = Wanted::Prepare { call: 0, part: Part::Undo };
        let early = asked(believed_from - SignedDuration::from_millis(1));
        assert!(!early.contains(&fence), "{what}: {early:?}");
        let in_time = asked(believed_from);
        assert!(in_time.contains(&fence), "{what}: {in_time:?}");
    }
}

/// The first gateway keeps a commit and stands still; the next one takes the saga over, dies, and begins again under its
/// name: it knows that it sends nothing of that any more, and nothing of the first one.
#[test]
fn who_begins_again_does_not_speak_for_whoever_was_there_before() {
    let terms = Terms { commits_are_idempotent: false, ..TERMS };
    let mut watched = Watched::new(saga_of(&[0], terms, &mut Ids::default()));
    let Operation { id: operation, leaves_before, .. } = watched.saga.calls[0].commit.clone();
    for is_gone in [false, true] {
        watched.saga = watched.durable.clone();
        watched.step(Event::TakenOver { by: "gateway 1".into(), is_gone }, start() + LEASE).unwrap();
    }
    let believed_from = leaves_before + seconds(terms.not_found_settles_after_s) + CLOCKS_APART_MAX;
    let fence = Wanted::Prepare { call: 0, part: Part::Undo };
    for (at, is_believed) in [(believed_from - SignedDuration::from_millis(1), false), (believed_from, true)]
    {
        let asked = Event::Asked { operation: operation.clone(), answer: Status::NotFound };
        assert_eq!(watched.step(asked, at).unwrap().contains(&fence), is_believed, "{at}");
    }
}
