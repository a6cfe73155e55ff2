//! What an outside payer says goes no further than the port allows, and is told to people in their own words.

use std::sync::Arc;

use jiff::SignedDuration;
use yizhan::settlement::bill::{Bill, BillState};
use yizhan::settlement::gateway::Waiting;
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::Outcome;
use yizhan::settlement::payers::Payers;
use yizhan_contract::payer::{KEPT_BYTES_MAX, PAYER_TEXT_CHARS_MAX, PREPARED_BYTES_MAX};
use yizhan_contract::step::PayerState;
use yizhan_contract::{FindingCode, Money, Text};

use super::House;
use super::outside::{books_agree, later, line, opened, over, reversed, runs, send, sent, stands};
use crate::away::{ASK_AFTER, Away, Mood, discharge, policies, together};
use crate::logged::Log;

const TEN_YEARS: SignedDuration = SignedDuration::from_hours(24 * 3_652);
const SECOND: SignedDuration = SignedDuration::from_secs(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Longer than anything a payer may say.
fn long() -> String {
    "话".repeat(10_000)
}

async fn house(insurer: &Arc<Away>, change: impl FnOnce(&mut Mood)) -> House {
    let house = opened(insurer.payers()).await;
    change(&mut insurer.mood());
    house
}

async fn waiting(house: &House) -> Waiting {
    house.reception.gateway().attention(10).await.unwrap().remove(0)
}

async fn refused(house: &House) -> Text {
    let outcome = sent(house, &discharge("m1"), Mode::Settle).await;
    let Outcome::Refused(refused) = outcome else { panic!("{outcome:?}") };
    refused.refusals[0].detail.clone()
}

fn is_short(text: &str) -> bool {
    text.contains('话') && text.matches('话').count() <= PAYER_TEXT_CHARS_MAX
}

#[tokio::test]
async fn no_word_of_a_payer_is_longer_than_it_may_be() {
    let insurer = Away::required("supplementary");
    let with_words = house(&insurer, |mood| mood.words = Some(long())).await;
    let settled = send(&with_words, "m1").await;
    assert!(is_short(line(&settled, "supplementary").payer_reference.as_ref().unwrap()));

    let lacking = house(&insurer, |mood| mood.is_not_ready = true).await;
    let said = refused(&lacking).await;
    assert!(is_short(&said.zh) && is_short(&said.en), "{said:?}");

    let insurer = Away::required("supplementary");
    let away = house(&insurer, |mood| (mood.words, mood.is_away) = (Some(long()), true)).await;
    sent(&away, &discharge("m1"), Mode::Settle).await;
    for _ in 0..10 {
        later(&away, MINUTE * 6).await;
    }
    let what = waiting(&away).await.what;
    assert!(is_short(&what.zh) && is_short(&what.en), "{what:?}");
}

/// Whom a payer speaks of, bills and people may read, and the log does not: not where it refuses, cannot be asked, is
/// left out, does not know, or is asked again after another.
#[tokio::test]
async fn no_word_of_a_payer_is_logged() {
    let (log, _listening) = Log::of_this_thread();
    let words = || Some("371323195304121265 张桂兰 | 371323195304121265 Zhang Guilan".to_owned());
    let changes: [fn(&mut Mood); 5] = [
        |mood| mood.refuses = true,
        |mood| mood.is_away = true,
        |mood| mood.is_not_ready = true,
        |mood| mood.loses_answers = true,
        |mood| mood.refuses_commits = true,
    ];
    for change in changes {
        for optional in [true, false] {
            let insurer = Away::of("supplementary", |manifest| manifest.optional = optional);
            let house = house(&insurer, |mood| mood.words = words()).await;
            change(&mut insurer.mood());
            sent(&house, &discharge("m1"), Mode::Settle).await;
            later(&house, MINUTE * 6).await;
        }
    }
    let (house, bureau, insurer) = moved_and_away().await;
    for payer in [&bureau, &insurer] {
        payer.mood().words = words();
    }
    sent(&house, &discharge("m1"), Mode::Settle).await;
    let log = log.text();
    for event in ["refuses to pay for a stay", "is deferred; the bill says why", "cannot be asked again"] {
        assert!(log.contains(event), "{event:?} is not in the log");
    }
    for word in ["371323195304121265", "张桂兰", "Zhang Guilan"] {
        let line = log.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "{word} is in the log");
    }
}

