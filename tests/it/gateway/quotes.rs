//! Quotes of outside payers: how long they hold, what they may say of others, and how far what comes of them may move.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::Barrier;
use tokio::time::timeout;
use yizhan::refusal::Code;
use yizhan::settlement::bill::{Bill, BillState};
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::{Outcome, Refused};
use yizhan_contract::step::PayerState;
use yizhan_contract::{Finding, FindingCode, Money};
use yizhan_rules::{PolicyShelf, SHIPPED};

use super::insurer::Generous;
use super::outside::{bill, books_agree, later, line, opened, opened_under, send, sent, stands};
use super::{House, Sent};
use crate::away::{ASK_AFTER, Away, discharge, together};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn yuan(text: &str) -> Money {
    text.parse().unwrap()
}

fn put_off(house: &House, by: SignedDuration) {
    house.clock.put(house.reception.gateway().runtime().now() + by);
}

async fn quoted(house: &House) -> Bill {
    bill(sent(house, &discharge("m1"), Mode::Quote).await)
}

async fn committed(house: &House, quote: &Bill) -> Outcome {
    let gateway = house.reception.gateway();
    let handled = gateway.commit(quote.settlement_id, quote.patient_share).await;
    Box::pin(gateway.see_through(handled)).await
}

/// What a commit was refused with: the quote as it is by now.
fn quoted_again(outcome: Outcome) -> (String, Bill) {
    let Outcome::Refused(Refused { refusals, quote: Some(quote) }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusals[0].code, Code::QuoteMoved);
    assert_eq!(quote.state, BillState::Quoted);
    (refusals[0].detail.en.to_string(), *quote)
}

#[tokio::test]
async fn an_expired_quote_is_quoted_again_and_not_committed() {
    let insurer = Away::required("supplementary");
    let house = opened(insurer.payers()).await;
    let quote = quoted(&house).await;
    put_off(&house, MINUTE * 31);
    let (said, again) = quoted_again(committed(&house, &quote).await);
    assert!(said.contains("expired"), "{said}");
    assert_eq!((again.patient_share, insurer.mood().commits), (quote.patient_share, 0));
    assert!(again.valid_until > quote.valid_until);
    let settled = bill(committed(&house, &again).await);
    assert_eq!((settled.state, insurer.mood().commits), (BillState::Settled, 1));
    books_agree(&house).await;
}

#[tokio::test]
async fn a_bill_is_good_no_longer_than_the_quotes_it_rests_on() {
    let insurer = Away::required("supplementary");
    let house = opened(insurer.payers()).await;
    let until = house.reception.gateway().runtime().now() + MINUTE * 2;
    insurer.mood().valid_until = Some(until);
    let quote = quoted(&house).await;
    assert_eq!(quote.valid_until, Some(until));
    put_off(&house, MINUTE * 3);
    insurer.mood().valid_until = None;
    let (said, again) = quoted_again(committed(&house, &quote).await);
    assert!(said.contains("expired"), "{said}");
    assert_eq!(bill(committed(&house, &again).await).state, BillState::Settled);
}

/// What cannot be committed when it comes is no quote: the payer counts as one that could not be asked.
#[tokio::test]
async fn a_quote_that_has_lapsed_when_it_comes_is_asked_for_again() {
    let insurer = Away::required("supplementary");
    let house = opened(insurer.payers()).await;
    insurer.mood().valid_until = Some(house.reception.gateway().runtime().now() - MINUTE);
    let noted = sent(&house, &discharge("m1"), Mode::Settle).await;
    assert!(matches!(&noted, Outcome::Noted(noted) if noted.state == BillState::Settling), "{noted:?}");
    assert_eq!(insurer.mood().commits, 0);
    insurer.mood().valid_until = None;
    assert_eq!(later(&house, MINUTE).await, 1);
    assert_eq!(send(&house, "m1").await.state, BillState::Settled);
    assert_eq!(insurer.mood().commits, 1);
}

/// Of a person for whom both insurances have something to pay.
fn costly(id: &str) -> Sent {
    let lines = vec!["1 CG SUR09 90000.00".to_owned()];
    Sent { who: Some("zhou".to_owned()), lines, ..discharge(id) }
}

