//! Backups while serving, and restoring one.

use std::io::ErrorKind;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use yizhan_contract::Text;

use super::super::StoreError;
use super::super::person::damaged;
use super::super::seal::Key;
use super::Sqlite;
use super::open::{StoreLock, beside, check_schema, proven, unavailable};

/// What SQLite keeps beside a file that was not closed, and plays into the file of that name when it is next opened.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Pages copied between two calls of the progress callback.
const PAGES_PER_STEP: i32 = 1024;

/// Pages copied, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyProgress {
    pub done: u64,
    pub of: u64,
}

impl Sqlite {
    /// Copies the store as it is at this moment into one file, which must not exist yet, and proves that the
    /// copy opens with this store's key. Steps go on meanwhile.
    pub async fn backup(
        &self,
        to: &Path,
        progress: impl FnMut(CopyProgress) + Send + 'static,
    ) -> Result<(), StoreError> {
        let (to, key) = (to.to_owned(), self.vault.key.clone());
        let Some(from) = self.path.clone() else {
            return self.writer.run(move |connection, _| copy(connection, &to, &key, progress)).await;
        };
        let work = move || {
            let source = Connection::open(from)?;
            // One read transaction for the whole copy: it stays as of now, whatever is written meanwhile.
            source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
            copy(&source, &to, &key, progress)
        };
        let joined = tokio::task::spawn_blocking(work).await;
        joined.map_err(|why| StoreError::Defect(format!("the backup broke off: {why}")))?
    }
}

/// Puts a backup in the place of a store that is absent or empty; blocks. The key must be the backup's and
/// its schema one that this program knows.
pub fn restore(
    from: &Path,
    to: &Path,
    key: Option<&Key>,
    progress: impl FnMut(CopyProgress),
) -> Result<(), StoreError> {
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|why| unavailable(from, &why))?;
    check_schema(&source)?;
    let proof = proven(&source, key)?;
    let key = key.filter(|_| proof.is_some()).ok_or_else(|| damaged("the backup holds no key"))?;
    let _lock = StoreLock::take(to)?;
    if std::fs::metadata(to).is_ok_and(|file| file.len() > 0) {
        let to = to.display();
        return Err(StoreError::Taken(Text::new(
            format!("{to} 已有数据库，备份只能恢复到空位置，请换一个文件名"),
            format!(
                "{to} holds a store already; a backup is restored into an empty place only, so choose another name"
            ),
        )));
    }
    if std::fs::exists(to).map_err(|why| unavailable(to, &why))? {
        std::fs::remove_file(to).map_err(|why| unavailable(to, &why))?;
    }
    copy(&source, to, key, progress)
}

/// Copies under another name, proves the copy, then gives it its own name: a copy that exists is whole.
fn copy(
    source: &Connection,
    to: &Path,
    key: &Key,
    progress: impl FnMut(CopyProgress),
) -> Result<(), StoreError> {
    if std::fs::exists(to).map_err(|why| unavailable(to, &why))? {
        let to = to.display();
        return Err(StoreError::Taken(Text::new(
            format!("{to} 已经存在，请换一个文件名"),
            format!("{to} exists already; choose another name"),
        )));
    }
    for log in LOGS.map(|ending| beside(to, ending)) {
        // SQLite would play it into the copy. It may hold what was acknowledged last, so it is not ours to remove.
        if std::fs::exists(&log).map_err(|why| unavailable(&log, &why))? {
            return Err(StoreError::Taken(left_behind(&log)));
        }
    }
    let partial = beside(to, "-partial");
    for leftover in [partial.clone()].into_iter().chain(LOGS.map(|ending| beside(&partial, ending))) {
        match std::fs::remove_file(&leftover) {
            Err(why) if why.kind() != ErrorKind::NotFound => return Err(unavailable(&leftover, &why)),
            _ => {}
        }
    }
    let mut target = Connection::open(&partial).map_err(|why| unavailable(&partial, &why))?;
    fill(source, &mut target, progress)?;
    // A single file, without a log beside it.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    let state: String = target.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if state != "ok" {
        return Err(damaged(&state));
    }
    check_schema(&target)?;
    proven(&target, Some(key))?.ok_or_else(|| damaged("the copy holds no key"))?;
    target.close().map_err(|(_, why)| StoreError::from(why))?;
    let renamed = std::fs::File::open(&partial)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&partial, to))
        .and_then(|()| sync_directory(to));
    renamed.map_err(|why| unavailable(to, &why))
}

fn left_behind(log: &Path) -> Text {
    let log = log.display();
    Text::new(
        format!("{log} 是先前数据库留下的日志，请与那个数据库文件一并移走，或换一个文件名"),
        format!(
            "{log} is the log of a store that was here before; move it to where that store went, or choose another name"
        ),
    )
}

fn fill(
    source: &Connection,
    target: &mut Connection,
    mut progress: impl FnMut(CopyProgress),
) -> Result<(), StoreError> {
    let backup = Backup::new(source, target)?;
    loop {
        let step = backup.step(PAGES_PER_STEP)?;
        let pages = backup.progress();
        let of = u64::from(pages.pagecount.unsigned_abs());
        progress(CopyProgress { done: of - u64::from(pages.remaining.unsigned_abs()), of });
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => return Err(StoreError::unavailable("数据库被锁定", "the store is locked")),
        }
    }
}

/// A new name is durable when its directory is.
fn sync_directory(file: &Path) -> std::io::Result<()> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    std::fs::File::open(directory.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all())
}
