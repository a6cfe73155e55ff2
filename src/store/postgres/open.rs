//! Opening a store: connections, migrations, the key.

use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Status,
    TimeoutType,
};
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;
use yizhan_contract::Text;

use super::super::StoreError;
use super::super::address::PostgresAddress;
use super::super::person::damaged;
use super::super::seal::{DataKey, Key, LookUp};
use super::super::vault::{CLAIMS, new_claims, open_claims, proven};
use super::fault::{no_answer, postgres_says};
use super::{Options, TELLING_CONNECTIONS, broken, tls};

mod embedded {
    refinery::embed_migrations!("schemas/sql/postgres");
}

const CONNECT_TIMEOUT_MS: u64 = 3000;
/// A server that has gone without a word is given up after this.
const SILENCE_MS: u64 = 10_000;
/// No statement of a step takes long; one that does is stuck behind something. The server says so before it is taken for
/// silent ([`super::fault::in_time`]).
const STATEMENT_TIMEOUT_MS: u64 = 7_000;
const LOCK_TIMEOUT_MS: u64 = 5_000;
/// As long as nothing is the matter with the server, longer than all the others that wait take.
const TELLING_WAIT_MS: u64 = 5_000;
/// Steps that wait for a connection: they hold memory and help nobody.
const WAITING_PER_CONNECTION_MAX: usize = 16;
/// Migrations wait this long for another gateway's.
const MIGRATION_TIMEOUT_MS: u64 = 120_000;
/// Held while migrating; any program that migrates our stores takes the same ("yzhn").
const MIGRATION_LOCK: i64 = 0x797a_686e;

/// When COMMIT returns.
#[derive(Debug, Clone, Copy)]
enum Commit {
    /// When it is durable, even where the server's default is otherwise.
    Durable,
    /// Before; what a server that dies loses is done again.
    Unhurried,
}

