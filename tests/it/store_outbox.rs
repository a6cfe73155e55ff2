//! What every store does with what hospitals are to be told.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use yizhan::store::{Changes, Decide, OutboxEntry, OutboxWrite, StayRef, Step};

use crate::stays::*;

const OTHER: &str = "H37132302";

fn after(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// Issues a quote and tells a hospital of it, at a time.
fn telling(number: &'static str, hospital: &'static str, version: u32, due_at: Timestamp) -> Decide {
    Box::new(move |facts| {
        let stay = stay_write(&facts, number, None, number);
        let bill = bill(new_id(1), stay.stay_id, version, "quoted", "2020-07-02");
        let told = OutboxWrite {
            outbox_id: new_id(5),
            stay_id: stay.stay_id,
            hospital: hospital.into(),
            settlement_id: bill.settlement_id,
            version,
            due_at,
        };
        Some(Changes { stay: Some(stay), bill: Some(bill), outbox: vec![told], ..Changes::default() })
    })
}

async fn tell(
    store: &dyn Ports,
    number: &'static str,
    hospital: &'static str,
    version: u32,
    due_at: Timestamp,
) {
    let decide = telling(number, hospital, version, due_at);
    let sent = Step { claim: None, ..step("", visit(number, None), vec![id_number(WANG)], decide) };
    store.step(sent).await.unwrap();
}

async fn due(store: &dyn Ports, at: Timestamp, busy: &[&str], limit: u32) -> Vec<OutboxEntry> {
    let busy = busy.iter().map(|code| Arc::from(*code)).collect();
    store.outbox_due(at, busy, limit).await.unwrap()
}

fn told(entries: &[OutboxEntry]) -> Vec<(&str, u32)> {
    entries.iter().map(|entry| (&*entry.hospital, entry.version)).collect()
}

#[tokio::test]
async fn each_stay_is_told_in_order_and_stays_do_not_wait_for_each_other() {
    each_store(async |store| {
        tell(store, "ZY1", HOSPITAL, 1, after(0)).await;
        tell(store, "ZY1", HOSPITAL, 2, after(0)).await;
        tell(store, "ZY2", OTHER, 7, after(5)).await;
        assert_eq!(told(&due(store, after(4), &[], 10).await), [(HOSPITAL, 1)]);
        let heads = due(store, after(5), &[], 10).await;
        assert_eq!(told(&heads), [(HOSPITAL, 1), (OTHER, 7)]);
        assert_eq!(told(&due(store, after(5), &[], 1).await), [(HOSPITAL, 1)]);
        assert_eq!(told(&due(store, after(5), &[HOSPITAL], 1).await), [(OTHER, 7)]);
        assert!(due(store, after(5), &[HOSPITAL, OTHER], 1).await.is_empty());
        assert_eq!(
            told(&store.outbox_waiting(10).await.unwrap()),
            [(HOSPITAL, 1), (HOSPITAL, 2), (OTHER, 7)]
        );

        // While the first is under way, the second waits behind it.
        assert!(store.outbox_take(heads[0].clone(), after(60)).await.unwrap());
        assert_eq!(told(&due(store, after(59), &[], 10).await), [(OTHER, 7)]);
        store.outbox_delivered(heads[0].clone()).await.unwrap();
        assert_eq!(told(&due(store, after(5), &[], 10).await), [(HOSPITAL, 2), (OTHER, 7)]);
    })
    .await;
}

/// Why a stay has no bill any more, written by a gateway whose clock is behind that of the one that wrote the bill.
#[tokio::test]
async fn a_note_comes_after_the_bill_it_follows() {
    each_store(async |store| {
        tell(store, "ZY1", HOSPITAL, 1, after(0)).await;
        let note: Decide = Box::new(|facts| {
            let stay = stay_write(&facts, "ZY1", None, "ZY1");
            let told = OutboxWrite {
                outbox_id: Uuid::from_u128(1),
                stay_id: stay.stay_id,
                hospital: HOSPITAL.into(),
                settlement_id: stay.stay_id,
                version: 1,
                due_at: after(0),
            };
            Some(Changes { stay: Some(stay), outbox: vec![told], ..Changes::default() })
        });
        let sent = Step { claim: None, ..step("", visit("ZY1", None), vec![id_number(WANG)], note) };
        store.step(sent).await.unwrap();
        tell(store, "ZY1", HOSPITAL, 2, after(0)).await;
        let mut is_note = Vec::new();
        while let Some(entry) = due(store, after(0), &[], 10).await.pop() {
            is_note.push((entry.version, entry.settlement_id == entry.stay_id));
            store.outbox_delivered(entry).await.unwrap();
        }
        assert_eq!(is_note, [(1, false), (1, true), (2, false)]);
    })
    .await;
}

#[tokio::test]
async fn a_delivery_is_begun_by_one_and_may_be_begun_again() {
    each_store(async |store| {
        tell(store, "ZY1", HOSPITAL, 1, after(0)).await;
        let head = due(store, after(0), &[], 1).await.remove(0);
        let take = || store.outbox_take(head.clone(), after(60));
        let (a, b) = tokio::join!(take(), take());
        assert!(a.unwrap() != b.unwrap(), "one of them, not both");
        assert!(due(store, after(59), &[], 1).await.is_empty());

        // Whoever began it died: it comes again, under the same id, one attempt later.
        let again = due(store, after(60), &[], 1).await.remove(0);
        assert_eq!((again.outbox_id, again.attempts, &again.why), (head.outbox_id, 1, &None));
        assert!(!store.outbox_take(head.clone(), after(90)).await.unwrap());
        assert!(store.outbox_take(again.clone(), after(90)).await.unwrap());
        let begun_again = store.outbox_waiting(10).await.unwrap().remove(0);
        // The first one notes late that it failed: the second goes on under its own time.
        store.outbox_failed(again, after(70), "no answer".to_owned()).await.unwrap();
        assert_eq!(store.outbox_waiting(10).await.unwrap(), std::slice::from_ref(&begun_again));
        assert_eq!((begun_again.attempts, begun_again.due_at, &begun_again.why), (2, after(90), &None));
        store.outbox_failed(begun_again, after(70), "connection refused".to_owned()).await.unwrap();
        let waiting = store.outbox_waiting(10).await.unwrap().remove(0);
        assert_eq!((waiting.attempts, waiting.due_at), (2, after(70)));
        assert_eq!(waiting.why.as_deref(), Some("connection refused"));
        assert_eq!(due(store, after(70), &[], 1).await, [waiting]);
        store.outbox_delivered(head.clone()).await.unwrap();
        store.outbox_delivered(head.clone()).await.unwrap();
        assert!(store.outbox_waiting(10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_is_to_be_told_follows_its_stay_and_its_bills_can_be_read() {
    each_store(follow_a_stay).await;
}

pub(crate) async fn follow_a_stay(store: &dyn Ports) {
    tell(store, "ZY1", HOSPITAL, 1, after(0)).await;
    tell(store, "ZY1", HOSPITAL, 2, after(0)).await;
    let read_before = due(store, after(0), &[], 10).await.remove(0);
    // The stay turns out to be another person's.
    store.step(step("2", visit("ZY1", None), vec![id_number(LI)], keep("ZY1", None, "hers"))).await.unwrap();
    let head = due(store, after(0), &[], 10).await;
    assert_eq!(told(&head), [(HOSPITAL, 1)]);
    let read = store.bill(head[0].settlement_id, 1).await.unwrap().unwrap();
    assert_eq!((read.bill, read.settlement_id), (b"bill 1 quoted".to_vec(), head[0].settlement_id));
    assert!(store.bill(head[0].settlement_id, 9).await.unwrap().is_none());
    assert!(store.bill(Uuid::nil(), 1).await.unwrap().is_none());
    assert!(store.stay(StayRef::Stay(head[0].stay_id)).await.unwrap().is_some());
    assert_ne!(head[0].person_id, read_before.person_id);
    // Whoever read the entry before goes on with it all the same.
    assert!(store.outbox_take(read_before.clone(), after(0)).await.unwrap());
    let taken = OutboxEntry { attempts: 1, ..read_before.clone() };
    store.outbox_failed(taken, after(0), "no answer".to_owned()).await.unwrap();
    let again = due(store, after(0), &[], 10).await.remove(0);
    assert_eq!((again.attempts, again.why.as_deref()), (1, Some("no answer")));
    store.outbox_delivered(read_before).await.unwrap();
    assert_eq!(told(&due(store, after(0), &[], 10).await), [(HOSPITAL, 2)]);
}

#[tokio::test]
async fn a_step_that_is_refused_tells_nobody() {
    each_store(async |store| {
        let decide = telling("ZY1", HOSPITAL, 1, after(0));
        let broken: Decide = Box::new(move |facts| {
            let mut changes = decide(facts)?;
            // Settled, with nothing posted.
            if let Some(bill) = &mut changes.bill {
                bill.state = "settled";
            }
            Some(changes)
        });
        let sent = step("1", visit("ZY1", None), vec![id_number(WANG)], broken);
        assert!(store.step(sent).await.is_err());
        assert!(store.outbox_waiting(10).await.unwrap().is_empty());
    })
    .await;
}
