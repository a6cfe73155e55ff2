//! The shape that lets the tables be distributed by person, and what a thief of the database sees.

use yizhan::store::postgres::Postgres;
use yizhan::store::seal::Key;

use crate::cluster;
use crate::sealed::{SECRETS, fill};
use crate::stays::*;

/// Tables that find things across people: they lead with a keyed hash.
const LOOK_UPS: &[&str] = &["person_key", "message_claim", "stay_claim", "visit_head"];
/// Tables about nobody.
const OF_NOBODY: &[&str] = &[
    "adapter_note",
    "catalogue",
    "catalogue_scope",
    "generation",
    "heartbeat",
    "refinery_schema_history",
    "secret",
];

#[tokio::test]
async fn every_unique_key_of_a_persons_table_begins_with_the_person() {
    let cluster = cluster::shared();
    let name = cluster.database().await;
    let _store = open_postgres(&cluster.address(&name), Key::ephemeral().unwrap()).await.unwrap();
    let client = cluster.client(&name).await;
    let sql = "SELECT t.relname::text, k.relname::text, a.attname::text
               FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class k ON k.oid = i.indexrelid
               JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
               WHERE i.indisunique AND t.relnamespace = 'public'::regnamespace";
    let keys = client.query(sql, &[]).await.unwrap();
    let mut of_people = 0;
    for key in &keys {
        let [table, name, first] = [0, 1, 2].map(|column| key.get::<_, String>(column));
        if OF_NOBODY.contains(&table.as_str()) {
            continue;
        }
        let expected = if LOOK_UPS.contains(&table.as_str()) { "keyed_hash" } else { "person_id" };
        assert_eq!(first, expected, "{name} of {table}");
        of_people += usize::from(expected == "person_id");
    }
    assert!(of_people >= 12, "{of_people} tables of people");
    let sql = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'";
    assert_eq!(
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0),
        0,
        "foreign keys tie shards together"
    );
}

/// No row goes from one person to another in place: on a distributed database it would have to change its shard.
#[tokio::test]
async fn a_row_is_one_persons_from_its_first_day_to_its_last() {
    crate::store_people::join_with_all_they_had(&guarded().await).await;
    crate::store_outbox::follow_a_stay(&guarded().await).await;
}

/// A store that refuses to give a row to another person.
async fn guarded() -> Postgres {
    let cluster = cluster::shared();
    let name = cluster.database().await;
    let store = open_postgres(&cluster.address(&name), Key::ephemeral().unwrap()).await.unwrap();
    let client = cluster.client(&name).await;
    let guard = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                   'BEGIN RAISE EXCEPTION ''a person of % was changed'', TG_TABLE_NAME; END'";
    client.batch_execute(guard).await.unwrap();
    let sql = "SELECT table_name::text FROM information_schema.columns
               WHERE table_schema = 'public' AND column_name = 'person_id'";
    let mut guarded = 0;
    for row in client.query(sql, &[]).await.unwrap() {
        let table: String = row.get(0);
        if !LOOK_UPS.contains(&table.as_str()) {
            let sql = format!(
                "CREATE TRIGGER kept BEFORE UPDATE OF person_id ON {table} EXECUTE FUNCTION refuse()"
            );
            client.batch_execute(&sql).await.unwrap();
            guarded += 1;
        }
    }
    assert!(guarded >= 12, "{guarded} tables of people");
    store
}

#[tokio::test]
async fn money_is_whole_fen_or_exact() {
    let cluster = cluster::shared();
    let name = cluster.database().await;
    let _store = open_postgres(&cluster.address(&name), Key::ephemeral().unwrap()).await.unwrap();
    let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns
               WHERE table_schema = 'public' AND data_type IN ('real', 'double precision', 'money')";
    let floats = cluster.client(&name).await.query(sql, &[]).await.unwrap();
    assert!(floats.is_empty());
}

#[tokio::test]
async fn a_dump_names_nobody() {
    let cluster = cluster::shared();
    let name = cluster.database().await;
    let store = open_postgres(&cluster.address(&name), Key::ephemeral().unwrap()).await.unwrap();
    let digest = fill(&store).await;
    let dump = cluster.run("pg_dump", &name);
    // Bytes are written as hexadecimal digits in a dump.
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let holds = |secret: &[u8]| dump.windows(secret.len()).any(|window| window == secret);
    assert!(holds(HOSPITAL.as_bytes()), "the rows are in what was searched");
    for secret in SECRETS {
        assert!(!holds(secret.as_bytes()), "{secret} stands in clear");
        assert!(!holds(hex(secret.as_bytes()).as_bytes()), "{secret} stands in clear, as bytes");
    }
    assert!(!holds(hex(&digest[..16]).as_bytes()), "a digest in clear tells who guesses the message");
}
