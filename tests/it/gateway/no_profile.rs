//! A hospital whose profile is gone while a stay of it is under way.

use jiff::SignedDuration;
use yizhan::intake::{Profile, Profiles};
use yizhan::settlement::bill::BillState;
use yizhan::settlement::gateway::{Order, OrderError};
use yizhan_contract::Money;

use super::House;
use super::outside::{books_agree, goes_by, later, line, opened, over, policies, send, stands};
use super::profiles;
use crate::away::{ASK_AFTER, Away};

const COUNTY: &str = "H37132301";
const A_WHILE: SignedDuration = SignedDuration::from_mins(2);

/// The samples without the county hospital.
fn without_county() -> Profiles {
    let all = profiles("", None);
    let kept = all.iter().filter(|profile| profile.code() != COUNTY);
    Profiles::new(kept.map(|profile| Profile::clone(profile)).collect()).unwrap()
}

#[tokio::test]
async fn its_stays_come_before_a_person_and_go_on_once_it_is_back() {
    let insurer = Away::required("supplementary");
    let before = opened(insurer.payers()).await;
    insurer.is_back(|mood| mood.loses_answers = true);
    let settling = send(&before, "m1").await;
    assert_eq!((settling.state, insurer.mood().commits), (BillState::Settling, 1));

    let payers = insurer.payers();
    let ids = std::sync::Arc::default();
    let after = House::over(before.store.clone(), policies(), without_county(), payers, "test", ids);
    after.clock.put(before.reception.gateway().runtime().now());
    let gateway = after.reception.gateway();
    for _ in 0..3 {
        assert_eq!(later(&after, ASK_AFTER).await, 1, "it is looked at again and again");
        let [one] = &gateway.attention(10).await.unwrap()[..] else { panic!("somebody is told, once") };
        assert!(one.what.en.contains(COUNTY) && one.what.zh.contains(COUNTY), "{:?}", one.what);
        assert!(one.next_step.en.contains("put the hospital's profile back"), "{:?}", one.next_step);
        assert!(!one.log.is_empty() && !one.owner.zh.is_empty(), "{:?}", one.log);
        assert!(one.since <= before.reception.gateway().runtime().now() + ASK_AFTER, "since the first time");
        let order = Order::Retry { reason: "telephone".to_owned() };
        let refused = gateway.order(one.stay_id, order, "operator".to_owned()).await.unwrap_err();
        assert!(matches!(refused, OrderError::NoProfile { .. }), "{refused}");
        assert!(refused.text().zh.contains(COUNTY), "{:?}", refused.text());
    }
    assert_eq!(stands(&after, settling.settlement_id).await.state, BillState::Settling);
    books_agree(&after).await;

    let back = over(&before.store, policies(), insurer.payers(), "test", &std::sync::Arc::default());
    back.clock.put(gateway.runtime().now());
    assert_eq!(goes_by(&back, A_WHILE).await, 1);
    let settled = stands(&back, settling.settlement_id).await;
    assert_eq!((settled.state, insurer.mood().commits), (BillState::Settled, 1));
    assert_eq!(line(&settled, "supplementary").paid, insurer.holds());
    assert_ne!(insurer.holds(), Money::ZERO);
    assert!(back.reception.gateway().attention(10).await.unwrap().is_empty());
    books_agree(&back).await;
}