/// What is longer than it may be and cannot be cut off refuses the quote, and so do steps that come to another amount:
/// the patient pays that part.
#[tokio::test]
async fn a_quote_that_could_not_be_kept_is_refused() {
    for (nth, is_kept) in [(0, true), (1, false)] {
        let changes: [fn(&mut Mood, usize); 3] = [
            |mood, more| mood.kept_bytes = KEPT_BYTES_MAX + more,
            |mood, more| mood.quote_id = Some("1".repeat(PAYER_TEXT_CHARS_MAX + more)),
            |mood, more| mood.explains_beyond = Some(Money::from_fen(more.try_into().unwrap())),
        ];
        for change in changes {
            let insurer = Away::required("supplementary");
            let house = house(&insurer, |mood| change(mood, nth)).await;
            let settled = send(&house, "m1").await;
            let state = if is_kept { PayerState::Committed } else { PayerState::Refused };
            assert_eq!(line(&settled, "supplementary").state, state);
            assert_eq!(insurer.mood().commits, u32::from(is_kept));
        }
    }
}

#[tokio::test]
async fn an_operation_that_could_not_be_stored_is_not_sent() {
    let insurer = Away::required("supplementary");
    let house = house(&insurer, |mood| mood.padding_bytes = PREPARED_BYTES_MAX).await;
    let said = refused(&house).await;
    assert!(
        said.zh.contains("适配器 insurer 无法生成业务请求") && said.zh.contains("超过 65536 字节"),
        "{said:?}"
    );
    assert!(!said.en.contains('字') && said.en.contains("more than 65536"), "{said:?}");
    assert_eq!(insurer.mood().commits, 0);
}

#[tokio::test]
async fn a_payer_that_wishes_to_be_asked_in_ten_years_is_asked_within_the_minute() {
    let insurer = Away::required("supplementary");
    let house = house(&insurer, |mood| (mood.poll_after, mood.loses_answers) = (Some(TEN_YEARS), true)).await;
    let settling = send(&house, "m1").await;
    assert_eq!(settling.state, BillState::Settling);
    later(&house, ASK_AFTER).await;
    assert_eq!(stands(&house, settling.settlement_id).await.state, BillState::Settled);
}

#[tokio::test]
async fn a_payer_that_wishes_to_be_left_alone_is_for_a_while() {
    for (wished, due) in [(SECOND, SECOND * 2), (SECOND * 40, SECOND * 40), (TEN_YEARS, MINUTE * 5)] {
        let insurer = Away::required("supplementary");
        let house = house(&insurer, |mood| (mood.is_away, mood.retry_after) = (true, Some(wished))).await;
        sent(&house, &discharge("m1"), Mode::Settle).await;
        assert_eq!(later(&house, due - SECOND).await, 0, "{wished:?}");
        assert_eq!(later(&house, SECOND).await, 1, "{wished:?}");
    }
}

/// A commit that its payer never answers, by whichever gateway: what a person reads of it.
async fn unanswered(insurer: &Arc<Away>) -> (House, Bill) {
    let house = house(insurer, |mood| (mood.loses_answers, mood.is_mute) = (true, true)).await;
    let settling = send(&house, "m1").await;
    assert_eq!(settling.state, BillState::Settling);
    (house, settling)
}

async fn minutes_go_by(house: &House) {
    for by in [ASK_AFTER, MINUTE * 6] {
        tokio::select! {
            _ = later(house, by) => {}
            () = runs(house) => unreachable!("time ends"),
        }
    }
}

