//! Stores that earlier programs wrote: read, repeated, reversed, committed and settled on by this one.
//!
//! `tests/stores/format-1` holds a store of schema 2 with stay records of format 1, its key, and messages it
//! was made from: settled (01), reversed by an A13 (03), settled with a late charge (08), discharged without
//! charges yet (05), quoted (02), refused (09). `tests/stores/postgres-1` holds the same in PostgreSQL, as a dump of
//! schema 1 there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use yizhan::intake::Format;
use yizhan::intake::reception::{Arrival, Reception};
use yizhan::runtime::{FixedClock, RandomIds, Runtime};
use yizhan::settlement::gateway::Gateway;
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::seal::Key;
use yizhan::store::{StayRef, Store, StoreError};
use yizhan::telemetry::Channel;
use yizhan_rules::PolicyShelf;

use crate::cluster;
use crate::gateway::{audit, profiles};
use crate::project;
use crate::stays::{open, open_postgres};

/// A store that is kept, with the settlements in it.
struct Kept {
    folder: &'static str,
    /// Two minutes after its last message, while its quote is good.
    now: &'static str,
    settled: Uuid,
    reversed: Uuid,
    late: Uuid,
    quoted: Uuid,
}

const FORMAT_1: Kept = Kept {
    folder: "tests/stores/format-1",
    now: "2026-11-23T23:06:00Z",
    settled: Uuid::from_u128(0x01A2_0AA6_FB31_7CCF_856B_0086_10AB_437F),
    reversed: Uuid::from_u128(0x01A2_0AA6_FB4A_7BA3_93C1_5F9D_1CA8_2E90),
    late: Uuid::from_u128(0x01A2_0AA6_FBA6_71D2_9170_974B_073B_2936),
    quoted: Uuid::from_u128(0x01A2_0AA6_FBF1_7737_B3A1_509D_82F6_E1E7),
};

const POSTGRES_1: Kept = Kept {
    folder: "tests/stores/postgres-1",
    now: "2026-11-27T03:07:00Z",
    settled: Uuid::from_u128(0x01A2_1AF6_EB49_7BF1_BFAF_1282_A8C8_1AD6),
    reversed: Uuid::from_u128(0x01A2_1AF6_EC06_7853_8066_F534_9C37_2703),
    late: Uuid::from_u128(0x01A2_1AF6_EC6C_7D96_81A1_8FA8_E29C_E9FD),
    quoted: Uuid::from_u128(0x01A2_1AF6_EE21_705D_9BE6_89C3_9518_925A),
};

impl Kept {
    fn file(&self, name: &str) -> PathBuf {
        project(self.folder).join(name)
    }

    fn key(&self) -> Key {
        Key::read(&self.file("key")).unwrap()
    }
}

/// The store as schema 1 would hold it: the same rows in the tables of the first migration alone.
fn in_schema_1(path: &Path) {
    let store = Connection::open(path).unwrap();
    store.execute_batch(include_str!("../../schemas/sql/sqlite/V1__first.sql")).unwrap();
    store.execute("DELETE FROM heartbeat", []).unwrap();
    store.execute("ATTACH ?1 AS newer", [FORMAT_1.file("store").to_str().unwrap()]).unwrap();
    store
        .execute_batch(
            "CREATE TABLE refinery_schema_history AS
               SELECT * FROM newer.refinery_schema_history WHERE version = 1;
             PRAGMA application_id = 0x797a686e;",
        )
        .unwrap();
    let mut tables = store.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'").unwrap();
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    for table in tables.filter(|table| table != "refinery_schema_history") {
        let mut columns = store.prepare("SELECT name FROM pragma_table_info(?1, 'main')").unwrap();
        let columns = columns.query_map([&table], |row| row.get::<_, String>(0)).unwrap();
        let columns = columns.map(Result::unwrap).collect::<Vec<_>>().join(", ");
        let sql = format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}");
        store.execute(&sql, []).unwrap();
    }
}

struct House {
    reception: Reception,
    kept: &'static Kept,
    /// Of the file; absent where there is none.
    _directory: Option<tempfile::TempDir>,
}

/// A gateway over a copy of the file.
fn house(make: impl FnOnce(&Path)) -> House {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    make(&path);
    let store = Arc::new(open(&path, FORMAT_1.key()).unwrap());
    House { _directory: Some(directory), ..house_over(store, &FORMAT_1) }
}

