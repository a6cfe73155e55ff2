//! Stays that do not go on by themselves: what their hospital and whoever looks after them is told, and how often.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::Value;
use uuid::Uuid;
use yizhan::settlement::bill::{Bill, BillState};
use yizhan::settlement::gateway::{Order, OrderError, Waiting};
use yizhan::settlement::saga::event::Resolution;
use yizhan::store::{Changes, Decide, StayRef, StayWrite, Step};
use yizhan_contract::step::PayerState;
use yizhan_contract::{Finding, FindingCode, Money};
use yizhan_rules::{PolicyShelf, SHIPPED};

use super::House;
use super::outside::{
    books_agree, goes_by, later, line, opened, over, policies, reversed, runs, send, stands,
};
use crate::away::{ASK_AFTER, Away};
use crate::stays::stay_write;

const SOON: SignedDuration = SignedDuration::from_secs(3);

/// What is told of a stay, oldest first: by the version of its bill.
async fn told(house: &House) -> Vec<u32> {
    house.store.outbox_waiting(1_000).await.unwrap().iter().map(|entry| entry.version).collect()
}

async fn waiting(house: &House) -> Vec<Waiting> {
    house.reception.gateway().attention(10).await.unwrap()
}

#[tokio::test]
async fn a_stuck_settlement_is_told_once_however_often_its_payer_is_asked() {
    let insurer = Away::required("supplementary");
    let house = opened(insurer.payers()).await;
    insurer.is_back(|mood| (mood.loses_commits, mood.is_mute) = (true, true));
    let settling = send(&house, "m1").await;
    assert_eq!(settling.state, BillState::Settling);
    assert!(told(&house).await.is_empty(), "nothing is issued yet");
    goes_by(&house, ASK_AFTER).await;
    let mut looks = 0;
    for _ in 0..60 {
        looks += goes_by(&house, SignedDuration::from_mins(1)).await;
    }
    assert!(looks >= 50, "it is asked about all the while: {looks}");
    let log = waiting(&house).await.remove(0).log;
    assert!(log.len() < 10 && log.iter().any(|entry| entry.times >= 50), "what repeats is counted: {log:?}");
    let texts: Vec<_> = log.iter().map(|entry| entry.text()).collect();
    for text in &texts {
        assert!(text.zh.chars().any(|c| c > '\u{2e80}') && !text.en.contains("Unknown {"), "{text:?}");
    }
    assert!(texts.iter().any(|text| text.en.contains("it cannot be asked (“down”)")), "{texts:?}");
    assert_eq!(stands(&house, settling.settlement_id).await.state, BillState::NeedsAttention);
    assert_eq!(told(&house).await, [1]);

    let one = waiting(&house).await.remove(0);
    let (operation, reason) = (one.operation.unwrap(), "telephone".to_owned());
    let amounts =
        vec![(line(&settling, "supplementary").payer.clone(), line(&settling, "supplementary").paid)];
    let as_ = Resolution::Done { amounts, reference: reason.clone() };
    let order = Order::Resolve { operation, as_, reason };
    house.reception.gateway().order(one.stay_id, order, "operator".to_owned()).await.unwrap();
    later(&house, SOON).await;
    assert_eq!(stands(&house, settling.settlement_id).await.state, BillState::Settled);
    assert_eq!(told(&house).await, [1, 1], "it is settled, and that is told too");
}

/// Lost, and its payer says nothing when it is asked: a stay that waits for a person, and the operation.
async fn waits_for_a_person(house: &House, insurer: &Arc<Away>) -> (Bill, Waiting) {
    insurer.is_back(|mood| (mood.loses_commits, mood.is_mute) = (true, true));
    let settling = send(house, "m1").await;
    goes_by(house, ASK_AFTER).await;
    goes_by(house, SignedDuration::from_mins(10)).await;
    (settling, waiting(house).await.remove(0))
}

