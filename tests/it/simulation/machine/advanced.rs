//! A payer whose part is advanced, before one that can never take back what it committed.

use yizhan::settlement::saga::event::{Event, Part};
use yizhan::settlement::saga::{COMMIT_DEADLINE, Call, Course, Terms, UNKNOWN_ATTENTION, Wanted};
use yizhan_contract::payer::{Performed, Status};

use super::doubt::{TERMS, saga_of};
use super::rules::Watched;
use super::{Ids, lowered, start};

/// What a payer says of its commit when it is asked.
type Says = fn(&Call) -> Status;
type IsRight = fn(&Course) -> bool;

/// The first is advanced, the second cannot be taken back; the first is in doubt, and the second was sent its part.
fn both_out() -> Watched {
    let mut saga = saga_of(&[0, 1], TERMS, &mut Ids::default());
    saga.calls[0].is_advanced = true;
    saga.calls[1].terms = Terms { reverse_window_s: None, ..TERMS };
    let mut watched = Watched::new(saga);
    let wanted = watched.step(Event::Begun, start()).unwrap();
    assert_eq!(wanted, [Wanted::Send { call: 0, part: Part::Commit }]);
    let answer = Performed::Unknown { poll_after: None, why: "no answer".into() };
    let operation = watched.saga.calls[0].commit.id.clone();
    let wanted = watched.step(Event::Performed { operation, answer }, start() + COMMIT_DEADLINE).unwrap();
    assert!(wanted.contains(&Wanted::Send { call: 1, part: Part::Commit }), "{wanted:?}");
    watched
}

#[test]
fn what_it_says_once_others_were_sent_their_part_ends_nothing() {
    let refuses = |_: &Call| Status::Refused { code: "no".into() };
    let pays_less = |call: &Call| Status::Done { amounts: lowered(&call.legs), reference: "R".into() };
    let pays = |call: &Call| Status::Done { amounts: call.legs.clone(), reference: "R".into() };
    let answers: [(Says, Course); 3] =
        [(refuses, Course::Delivering), (pays_less, Course::Delivering), (pays, Course::Committed)];
    for (says, course) in answers {
        let mut watched = both_out();
        let (first, second) = (watched.saga.calls[0].clone(), watched.saga.calls[1].clone());
        let at = start() + COMMIT_DEADLINE + COMMIT_DEADLINE;
        let asked = Event::Asked { operation: first.commit.id.clone(), answer: says(&first) };
        let wanted = watched.step(asked, at).unwrap();
        assert_eq!((wanted, &watched.saga.course), (vec![], &Course::Committing), "{course:?}");
        let answer = Performed::Committed { amounts: second.legs.clone(), reference: "R".into() };
        let wanted = watched.step(Event::Performed { operation: second.commit.id, answer }, at).unwrap();
        assert!(wanted.contains(&Wanted::Finish), "{course:?}: {wanted:?}");
        assert_eq!(watched.saga.course, course);
    }
}

#[test]
fn it_is_not_waited_for_and_what_others_refuse_takes_all_of_it_back() {
    for is_refused in [false, true] {
        let mut watched = both_out();
        let second = watched.saga.calls[1].clone();
        let answer = match is_refused {
            true => Performed::Refused { code: "no".into(), message: "no".into() },
            false => Performed::Committed { amounts: second.legs.clone(), reference: "R".into() },
        };
        let at = start() + COMMIT_DEADLINE + UNKNOWN_ATTENTION;
        let wanted = watched.step(Event::Performed { operation: second.commit.id, answer }, at).unwrap();
        assert_eq!(wanted.contains(&Wanted::Finish), !is_refused, "{wanted:?}");
        let is_undoing = matches!(watched.saga.course, Course::Undoing(_));
        assert_eq!((is_undoing, watched.saga.is_delivering()), (is_refused, !is_refused));
    }
}

/// Both were meant to be sent by a gateway that died; nobody knows whether they were.
fn left_behind() -> Watched {
    let mut saga = saga_of(&[0, 1], TERMS, &mut Ids::default());
    saga.calls[0].is_advanced = true;
    saga.calls[1].terms = Terms { reverse_window_s: None, ..TERMS };
    let mut watched = Watched::new(saga);
    let wanted = watched.step(Event::TakenOver { by: "another".into(), is_gone: false }, start()).unwrap();
    for call in [0, 1] {
        assert!(wanted.contains(&Wanted::Ask { call, part: Part::Commit }), "{wanted:?}");
    }
    watched
}

/// What was never sent may be given up: nobody's part is borne by the hospital for nothing, and nothing waits for ever.
#[test]
fn once_it_is_known_that_others_were_not_sent_theirs_it_is_as_before() {
    let refuses = |_: &Call| Status::Refused { code: "no".into() };
    let pays_less = |call: &Call| Status::Done { amounts: lowered(&call.legs), reference: "R".into() };
    let nobody_knows = |_: &Call| Status::Pending;
    let answers: [(Says, IsRight); 3] = [
        (refuses, |course| matches!(course, Course::Undone(_))),
        (pays_less, |course| matches!(course, Course::Undoing(_))),
        (nobody_knows, |course| *course == Course::Committing),
    ];
    for (nth, (says, is_right)) in answers.into_iter().enumerate() {
        let mut watched = left_behind();
        let [first, second] = [0, 1].map(|call: usize| watched.saga.calls[call].clone());
        let asked = Event::Asked { operation: first.commit.id.clone(), answer: says(&first) };
        watched.step(asked, start() + COMMIT_DEADLINE).unwrap();
        assert_eq!(watched.saga.course, Course::Committing, "{nth}: the other may have been sent");
        let at = start() + UNKNOWN_ATTENTION;
        let asked = Event::Asked { operation: second.commit.id.clone(), answer: Status::NotFound };
        let wanted = watched.step(asked, at).unwrap();
        assert!(is_right(&watched.saga.course), "{nth}: {:?} {wanted:?}", watched.saga.course);
        let is_sent = wanted.contains(&Wanted::Send { call: 1, part: Part::Commit });
        assert_eq!(is_sent, watched.saga.course == Course::Committing, "{nth}: {wanted:?}");
    }
}
