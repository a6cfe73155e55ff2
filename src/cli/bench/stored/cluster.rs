//! What PostgreSQL itself says of a store: its bytes, the depth of its indexes, and which blocks the
//! gateway's statements touch (`pg_stat_statements`, `pageinspect`).

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::pages::Statement;
use crate::store::address::PostgresAddress;
use crate::store::postgres;

/// Levels of every index, the leaves among them.
const DEPTHS: &str =
    "SELECT c.relname::text, ((bt_metap(format('%I.%I', n.nspname, c.relname))).level + 1)::bigint
    FROM pg_class c JOIN pg_am a ON a.oid = c.relam JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'i' AND a.amname = 'btree' AND n.nspname = 'public'";
const STATEMENTS: &str = "SELECT query, sum(calls)::bigint, sum(shared_blks_hit + shared_blks_read)::bigint,
      sum(shared_blks_read)::bigint
    FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    GROUP BY query";
const FORGET: &str =
    "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = current_database()";
const IS_COUNTED: &str =
    "SELECT current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%' AS is_counted";

pub(super) async fn bytes(address: &PostgresAddress) -> anyhow::Result<u64> {
    let client = postgres::connection_to(address).await?;
    let bytes: i64 =
        client.query_one("SELECT pg_database_size(current_database())", &[]).await?.try_get(0)?;
    Ok(bytes.unsigned_abs())
}

/// What filling left to be done later is done now, not under the load.
pub(super) async fn settle_down(address: &PostgresAddress) -> anyhow::Result<()> {
    let client = postgres::connection_to(address).await?;
    Ok(client.batch_execute("SET statement_timeout = 0; ANALYZE; CHECKPOINT").await?)
}

pub(super) async fn depths(address: &PostgresAddress) -> anyhow::Result<BTreeMap<String, u64>> {
    let client = postgres::connection_to(address).await?;
    client.batch_execute("CREATE EXTENSION IF NOT EXISTS pageinspect").await?;
    let depth = |row: tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs()));
    client.query(DEPTHS, &[]).await?.into_iter().map(depth).collect()
}

/// Counts from now on, where the server counts at all.
pub(super) async fn count_statements(address: &PostgresAddress) -> anyhow::Result<()> {
    let client = postgres::connection_to(address).await?;
    if is_counted(&client).await? {
        client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await?;
        client.query(FORGET, &[]).await?;
    }
    Ok(())
}

async fn is_counted(client: &Client) -> anyhow::Result<bool> {
    Ok(client.query_one(IS_COUNTED, &[]).await?.try_get(0)?)
}

/// Since [`count_statements`]; none where the server does not count.
pub(super) async fn statements(address: &PostgresAddress) -> anyhow::Result<Vec<Statement>> {
    let client = postgres::connection_to(address).await?;
    if !is_counted(&client).await? {
        return Ok(Vec::new());
    }
    let statement = |row: tokio_postgres::Row| {
        let count = |at: usize| row.try_get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(Statement { text: row.try_get(0)?, calls: count(1)?, blocks: count(2)?, from_disk: count(3)? })
    };
    client.query(STATEMENTS, &[]).await?.into_iter().map(statement).collect()
}