/// What a person says is held to what the payer's own answer is held to: with a slip of the pen, money that stands would
/// be taken back.
#[tokio::test]
async fn what_a_person_says_names_each_payer_that_was_asked_and_its_amount() {
    let insurer = Away::required("supplementary");
    let house = opened(insurer.payers()).await;
    let (settling, one) = waits_for_a_person(&house, &insurer).await;
    let quoted = line(&settling, "supplementary").paid;
    let other = quoted + "0.10".parse().unwrap();
    let gateway = house.reception.gateway();
    let order = |as_: Resolution| {
        let (operation, reason) = (one.operation.clone().unwrap(), "telephone".to_owned());
        gateway.order(one.stay_id, Order::Resolve { operation, as_, reason }, "operator".to_owned())
    };
    let (amounts, reference) = (
        |said: &[(&str, Money)]| {
            said.iter().map(|(payer, amount)| (payer.parse().unwrap(), *amount)).collect()
        },
        || "R7".to_owned(),
    );
    for (said, is_differing) in [
        (&[("supplementary", other)][..], false),
        (&[("accident", quoted)], false),
        (&[], true),
        (&[("supplementary", quoted), ("accident", quoted)], true),
        (&[("supplementary", quoted), ("supplementary", quoted)], true),
        (&[("supplementary", -quoted)], true),
    ] {
        let (amounts, reference) = (amounts(said), reference());
        let as_ = match is_differing {
            true => Resolution::DoneOtherwise { amounts, reference },
            false => Resolution::Done { amounts, reference },
        };
        let refused = order(as_).await.unwrap_err();
        let OrderError::OtherAmounts(text) = &refused else { panic!("{said:?}: {refused}") };
        let named = format!("--done supplementary={quoted}");
        assert!(text.en.contains(&named) && text.zh.contains(&named), "{said:?}: {text:?}");
        assert_eq!(text.en.contains("--differs"), !is_differing, "{said:?}: {text:?}");
        assert_eq!(waiting(&house).await[0].operation, one.operation, "{said:?}: it waits still");
    }
    // It is meant: the payer broke its word.
    let (amounts, reference) = (amounts(&[("supplementary", other)]), reference());
    order(Resolution::DoneOtherwise { amounts, reference }).await.unwrap();
    insurer.is_back(|mood| mood.is_mute = false);
    later(&house, SOON).await;
    assert_eq!(stands(&house, settling.settlement_id).await.state, BillState::Refused);
    let taken_back = insurer.mood().reversed.clone();
    assert_eq!(
        taken_back,
        [vec![("supplementary".parse().unwrap(), other)]],
        "what it committed, not what it quoted"
    );
    books_agree(&house).await;
}

/// A payer that gives back less than it paid has money of the settlement still, whether or not its quotes are firm.
#[tokio::test]
async fn what_a_payer_does_not_give_back_waits_for_a_person() {
    for quotes_are_firm in [true, false] {
        let insurer = Away::of("supplementary", |manifest| {
            (manifest.optional, manifest.quotes_are_firm) = (false, quotes_are_firm);
        });
        let house = opened(insurer.payers()).await;
        let settled = send(&house, "m1").await;
        let (payer, paid) =
            (line(&settled, "supplementary").payer.clone(), line(&settled, "supplementary").paid);
        let kept: Money = "0.10".parse().unwrap();
        insurer.is_back(|mood| mood.keeps_back = kept);
        let reversing = tokio::select! {
            bill = reversed(&house, &settled) => bill,
            () = runs(&house) => unreachable!("time ends"),
        };
        assert_eq!((reversing.state, insurer.holds()), (BillState::Reversing, kept));
        goes_by(&house, SignedDuration::from_mins(6)).await;
        let stuck = stands(&house, settled.settlement_id).await;
        assert_eq!(stuck.state, BillState::NeedsAttention);
        let said = |finding: &&Finding| finding.code == FindingCode::PayerAnswerUnusable;
        let said = stuck.findings.iter().find(said).unwrap();
        assert!(
            said.message.en.contains("it gives back other amounts than were to be taken back"),
            "{said:?}"
        );
        let one = waiting(&house).await.remove(0);
        let given = format!("done, supplementary {}", paid - kept);
        assert!(one.log.iter().any(|entry| entry.text().en.contains(&given)), "{:?}", one.log);

        let gateway = house.reception.gateway();
        let order = |amount, is_differing| {
            let (amounts, reference) = (vec![(payer.clone(), amount)], "R7".to_owned());
            let as_ = match is_differing {
                true => Resolution::DoneOtherwise { amounts, reference },
                false => Resolution::Done { amounts, reference },
            };
            let (operation, reason) = (one.operation.clone().unwrap(), "telephone".to_owned());
            gateway.order(one.stay_id, Order::Resolve { operation, as_, reason }, "operator".to_owned())
        };
        for is_differing in [false, true] {
            let OrderError::OtherAmounts(text) = order(paid - kept, is_differing).await.unwrap_err() else {
                panic!("what the payer may not say, a person may not say either")
            };
            assert!(text.en.contains("agree the rest") && text.zh.contains("其余部分"), "{text:?}");
        }
        // It gives the rest back by other means.
        insurer.mood().book.values_mut().for_each(|amount| *amount = Money::ZERO);
        order(paid, false).await.unwrap();
        later(&house, SOON).await;
        let back = stands(&house, settled.settlement_id).await;
        assert_eq!((back.state, insurer.holds()), (BillState::Reversed, Money::ZERO));
        assert!(waiting(&house).await.is_empty());
        books_agree(&house).await;
    }
}

