//! What a thief of the file sees.

use std::sync::Arc;

use yizhan::store::seal::{Key, Place};
use yizhan::store::{Changes, Decide, Done, Store as _};

use crate::imports::import_roster;
use crate::stays::*;

/// What must not be readable in a store that was [`fill`]ed.
pub(crate) const SECRETS: [&str; 6] =
    ["王小明", WANG, "P-8812", "ZY20200702001", "MSG-77001", "bill 1 settled"];

/// Puts everything personal into a store; returns the digest of a message.
pub(crate) async fn fill(store: &dyn Ports) -> [u8; 32] {
    let directory = tempfile::tempdir().unwrap();
    let roster = directory.path().join("roster.csv");
    let text = format!(
        "id_number,name,region,kind,code,from,to\n{WANG},王小明,371323,category,low_income,2020-01-01,\n"
    );
    std::fs::write(&roster, text).unwrap();
    import_roster(store, &roster, Some("2020-01-01"), Arc::new(|_| {})).await.unwrap();

    let decide: Decide = Box::new(move |facts| {
        let stay = stay_write(&facts, "ZY20200702001", Some("2020-06-24"), "stay of 王小明");
        let bill = bill(new_id(1), stay.stay_id, 1, "settled", "2020-07-02");
        Some(Changes {
            stay: Some(stay),
            postings: postings(&bill),
            bill: Some(bill),
            answer: SECRETS.concat().into_bytes(),
            ..Changes::default()
        })
    });
    let both = vec![id_number(WANG), mrn("P-8812")];
    let mut sent = step("MSG-77001", visit("ZY20200702001", Some("2020-06-24")), both, decide);
    sent.claim.as_mut().unwrap().raw = SECRETS.concat().into_bytes();
    store.step(sent).await.unwrap();
    let refused = message("MSG-77001", &SECRETS.concat());
    let digest = refused.digest;
    store.keep_refused(now(), refused, SECRETS.concat().into_bytes()).await.unwrap();
    digest
}

#[tokio::test]
async fn the_file_names_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = open(&path, Key::ephemeral().unwrap()).unwrap();
    let digest = fill(&store).await;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(std::fs::read(path.with_extension("db-wal")).unwrap());
    let holds = |secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
    assert!(holds(HOSPITAL.as_bytes()), "the rows are in what was searched");
    for secret in SECRETS {
        assert!(!holds(secret.as_bytes()), "{secret} stands in clear");
    }
    assert!(!holds(&digest[..16]), "a digest in clear tells who guesses the message");
}

#[test]
fn a_sealed_value_opens_in_its_own_place_only() {
    let key = Key::ephemeral().unwrap();
    let person = new_id(1);
    let (data_key, wrapped) = key.new_data_key(person).unwrap();
    let place = Place { table: "stay", column: "document", row: b"1" };
    let sealed = data_key.seal(place, b"secret").unwrap();
    let again = key.unwrap_data_key(person, &wrapped).unwrap();
    assert_eq!(again.open(place, &sealed).unwrap(), b"secret");
    assert_ne!(data_key.seal(place, b"secret").unwrap(), sealed, "every sealing has its own nonce");

    for other in
        [Place { table: "bill", ..place }, Place { column: "raw", ..place }, Place { row: b"2", ..place }]
    {
        assert!(data_key.open(other, &sealed).is_err(), "{other:?}");
    }
    for at in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 1;
        assert!(data_key.open(place, &damaged).is_err(), "byte {at}");
        assert!(data_key.open(place, &sealed[..at]).is_err(), "cut at {at}");
    }
    assert!(key.unwrap_data_key(new_id(2), &wrapped).is_err(), "a data key is one person's");
    assert!(Key::ephemeral().unwrap().unwrap_data_key(person, &wrapped).is_err());
}

/// What a log line or a panic of the gateway would show.
#[tokio::test]
async fn printing_what_passes_the_port_names_nobody() {
    let store = yizhan::store::sqlite::Sqlite::in_memory(Arc::new(yizhan::runtime::RandomIds)).unwrap();
    fill(&store).await;
    let found = visit("ZY20200702001", None);
    let mut shown = vec![format!("{found:?}"), format!("{:?}", message("MSG-77001", "王小明"))];
    let looking = Arc::new(std::sync::Mutex::new(String::new()));
    let seen = Arc::clone(&looking);
    let look: Decide = Box::new(move |facts| {
        let changes = Changes {
            stay: Some(stay_write(&facts, "ZY20200702001", None, "王小明")),
            bill: Some(bill(new_id(1), new_id(1), 1, "settled", "2020-07-02")),
            answer: SECRETS.concat().into_bytes(),
            ..Changes::default()
        };
        *seen.lock().unwrap() = format!("{facts:?} {changes:?}");
        Some(Changes { answer: changes.answer, ..Changes::default() })
    });
    let done = store.step(step("2", found.clone(), vec![id_number(WANG)], look)).await.unwrap();
    let stay = store.stay(found).await.unwrap().unwrap();
    let books = store.books(None, 9).await.unwrap();
    let settlement = store.settlement(books.books[0].settlement_id).await.unwrap();
    shown.push(looking.lock().unwrap().clone());
    shown.extend([format!("{done:?} {stay:?}"), format!("{books:?} {settlement:?}")]);
    for shown in shown {
        let bytes = |text: &str| format!("{:?}", text.as_bytes()).trim_matches(['[', ']']).to_owned();
        for secret in SECRETS {
            assert!(!shown.contains(secret) && !shown.contains(&bytes(secret)), "{secret} in {shown}");
        }
    }
}

/// Messages and visits are found under a key of the store's own, which another key file would leave as it is.
#[tokio::test]
async fn claims_are_made_under_a_key_of_the_stores_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let key = Key::ephemeral().unwrap();
    let send = || step("M1", visit("ZY1", None), vec![id_number(WANG)], keep("ZY1", None, "kept"));
    let store = open(&path, key.clone()).unwrap();
    store.step(send()).await.unwrap();
    store.close().await;
    let found = |table: &str, hash: &[u8]| -> i64 {
        let sql = format!("SELECT count(*) FROM {table} WHERE keyed_hash = ?1");
        rusqlite::Connection::open(&path).unwrap().query_row(&sql, [hash], |row| row.get(0)).unwrap()
    };
    assert_eq!(found("person_key", &key.look_up("id_number", &[WANG.as_bytes()])), 1);
    let sender = message("M1", "M1").sender;
    assert_eq!(found("message_claim", &key.look_up("message", &[sender.as_bytes(), b"M1"])), 0);
    assert_eq!(found("stay_claim", &key.look_up("visit", &[HOSPITAL.as_bytes(), b"ZY1"])), 0);
    let store = open(&path, key).unwrap();
    assert_eq!(store.step(send()).await.unwrap(), Done::Repeated(b"kept".to_vec()));
}

#[test]
fn a_look_up_hash_depends_on_key_kind_and_bounds() {
    let key = Key::ephemeral().unwrap();
    let hash = key.look_up("mrn", &[b"ab", b"c"]);
    assert_eq!(key.look_up("mrn", &[b"ab", b"c"]), hash);
    assert_ne!(key.look_up("mrn", &[b"a", b"bc"]), hash);
    assert_ne!(key.look_up("visit", &[b"ab", b"c"]), hash);
    assert_ne!(Key::ephemeral().unwrap().look_up("mrn", &[b"ab", b"c"]), hash);
}
