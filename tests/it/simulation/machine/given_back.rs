//! What a payer may say that it has given back, so that it holds nothing any more; and what a person may.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use yizhan::settlement::saga::attention::Cause;
use yizhan::settlement::saga::event::Resolution;
use yizhan::settlement::saga::{Call, Event, Ordered, Part, Saga, UNKNOWN_ATTENTION, Wanted};
use yizhan_contract::payer::{Performed, Status};
use yizhan_contract::{Money, PayerCode};

use super::doubt::{TERMS, saga_of};
use super::rules::Watched;
use super::{Ids, seconds, start};

type Amounts = Vec<(PayerCode, Money)>;

/// What the commit that is taken back came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commit {
    AsQuoted,
    /// Less than was quoted, by a payer without firm quotes.
    Less,
    /// Nobody knows: its reversal is a fence.
    Unknown,
}

fn legs(text: &str) -> Amounts {
    let leg = |leg: &str| {
        let (payer, amount) = leg.split_once(' ').unwrap();
        (payer.parse().unwrap(), amount.parse().unwrap())
    };
    text.split(", ").filter(|leg| !leg.is_empty()).map(leg).collect()
}

/// Two payers of one adapter, quoted 10.00 and 20.00, and their reversal sent.
fn reversing(commit: Commit) -> Watched {
    let mut ids = Ids::default();
    let mut saga: Saga = saga_of(&[0], TERMS, &mut ids);
    saga.calls[0].legs = legs("basic 10.00, accident 20.00");
    saga.calls[0].terms.quotes_are_firm = commit != Commit::Less;
    saga.calls[0].terms.commits_are_idempotent = false;
    let mut watched = Watched::new(saga);
    watched.step(Event::Begun, start()).unwrap();
    let operation = watched.saga.calls[0].commit.id.clone();
    let done = |amounts| Performed::Committed { amounts, reference: "R".into() };
    let answer = match commit {
        Commit::AsQuoted => done(watched.saga.calls[0].legs.clone()),
        Commit::Less => done(legs("basic 9.00, accident 18.00")),
        Commit::Unknown => Performed::Unknown { poll_after: None, why: "no answer".into() },
    };
    watched.step(Event::Performed { operation: operation.clone(), answer }, start()).unwrap();
    let at = start() + seconds(TERMS.not_found_settles_after_s);
    let taken_back = match commit {
        Commit::Unknown => Event::Asked { operation, answer: Status::NotFound },
        Commit::Less => Event::GivenUp(yizhan::settlement::saga::Why::NoQuote {
            payer: "basic".parse().unwrap(),
            why: None,
        }),
        Commit::AsQuoted => Event::ReverseOrdered(Ordered {
            reason: "test".into(),
            operator: "desk".into(),
            at,
            is_discharge_cancelled: false,
        }),
    };
    let wanted = watched.step(taken_back, at).unwrap();
    assert!(wanted.contains(&Wanted::Prepare { call: 0, part: Part::Undo }), "{commit:?}: {wanted:?}");
    let operation = ids.operation(at);
    watched.step(Event::Prepared { call: 0, part: Part::Undo, operation }, at).unwrap();
    watched
}

/// Said at once, or when it is asked; whether that was believed.
fn answered(watched: &mut Watched, amounts: Amounts, is_asked: bool) -> bool {
    let operation = watched.saga.calls[0].undo.as_ref().unwrap().id.clone();
    let (at, reference) = (start() + seconds(60), "R".to_owned());
    if is_asked {
        let answer = Performed::Unknown { poll_after: None, why: "no answer".into() };
        watched.step(Event::Performed { operation: operation.clone(), answer }, at).unwrap();
        let answer = Status::Done { amounts, reference };
        watched.step(Event::Asked { operation, answer }, at).unwrap();
    } else {
        let answer = Performed::Committed { amounts, reference };
        watched.step(Event::Performed { operation, answer }, at).unwrap();
    }
    watched.saga.calls[0].is_clear()
}

const ALL: &str = "basic 10.00, accident 20.00";
/// What is said, and whether it is believed of each commit.
const SAID: &[(&str, [(Commit, bool); 3])] = {
    use Commit::{AsQuoted, Less, Unknown};
    &[
        (ALL, [(AsQuoted, true), (Less, false), (Unknown, true)]),
        ("accident 20.00, basic 10.00", [(AsQuoted, true), (Less, false), (Unknown, true)]),
        ("basic 9.00, accident 18.00", [(AsQuoted, false), (Less, true), (Unknown, false)]),
        ("", [(AsQuoted, false), (Less, false), (Unknown, true)]),
        ("basic 10.00", [(AsQuoted, false), (Less, false), (Unknown, false)]),
        ("basic 10.00, basic 10.00", [(AsQuoted, false), (Less, false), (Unknown, false)]),
        ("basic 10.00, disaster 20.00", [(AsQuoted, false), (Less, false), (Unknown, false)]),
        ("basic 10.00, accident 20.01", [(AsQuoted, false), (Less, false), (Unknown, false)]),
        ("basic -10.00, accident -20.00", [(AsQuoted, false), (Less, false), (Unknown, false)]),
    ]
};

#[test]
fn only_what_gives_back_all_of_it_is_believed() {
    for (said, commits) in SAID {
        for (commit, is_believed) in commits {
            for is_asked in [false, true] {
                let mut watched = reversing(*commit);
                let what = format!("{said:?} of {commit:?}, asked {is_asked}");
                assert_eq!(answered(&mut watched, legs(said), is_asked), *is_believed, "{what}");
                if *is_believed {
                    continue;
                }
                let at = start() + seconds(60) + UNKNOWN_ATTENTION + SignedDuration::from_secs(1);
                watched.step(Event::Woken, at).unwrap();
                let attention = watched.saga.attention.as_ref().unwrap_or_else(|| panic!("{what}"));
                assert_eq!(attention.cause, Cause::UndoUnknown, "{what}");
            }
        }
    }
}

/// A person may say no more than the payer; but that it gave back all of what nobody had heard of.
#[test]
fn a_person_is_held_to_what_the_payer_is_held_to() {
    for (said, commits) in SAID {
        for (commit, is_believed) in commits {
            let mut watched = reversing(*commit);
            assert!(!answered(&mut watched, legs("basic 10.00"), true));
            let id = watched.saga.calls[0].undo.as_ref().unwrap().id.clone();
            let (amounts, reference) = (legs(said), "R".to_owned());
            let done = Resolution::Done { amounts: amounts.clone(), reference: reference.clone() };
            let what = format!("{said:?} of {commit:?}");
            assert_eq!(watched.saga.unlike(&id, &done).is_none(), *is_believed, "{what}");
            let names: BTreeSet<_> = amounts.iter().map(|(payer, _)| payer.as_str()).collect();
            let is_whole = names == BTreeSet::from(["accident", "basic"])
                && amounts.iter().all(|(_, amount)| !amount.is_negative());
            let may_be_meant = if *commit == Commit::Unknown { is_whole } else { *is_believed };
            let meant = Resolution::DoneOtherwise { amounts, reference };
            assert_eq!(watched.saga.unlike(&id, &meant).is_none(), may_be_meant, "{what}, and it is meant");
            let order = |as_| Event::Resolved {
                operation: id.clone(),
                as_,
                operator: "operator".into(),
                reason: "telephone".into(),
            };
            watched.step(order(done), start() + seconds(90)).unwrap();
            assert_eq!(watched.saga.calls.iter().all(Call::is_clear), *is_believed, "{what}");
        }
    }
}
