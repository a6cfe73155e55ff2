//! A file that is only added to. A line is durable before anybody is told of it; what a dying process or machine left
//! half written at the end is cut off.
//!
//! The first line names the file; every other one is a checksum, a blank and a JSON text, so that a person can read a book
//! with any tool.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use ring::digest;
use serde::Serialize;
use tokio::sync::watch;

use crate::given::hex;

const TITLE: &str = "yizhan book 1\n";
/// Hexadecimal digits of a line's checksum.
const CHECKSUM_CHARS: usize = 16;
/// Lines written at once, under one sync.
const LINES_AT_ONCE_MAX: usize = 1_000;

/// Why a book cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BookError {
    #[error("{path}：无法读写（{why}）| {path}: cannot be read or written: {why}")]
    Unusable { path: PathBuf, why: Arc<io::Error> },
    #[error(
        "{0}：另一进程正在使用；一个账本只能由一个服务使用，请先停止它或换文件 | {0}: another process has it; a book is one service's, so stop that one or take another file"
    )]
    Taken(PathBuf),
    #[error("{0}：不是账本文件，请换文件 | {0}: is no book; take another file")]
    NoBook(PathBuf),
    #[error(
        "{path}：第 {line} 行已损坏，其后仍有完好的记录；请从备份恢复，切勿删改 | {path}: line {line} is damaged and good ones follow it; restore a backup, and change nothing by hand"
    )]
    Damaged { path: PathBuf, line: u64 },
}

/// How many lines were handed over before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position(u64);

#[derive(Debug)]
struct Written {
    position: Position,
    line: Vec<u8>,
}

/// The one that writes. Dropped, it writes what it was handed, and lets go of the file.
#[derive(Debug)]
pub(super) struct Journal {
    handed: Option<Sender<Written>>,
    next: u64,
    writer: Option<JoinHandle<()>>,
}

/// How far the file holds what it was handed.
#[derive(Debug, Clone)]
pub(super) struct Durable(watch::Receiver<Result<Position, BookError>>);

impl Durable {
    pub(super) async fn reached(&self, position: Position) -> Result<(), BookError> {
        let mut durable = self.0.clone();
        let reached = |so_far: &Result<Position, BookError>| match so_far {
            Ok(so_far) => position <= *so_far,
            Err(_) => true,
        };
        // The writer ends with the journal, after everything it was handed.
        let so_far = durable.wait_for(reached).await.map(|so_far| so_far.clone());
        so_far.unwrap_or_else(|_| self.0.borrow().clone()).map(|_| ())
    }
}

impl Journal {
    /// Reads what the file holds, line by line, and makes ready to add to it. `read` says whether a line is a record.
    pub(super) fn open(
        path: &Path,
        read: impl FnMut(&str) -> Option<()>,
    ) -> Result<(Self, Durable), BookError> {
        let unusable = |why: io::Error| BookError::Unusable { path: path.to_owned(), why: Arc::new(why) };
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = options.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BookError::Taken(path.to_owned())),
            Err(TryLockError::Error(why)) => return Err(unusable(why)),
        }
        let good = replay(path, &file, read)?;
        file.set_len(good).and_then(|()| file.seek(SeekFrom::End(0))).map_err(unusable)?;
        if good == 0 {
            file.write_all(TITLE.as_bytes()).map_err(unusable)?;
        }
        file.sync_all().and_then(|()| sync_folder(path)).map_err(unusable)?;
        let (handed, queue) = mpsc::channel();
        let (told, durable) = watch::channel(Ok(Position::default()));
        let place = path.to_owned();
        let writer = std::thread::Builder::new()
            .name("book".to_owned())
            .spawn(move || {
                write(&place, &mut file, &queue, &told);
                // A child that is just being started has the file as well, and would keep the lock beyond its closing.
                let _ = file.unlock();
            })
            .map_err(unusable)?;
        Ok((Self { handed: Some(handed), next: 0, writer: Some(writer) }, Durable(durable)))
    }

    /// Hands a line over. Lines stand in the file in the order in which they were handed over.
    pub(super) fn append(&mut self, records: &impl Serialize) -> Position {
        self.next += 1;
        let position = Position(self.next);
        let text = serde_json::to_string(records).unwrap_or_default();
        let line = format!("{} {text}\n", checksum(&text)).into_bytes();
        // A writer that is gone has said why: whoever waits for the position is told.
        if let Some(handed) = &self.handed {
            let _ = handed.send(Written { position, line });
        }
        position
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.handed.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// A file that was just made is there after a power cut only if its folder says so.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn write(
    path: &Path,
    file: &mut File,
    queue: &Receiver<Written>,
    told: &watch::Sender<Result<Position, BookError>>,
) {
    while let Ok(Written { mut position, line: mut lines }) = queue.recv() {
        for more in queue.try_iter().take(LINES_AT_ONCE_MAX) {
            position = more.position;
            lines.extend_from_slice(&more.line);
        }
        if let Err(why) = file.write_all(&lines).and_then(|()| file.sync_data()) {
            let _ = told.send_replace(Err(BookError::Unusable { path: path.to_owned(), why: Arc::new(why) }));
            return;
        }
        let _ = told.send_replace(Ok(position));
    }
}

fn checksum(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    hex(&digest.as_ref()[..CHECKSUM_CHARS / 2])
}

/// Gives every good line to `read`; answers how many bytes of the file are good.
fn replay(path: &Path, file: &File, mut read: impl FnMut(&str) -> Option<()>) -> Result<u64, BookError> {
    let unusable = |why: io::Error| BookError::Unusable { path: path.to_owned(), why: Arc::new(why) };
    let mut lines = BufReader::new(file);
    let (mut good, mut number, mut damaged) = (0, 0, None);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = lines.read_until(b'\n', &mut line).map_err(unusable)? as u64;
        if length == 0 {
            return Ok(good);
        }
        number += 1;
        if number == 1 {
            // One that broke off in its first line holds nothing.
            if !TITLE.as_bytes().starts_with(&line) {
                return Err(BookError::NoBook(path.to_owned()));
            }
            if line.len() < TITLE.len() {
                return Ok(0);
            }
            good = length;
            continue;
        }
        match (text_of(&line), damaged) {
            (Some(_), Some(line)) => return Err(BookError::Damaged { path: path.to_owned(), line }),
            (Some(text), None) => {
                read(text).ok_or(BookError::Damaged { path: path.to_owned(), line: number })?;
                good += length;
            }
            (None, _) => damaged = damaged.or(Some(number)),
        }
    }
}

/// What a whole line says; absent: it is not as it was written.
fn text_of(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (stated, text) = line.split_at_checked(CHECKSUM_CHARS)?;
    let text = text.strip_prefix(' ')?;
    (stated == checksum(text)).then_some(text)
}