/// A gateway by itself knows its own clock, however often it lets a stay go: it waits for no other's.
#[tokio::test]
async fn a_lone_gateway_never_hears_of_another() {
    let insurer = Away::required("supplementary");
    let house = opened(insurer.payers()).await;
    insurer.is_back(|mood| (mood.loses_commits, mood.poll_after) = (true, Some(ASK_AFTER)));
    let settling = send(&house, "m1").await;
    assert_eq!(settling.state, BillState::Settling);
    insurer.is_back(|mood| mood.loses_commits = false);
    // Taken up again a minute later, the commit is fenced off and sent anew at once: its payer's second is over.
    assert_eq!(later(&house, ASK_AFTER).await, 1);
    let settled = stands(&house, settling.settlement_id).await;
    assert_eq!((settled.state, insurer.mood().reversed.len()), (BillState::Settled, 1));
    let found = house.reception.gateway().settlement(settling.settlement_id).await.unwrap().unwrap();
    let saga = found.record.saga.unwrap();
    let other = saga.log.iter().find(|entry| entry.text().en.contains("another gateway"));
    assert_eq!((other, saga.has_changed_hands), (None, false));
    books_agree(&house).await;
}

/// Settled anew after a reversal: what payers did before is still there to be read.
#[tokio::test]
async fn the_evidence_of_an_earlier_settlement_is_kept() {
    let insurer = Away::required("supplementary");
    let house = opened(insurer.payers()).await;
    let first = send(&house, "m1").await;
    assert_eq!(reversed(&house, &first).await.state, BillState::Reversed);
    insurer.is_back(|mood| (mood.loses_commits, mood.is_mute) = (true, true));
    assert_eq!(send(&house, "m2").await.state, BillState::Settling);
    goes_by(&house, ASK_AFTER).await;
    goes_by(&house, SignedDuration::from_mins(10)).await;
    let former = waiting(&house).await.remove(0).former;
    let (id, log) = &former[0];
    assert_eq!((former.len(), *id), (1, first.settlement_id));
    let done = format!("done, supplementary {}, reference R1", line(&first, "supplementary").paid);
    assert!(log.iter().any(|entry| entry.text().en.contains(&done)), "{log:?}");
}

/// The policy of the samples with a comment more: the same figures under another label.
fn edited() -> PolicyShelf {
    let (file, text) = SHIPPED.iter().find(|(file, _)| file.contains("shandong-2020")).unwrap();
    PolicyShelf::read([(*file, &*format!("# edited\n{text}"))]).unwrap()
}

