//! A payer that quoted firmly and does not say in time whether it committed, at a hospital that advances its part.

use std::sync::Arc;

use jiff::SignedDuration;
use yizhan::settlement::advanced::HOSPITAL_ADVANCE;
use yizhan::settlement::bill::{Bill, BillState};
use yizhan::settlement::gateway::{Order, OrderError, Waiting};
use yizhan::settlement::message::Mode;
use yizhan::settlement::saga::event::Resolution;
use yizhan_contract::step::PayerState;
use yizhan_contract::{FindingCode, Money};

use super::outside::{
    advancing, bill, books_agree, goes_by, later, line, opened, reversed, send, sent, stands,
};
use super::{House, Sent, sums};
use crate::away::{ASK_AFTER, Away, Mood, discharge, together};

const SOON: SignedDuration = SignedDuration::from_secs(3);
const A_WHILE: SignedDuration = SignedDuration::from_mins(6);

fn said(bill: &Bill) -> Vec<&str> {
    let findings = bill.findings.iter().filter(|finding| finding.code == FindingCode::DeferredPayer);
    findings.map(|finding| &*finding.message.en).collect()
}

/// Settled with the part of a payer that has not answered, and what it quoted.
async fn settled(insurer: &Arc<Away>, change: impl FnOnce(&mut Mood)) -> (House, Bill, Money) {
    let house = advancing(insurer.payers()).await;
    insurer.is_back(change);
    let first = send(&house, "m1").await;
    let part = line(&first, "supplementary");
    assert_eq!((first.state, first.version, part.state), (BillState::Settled, 1, PayerState::Deferred));
    assert!(part.paid.is_positive());
    assert!(
        said(&first)[0].contains(&format!("its {} yet; the hospital advances it", part.paid)),
        "{first:?}"
    );
    assert_eq!(first.patient_share, first.amounts.total - first.paid_by_payers);
    books_agree(&house).await;
    let paid = part.paid;
    (house, first, paid)
}

async fn waiting(house: &House) -> Vec<Waiting> {
    house.reception.gateway().attention(10).await.unwrap()
}

/// Nothing of it moves what the patient pays.
fn is_same_for_the_patient(before: &Bill, after: &Bill) {
    assert_eq!(after.patient_share, before.patient_share);
    assert_eq!((after.to_collect, after.to_refund), (before.to_collect, before.to_refund));
    assert_eq!(after.paid_by_payers, before.paid_by_payers);
}

#[tokio::test]
async fn what_it_confirms_later_is_collected_and_nothing_else_moves() {
    let insurer = Away::new();
    let (house, first, paid) = settled(&insurer, |mood| mood.loses_answers = true).await;
    assert_eq!(send(&house, "m1").await, first, "the message again is answered as it stands");
    later(&house, SOON).await;
    assert_eq!(stands(&house, first.settlement_id).await, first, "it is not asked before its time");
    later(&house, ASK_AFTER).await;
    let second = stands(&house, first.settlement_id).await;
    let part = line(&second, "supplementary");
    assert_eq!((second.state, second.version), (BillState::Settled, 2));
    assert_eq!(
        (part.state, part.paid, part.payer_reference.as_deref()),
        (PayerState::Committed, paid, Some("R"))
    );
    is_same_for_the_patient(&first, &second);
    assert_eq!(said(&second).len(), 1);
    assert!(said(&second)[0].contains("has confirmed"), "{second:?}");
    assert_eq!((insurer.holds(), insurer.mood().commits), (paid, 1));
    assert!(waiting(&house).await.is_empty());
    assert_eq!(later(&house, A_WHILE).await, 0, "it is done once");
    let told = house.store.outbox_waiting(10).await.unwrap();
    assert_eq!(told.iter().map(|entry| entry.version).collect::<Vec<_>>(), [1, 2]);
    books_agree(&house).await;
}

/// Where the hospital does not, or the payer may not be left out, or may commit another amount, it is waited for.
#[tokio::test]
async fn only_a_firm_quote_of_an_optional_payer_is_advanced_by_a_hospital_that_does() {
    let loose = Away::of("supplementary", |manifest| manifest.quotes_are_firm = false);
    for (insurer, is_advancing) in
        [(Away::new(), false), (Away::required("supplementary"), true), (loose, true)]
    {
        let house =
            if is_advancing { advancing(insurer.payers()).await } else { opened(insurer.payers()).await };
        insurer.mood().loses_answers = true;
        assert_eq!(send(&house, "m1").await.state, BillState::Settling);
    }
}