/// The settings our writes rely on: conditions are checked again after a wait for a row (READ COMMITTED). Every question goes by a
/// key: a plan made while a table was small must not read all of it when it has grown, and planning it anew for
/// each set of values finds nothing better (it took a quarter of the server's time).
fn settings(commit: Commit) -> String {
    let commit = match commit {
        Commit::Durable => {
            "SELECT set_config('synchronous_commit', 'on', false)
               WHERE current_setting('synchronous_commit') = 'off'"
        }
        Commit::Unhurried => "SET synchronous_commit = off",
    };
    format!(
        "SET default_transaction_isolation = 'read committed'; {commit};
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
/// ends in use fails its step, which is then looked after ([`super::step`]).
pub(super) fn pool(address: &PostgresAddress, options: Options) -> Result<Pool, StoreError> {
    connections(address, options.connections_max, options.wait, Commit::Durable)
}

/// Those for what can wait: nobody is kept waiting for an answer meanwhile.
pub(super) fn telling_pool(address: &PostgresAddress) -> Result<Pool, StoreError> {
    connections(address, TELLING_CONNECTIONS, Duration::from_millis(TELLING_WAIT_MS), Commit::Unhurried)
}

fn connections(
    address: &PostgresAddress,
    connections_max: usize,
    wait: Duration,
    commit: Commit,
) -> Result<Pool, StoreError> {
    let config = config_of(address);
    // Asking the server before every use would cost each step a round trip and still prove nothing.
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = if config.get_ssl_mode() == SslMode::Disable {
        Manager::from_config(config, NoTls, recycling)
    } else {
        Manager::from_config(config, tls::connector(address.root_certificates())?, recycling)
    };
    let set = Hook::async_fn(move |client, _| {
        Box::pin(async move { client.batch_execute(&settings(commit)).await.map_err(HookError::Backend) })
    });
    Pool::builder(manager)
        .runtime(Runtime::Tokio1)
        .max_size(connections_max)
        .wait_timeout(Some(wait))
        .create_timeout(Some(Duration::from_millis(CONNECT_TIMEOUT_MS)))
        .recycle_timeout(Some(Duration::from_millis(CONNECT_TIMEOUT_MS)))
        .post_create(set)
        .build()
        .map_err(|why| StoreError::Defect(why.to_string()))
}

/// One connection, as the gateway's are, for a program that measures beside it.
pub async fn connection_to(address: &PostgresAddress) -> Result<Object, StoreError> {
    connection(&pool(address, Options { connections_max: 1, ..Options::default() })?).await
}

/// A connection, or the answer that there is none: at once where so many wait already that one more would wait in
/// vain, else after [`Options::wait`].
pub(super) async fn connection(pool: &Pool) -> Result<Object, StoreError> {
    let Status { waiting, max_size, .. } = pool.status();
    if waiting >= max_size * WAITING_PER_CONNECTION_MAX {
        return Err(all_in_use());
    }
    pool.get().await.map_err(|why| match why {
        PoolError::Timeout(TimeoutType::Wait) => all_in_use(),
        PoolError::Timeout(_) => StoreError::Unavailable(no_answer()),
        PoolError::Backend(why) => broken(&why),
        other => StoreError::Unavailable(postgres_says(&other)),
    })
}

fn all_in_use() -> StoreError {
    StoreError::unavailable("PostgreSQL 的连接已全部占用", "all connections to PostgreSQL are in use")
}

/// Brings the schema up to date, one gateway at a time; refuses a database of another program or of a
/// newer one, and a key that is not the store's, before anything is changed.
pub(super) async fn migrate(client: &mut Client, key: Option<&Key>) -> Result<(), StoreError> {
    let patience = format!(
        "SET statement_timeout = {MIGRATION_TIMEOUT_MS}; SET lock_timeout = {MIGRATION_TIMEOUT_MS};
         SELECT pg_advisory_lock({MIGRATION_LOCK})"
    );
    client.batch_execute(&patience).await.map_err(|why| broken(&why))?;
    let migrated = migrate_locked(client, key).await;
    let done = format!("SELECT pg_advisory_unlock({MIGRATION_LOCK}); {}", settings(Commit::Durable));
    client.batch_execute(&done).await.map_err(|why| broken(&why))?;
    migrated
}

async fn migrate_locked(client: &mut Client, key: Option<&Key>) -> Result<(), StoreError> {
    let sql = "SELECT count(*) FILTER (WHERE relname = 'refinery_schema_history'), count(*),
                 count(*) FILTER (WHERE relname = 'person')
               FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace";
    let row = client.query_one(sql, &[]).await.map_err(|why| broken(&why))?;
    let (ours, tables, people): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    if ours == 0 && tables > 0 {
        return Err(StoreError::Schema(Text::new(
            "其中是其他程序的表",
            "the database holds tables of another program",
        )));
    }
    let has_key = people > 0 && kept_key(client, key).await?.is_some();
    if !has_key && key.is_none() {
        return Err(StoreError::NoKey(None));
    }
    let runner = embedded::migrations::runner();
    let run = runner.run_async(client).await;
    // Its only word for "was migrated by a newer program" is a missing migration.
    run.map(|_| ()).map_err(|why| {
        StoreError::Schema(Text::new(format!("结构升级未成：{why}"), format!("it cannot be migrated: {why}")))
    })
}

/// The store's own data key; absent: the store has none yet.
async fn kept_key(client: &Client, key: Option<&Key>) -> Result<Option<DataKey>, StoreError> {
    let sql = "SELECT wrapped_key FROM person WHERE person_id = $1";
    let row = client.query_opt(sql, &[&Uuid::nil()]).await.map_err(|why| broken(&why))?;
    row.map(|row| proven(row.get(0), key)).transpose()
}

/// Opens the store's own keys, which proves the key file; makes them where the store is new. Two gateways may open a new
/// store at the same moment: one of them names the keys.
pub(super) async fn unlock(client: &Client, key: Option<Key>) -> Result<(Key, DataKey, LookUp), StoreError> {
    let kept = kept_key(client, key.as_ref()).await?;
    let is_new = kept.is_none();
    let key = key.ok_or(StoreError::NoKey(None))?;
    if is_new {
        let (_, wrapped) = key.new_data_key(Uuid::nil())?;
        let sql = "INSERT INTO person (person_id, wrapped_key, has_id_number) VALUES ($1, $2, false)
                   ON CONFLICT DO NOTHING";
        client.execute(sql, &[&Uuid::nil(), &wrapped]).await.map_err(|why| broken(&why))?;
    }
    let own = kept_key(client, Some(&key)).await?.ok_or_else(|| damaged("a key"))?;
    let claims = match kept_claims(client).await? {
        Some(sealed) => sealed,
        None => {
            let sql = "INSERT INTO secret (name, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            let sealed = new_claims(&own, &key, is_new)?;
            client.execute(sql, &[&CLAIMS, &sealed]).await.map_err(|why| broken(&why))?;
            kept_claims(client).await?.ok_or_else(|| damaged("the key of the claims"))?
        }
    };
    let claims = open_claims(&own, &claims)?;
    Ok((key, own, claims))
}

async fn kept_claims(client: &Client) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT sealed FROM secret WHERE name = $1";
    let row = client.query_opt(sql, &[&CLAIMS]).await.map_err(|why| broken(&why))?;
    Ok(row.map(|row| row.get(0)))
}
