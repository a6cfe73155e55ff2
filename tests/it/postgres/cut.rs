//! A connection that ends while a step is written: told once what became of it, and written once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use yizhan::runtime::RandomIds;
use yizhan::store::postgres::{Options, Postgres};
use yizhan::store::seal::Key;
use yizhan::store::{Changes, Decide, Done, Due, OutboxWrite, Step, Store as _, StoreError};

use super::proxy::{Cut, Proxy};
use super::{counted, of, one_more};
use crate::cluster;
use crate::stays::*;

/// Longer than a machine under load takes to connect again.
const LONG: Duration = Duration::from_secs(20);

/// A store behind a proxy, with one step done already.
async fn house() -> (Arc<Postgres>, Proxy) {
    house_of(Options { wait: LONG, doubt: LONG, ..Options::default() }).await
}

async fn house_of(options: Options) -> (Arc<Postgres>, Proxy) {
    let cluster = cluster::shared();
    let proxy = Proxy::before(cluster.socket_folder());
    let address = proxy.address(&cluster.database().await);
    let (address, key) = (address.parse().unwrap(), Some(Key::ephemeral().unwrap()));
    let store = Postgres::open(&address, key, Arc::new(RandomIds), options).await.unwrap();
    store.step(of(WANG, "0", "ZY0")).await.unwrap();
    (Arc::new(store), proxy)
}

fn decided() -> Done {
    Done::Decided(b"one more".to_vec())
}

#[tokio::test]
async fn a_step_whose_answer_is_lost_is_found_and_answered() {
    let (store, proxy) = house().await;
    proxy.cut_next(Cut::Answer);
    assert_eq!(store.step(of(WANG, "1", "ZY1")).await.unwrap(), decided());
    assert!(proxy.has_cut());
    assert_eq!(counted(&*store, WANG).await, (2, "2.00".to_owned()));
}

#[tokio::test]
async fn a_step_whose_commit_is_lost_is_done_on_another_connection() {
    let (store, proxy) = house().await;
    proxy.cut_next(Cut::Commit);
    assert_eq!(store.step(of(WANG, "1", "ZY1")).await.unwrap(), decided());
    assert!(proxy.has_cut());
    assert_eq!(counted(&*store, WANG).await, (2, "2.00".to_owned()));
}

/// Steps without a message: a timer's, a desk's.
#[tokio::test]
async fn a_step_without_a_message_is_found_on_its_person() {
    for (cut, known) in [(Cut::Answer, true), (Cut::Commit, true), (Cut::Answer, false)] {
        let (store, proxy) = house().await;
        let person = if known { WANG } else { LI };
        let before = counted(&*store, person).await.0;
        proxy.cut_next(cut);
        let timer = Step { claim: None, ..of(person, "", "ZY1") };
        assert_eq!(store.step(timer).await.unwrap(), decided());
        assert!(proxy.has_cut());
        assert_eq!(counted(&*store, person).await.0, before + 1);
    }
}

#[tokio::test]
async fn a_commit_that_arrives_after_the_step_was_done_again_does_nothing() {
    let (store, proxy) = house().await;
    let (arrive, late) = oneshot::channel();
    proxy.cut_next(Cut::AllLate(late));
    assert_eq!(store.step(of(WANG, "1", "ZY1")).await.unwrap(), decided());
    assert!(proxy.has_cut());
    arrive.send(()).unwrap();
    proxy.arrived().await;
    assert_eq!(counted(&*store, WANG).await, (2, "2.00".to_owned()));
    let again = store.step(of(WANG, "1", "ZY1")).await.unwrap();
    assert_eq!(again, Done::Repeated(b"one more".to_vec()));
}

