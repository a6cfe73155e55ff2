//! Files that come in while gateways settle.

use std::sync::Arc;

use yizhan::store::registers::{OnProgress, Progress};
use yizhan::store::seal::Key;
use yizhan::store::{Done, Store as _};
use yizhan_contract::person::RosterEntry;

use super::{counted, of};
use crate::cluster;
use crate::imports::{entry, import_roster, numbered, quiet, roster_of};
use crate::stays::*;

/// More than two pieces.
const PEOPLE: u32 = 21_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_meet_the_people_of_a_file_before_and_while_it_is_written() {
    let cluster = cluster::shared();
    let name = cluster.database().await;
    let store = Arc::new(open_postgres(&cluster.address(&name), Key::ephemeral().unwrap()).await.unwrap());
    // Counts the pieces that were written, also those that were taken back: a sequence never goes back.
    let counting = "CREATE SEQUENCE written;
        CREATE FUNCTION count_piece() RETURNS trigger LANGUAGE plpgsql
          AS 'BEGIN IF current_query() LIKE ''COPY%'' THEN PERFORM nextval(''written''); END IF; RETURN NULL; END';
        CREATE TRIGGER counted BEFORE INSERT ON person EXECUTE FUNCTION count_piece()";
    cluster.client(&name).await.batch_execute(counting).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("roster.csv");
    roster_of(&file, PEOPLE, "low_income");
    let (settling, handle) = (Arc::clone(&store), tokio::runtime::Handle::current());
    // Some are met before anything is made ready, and some of the second piece when that is and before it is written.
    let between: OnProgress = Arc::new(move |progress| {
        let met = match progress {
            Progress::Reading(read) if read == u64::from(PEOPLE) => 0..50,
            Progress::Writing(done, _) if done < u64::from(PEOPLE) => 10_000..10_050,
            _ => return,
        };
        for count in met {
            let (store, person) = (Arc::clone(&settling), numbered(count));
            let done = handle.block_on(async move { store.step(of(&person, &person, "ZY1")).await });
            assert!(matches!(done, Ok(Done::Decided(_) | Done::Repeated(_))), "{done:?}");
        }
    });
    let imported = import_roster(&*store, &file, Some("2020-01-01"), between).await.unwrap();
    assert_eq!((imported.rows, imported.entries), (u64::from(PEOPLE), u64::from(PEOPLE)));
    for count in [0, 49, 50, 9_999, 10_000, 10_049, 20_999] {
        assert_eq!(entry(&*store, &numbered(count)).await.entitlements.len(), 1, "{count}");
    }
    assert_eq!(counted(&*store, &numbered(0)).await, (1, "1.00".to_owned()));
    let count = "SELECT (SELECT count(*) FROM person), (SELECT count(*) FROM person_key)";
    let row = cluster.client(&name).await.query_one(count, &[]).await.unwrap();
    let pieces = cluster.client(&name).await.query_one("SELECT last_value FROM written", &[]).await.unwrap();
    assert!(pieces.get::<_, i64>(0) > 3, "no piece was raced for: {pieces:?}");
    // The store itself is a person without a number.
    let people = i64::from(PEOPLE);
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (people + 1, people));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_broke_off_leaves_the_old_roster_visible() {
    let cluster = cluster::shared();
    let name = cluster.database().await;
    let store = open_postgres(&cluster.address(&name), Key::ephemeral().unwrap()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("roster.csv");
    roster_of(&file, 3, "low_income");
    import_roster(&store, &file, Some("2020-01-01"), quiet()).await.unwrap();
    roster_of(&file, PEOPLE, "extreme_poverty");
    let breaking: OnProgress = Arc::new(|progress| {
        if let Progress::Writing(..) = progress {
            panic!("the machine stops");
        }
    });
    assert!(import_roster(&store, &file, Some("2020-06-01"), breaking).await.is_err());
    let held =
        |entry: RosterEntry| entry.categories_on(day("2020-07-01")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(held(entry(&store, &numbered(0)).await), ["low_income"]);

    roster_of(&file, 2, "extreme_poverty");
    import_roster(&store, &file, Some("2020-06-01"), quiet()).await.unwrap();
    assert_eq!(held(entry(&store, &numbered(0)).await), ["extreme_poverty"]);
    assert!(held(entry(&store, &numbered(2)).await).is_empty());
    let left = cluster.client(&name).await.query_one("SELECT count(*) FROM roster", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 5, "what was left behind is cleared: three old rows and two new ones");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_is_brought_in_at_a_time_over_all_gateways() {
    let cluster = cluster::shared();
    let address = cluster.address(&cluster.database().await);
    let key = Key::ephemeral().unwrap();
    let one = open_postgres(&address, key.clone()).await.unwrap();
    let other = Arc::new(open_postgres(&address, key).await.unwrap());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("roster.csv");
    roster_of(&file, 3, "low_income");
    let (beside, handle, again) = (Arc::clone(&other), tokio::runtime::Handle::current(), file.clone());
    let meanwhile: OnProgress = Arc::new(move |progress| {
        if let Progress::Writing(..) = progress {
            let refused = handle.block_on(import_roster(&*beside, &again, None, quiet())).unwrap_err();
            assert!(refused.to_string().contains("another file"), "{refused}");
        }
    });
    import_roster(&one, &file, None, meanwhile).await.unwrap();
    import_roster(&*other, &file, None, quiet()).await.unwrap();
}