#[tokio::test]
async fn a_quote_that_lapses_while_others_are_asked_is_asked_for_again_before_anything_is_sent() {
    let (basic, critical) = (Away::required("basic"), Generous::gated(false));
    let payers = yizhan::settlement::payers::Payers::new(vec![
        ("basic".into(), Arc::clone(&basic) as Arc<dyn yizhan_contract::payer::Payer>),
        ("insurer".into(), Arc::clone(&critical) as Arc<dyn yizhan_contract::payer::Payer>),
    ]);
    let house = opened(payers.unwrap()).await;
    let now = house.reception.gateway().runtime().now();
    let until = now + SignedDuration::from_secs(1);
    basic.mood().valid_until = Some(until);
    let meanwhile = async {
        critical.asked().await;
        assert_eq!(basic.mood().asks.len(), 1);
        basic.mood().valid_until = None;
        put_off(&house, SignedDuration::from_secs(2));
        critical.answer(10);
    };
    let message = costly("m1");
    let (settled, ()) = tokio::join!(Box::pin(sent(&house, &message, Mode::Settle)), Box::pin(meanwhile));
    assert_eq!(bill(settled).state, BillState::Settled);
    let asked = basic.mood().asks.len();
    assert_eq!((asked, basic.mood().commits, critical.commits()), (2, 1, 1));
}

/// The bureau, which settles for another payer as it pays; its amounts may move.
fn bureau() -> Arc<Away> {
    Away::of("basic", |manifest| (manifest.optional, manifest.quotes_are_firm) = (false, false))
}

#[tokio::test]
async fn what_a_payer_has_paid_for_another_stays_paid_when_its_own_amount_moves() {
    let (bureau, insurer) = (bureau(), Away::required("supplementary"));
    let house = opened(together(&[("bureau", &bureau), ("insurer", &insurer)])).await;
    bureau
        .is_back(|mood| (mood.also_paid, mood.drift) = (vec![("medical_assistance", "12.34")], yuan("1.00")));
    let settled = send(&house, "m1").await;
    assert_eq!(settled.state, BillState::Settled);
    let assistance = line(&settled, "medical_assistance");
    assert_eq!((assistance.state, assistance.paid), (PayerState::SettledElsewhere, yuan("12.34")));
    assert_eq!(line(&settled, "basic").paid, bureau.holds());
    assert_eq!((bureau.mood().commits, insurer.mood().commits), (1, 1));
    let asks = insurer.mood().asks.clone();
    assert_eq!(asks.len(), 2, "it is asked again once the amount before it has moved");
    for ask in asks {
        let paid = ask.paid_before.iter().find(|(payer, _)| payer.as_str() == "medical_assistance");
        assert_eq!(paid.unwrap().1, yuan("12.34"));
    }
    books_agree(&house).await;
}

/// Its quote says it; that it could not be used stays told when the payers after it are asked again.
#[tokio::test]
async fn cover_of_which_nothing_can_be_made_is_told_and_the_quote_counts() {
    let bureau = Away::of("basic", |manifest| {
        (manifest.optional, manifest.quotes_are_firm) = (false, false);
        manifest.coverage_valid_s = Some(60);
    });
    let insurer = Away::required("supplementary");
    let house = opened(together(&[("bureau", &bureau), ("insurer", &insurer)])).await;
    bureau.is_back(|mood| (mood.cover_unsaid, mood.drift) = (Some("两项 | twice"), yuan("1.00")));
    let settled = send(&house, "m1").await;
    assert_eq!((settled.state, insurer.mood().asks.len()), (BillState::Settled, 2));
    assert_eq!(line(&settled, "basic").paid, bureau.holds());
    let is_it = |finding: &&Finding| finding.code == FindingCode::PayerAnswerUnusable;
    let [said] = settled.findings.iter().filter(is_it).collect::<Vec<_>>()[..] else {
        panic!("{:?}", settled.findings)
    };
    assert!(said.message.zh.contains("未给出可用的参保答复（两项），未采用其任何内容"), "{said:?}");
    assert!(said.message.en.contains("whether it covers the person (twice); nothing was taken"), "{said:?}");
}

/// Of payers that the stay comes to, though each waits for what those before it pay; of no other.
#[tokio::test]
async fn whether_payers_cover_the_person_is_asked_of_all_at_once() {
    let says_cover = |payer| {
        Away::of(payer, |manifest| (manifest.optional, manifest.coverage_valid_s) = (false, Some(60)))
    };
    let [basic, insurer, rescue] = ["basic", "supplementary", "disaster"].map(says_cover);
    let both_asked = Arc::new(Barrier::new(2));
    for covered in [&basic, &insurer] {
        covered.is_back(|mood| {
            (mood.is_in_force, mood.covers_with) = (Some(true), Some(Arc::clone(&both_asked)));
        });
    }
    let adapters = [("bureau", &basic), ("insurer", &insurer), ("rescue", &rescue)];
    let house = opened(together(&adapters)).await;
    let sending = timeout(Duration::from_secs(60), send(&house, "m1"));
    let settled = sending.await.expect("one waits for its turn");
    assert_eq!(settled.state, BillState::Settled);
    let asked = adapters.map(|(_, away)| {
        let mood = away.mood();
        (mood.cover_asked, mood.asks.len())
    });
    assert_eq!(asked, [(1, 1), (1, 1), (0, 0)]);
    books_agree(&house).await;
}

