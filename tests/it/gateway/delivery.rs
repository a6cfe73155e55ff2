//! A payer at the end of the chain that could not be asked when the stay was settled, and pays later.

use std::sync::Arc;

use jiff::SignedDuration;
use yizhan::refusal::Code;
use yizhan::refusal::Money::{BeingConfirmed, Moved};
use yizhan::settlement::bill::{Bill, BillState, BilledPayer};
use yizhan::settlement::gateway::Order;
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::Outcome;
use yizhan::settlement::payers::PayersError;
use yizhan::settlement::saga::event::Resolution;
use yizhan::settlement::saga::plan::Impossible;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Finding, FindingCode, Money};
use yizhan_rules::PolicyShelf;

use super::outside::{bill, books_agree, later, line, opened, over, reversed, runs, send, stands};
use super::{House, Sent};
use crate::away::{ASK_AFTER, Away, Mood, discharge, policies, together};

/// A house whose insurer is away, and a stay that is settled without it.
async fn settled(insurer: &Arc<Away>) -> (House, Bill) {
    let house = opened(insurer.payers()).await;
    insurer.mood().is_away = true;
    let bill = send(&house, "m1").await;
    assert_eq!((bill.state, bill.version), (BillState::Settled, 1));
    (house, bill)
}

const SOON: SignedDuration = SignedDuration::from_secs(3);
const A_WHILE: SignedDuration = SignedDuration::from_mins(6);

fn insured(bill: &Bill) -> &BilledPayer {
    line(bill, "supplementary")
}

fn said(bill: &Bill) -> Vec<&str> {
    let findings = bill.findings.iter().filter(|finding| finding.code == FindingCode::DeferredPayer);
    findings.map(|finding| &*finding.message.en).collect()
}