/// Each way in which a payer comes to pay nothing: what the hospital advanced is its own, and somebody has to look.
#[tokio::test]
async fn what_it_refuses_later_is_the_hospitals_and_never_the_patients() {
    let refuses_late: fn(&mut Mood) = |mood| mood.refuses_commits = true;
    let says_another_amount: fn(&mut Mood) = |mood| mood.drift = "-0.10".parse().unwrap();
    for (loses_commits, change) in [(true, refuses_late), (false, says_another_amount)] {
        let insurer = Away::new();
        let lost = |mood: &mut Mood| {
            (mood.loses_commits, mood.loses_answers) = (loses_commits, true);
            mood.explains_beyond = Some(Money::ZERO);
        };
        let (house, first, paid) = settled(&insurer, lost).await;
        insurer.is_back(|mood| {
            (mood.loses_commits, mood.loses_answers) = (false, false);
            change(mood);
        });
        later(&house, ASK_AFTER).await;
        let second = stands(&house, first.settlement_id).await;
        assert_eq!((second.state, second.version), (BillState::Settled, 2));
        let (part, borne) = (line(&second, "supplementary"), line(&second, HOSPITAL_ADVANCE));
        assert_eq!((part.state, part.paid), (PayerState::Refused, Money::ZERO));
        assert_eq!((borne.state, borne.paid), (PayerState::Committed, paid));
        is_same_for_the_patient(&first, &second);
        assert!(said(&second)[0].contains("the hospital bears it"), "{second:?}");
        assert_eq!(insurer.holds(), Money::ZERO);
        assert!(sums(&house, "li", 2020).await.of(&part.payer).paid.is_zero(), "its cap is not used up");
        books_agree(&house).await;

        let one = waiting(&house).await.remove(0);
        assert!(one.what.en.contains(&*part.name.en) && one.what.zh.contains("由医院承担"), "{:?}", one.what);
        let gateway = house.reception.gateway();
        let resolve = |operation: &str| Order::Resolve {
            operation: operation.into(),
            as_: Resolution::NotDone,
            reason: "telephone".to_owned(),
        };
        let other = gateway.order(one.stay_id, resolve("1"), "desk 7".to_owned()).await.unwrap_err();
        assert!(matches!(other, OrderError::NoSuchOperation(_)), "{other}");
        gateway.order(one.stay_id, resolve(&one.operation.unwrap()), "desk 7".to_owned()).await.unwrap();
        assert!(waiting(&house).await.is_empty(), "somebody has looked");
        assert_eq!(stands(&house, first.settlement_id).await, second);
        assert_eq!(later(&house, A_WHILE).await, 0);

        let back = reversed(&house, &second).await;
        assert_eq!(
            (back.state, line(&back, HOSPITAL_ADVANCE).state),
            (BillState::Reversed, PayerState::Reversed)
        );
        // No payer holds anything of it: it is taken back at once, and told so by one version.
        let told = house.store.outbox_waiting(10).await.unwrap();
        assert_eq!(told.iter().map(|entry| entry.version).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((back.version, later(&house, A_WHILE).await), (3, 0));
        books_agree(&house).await;
    }
}

/// One that is to be told of 0.00 too is waited for like any other, and bears nothing on anybody where it refuses.
#[tokio::test]
async fn nothing_is_borne_of_nothing() {
    for loses_commits in [false, true] {
        let insurer = Away::of("supplementary", |manifest| manifest.commits_zero = true);
        let house = advancing(insurer.payers()).await;
        let lost = |mood: &mut Mood| (mood.loses_commits, mood.loses_answers) = (loses_commits, true);
        insurer.is_back(lost);
        insurer.mood().pays_nothing = true;
        let first = send(&house, "m1").await;
        assert_eq!(
            (first.state, line(&first, "supplementary").state),
            (BillState::Settled, PayerState::Deferred)
        );
        insurer.is_back(|mood| (mood.loses_commits, mood.refuses_commits) = (false, true));
        later(&house, ASK_AFTER).await;
        let second = stands(&house, first.settlement_id).await;
        let state = if loses_commits { PayerState::Refused } else { PayerState::Committed };
        assert_eq!((second.version, line(&second, "supplementary").state), (2, state));
        is_same_for_the_patient(&first, &second);
        assert!(waiting(&house).await.is_empty() && second.payers.len() == first.payers.len());
        books_agree(&house).await;
    }
}

#[tokio::test]
async fn a_reversal_settles_first_what_nobody_knows_of_an_advance() {
    let insurer = Away::new();
    let (house, first, _) = settled(&insurer, |mood| mood.loses_answers = true).await;
    assert_eq!(reversed(&house, &first).await.state, BillState::Reversing);
    later(&house, ASK_AFTER).await;
    let back = stands(&house, first.settlement_id).await;
    assert_eq!((back.state, insurer.holds()), (BillState::Reversed, Money::ZERO));
    books_agree(&house).await;
}

/// What a person has to look at by then keeps nobody from the bill of those that have answered.
#[tokio::test]
async fn a_stay_is_settled_though_what_is_advanced_needs_a_person() {
    let (assistance, insurer) = (Away::required("medical_assistance"), Away::new());
    let house = advancing(together(&[("assistance", &assistance), ("insurer", &insurer)])).await;
    for payer in [&assistance, &insurer] {
        (payer.mood().loses_answers, payer.mood().is_mute) = (true, true);
    }
    let begun = send(&house, "m1").await;
    assert_eq!(begun.state, BillState::Settling);
    goes_by(&house, A_WHILE).await;
    let stuck = stands(&house, begun.settlement_id).await;
    assert_eq!(stuck.state, BillState::NeedsAttention);
    assistance.is_back(|mood| mood.is_mute = false);
    goes_by(&house, A_WHILE).await;
    let first = stands(&house, stuck.settlement_id).await;
    assert_eq!(
        (first.state, line(&first, "supplementary").state),
        (BillState::Settled, PayerState::Deferred)
    );
    assert_eq!(line(&first, "medical_assistance").state, PayerState::Committed);
    assert_eq!(waiting(&house).await.len(), 1, "the insurer has not answered yet");
    books_agree(&house).await;

    insurer.is_back(|mood| mood.is_mute = false);
    goes_by(&house, A_WHILE).await;
    let second = stands(&house, first.settlement_id).await;
    assert_eq!((second.version, line(&second, "supplementary").state), (2, PayerState::Committed));
    is_same_for_the_patient(&first, &second);
    assert!(waiting(&house).await.is_empty());
    books_agree(&house).await;
}

/// One behind it that was left out is asked for what it would have been asked for had the one before paid.
#[tokio::test]
async fn who_was_left_out_behind_it_pays_as_if_it_had_paid() {
    for is_refused in [false, true] {
        let (accident, insurer) = (Away::serving("accident"), Away::new());
        let house = advancing(together(&[("accident", &accident), ("insurer", &insurer)])).await;
        accident.is_back(|mood| {
            (mood.pays_a_tenth, mood.loses_commits, mood.loses_answers) = (true, is_refused, true);
        });
        insurer.mood().is_away = true;
        let message = Sent { accident: Some("fall".to_owned()), ..discharge("m1") };
        let first = bill(sent(&house, &message, Mode::Settle).await);
        let advanced = line(&first, "accident").paid;
        assert!(advanced.is_positive());
        assert_eq!(line(&first, "supplementary").state, PayerState::Deferred);
        accident.is_back(|mood| (mood.loses_commits, mood.refuses_commits) = (false, is_refused));
        insurer.is_back(|_| {});
        later(&house, ASK_AFTER).await;
        later(&house, SOON).await;
        let third = stands(&house, first.settlement_id).await;
        assert_eq!((third.version, insurer.mood().commits), (3, 1));
        let asks = insurer.mood().asks.clone();
        let before = &asks.last().unwrap().paid_before;
        assert!(before.contains(&(line(&third, "accident").payer.clone(), advanced)), "{before:?}");
        assert_eq!(third.patient_share, first.patient_share - insurer.holds());
        assert_eq!(third.payers.iter().any(|line| line.payer.as_str() == HOSPITAL_ADVANCE), is_refused);
        books_agree(&house).await;
    }
}
