//! Where a step or a question gives up, because others are always faster.

use yizhan::store::seal::Key;
use yizhan::store::{Changes, Decide, Step, Store as _, StoreError};

use super::of;
use crate::cluster;
use crate::stays::*;

/// Attempts of one step, and readings for one.
const CONFLICTS_MAX: usize = 8;
const READINGS_MAX: i64 = 8;

/// With its people held, a step can still lose to people nobody has seen: each of them opens the visit anew.
#[tokio::test]
async fn a_step_that_is_too_late_again_and_again_is_told_so() {
    let store = postgres().await;
    store.step(of(WANG, "0", "ZY0")).await.unwrap();
    let note: Decide = Box::new(|facts| {
        let person_id = facts.person.map(|person| person.person_id);
        Some(Changes { person_id, ..Changes::default() })
    });
    let (decide, mut slow) = held(CONFLICTS_MAX, note);
    let late = store.step(step("late", visit("ZY1", None), vec![id_number(WANG)], decide));
    let faster = async {
        for number in 1..=CONFLICTS_MAX {
            slow.begun().await;
            let admitted = day(&format!("2020-06-{number:02}"));
            let open: Decide = Box::new(move |facts| {
                let mut stay = stay_write(&facts, "ZY1", Some("2020-06-01"), "opened");
                stay.admitted = Some(admitted);
                Some(Changes { stay: Some(stay), ..Changes::default() })
            });
            let (id, who) = (format!("fast {number}"), vec![mrn(&format!("P{number}"))]);
            let found = visit("ZY1", Some(&admitted.to_string()));
            store.step(step(&id, found, who, open)).await.unwrap();
            slow.go_on();
        }
    };
    let (late, ()) = tokio::join!(late, faster);
    assert!(matches!(&late, Err(StoreError::Unavailable(why)) if why.en.contains("has changed")), "{late:?}");
    assert_eq!(slow.runs(), CONFLICTS_MAX);
    // Nothing of it is there, and it may come again.
    let again = Step { stay: visit("ZY1", None), ..of(WANG, "late", "ZY9") };
    assert!(store.step(again).await.is_ok());
}

/// A person whose version is another one each time anybody looks.
#[tokio::test]
async fn a_person_who_never_stands_still_is_not_read_for_ever() {
    let cluster = cluster::shared();
    let name = cluster.database().await;
    let store = open_postgres(&cluster.address(&name), Key::ephemeral().unwrap()).await.unwrap();
    store.step(of(WANG, "0", "ZY0")).await.unwrap();
    let client = cluster.client(&name).await;
    let restless = "CREATE SEQUENCE looked_at; ALTER TABLE person RENAME TO who;
        CREATE VIEW person AS
          SELECT person_id, wrapped_key, has_id_number, nextval('looked_at') AS version, last_steps FROM who";
    client.batch_execute(restless).await.unwrap();
    let refused = store.person(vec![id_number(WANG)]).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Unavailable(why) if why.en.contains("kept changing")),
        "{refused}"
    );
    let looks = client.query_one("SELECT last_value FROM looked_at", &[]).await.unwrap();
    assert_eq!(looks.get::<_, i64>(0), 2 * READINGS_MAX, "before and after, for each reading");
}
