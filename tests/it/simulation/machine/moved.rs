//! A payer whose quotes are not firm confirms another amount, and nobody knows of those behind it.

use jiff::SignedDuration;
use yizhan::settlement::saga::event::{Event, Part};
use yizhan::settlement::saga::{COMMIT_DEADLINE, Course, Terms, UNKNOWN_ATTENTION, Wanted};
use yizhan_contract::Money;
use yizhan_contract::PayerCode;
use yizhan_contract::payer::{Performed, Status};

use super::doubt::{TERMS, saga_of};
use super::rules::Watched;
use super::{Ids, lowered, start};

fn done(amounts: Vec<(PayerCode, Money)>) -> Status {
    Status::Done { amounts, reference: "R".into() }
}

/// What a payer says of its commit so much later; what is wanted then.
fn says(watched: &mut Watched, call: usize, answer: Status, after: SignedDuration) -> Vec<Wanted> {
    let operation = watched.saga.calls[call].commit.id.clone();
    watched.step(Event::Asked { operation, answer }, start() + after).unwrap()
}

/// The gateway before has heard that the first one paid, sent the second one its part, and died with both unkept; asked,
/// the first one says less.
fn first_moved(waves: &[u8], change: impl Fn(&mut yizhan::settlement::saga::Call)) -> Watched {
    let mut saga = saga_of(waves, TERMS, &mut Ids::default());
    saga.calls[0].terms = Terms { quotes_are_firm: false, ..TERMS };
    saga.calls.iter_mut().skip(1).for_each(change);
    let mut watched = Watched::new(saga);
    watched.step(Event::TakenOver { by: "another".into(), is_gone: false }, start()).unwrap();
    let less = lowered(&watched.saga.calls[0].legs);
    let wanted = says(&mut watched, 0, done(less), COMMIT_DEADLINE);
    let is_quiet = |want: &Wanted| !matches!(want, Wanted::Requote | Wanted::Finish | Wanted::Send { .. });
    assert!(wanted.iter().all(is_quiet), "{wanted:?}");
    watched
}

#[test]
fn the_one_behind_is_not_quoted_away_while_it_may_have_paid() {
    for (has_paid, is_advanced) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut watched = first_moved(&[0, 1], |call| {
            call.is_advanced = is_advanced;
            call.terms.reverse_window_s = None;
        });
        let answer = if has_paid { done(watched.saga.calls[1].legs.clone()) } else { Status::NotFound };
        let wanted = says(&mut watched, 1, answer, UNKNOWN_ATTENTION);
        assert_eq!((&wanted[..1], &watched.saga.course), (&[Wanted::Requote][..], &Course::Requoting));
        assert!(!wanted.contains(&Wanted::Send { call: 1, part: Part::Commit }), "{wanted:?}");
        watched.step(Event::Requoted { calls: Vec::new() }, start() + UNKNOWN_ATTENTION).unwrap();
        assert_eq!(watched.saga.calls.len(), if has_paid { 2 } else { 1 });
    }
}

/// Its request may be on its way for all that it says: what can be fenced off is, before it is replaced.
#[test]
fn the_one_behind_is_fenced_off_before_it_is_quoted_away() {
    let mut ids = Ids::default();
    let mut watched = first_moved(&[0, 1], |_| {});
    let wanted = says(&mut watched, 1, Status::NotFound, UNKNOWN_ATTENTION);
    assert!(wanted.contains(&Wanted::Prepare { call: 1, part: Part::Undo }), "{wanted:?}");
    assert_eq!(watched.saga.course, Course::Committing);
    let at = start() + UNKNOWN_ATTENTION;
    (0..9).for_each(|_| drop(ids.operation(at)));
    let operation = ids.operation(at);
    let fence = operation.id.clone();
    let wanted = watched.step(Event::Prepared { call: 1, part: Part::Undo, operation }, at).unwrap();
    assert!(wanted.contains(&Wanted::Send { call: 1, part: Part::Undo }), "{wanted:?}");
    let answer = Performed::Committed { amounts: Vec::new(), reference: "R".into() };
    let wanted = watched.step(Event::Performed { operation: fence, answer }, at).unwrap();
    assert_eq!(&wanted[..1], &[Wanted::Requote]);
}

/// One behind was never sent, and one behind that may have paid.
#[test]
fn nobody_is_sent_a_quote_that_rests_upon_another_amount() {
    let mut watched = first_moved(&[0, 1, 2], |call| call.terms.reverse_window_s = None);
    let wanted = says(&mut watched, 1, Status::NotFound, UNKNOWN_ATTENTION);
    assert!(!wanted.contains(&Wanted::Send { call: 1, part: Part::Commit }), "{wanted:?}");
    assert_eq!(watched.saga.course, Course::Committing);
    let paid = watched.saga.calls[2].legs.clone();
    let wanted = says(&mut watched, 2, done(paid), UNKNOWN_ATTENTION);
    assert_eq!(&wanted[..1], &[Wanted::Requote]);
}