/// A stay whose insurer was away, and the house that goes on with it under an edited policy.
async fn settled_under_another_policy(insurer: &Arc<Away>) -> (House, Bill) {
    let house = opened(insurer.payers()).await;
    insurer.mood().is_away = true;
    let first = send(&house, "m1").await;
    assert_eq!(line(&first, "supplementary").state, PayerState::Deferred);
    let after = over(&house.store, edited(), insurer.payers(), "test", &Arc::default());
    after.clock.put(house.reception.gateway().runtime().now());
    (after, first)
}

#[tokio::test]
async fn a_payer_that_was_left_out_is_asked_under_the_policy_it_was_settled_under() {
    let insurer = Away::new();
    let (house, first) = settled_under_another_policy(&insurer).await;
    assert_ne!(*edited().policies()[0].label(), first.policy);
    insurer.is_back(|_| {});
    assert_eq!(later(&house, SOON).await, 1);
    let second = stands(&house, first.settlement_id).await;
    assert_eq!((second.version, line(&second, "supplementary").paid), (2, insurer.holds()));
    assert_eq!(second.policy, first.policy);
    assert!(waiting(&house).await.is_empty());
    books_agree(&house).await;
}

/// The stay as programs before kept it, without the text of its policy.
async fn kept_before(house: &House, id: Uuid) {
    let decide: Decide = Box::new(move |facts| {
        let stay = facts.stay.as_ref().unwrap();
        let mut document: Value = serde_json::from_slice(&stay.document).unwrap();
        document["settlement"]["deferred"].as_object_mut().unwrap().remove("policy").unwrap();
        let hold = stay.hold.clone();
        let write = stay_write(&facts, "L1", Some("2020-06-01"), &document.to_string());
        Some(Changes {
            stay: Some(StayWrite { hold, settlement_id: Some(id), ..write }),
            ..Changes::default()
        })
    });
    let at = house.reception.gateway().runtime().now();
    let step =
        Step { at, claim: None, stay: StayRef::Settlement(id), persons: Vec::new(), lease: None, decide };
    house.store.step(step).await.unwrap();
}

#[tokio::test]
async fn without_its_policy_nobody_is_asked_and_somebody_is_told_at_once() {
    let insurer = Away::new();
    let (house, first) = settled_under_another_policy(&insurer).await;
    kept_before(&house, first.settlement_id).await;
    insurer.is_back(|_| {});
    assert_eq!(later(&house, SOON).await, 1);
    let one = waiting(&house).await.remove(0);
    assert!(one.what.en.contains(&*first.policy) && one.what.zh.contains(&*first.policy), "{:?}", one.what);
    assert_eq!(insurer.mood().commits, 0);
    assert_eq!(stands(&house, first.settlement_id).await, first);
    books_agree(&house).await;
}

#[tokio::test]
async fn what_a_payer_did_under_a_policy_that_is_gone_waits_for_it_and_is_not_sent_again() {
    let insurer = Away::new();
    let before = opened(insurer.payers()).await;
    insurer.mood().is_away = true;
    let first = send(&before, "m1").await;
    insurer.is_back(|mood| mood.loses_answers = true);
    assert_eq!(later(&before, SOON).await, 1);
    assert_eq!(insurer.mood().commits, 1);
    kept_before(&before, first.settlement_id).await;
    let after = over(&before.store, edited(), insurer.payers(), "test", &Arc::default());
    after.clock.put(before.reception.gateway().runtime().now());
    for wait in [ASK_AFTER, SignedDuration::from_hours(1), SignedDuration::from_hours(1)] {
        assert_eq!(goes_by(&after, wait).await, 1);
        let one = waiting(&after).await.remove(0);
        assert!(one.what.en.contains("put its file back"), "{:?}", one.what);
        assert_eq!(stands(&after, first.settlement_id).await, first);
    }
    let back = over(&before.store, policies(), insurer.payers(), "test", &Arc::default());
    back.clock.put(after.reception.gateway().runtime().now());
    assert_eq!(goes_by(&back, SignedDuration::from_hours(1)).await, 1);
    let second = stands(&back, first.settlement_id).await;
    assert_eq!((second.version, line(&second, "supplementary").paid), (2, insurer.holds()));
    assert_eq!(insurer.mood().commits, 1);
    assert!(waiting(&back).await.is_empty());
    books_agree(&back).await;
}
