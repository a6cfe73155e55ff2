//! Opening a store: the lock, the settings of a connection, migrations, the key.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;
use yizhan_contract::Text;

use super::super::StoreError;
use super::super::person::damaged;
use super::super::seal::{DataKey, Key, LookUp};
use super::super::vault::{self, CLAIMS};

mod embedded {
    refinery::embed_migrations!("schemas/sql/sqlite");
}

/// `PRAGMA application_id` of our files: "yzhn".
const APPLICATION_ID: i32 = 0x797a_686e;
/// The page cache of one connection, KiB.
const WRITER_CACHE_KIB: i32 = 48 * 1024;
const READER_CACHE_KIB: i32 = 8 * 1024;
const BUSY_TIMEOUT_MS: u64 = 2000;
const STATEMENTS_CACHED: usize = 96;
/// Pages of the write-ahead log before the writer moves them into the file: 16 MiB.
const CHECKPOINT_PAGES: i32 = 4096;

/// Held as long as a gateway serves a file; the operating system lets go of it with the process.
#[derive(Debug)]
pub(super) struct StoreLock(#[expect(dead_code, reason = "held, not read: closing it frees the lock")] File);

impl StoreLock {
    /// Locks a file of its own beside the store: SQLite's own locks would be lost if we opened the store's
    /// file a second time and closed it again.
    pub(super) fn take(store: &Path) -> Result<Self, StoreError> {
        let zh = "另一个网关正在使用；SQLite 数据库只供一个网关使用，请先停止前者";
        let en = "another gateway serves it; a SQLite store serves exactly one, so stop that first";
        Self::take_named(store, "-lock", &Text::new(zh, en))
    }

    /// For a tool that works beside a gateway: one at a time, and none of them serves.
    pub(super) fn take_beside(store: &Path) -> Result<Self, StoreError> {
        let zh = "另一条命令正在使用，请等它结束";
        let en = "another command works on it; wait for that to end";
        Self::take_named(store, "-tool-lock", &Text::new(zh, en))
    }

    fn take_named(store: &Path, ending: &str, taken: &Text) -> Result<Self, StoreError> {
        let path = beside(store, ending);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|why| unavailable(&path, &why))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                let store = store.display();
                let (zh, en) = (format!("{store} {}", taken.zh), format!("{store} is taken: {}", taken.en));
                Err(StoreError::Taken(Text::new(zh, en)))
            }
            Err(TryLockError::Error(why)) => Err(unavailable(&path, &why)),
        }
    }
}

/// A file that the operating system or SQLite does not let us use.
pub(super) fn unavailable(path: &Path, why: &dyn std::fmt::Display) -> StoreError {
    let path = path.display();
    StoreError::unavailable(
        format!("{path} 无法使用，系统报告：{why}"),
        format!("{path} cannot be used, says the system: {why}"),
    )
}

pub(super) fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The connection that writes. `file_bytes_max`: the store says it is full beyond this.
pub(super) fn writing(connection: &Connection, file_bytes_max: Option<u64>) -> Result<(), StoreError> {
    connection.busy_handler(Some(wait_for_the_lock))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // A commit is durable when it returns, on macOS as well (F_FULLFSYNC).
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = 1;
         PRAGMA checkpoint_fullfsync = 1; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA cache_size = -{WRITER_CACHE_KIB};",
    ))?;
    if let Some(bytes) = file_bytes_max {
        let page: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = bytes / u64::from(page.max(1));
        connection.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
    }
    Ok(())
}

/// SQLite's own waiting looks less and less often, and would miss the moments in which a command lets the lock lie
/// ([`super::manners`]).
fn wait_for_the_lock(looks: i32) -> bool {
    let is_patient = u64::try_from(looks).is_ok_and(|looks| looks < BUSY_TIMEOUT_MS);
    if is_patient {
        std::thread::sleep(Duration::from_millis(1));
    }
    is_patient
}

