//! What a payer is told of a person and a stay: what its manifest needs, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use yizhan::runtime::CountedIds;
use yizhan::settlement::message::Mode;
use yizhan::store::sqlite::Sqlite;
use yizhan_contract::payer::{Ask, Need};
use yizhan_contract::revealing;

use super::{House, profiles};
use crate::away::{self, Away};

/// The question as it would travel, and what is in it.
async fn asked(needs: &[Need]) -> (String, Ask) {
    let insurer = Away::needing(needs.iter().copied());
    let ids = Arc::<CountedIds>::default();
    let store = Arc::new(Sqlite::in_memory(ids.clone()).unwrap());
    let house = House::over(store, away::policies(), profiles("", None), insurer.payers(), "test", ids);
    house.fill().await;
    let (bytes, format) = away::discharge("m1").bytes();
    house.receive(&bytes, format, Some(Mode::Quote)).await;
    let ask = insurer.mood().asks[0].clone();
    (revealing(|| serde_json::to_string(&ask).unwrap()), ask)
}

#[tokio::test]
async fn without_a_need_nobody_is_named() {
    let (travels, ask) = asked(&[]).await;
    assert_eq!(ask.person, Default::default());
    assert!(ask.claim.roster.is_none() && ask.claim.lines.is_empty() && ask.diagnoses.is_empty());
    assert!(ask.claim.buckets.total.is_positive() && ask.legs.len() == 1, "what it pays by is there");
    for personal in ["id_number", "name", "birth", "sex", "card", "L1", "SUR09"] {
        assert!(!travels.contains(&format!("\"{personal}\"")), "{personal} in {travels}");
    }
}

#[tokio::test]
async fn each_need_brings_its_own_fact_and_no_other() {
    let all = [
        (Need::IdNumber, "id_number"),
        (Need::Name, "name"),
        (Need::VisitNumber, "visit_number"),
        (Need::Lines, "category"),
        (Need::Standing, "entitlements"),
    ];
    for (need, member) in all {
        let (travels, _) = asked(&[need]).await;
        let there: BTreeSet<_> =
            all.iter().filter(|(_, member)| travels.contains(&format!("\"{member}\":"))).collect();
        assert_eq!(there, BTreeSet::from([&(need, member)]), "{travels}");
    }
}