/// What nobody sent cannot be the hospital's to put right: it is the payer's quote that is refused.
#[tokio::test]
async fn a_quote_that_speaks_nonsense_of_others_is_refused_and_not_the_hospital() {
    for also in [
        vec![("medical_assistance", "-0.01")],
        vec![("medical_assistance", "1.00"), ("medical_assistance", "1.00")],
        vec![("basic", "1.00")],
        vec![("disaster", "1.00")],
        vec![("nobody_s", "1.00")],
        vec![("medical_assistance", "999999.00")],
        vec![("supplementary", "999999.00")],
    ] {
        let bureau = bureau();
        let house = opened(bureau.payers()).await;
        bureau.mood().also_paid = also.clone();
        let settled = send(&house, "m1").await;
        let basic = line(&settled, "basic");
        assert_eq!((basic.state, basic.paid), (PayerState::Refused, Money::ZERO), "{also:?}");
        assert!(settled.payers.iter().all(|line| line.state != PayerState::SettledElsewhere), "{also:?}");
        assert_eq!((settled.state, bureau.mood().commits), (BillState::Settled, 0), "{also:?}");
        let mut unusable =
            settled.findings.iter().filter(|finding| finding.code == FindingCode::PayerAnswerUnusable);
        let said = unusable.next().unwrap_or_else(|| panic!("{also:?}: {:?}", settled.findings));
        assert!(said.message.en.contains("gave no quote that can be used"), "{also:?}: {said:?}");
        assert_eq!(unusable.next(), None, "{also:?}");
    }
}

/// What the hospital has settled itself is its word, not a payer's.
#[tokio::test]
async fn what_the_hospital_has_settled_is_not_said_again_by_a_payer() {
    let bureau = bureau();
    let house = opened(bureau.payers()).await;
    bureau.mood().also_paid = vec![("medical_assistance", "1.00")];
    let elsewhere = vec!["medical_assistance 2.00 R1".to_owned()];
    let message = Sent { elsewhere, ..discharge("m1") };
    let settled = bill(sent(&house, &message, Mode::Settle).await);
    assert_eq!(line(&settled, "medical_assistance").paid, yuan("2.00"));
    assert_eq!(line(&settled, "basic").state, PayerState::Refused);
}

/// The policy of the samples under which a share may rise by one yuan.
fn tolerant() -> PolicyShelf {
    let (file, text) = SHIPPED.iter().find(|(file, _)| file.contains("shandong-2020")).unwrap();
    let strict = "share_tolerance = { value = \"0.00\"";
    assert!(text.contains(strict));
    PolicyShelf::read([(*file, &*text.replace(strict, "share_tolerance = { value = \"1.00\""))]).unwrap()
}

/// Each by itself stays within what the share may rise by; one after the other, over a taking over, they do not.
#[tokio::test]
async fn payers_together_raise_the_share_by_no_more_than_is_tolerated_of_one() {
    for (second, state) in [("-0.90", BillState::Refused), ("-0.10", BillState::Settled)] {
        let loose = |payer| {
            Away::of(payer, |manifest| {
                (manifest.optional, manifest.quotes_are_firm) = (false, false);
            })
        };
        let (basic, critical) = (loose("basic"), loose("critical_illness"));
        let house = opened_under(tolerant(), together(&[("basic", &basic), ("critical", &critical)])).await;
        basic.mood().drift = yuan("-0.90");
        critical.is_back(|mood| (mood.drift, mood.loses_answers) = (yuan(second), true));
        let before = bill(sent(&house, &costly("quote"), Mode::Quote).await);
        let settling = bill(sent(&house, &costly("m1"), Mode::Settle).await);
        assert_eq!(settling.state, BillState::Settling);
        let risen = settling.patient_share - before.patient_share;
        assert!(risen.is_positive() && risen < yuan("1.00"), "{risen}");
        later(&house, ASK_AFTER).await;
        let after = stands(&house, settling.settlement_id).await;
        assert_eq!(after.state, state, "{second}");
    }
}