pub(super) fn reading(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.execute_batch(&format!(
        "PRAGMA query_only = 1; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{READER_CACHE_KIB};"
    ))
}

/// Refuses a new store without a key, before a file is made.
pub(super) fn need_key(path: &Path, key: Option<&Key>) -> Result<(), StoreError> {
    let is_there = std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
    if is_there || key.is_some() { Ok(()) } else { Err(StoreError::NoKey(None)) }
}

/// Refuses a file of another program, and a key that is not the file's, before anything is changed in it.
pub(super) fn check(connection: &Connection, key: Option<&Key>) -> Result<(), StoreError> {
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && id != APPLICATION_ID {
        return Err(StoreError::Schema(Text::new(
            "该文件是其他程序的数据库",
            "the file is a database of another program",
        )));
    }
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'person'";
    let people: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if people > 0 && proven(connection, key)?.is_some() {
        return Ok(());
    }
    key.map(|_| ()).ok_or(StoreError::NoKey(None))
}

/// Brings the schema up to date; refuses a file of a newer program.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    connection.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
    let runner = embedded::migrations::runner();
    runner.run(connection).map(|_| ()).map_err(|why| {
        // The only word it has for "was migrated by a newer program" is a missing migration.
        StoreError::Schema(Text::new(format!("结构升级未成：{why}"), format!("it cannot be migrated: {why}")))
    })
}

/// Checks a file without changing it: ours, and of no newer schema than this program's.
pub(super) fn check_schema(connection: &Connection) -> Result<(), StoreError> {
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id != APPLICATION_ID {
        return Err(StoreError::Schema(Text::new("该文件不是一站的数据库", "the file is no yizhan store")));
    }
    let newest: i64 =
        connection.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))?;
    let runner = embedded::migrations::runner();
    let known = runner.get_migrations().iter().map(|one| i64::from(one.version())).max().unwrap_or_default();
    if newest > known {
        return Err(StoreError::Schema(Text::new(
            format!("其版本为 {newest}，本程序只认识到 {known}"),
            format!("it has version {newest}, this program knows {known}"),
        )));
    }
    Ok(())
}

/// Opens the store's own keys, which proves the key file; makes them where the store is new.
pub(super) fn unlock(
    connection: &Connection,
    key: Option<Key>,
) -> Result<(Key, DataKey, LookUp), StoreError> {
    let proof = proven(connection, key.as_ref())?;
    let is_new = proof.is_none();
    let key = key.ok_or(StoreError::NoKey(None))?;
    let own = match proof {
        Some(own) => own,
        None => {
            let (own, wrapped) = key.new_data_key(Uuid::nil())?;
            let sql = "INSERT INTO person (person_id, wrapped_key, has_id_number) VALUES (?1, ?2, 0)";
            connection.execute(sql, params![Uuid::nil().into_bytes(), wrapped])?;
            own
        }
    };
    let kept = || {
        let sql = "SELECT sealed FROM secret WHERE name = ?1";
        connection.query_row(sql, [CLAIMS], |row| row.get::<_, Vec<u8>>(0)).optional()
    };
    if kept()?.is_none() {
        // A command may do the same beside a gateway: one of them names the key.
        let sql = "INSERT INTO secret (name, sealed) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        connection.execute(sql, params![CLAIMS, vault::new_claims(&own, &key, is_new)?])?;
    }
    let sealed = kept()?.ok_or_else(|| damaged("the key of the claims"))?;
    let claims = vault::open_claims(&own, &sealed)?;
    Ok((key, own, claims))
}

/// The store's own data key; absent: the store has none yet.
pub(super) fn proven(connection: &Connection, key: Option<&Key>) -> Result<Option<DataKey>, StoreError> {
    let wrapped: Option<Vec<u8>> = connection
        .query_row(
            "SELECT wrapped_key FROM person WHERE person_id = ?1",
            params![Uuid::nil().into_bytes()],
            |row| row.get(0),
        )
        .optional()?;
    wrapped.map(|wrapped| vault::proven(&wrapped, key)).transpose()
}
