//! What every store does with what is written down of adapters.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan::store::adapter_book::{AdapterCall, AdapterNote};

use crate::stays::*;

fn note(adapter: &str, gateway: &str, document: &str) -> AdapterNote {
    let (adapter, gateway) = (Arc::from(adapter), Arc::from(gateway));
    AdapterNote { adapter, gateway, noted_at: now(), resets: 0, document: document.to_owned() }
}

#[tokio::test]
async fn each_gateway_has_its_own_note_and_an_order_reaches_all_of_them() {
    each_store(async |store| {
        for (adapter, gateway, document) in
            [("b", "1", "{}"), ("a", "2", "{}"), ("a", "1", "{}"), ("a", "1", "{\"x\":1}")]
        {
            store.note_adapter(note(adapter, gateway, document)).await.unwrap();
        }
        assert_eq!(store.reset_adapter("a".into()).await.unwrap(), 2);
        assert_eq!(store.reset_adapter("c".into()).await.unwrap(), 0);
        // What was ordered outlives what is written after it.
        store.note_adapter(note("a", "2", "{\"y\":1}")).await.unwrap();
        let reset = |note: AdapterNote| AdapterNote { resets: 1, ..note };
        let expected =
            [reset(note("a", "1", "{\"x\":1}")), reset(note("a", "2", "{\"y\":1}")), note("b", "1", "{}")];
        assert_eq!(store.adapter_notes().await.unwrap(), expected);
        // One gateway's note goes, and no other.
        store.forget_adapter("a".into(), "1".into()).await.unwrap();
        store.forget_adapter("a".into(), "3".into()).await.unwrap();
        assert_eq!(store.adapter_notes().await.unwrap(), expected[1..]);
    })
    .await;
}

fn call(adapter: &str, at: Timestamp, is_whole: bool) -> AdapterCall {
    AdapterCall {
        at,
        gateway: "1".into(),
        adapter: adapter.into(),
        verb: "commit".into(),
        operation_id: is_whole.then(|| "op-1".into()),
        request_digest: is_whole.then_some([7; 32]),
        answer_digest: is_whole.then_some([9; 32]),
        latency_us: 1_234,
        class: "answered".into(),
        answer: is_whole.then(|| "done".into()),
        http_status: is_whole.then_some(200),
    }
}

#[tokio::test]
async fn calls_are_kept_in_batches_and_forgotten_oldest_first() {
    each_store(async |store| {
        let at = |seconds| now() + SignedDuration::from_secs(seconds);
        let calls = vec![call("a", at(0), true), call("a", at(1), false), call("b", at(2), true)];
        store.keep_calls(calls.clone()).await.unwrap();
        store.keep_calls(Vec::new()).await.unwrap();
        let kept = async |adapter: &str| store.calls_kept(adapter.into()).await.unwrap();
        assert_eq!((kept("a").await, kept("b").await, kept("c").await), (2, 1, 0));
        // The newest first, and no more than were asked for.
        let newest = async |last: u32| store.adapter_calls("a".into(), last).await.unwrap();
        assert_eq!(newest(5).await, [calls[1].clone(), calls[0].clone()]);
        assert_eq!(newest(1).await, calls[1..2]);
        assert!(store.adapter_calls("c".into(), 5).await.unwrap().is_empty());
        assert_eq!(store.forget_calls(at(2), 1).await.unwrap(), 1);
        assert_eq!(kept("a").await, 1);
        assert_eq!(store.forget_calls(at(2), 10).await.unwrap(), 1);
        assert_eq!((kept("a").await, kept("b").await), (0, 1));
    })
    .await;
}
