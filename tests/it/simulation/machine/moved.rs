//! A payer whose quotes are not firm confirms another amount, and nobody knows of the one behind it.

use yizhan::settlement::saga::event::{Event, Part};
use yizhan::settlement::saga::{COMMIT_DEADLINE, Course, Terms, UNKNOWN_ATTENTION, Wanted};
use yizhan_contract::payer::Status;

use super::doubt::{TERMS, saga_of};
use super::rules::Watched;
use super::{Ids, lowered, start};

/// The gateway before has heard that the first one paid, sent the second one its part, and died with both unkept; asked,
/// the first one says less.
#[test]
fn the_one_behind_is_not_quoted_away_while_it_may_have_paid() {
    for has_paid in [true, false] {
        let mut saga = saga_of(&[0, 1], TERMS, &mut Ids::default());
        saga.calls[0].terms = Terms { quotes_are_firm: false, ..TERMS };
        let mut watched = Watched::new(saga);
        let [first, second] = [0, 1].map(|call: usize| watched.saga.calls[call].clone());
        watched.step(Event::TakenOver { by: "another".into(), is_gone: false }, start()).unwrap();
        let done = |amounts| Status::Done { amounts, reference: "R".into() };
        let asked = Event::Asked { operation: first.commit.id.clone(), answer: done(lowered(&first.legs)) };
        let wanted = watched.step(asked, start() + COMMIT_DEADLINE).unwrap();
        assert!(!wanted.contains(&Wanted::Requote), "{wanted:?}");

        let answer = if has_paid { done(second.legs.clone()) } else { Status::NotFound };
        let asked = Event::Asked { operation: second.commit.id.clone(), answer };
        let wanted = watched.step(asked, start() + UNKNOWN_ATTENTION).unwrap();
        assert_eq!((&wanted[..1], &watched.saga.course), (&[Wanted::Requote][..], &Course::Requoting));
        assert!(!wanted.contains(&Wanted::Send { call: 1, part: Part::Commit }), "{wanted:?}");
        watched.step(Event::Requoted { calls: Vec::new() }, start() + UNKNOWN_ATTENTION).unwrap();
        assert_eq!(watched.saga.calls.len(), if has_paid { 2 } else { 1 });
    }
}