/// A gateway over a database that the dump was played into.
async fn house_in_postgres() -> House {
    let cluster = cluster::shared();
    let name = cluster.database().await;
    let dump = std::fs::read_to_string(POSTGRES_1.file("store.sql")).unwrap();
    cluster.play(&name, &dump);
    let store = open_postgres(&cluster.address(&name), POSTGRES_1.key()).await.unwrap();
    house_over(Arc::new(store), &POSTGRES_1)
}

fn house_over(store: Arc<dyn Store>, kept: &'static Kept) -> House {
    let profiles = Arc::new(profiles("", None));
    let known = Arc::clone(&profiles);
    let hospitals =
        Arc::new(move |code: &str| known.of_hospital(code).map(|profile| Arc::clone(&profile.hospital)));
    let now: Timestamp = kept.now.parse().unwrap();
    let runtime = Runtime { clock: Arc::new(FixedClock::at(now)), ids: Arc::new(RandomIds) };
    let policies = Arc::new(PolicyShelf::shipped().unwrap());
    let gateway = Gateway::new(store, policies, hospitals, Arc::default(), Arc::from("test"), runtime);
    House { reception: Reception::new(gateway, profiles), kept, _directory: None }
}

impl House {
    async fn send(&self, file: &str, mode: Option<Mode>) -> String {
        self.send_as(file, mode, &[]).await
    }

    /// With words of the message replaced.
    async fn send_as(&self, file: &str, mode: Option<Mode>, replaced: &[(&str, &str)]) -> String {
        let mut bytes = std::fs::read(FORMAT_1.file("messages").join(file)).unwrap();
        for (from, to) in replaced {
            let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            bytes.splice(at..at + from.len(), to.bytes());
        }
        let format = Format::detect(&bytes).unwrap();
        let arrival =
            Arrival { channel: Channel::File, bytes: &bytes, format, charset: None, mode, only: None };
        shown(&self.reception.receive(arrival).await.outcome)
    }

    /// A settlement with what it was made from.
    async fn read(&self, id: Uuid) -> String {
        let found = self.reception.gateway().settlement(id).await.unwrap().unwrap();
        let (discharge, bill) = (&found.settlement.discharge, found.settlement.bill);
        let (lines, name) = (discharge.lines.len(), discharge.patient.name.reveal().chars().next().unwrap());
        format!("{} of {name}, {lines} lines", shown(&Outcome::Bill(Box::new(bill))))
    }

    async fn commit(&self, id: Uuid, expected: &str) -> String {
        shown(&self.reception.gateway().commit(id, expected.parse().unwrap()).await.outcome)
    }

    async fn reverse(&self, id: Uuid) -> String {
        let outcome =
            self.reception.gateway().reverse(id, "费用有误".to_owned(), "desk 7".to_owned()).await.outcome;
        shown(&outcome)
    }
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Bill(bill) => {
            format!("{} v{} share {}", bill.state.word(), bill.version, bill.patient_share)
        }
        Outcome::Noted(noted) => format!("noted {} lines {}", noted.state.word(), noted.lines),
        Outcome::Refused(refused) => format!("refused {}", refused.refusals[0].code.slug()),
    }
}

async fn tells_what_it_holds(house: &House) {
    let told = [
        house.read(house.kept.settled).await,
        house.read(house.kept.reversed).await,
        house.read(house.kept.late).await,
        house.read(house.kept.quoted).await,
    ];
    assert_eq!(
        told,
        [
            "settled v1 share 1632.00 of 张, 6 lines",
            "reversed v2 share 21339.37 of 李, 6 lines",
            "settled v1 share 238.80 of 刘, 4 lines",
            "quoted v1 share 8.16 of 孙, 8 lines"
        ]
    );
}

async fn answers_again(house: &House) {
    let again = [
        house.send("01-worked.json", None).await,
        house.send("03b-critical-illness-discharge.hl7", None).await,
        house.send("08b-late-charges-charges.hl7", None).await,
        house.send("08d-late-charges-late.hl7", None).await,
        house.send("02-yishui-2017.xml", Some(Mode::Quote)).await,
        house.send("09-does-not-balance.json", None).await,
        house.send_as("01-worked.json", None, &[("S01", "S91")]).await,
    ];
    assert_eq!(
        again,
        [
            "settled v1 share 1632.00",
            "reversed v2 share 21339.37",
            "settled v1 share 238.80",
            "noted settled lines 4",
            "quoted v1 share 8.16",
            "refused share_differs",
            "settled v1 share 1632.00"
        ]
    );
}