#[tokio::test]
async fn a_commit_that_arrives_while_the_step_is_done_again_counts() {
    for claims in [true, false] {
        let (store, proxy) = house().await;
        let (arrive, late) = oneshot::channel();
        proxy.cut_next(Cut::Late(late));
        // The step is decided again only after its first writing was given up: then the late COMMIT is let go.
        let (decide, arrive) = (one_more("ZY1"), Mutex::new((0, Some(arrive))));
        let decide: Decide = Box::new(move |facts| {
            let (runs, arrive) = &mut *arrive.lock().unwrap();
            *runs += 1;
            if *runs == 2 {
                arrive.take().unwrap().send(()).unwrap();
            }
            decide(facts)
        });
        let slow = step("1", visit("ZY1", None), vec![id_number(WANG)], decide);
        let slow = Step { claim: slow.claim.filter(|_| claims), ..slow };
        assert_eq!(store.step(slow).await.unwrap(), decided());
        proxy.arrived().await;
        assert_eq!(counted(&*store, WANG).await, (2, "2.00".to_owned()));
    }
}

/// Whether it was written can no longer be seen: nobody may be told either way, and it is not done again.
#[tokio::test]
async fn a_step_that_many_others_followed_ends_in_doubt() {
    let cluster = cluster::shared();
    let (database, key) = (cluster.database().await, Key::ephemeral().unwrap());
    let proxy = Proxy::before(cluster.socket_folder());
    let near = format!("postgres:///{database}?user=yizhan&host={}", cluster.socket_folder().display());
    let open = |address: String, doubt| {
        let (options, key) = (Options { doubt, ..Options::default() }, Some(key.clone()));
        async move { Postgres::open(&address.parse().unwrap(), key, Arc::new(RandomIds), options).await.unwrap() }
    };
    let others = open(near, Duration::from_secs(1)).await;
    others.step(of(WANG, "0", "ZY0")).await.unwrap();
    for (followers, is_sure) in [(7, true), (8, false)] {
        let (before, _) = counted(&others, WANG).await;
        let store = Arc::new(open(proxy.address(&database), LONG).await);
        proxy.cut_next(Cut::Answer);
        let timer = Step { claim: None, ..of(WANG, "", "ZY1") };
        let doubtful = Arc::clone(&store);
        proxy.refuse(true);
        let doubtful = tokio::spawn(async move { doubtful.step(timer).await });
        proxy.arrived().await;
        for _ in 0..followers {
            others.step(Step { claim: None, ..of(WANG, "", "ZY2") }).await.unwrap();
        }
        proxy.refuse(false);
        let said = doubtful.await.unwrap();
        match is_sure {
            true => assert_eq!(said.unwrap(), decided()),
            false => assert!(matches!(said, Err(StoreError::InDoubt(_))), "{said:?}"),
        }
        assert_eq!(counted(&others, WANG).await.0, before + followers + 1);
    }
}

#[tokio::test]
async fn a_refused_message_is_kept_and_may_come_again() {
    let (store, proxy) = house().await;
    for cut in [Cut::Answer, Cut::Commit] {
        proxy.cut_next(cut);
        let refuse: Decide =
            Box::new(|_| Some(Changes { answer: b"AE".to_vec(), is_refused: true, ..Changes::default() }));
        let refused = step("R", visit("ZY9", None), vec![id_number(WANG)], refuse);
        assert_eq!(store.step(refused).await.unwrap(), Done::Decided(b"AE".to_vec()));
        assert!(proxy.has_cut());
    }
    let corrected = of(WANG, "R", "ZY9");
    assert_eq!(store.step(corrected).await.unwrap(), decided());
}

#[tokio::test]
async fn a_message_refused_before_any_step_is_kept_once() {
    for cut in [Cut::Answer, Cut::Commit] {
        let (store, proxy) = house().await;
        proxy.cut_next(cut);
        store.keep_refused(now(), message("R", "broken"), b"AE".to_vec()).await.unwrap();
        assert!(proxy.has_cut());
        let sql = "SELECT count(*) FROM message WHERE person_id = '00000000-0000-0000-0000-000000000000'";
        let kept = cluster::shared().client(&proxy.database()).await.query_one(sql, &[]).await.unwrap();
        assert_eq!(kept.get::<_, i64>(0), 1);
    }
}