#[tokio::test]
async fn what_it_grants_later_is_given_back_by_the_next_bill() {
    let insurer = Away::new();
    let (house, first) = settled(&insurer).await;
    assert_eq!((insured(&first).state, insured(&first).paid), (PayerState::Deferred, Money::ZERO));
    assert!(said(&first)[0].contains("the patient pays for now"), "{:?}", first.findings);
    let why = first.findings.iter().find(|finding| finding.code == FindingCode::PayerAnswerUnusable).unwrap();
    assert!(why.message.en.contains("gave no quote that can be used (“down”)"), "{why:?}");
    assert_eq!(later(&house, SOON).await, 1, "it is asked again, and is away still");
    books_agree(&house).await;
    assert_eq!(stands(&house, first.settlement_id).await, first);

    insurer.is_back(|_| {});
    assert_eq!(later(&house, A_WHILE).await, 1);
    let second = stands(&house, first.settlement_id).await;
    let paid = insurer.holds();
    assert!(paid.is_positive());
    assert_eq!((second.state, second.version), (BillState::Settled, 2));
    assert_eq!((insured(&second).state, insured(&second).paid), (PayerState::Committed, paid));
    assert_eq!(insured(&second).payer_reference.as_deref(), Some("R1"));
    assert_eq!(second.patient_share, first.patient_share - paid);
    assert_eq!(second.to_refund, first.to_refund + paid);
    assert_eq!((second.to_collect, second.deposit), (first.to_collect, first.deposit));
    let others = |bill: &Bill| -> Vec<BilledPayer> {
        bill.payers.iter().filter(|line| line.payer != insured(bill).payer).cloned().collect()
    };
    assert_eq!(others(&second), others(&first), "nothing else moves");
    assert!(said(&second)[0].contains(&format!("has paid {paid} since")), "{:?}", second.findings);
    assert!(second.findings.contains(why), "why it was left out is not forgotten: {:?}", second.findings);
    assert!(second.coverage.total > first.coverage.total);
    books_agree(&house).await;

    assert_eq!(send(&house, "m1").await, second, "the message again is answered as it stands");
    assert_eq!(send(&house, "m2").await, second);
    let old = house.reception.gateway().bill(first.settlement_id, 1).await.unwrap().unwrap();
    assert_eq!(old.settlement.bill, first, "the first bill stays as issued");
    let told = house.store.outbox_waiting(10).await.unwrap();
    assert_eq!(told.iter().map(|entry| entry.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(later(&house, A_WHILE).await, 0, "it is done once");
    assert_eq!(insurer.mood().commits, 1);
}

#[tokio::test]
async fn it_is_asked_for_what_it_would_have_been_asked_then() {
    let insurer = Away::new();
    let (house, _) = settled(&insurer).await;
    // What changed meanwhile is nothing to a stay that is settled.
    house.openings("371323196111033175,basic,2020,0.00,100.00,4,2020-06-01\n").await;
    later(&house, SOON).await;
    let asks = insurer.mood().asks.clone();
    assert_eq!(asks.len(), 2);
    assert_eq!(asks[0], asks[1]);
    // Caps are those of now.
    house.openings("371323196111033175,supplementary,2020,300000.00,299990.00,4,2020-06-01\n").await;
    later(&house, A_WHILE).await;
    let last = insurer.mood().asks.last().cloned().unwrap();
    assert_eq!(last.claim, asks[0].claim);
    assert_eq!(last.legs[0].pay_at_most, "10.00".parse().unwrap());
}

#[tokio::test]
async fn where_it_refuses_the_share_stands() {
    let insurer = Away::new();
    let (house, first) = settled(&insurer).await;
    insurer.is_back(|mood| mood.refuses = true);
    later(&house, SOON).await;
    let second = stands(&house, first.settlement_id).await;
    assert_eq!((second.state, second.version), (BillState::Settled, 2));
    assert_eq!((insured(&second).state, insured(&second).paid), (PayerState::Refused, Money::ZERO));
    assert_eq!((second.patient_share, second.to_refund), (first.patient_share, first.to_refund));
    assert!(said(&second)[0].contains("nothing is to be given back"), "{:?}", second.findings);
    assert_eq!(later(&house, A_WHILE).await, 0);
    assert!(house.reception.gateway().attention(10).await.unwrap().is_empty(), "no money is open");
    books_agree(&house).await;
}

/// What it says later is held to what it may say, and told, as when the stay was settled.
#[tokio::test]
async fn what_it_says_then_and_cannot_be_is_named() {
    type Mend = fn(&mut Mood);
    let wordy: Mend = |mood| mood.quote_id = Some("Q".repeat(300));
    let speaks_of_others: Mend = |mood| mood.also_paid = vec![("basic", "1.00")];
    let unsaid: Mend = |mood| mood.cover_unsaid = Some("两项 | twice");
    for (mend, state, words) in [
        (wordy, PayerState::Refused, "gave no quote that can be used (it is longer than it may be"),
        (
            speaks_of_others,
            PayerState::Refused,
            "gave no quote that can be used (it answers for other payers",
        ),
        (unsaid, PayerState::Committed, "gave no answer that can be used (twice); nothing was taken from it"),
    ] {
        let insurer = Away::of("supplementary", |manifest| manifest.coverage_valid_s = Some(60));
        insurer.mood().is_in_force = Some(true);
        let (house, first) = settled(&insurer).await;
        insurer.is_back(mend);
        later(&house, SOON).await;
        let second = stands(&house, first.settlement_id).await;
        assert_eq!((second.state, second.version), (BillState::Settled, 2), "{words}");
        assert_eq!(insured(&second).state, state, "{words}");
        let is_new = |finding: &&Finding| {
            finding.code == FindingCode::PayerAnswerUnusable && !first.findings.contains(finding)
        };
        let [said] = second.findings.iter().filter(is_new).collect::<Vec<_>>()[..] else {
            panic!("{words}: {:?}", second.findings)
        };
        assert!(said.message.en.contains(words), "{said:?}");
        books_agree(&house).await;
    }
}

#[tokio::test]
async fn it_is_done_once_whoever_takes_it_up_and_whatever_is_lost() {
    let insurer = Away::new();
    let (house, first) = settled(&insurer).await;
    insurer.is_back(|mood| mood.loses_answers = true);
    // Two gateways look at the same moment; the answer is lost, and both look again and again.
    let now = house.reception.gateway().runtime().now() + SOON;
    house.clock.put(now);
    let other = over(&house.store, policies(), insurer.payers(), "other", &Arc::default());
    other.clock.put(now);
    let (one, two) = (house.reception.gateway(), other.reception.gateway());
    let due = [one.due(now, 10).await.unwrap(), two.due(now, 10).await.unwrap()];
    assert_eq!(due.iter().map(Vec::len).sum::<usize>(), 1);
    for pursuit in due.into_iter().flatten() {
        one.pursue(pursuit).await;
    }
    let waiting = stands(&house, first.settlement_id).await;
    assert_eq!((waiting.version, waiting.state), (1, BillState::Settled), "its outcome is not known yet");
    assert_eq!(later(&house, SOON).await, 0);
    books_agree(&house).await;
    other.clock.put(now + ASK_AFTER);
    assert_eq!(later(&other, SOON).await, 1);
    assert_eq!(later(&house, ASK_AFTER + A_WHILE).await, 0);
    let second = stands(&house, first.settlement_id).await;
    assert_eq!((second.version, insured(&second).paid), (2, insurer.holds()));
    assert_eq!(insurer.mood().commits, 1);
    books_agree(&house).await;
}

#[tokio::test]
async fn a_reversal_leaves_no_delivery_behind() {
    let insurer = Away::new();
    let (house, first) = settled(&insurer).await;
    let bill = reversed(&house, &first).await;
    assert_eq!((bill.state, insured(&bill).state), (BillState::Reversed, PayerState::Reversed));
    insurer.is_back(|_| {});
    assert_eq!(later(&house, A_WHILE).await, 0);
    assert_eq!(insurer.mood().commits, 0);
    assert_eq!(insurer.mood().asks.len(), 1);
    books_agree(&house).await;
}

#[tokio::test]
async fn a_reversal_settles_first_what_nobody_knows_of_a_delivery() {
    for is_done in [false, true] {
        let insurer = Away::new();
        let (house, first) = settled(&insurer).await;
        insurer.is_back(|mood| (mood.loses_answers, mood.loses_commits) = (is_done, !is_done));
        assert_eq!(later(&house, SOON).await, 1);
        let under_way = reversed(&house, &first).await;
        assert_eq!(under_way.state, BillState::Reversing);
        assert!(!insurer.mood().book.values().any(|amount| amount.is_negative()));
        later(&house, ASK_AFTER).await;
        later(&house, A_WHILE).await;
        let bill = stands(&house, first.settlement_id).await;
        assert_eq!((bill.state, insured(&bill).state), (BillState::Reversed, PayerState::Reversed));
        assert_eq!(insurer.holds(), Money::ZERO);
        assert_eq!(later(&house, ASK_AFTER).await, 0);
        assert_eq!(insurer.mood().commits, u32::from(is_done));
        books_agree(&house).await;
        // Nothing is left set aside: the same stay again gets the same.
        insurer.mood().is_away = true;
        let again = send(&house, "anew").await;
        assert_eq!((again.state, again.patient_share), (BillState::Settled, first.patient_share));
    }
}

#[tokio::test]
async fn what_could_not_be_taken_back_is_not_reversed_while_it_is_not_known() {
    let insurer = Away::irreversible();
    let (house, first) = settled(&insurer).await;
    insurer.is_back(|mood| mood.loses_answers = true);
    later(&house, SOON).await;
    let gateway = house.reception.gateway();
    for (code, money) in [(Code::BeingSettled, BeingConfirmed), (Code::NotReversible, Moved)] {
        let ordered = gateway.reverse(first.settlement_id, "费用有误".to_owned(), "desk 7".to_owned()).await;
        let Outcome::Refused(refused) = gateway.see_through(ordered).await else { panic!("reversed") };
        assert_eq!((refused.refusals[0].code, refused.refusals[0].money), (code, money));
        later(&house, ASK_AFTER).await;
        let second = stands(&house, first.settlement_id).await;
        assert_eq!((second.version, insured(&second).paid), (2, insurer.holds()));
    }
    books_agree(&house).await;
}

#[tokio::test]
async fn one_that_stays_away_is_somebody_s_to_look_after() {
    let insurer = Away::new();
    let (house, first) = settled(&insurer).await;
    let gateway = house.reception.gateway();
    for _ in 0..3 {
        assert!(gateway.attention(10).await.unwrap().is_empty());
        later(&house, SignedDuration::from_hours(24)).await;
    }
    let waiting = gateway.attention(10).await.unwrap().remove(0);
    assert_eq!(waiting.settlement_id, Some(first.settlement_id));
    assert!(waiting.what.en.contains("cannot be asked") && waiting.what.zh.contains("无法应答"));
    assert!(
        waiting.next_step.en.contains("attention retry") && waiting.next_step.zh.contains("个人先行支付")
    );
    assert_eq!(later(&house, A_WHILE).await, 0, "it is asked on, slowly");
    insurer.is_back(|_| {});
    gateway
        .order(waiting.stay_id, Order::Retry { reason: "它恢复了".to_owned() }, "operator".to_owned())
        .await
        .unwrap();
    assert_eq!(later(&house, SignedDuration::ZERO).await, 1);
    assert_eq!(stands(&house, first.settlement_id).await.version, 2);
    assert!(gateway.attention(10).await.unwrap().is_empty());
    books_agree(&house).await;
}

#[tokio::test]
async fn a_person_says_what_became_of_a_delivery_nobody_knows_of() {
    for is_done in [false, true] {
        let insurer = Away::new();
        let (house, first) = settled(&insurer).await;
        insurer.is_back(|mood| {
            (mood.loses_answers, mood.loses_commits, mood.is_mute) = (is_done, !is_done, true);
        });
        later(&house, SOON).await;
        let five_minutes = async {
            later(&house, ASK_AFTER).await;
            later(&house, A_WHILE).await;
        };
        tokio::select! {
            () = five_minutes => {}
            () = runs(&house) => {}
        }
        let gateway = house.reception.gateway();
        let waiting = gateway.attention(10).await.unwrap().remove(0);
        let (operation, due) = (waiting.operation.unwrap(), stands(&house, first.settlement_id).await);
        assert_eq!(due, first, "the bill stands meanwhile");
        assert!(!waiting.log.is_empty());
        let amounts = vec![(insured(&first).payer.clone(), insurer.holds())];
        let as_ = match is_done {
            true => Resolution::Done { amounts, reference: "telephone".to_owned() },
            false => Resolution::NotDone,
        };
        let order = Order::Resolve { operation, as_, reason: "telephone".to_owned() };
        gateway.order(waiting.stay_id, order, "operator".to_owned()).await.unwrap();
        later(&house, SOON).await;
        let second = stands(&house, first.settlement_id).await;
        let state = if is_done { PayerState::Committed } else { PayerState::Refused };
        assert_eq!((insured(&second).state, insured(&second).paid), (state, insurer.holds()));
        assert_eq!(second.patient_share, first.patient_share - insurer.holds());
        assert!(gateway.attention(10).await.unwrap().is_empty());
        books_agree(&house).await;
    }
}

/// With a payer of the tail, those behind it are left out too, and asked one after the other on what came before.
#[tokio::test]
async fn a_tail_is_asked_in_the_chain_s_order() {
    let (accident, insurer) = (Away::serving("accident"), Away::new());
    let house = opened(together(&[("accident", &accident), ("insurer", &insurer)])).await;
    accident.mood().is_away = true;
    let sent = Sent { accident: Some("fall".to_owned()), ..discharge("m1") };
    let (bytes, format) = sent.bytes();
    let first = bill(house.receive(&bytes, format, Some(Mode::Settle)).await.outcome);
    assert_eq!(line(&first, "accident").state, PayerState::Deferred);
    assert_eq!(insured(&first).state, PayerState::Deferred);
    assert!(insurer.mood().asks.is_empty());

    accident.is_back(|mood| mood.pays_a_tenth = true);
    later(&house, SOON).await;
    let second = stands(&house, first.settlement_id).await;
    assert_eq!((second.version, line(&second, "accident").paid), (2, accident.holds()));
    assert_eq!((insured(&second).state, said(&second).len()), (PayerState::Deferred, 2));
    later(&house, SOON).await;
    let third = stands(&house, first.settlement_id).await;
    assert_eq!((third.version, insured(&third).paid), (3, insurer.holds()));
    assert!(accident.holds().is_positive() && insurer.holds().is_positive());
    assert_eq!(third.to_refund, first.to_refund + accident.holds() + insurer.holds());
    let asked = insurer.mood().asks.remove(0).paid_before;
    assert!(asked.contains(&(line(&third, "accident").payer.clone(), accident.holds())), "{asked:?}");
    assert_eq!(said(&third).len(), 2);
    assert_eq!(later(&house, A_WHILE).await, 0);
    books_agree(&house).await;
}

/// A payer behind one that may be left out would be computed on an amount that may still move.
#[test]
fn what_may_be_left_out_comes_last() {
    Away::new().payers().check(&policies()).unwrap();
    let shipped = PolicyShelf::shipped().unwrap();
    for (payer, shelf) in [("basic", &policies()), ("supplementary", &shipped)] {
        let refused = Away::serving(payer).payers().check(shelf).unwrap_err();
        let PayersError::Chain { why: Impossible::OptionalBeforeOthers { .. }, .. } = &refused else {
            panic!("{refused}")
        };
        let text = refused.text();
        assert!(text.en.contains("put its payers last") && text.zh.contains("排在最后"), "{text:?}");
    }
}