async fn goes_on(house: &House) {
    let later = [
        house.send_as("08d-late-charges-late.hl7", None, &[("S08-4", "S08-5"), ("FT1|1|5", "FT1|1|6")]).await,
        house.read(house.kept.late).await,
        house.reverse(house.kept.settled).await,
        house.reverse(house.kept.late).await,
        house.send("05a-ordinary-resident-charges.gb18030.hl7", None).await,
        house.send_as("03b-critical-illness-discharge.hl7", None, &[("S03-2", "S03-4")]).await,
        house.commit(house.kept.quoted, "8.16").await,
        house.read(house.kept.late).await,
        house.read(house.kept.quoted).await,
    ];
    assert_eq!(
        later,
        [
            "noted settled lines 4",
            "settled v1 share 238.80 of 刘, 4 lines",
            "reversed v2 share 1632.00",
            "reversed v2 share 238.80",
            "settled v1 share 1918.00",
            "settled v3 share 21339.37",
            "settled v2 share 8.16",
            "reversed v2 share 238.80 of 刘, 4 lines",
            "settled v2 share 8.16 of 孙, 8 lines"
        ]
    );
}

async fn works_on(house: House) {
    tells_what_it_holds(&house).await;
    answers_again(&house).await;
    goes_on(&house).await;
    // What was settled before there was a ledger stands in it, and was taken back in it.
    let (books, differences) = audit(&**house.reception.gateway().store()).await;
    assert_eq!((books.settlements, differences), (6, vec![]));
}

#[tokio::test]
async fn a_store_of_record_format_1_is_worked_on() {
    works_on(house(|path| _ = std::fs::copy(FORMAT_1.file("store"), path).unwrap())).await;
}

#[tokio::test]
async fn a_store_of_schema_1_is_worked_on() {
    works_on(house(in_schema_1)).await;
}

#[tokio::test]
async fn a_database_of_schema_1_is_worked_on() {
    works_on(house_in_postgres().await).await;
}

#[test]
fn a_key_that_is_not_the_stores_leaves_it_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    std::fs::copy(FORMAT_1.file("store"), &path).unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(open(&path, Key::ephemeral().unwrap()), Err(StoreError::WrongKey { .. })));
    assert!(std::fs::read(&path).unwrap() == before, "not migrated, nor anything else");
}

#[tokio::test]
async fn a_key_that_is_not_the_databases_leaves_it_as_it_is() {
    let cluster = cluster::shared();
    let name = cluster.database().await;
    cluster.play(&name, &std::fs::read_to_string(POSTGRES_1.file("store.sql")).unwrap());
    let refused = open_postgres(&cluster.address(&name), Key::ephemeral().unwrap()).await;
    assert!(matches!(refused.err().unwrap(), StoreError::WrongKey { .. }));
    let sql = "SELECT max(version) FROM refinery_schema_history";
    assert_eq!(cluster.client(&name).await.query_one(sql, &[]).await.unwrap().get::<_, i32>(0), 1);
}

/// A migration that has been run somewhere is not changed any more: what it lacks is another one.
#[test]
fn migrations_are_only_added() {
    let mut found = Vec::new();
    for store in ["postgres", "sqlite"] {
        for entry in std::fs::read_dir(project("schemas/sql").join(store)).unwrap() {
            let path = entry.unwrap().path();
            let digest = Sha256::digest(std::fs::read(&path).unwrap());
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            found.push(format!("{digest}  {store}/{}", path.file_name().unwrap().to_str().unwrap()));
        }
    }
    found.sort_by(|a, b| a[64..].cmp(&b[64..]));
    let frozen = std::fs::read_to_string(project("tests/stores/migrations.sha256")).unwrap();
    assert_eq!(found, frozen.lines().collect::<Vec<_>>(), "a new migration is entered in that file");
}

#[tokio::test]
async fn a_settled_stay_is_written_with_every_fact_once() {
    let house = house(|path| _ = std::fs::copy(FORMAT_1.file("store"), path).unwrap());
    house.send("05a-ordinary-resident-charges.gb18030.hl7", None).await;
    let stay =
        StayRef::Visit { hospital: "H37132301".into(), number: "ZY20201012006".into(), admitted: None };
    let stored = house.reception.gateway().store().stay(stay).await.unwrap().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&stored.document).unwrap();
    assert_eq!(document["format"], 2);
    assert_eq!(document["part"]["lines"].as_array().unwrap().len(), 6);
    let settlement = &document["settlement"];
    assert_eq!(settlement["discharge"]["lines"].as_array().unwrap().len(), 0);
    assert!(settlement["bill"].is_null(), "the bill has a place of its own");
    let bill: serde_json::Value = serde_json::from_slice(&stored.bill.unwrap()).unwrap();
    assert_eq!(bill["settlement_id"], settlement["id"]);
}