#[tokio::test]
async fn people_read_the_payers_name_and_its_words_as_a_quotation() {
    let insurer = Away::required("supplementary");
    let (house, settling) = unanswered(&insurer).await;
    minutes_go_by(&house).await;
    let name = line(&settling, "supplementary").name.clone();
    let what = waiting(&house).await.what;
    assert!(what.zh.starts_with(&*name.zh) && what.en.contains(&*name.en), "{what:?}");
    assert!(!what.zh.contains("insurer") && !what.zh.contains("supplementary"), "{what:?}");

    let away = Away::required("supplementary");
    let house = opened(away.payers()).await;
    away.mood().is_away = true;
    sent(&house, &discharge("m1"), Mode::Settle).await;
    for _ in 0..10 {
        later(&house, MINUTE * 6).await;
    }
    let what = waiting(&house).await.what;
    assert_eq!(*what.zh, *format!("{}暂时无法应答（“down”）", name.zh));
    assert_eq!(*what.en, *format!("{} cannot be asked: “down”", name.en));
}

/// Begun while it was there, and taken up by a gateway whose configuration does not know it.
#[tokio::test]
async fn an_adapter_that_is_not_configured_any_more_is_named() {
    let insurer = Away::required("supplementary");
    let (house, settling) = unanswered(&insurer).await;
    let without = over(&house.store, policies(), Payers::none(), "test", &Arc::default());
    without.clock.put(house.reception.gateway().runtime().now());
    minutes_go_by(&without).await;
    let said = format!("{:?}", waiting(&without).await.log);
    assert!(
        said.contains("未配置适配器 insurer") && said.contains("adapter insurer is not configured"),
        "{said}"
    );
    assert!(!said.contains("no answer in time"), "{said}");
    assert_eq!(stands(&without, settling.settlement_id).await.state, BillState::NeedsAttention);
}

/// One confirms another amount than it quoted, and the next one is away once it is asked again.
async fn moved_and_away() -> (House, Arc<Away>, Arc<Away>) {
    let bureau = Away::of("basic", |manifest| (manifest.optional, manifest.quotes_are_firm) = (false, false));
    let insurer = Away::required("supplementary");
    let house = opened(together(&[("bureau", &bureau), ("insurer", &insurer)])).await;
    bureau.is_back(|mood| mood.drift = "1.00".parse().unwrap());
    insurer.is_back(|mood| mood.quotes_left = Some(1));
    (house, bureau, insurer)
}

#[tokio::test]
async fn a_settlement_given_up_says_whose_amount_moved_and_why_the_next_was_not_asked() {
    let (house, _, _) = moved_and_away().await;
    sent(&house, &discharge("m1"), Mode::Settle).await;
    let given_up = house.store.outbox_waiting(10).await.unwrap().remove(0);
    let bill = stands(&house, given_up.settlement_id).await;
    assert_eq!(bill.state, BillState::Refused);
    let finding = bill.findings.iter().find(|finding| finding.code == FindingCode::GivenUp).unwrap();
    let (basic, next) = (&line(&bill, "basic").name, &line(&bill, "supplementary").name);
    let Text { zh, en } = &finding.message;
    assert!(
        zh.starts_with(&*basic.zh) && zh.contains(&format!("（{}暂时无法应答（“down”））", next.zh)),
        "{zh}"
    );
    assert!(
        en.starts_with(&*basic.en) && en.contains(&format!("({} cannot be asked: “down”)", next.en)),
        "{en}"
    );
    books_agree(&house).await;
}

/// A payer holds money of what it has confirmed: that there was nothing to take back cannot be, and it is asked.
#[tokio::test]
async fn a_reversal_that_gives_nothing_back_is_not_believed() {
    let insurer = Away::required("supplementary");
    let house = house(&insurer, |mood| mood.gives_nothing_back = true).await;
    let settled = send(&house, "m1").await;
    assert!(line(&settled, "supplementary").paid.is_positive());
    let reversed = tokio::select! {
        bill = reversed(&house, &settled) => bill,
        () = runs(&house) => unreachable!("time ends"),
    };
    assert_eq!(reversed.state, BillState::Reversed);
    let said = reversed.findings.iter().find(|finding| finding.code == FindingCode::PayerAnswerUnusable);
    let said = &said.unwrap_or_else(|| panic!("{:?}", reversed.findings)).message;
    assert!(said.en.contains("it says there was nothing to take back of what it has confirmed"), "{said:?}");
    assert!(said.zh.contains("称没有可退回的款项"), "{said:?}");
    books_agree(&house).await;
}
