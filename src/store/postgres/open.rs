//! Opening a store: connections, migrations, the key.

use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;
use yizhan_contract::Text;

use super::super::StoreError;
use super::super::address::PostgresAddress;
use super::super::seal::{DataKey, Key};
use super::super::vault::proven;
use super::fault::{no_answer, postgres_says};
use super::{Options, broken, tls};

mod embedded {
    refinery::embed_migrations!("schemas/sql/postgres");
}

const CONNECT_TIMEOUT_MS: u64 = 3000;
/// A server that has gone without a word is given up after this.
const SILENCE_MS: u64 = 10_000;
/// No statement of a step takes long; one that does is stuck behind something.
const STATEMENT_TIMEOUT_MS: u64 = 10_000;
const LOCK_TIMEOUT_MS: u64 = 5_000;
/// Migrations wait this long for another gateway's.
const MIGRATION_TIMEOUT_MS: u64 = 120_000;
/// Held while migrating; any program that migrates our stores takes the same ("yzhn").
const MIGRATION_LOCK: i64 = 0x797a_686e;

/// The settings our writes rely on: conditions are checked again after a wait for a row (READ COMMITTED),
/// and COMMIT returns when it is durable, even where the server's default is otherwise. Every question goes by a
/// key: a plan made while a table was small must not read all of it when it has grown, and planning it anew for
/// each set of values finds nothing better (it took a quarter of the server's time).
fn settings() -> String {
    format!(
        "SET default_transaction_isolation = 'read committed';
         SELECT set_config('synchronous_commit', 'on', false)
           WHERE current_setting('synchronous_commit') = 'off';
         SET statement_timeout = {STATEMENT_TIMEOUT_MS}; SET lock_timeout = {LOCK_TIMEOUT_MS};
         SET idle_in_transaction_session_timeout = {STATEMENT_TIMEOUT_MS}; SET jit = off;
         SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;"
    )
}

fn config_of(address: &PostgresAddress) -> Config {
    let mut config = address.config().clone();
    if config.get_application_name().is_none() {
        config.application_name("yizhan");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MS));
    }
    config.keepalives_idle(Duration::from_millis(SILENCE_MS));
    config.tcp_user_timeout(Duration::from_millis(SILENCE_MS));
    config
}

/// The connections of one gateway. A connection that has ended is replaced when it is asked for; one that
/// ends in use fails its step, which is then looked after ([`super::commit`]).
pub(super) fn pool(address: &PostgresAddress, options: Options) -> Result<Pool, StoreError> {
    let config = config_of(address);
    // Asking the server before every use would cost each step a round trip and still prove nothing.
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = if config.get_ssl_mode() == SslMode::Disable {
        Manager::from_config(config, NoTls, recycling)
    } else {
        Manager::from_config(config, tls::connector(address.root_certificates())?, recycling)
    };
    let set = Hook::async_fn(|client, _| {
        Box::pin(async move { client.batch_execute(&settings()).await.map_err(HookError::Backend) })
    });
    Pool::builder(manager)
        .runtime(Runtime::Tokio1)
        .max_size(options.connections_max)
        .wait_timeout(Some(options.wait))
        .create_timeout(Some(Duration::from_millis(CONNECT_TIMEOUT_MS)))
        .recycle_timeout(Some(Duration::from_millis(CONNECT_TIMEOUT_MS)))
        .post_create(set)
        .build()
        .map_err(|why| StoreError::Defect(why.to_string()))
}

/// A connection, or at once the answer that there is none.
pub(super) async fn connection(pool: &Pool) -> Result<Object, StoreError> {
    pool.get().await.map_err(|why| match why {
        PoolError::Timeout(TimeoutType::Wait) => {
            StoreError::unavailable("PostgreSQL 的连接已全部占用", "all connections to PostgreSQL are in use")
        }
        PoolError::Timeout(_) => StoreError::Unavailable(no_answer()),
        PoolError::Backend(why) => broken(&why),
        other => StoreError::Unavailable(postgres_says(&other)),
    })
}

/// Brings the schema up to date, one gateway at a time; refuses a database of another program or of a
/// newer one.
pub(super) async fn migrate(client: &mut Client) -> Result<(), StoreError> {
    let patience = format!(
        "SET statement_timeout = {MIGRATION_TIMEOUT_MS}; SET lock_timeout = {MIGRATION_TIMEOUT_MS};
         SELECT pg_advisory_lock({MIGRATION_LOCK})"
    );
    client.batch_execute(&patience).await.map_err(|why| broken(&why))?;
    let migrated = migrate_locked(client).await;
    let done = format!("SELECT pg_advisory_unlock({MIGRATION_LOCK}); {}", settings());
    client.batch_execute(&done).await.map_err(|why| broken(&why))?;
    migrated
}

async fn migrate_locked(client: &mut Client) -> Result<(), StoreError> {
    let sql = "SELECT count(*) FILTER (WHERE relname = 'refinery_schema_history'), count(*)
               FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace";
    let row = client.query_one(sql, &[]).await.map_err(|why| broken(&why))?;
    let (ours, tables): (i64, i64) = (row.get(0), row.get(1));
    if ours == 0 && tables > 0 {
        return Err(StoreError::Schema(Text::new(
            "其中是其他程序的表",
            "the database holds tables of another program",
        )));
    }
    let runner = embedded::migrations::runner();
    let run = runner.run_async(client).await;
    // Its only word for "was migrated by a newer program" is a missing migration.
    run.map(|_| ()).map_err(|why| {
        StoreError::Schema(Text::new(format!("结构升级未成：{why}"), format!("it cannot be migrated: {why}")))
    })
}

/// Opens the store's own data key, which proves the key file; makes it where the store is new.
pub(super) async fn unlock(client: &Client, key: Option<&Key>) -> Result<DataKey, StoreError> {
    let sql = "SELECT wrapped_key FROM person WHERE person_id = $1";
    let nil = Uuid::nil();
    if let Some(row) = client.query_opt(sql, &[&nil]).await.map_err(|why| broken(&why))? {
        return proven(row.get(0), key);
    }
    let (_, wrapped) = key.ok_or(StoreError::NoKey(None))?.new_data_key(nil)?;
    // Two gateways may open a new store at the same moment: one of them names its key.
    let sql = "INSERT INTO person (person_id, wrapped_key, has_id_number) VALUES ($1, $2, false)
               ON CONFLICT DO NOTHING";
    client.execute(sql, &[&nil, &wrapped]).await.map_err(|why| broken(&why))?;
    let sql = "SELECT wrapped_key FROM person WHERE person_id = $1";
    let row = client.query_one(sql, &[&nil]).await.map_err(|why| broken(&why))?;
    proven(row.get(0), key)
}