/// A stay that waits from now on, read as due.
async fn waiting(store: &Postgres) -> Due {
    let decide: Decide = Box::new(|facts| {
        let mut stay = stay_write(&facts, "ZY1", None, "stay");
        stay.hold.due_at = Some(now());
        let told = OutboxWrite {
            outbox_id: new_id(3),
            stay_id: stay.stay_id,
            hospital: HOSPITAL.into(),
            settlement_id: stay.stay_id,
            version: 1,
            due_at: now(),
        };
        Some(Changes { stay: Some(stay), outbox: vec![told], ..Changes::default() })
    });
    store.step(step("W", visit("ZY1", None), vec![id_number(WANG)], decide)).await.unwrap();
    store.due(now(), 1).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_lease_whose_answer_is_lost_is_held_and_one_that_never_arrived_is_free() {
    let until = now() + jiff::SignedDuration::from_secs(60);
    for (cut, is_taken) in [(Cut::Answer, true), (Cut::Commit, false)] {
        let (store, proxy) = house().await;
        let due = waiting(&store).await;
        proxy.cut_next_at("UPDATE stay s SET epoch", cut);
        let lease = store.take(due.clone(), Arc::from("a"), until).await.unwrap();
        assert!(proxy.has_cut());
        assert_eq!(lease.map(|lease| lease.epoch), is_taken.then_some(1));
        assert_eq!(store.take(due, Arc::from("a"), until).await.unwrap().is_some(), !is_taken);
    }
}

#[tokio::test]
async fn a_delivery_whose_beginning_is_not_answered_comes_again() {
    let until = now() + jiff::SignedDuration::from_secs(60);
    for (cut, is_begun) in [(Cut::Answer, false), (Cut::Commit, true)] {
        let (store, proxy) = house().await;
        waiting(&store).await;
        let entry = store.outbox_due(now(), vec![], 1).await.unwrap().remove(0);
        proxy.cut_next_at("UPDATE outbox SET attempts", cut);
        assert_eq!(store.outbox_take(entry, until).await.unwrap(), is_begun);
        assert!(proxy.has_cut());
        assert!(store.outbox_due(now(), vec![], 1).await.unwrap().is_empty());
        let again = store.outbox_due(until, vec![], 1).await.unwrap().remove(0);
        assert_eq!(again.attempts, 1, "begun once");
    }
}

#[tokio::test]
async fn a_question_is_asked_again_on_another_connection() {
    let (store, proxy) = house().await;
    proxy.cut_next(Cut::Commit);
    let books = store.books(None, 10).await.unwrap();
    assert!(books.books.is_empty() && proxy.has_cut());
    assert_eq!(counted(&*store, WANG).await.0, 1);
}

#[tokio::test]
async fn where_nobody_answers_nobody_is_told_that_nothing_happened() {
    for (cut, expected) in [
        (Cut::Answer, Done::Repeated(b"one more".to_vec())),
        (Cut::Commit, Done::Decided(b"one more".to_vec())),
    ] {
        let short = Options { doubt: Duration::from_millis(300), ..Options::default() };
        let (store, proxy) = house_of(short).await;
        proxy.cut_next(cut);
        proxy.refuse(true);
        // The only connection there was is cut, and no other is to be had.
        let said = store.step(of(WANG, "1", "ZY1")).await;
        assert!(matches!(said, Err(StoreError::InDoubt(_))), "{said:?}");
        assert!(proxy.has_cut() && said.unwrap_err().may_retry());
        proxy.refuse(false);
        assert_eq!(store.step(of(WANG, "1", "ZY1")).await.unwrap(), expected);
        assert_eq!(counted(&*store, WANG).await, (2, "2.00".to_owned()));
    }
}
