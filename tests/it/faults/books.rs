//! A payer's books on disk: what came to it, one line each, on the disk before the payer answers. What a payer
//! has done is these lines and nothing else, whoever of its clerks dies.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use yizhan_contract::payer::{Operation, OperationKind, Performed, Status};

use crate::simulation::books::{Amounts, Books};

/// An operation that came, and what was to be done of it; absent: it was refused.
#[derive(Serialize, Deserialize)]
struct Arrival {
    operation: Operation,
    amounts: Option<Amounts>,
}

/// Shared by every process that speaks for the payer: each looks first at what the others wrote.
pub(crate) struct FileBooks(Mutex<Opened>);

struct Opened {
    file: File,
    read_to: u64,
    books: Books,
}

/// A quote is known by its stay.
pub(crate) fn quote_id(stay: &str, nth: u64) -> String {
    format!("{stay}/{nth}")
}

impl FileBooks {
    pub(crate) fn open(path: &Path, is_idempotent: bool) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let books = Books { is_idempotent, ..Books::default() };
        Ok(Self(Mutex::new(Opened { file, read_to: 0, books })))
    }

    /// Done, or refused, and written down.
    pub(crate) fn arrive(&self, operation: Operation, amounts: Option<Amounts>) -> io::Result<Performed> {
        self.alone(|opened| {
            let arrival = Arrival { operation, amounts };
            opened.write(&arrival)?;
            Ok(apply(&mut opened.books, &arrival))
        })
    }

    pub(crate) fn status(&self, id: &str) -> io::Result<Status> {
        self.alone(|opened| Ok(opened.books.status(id)))
    }

    /// What they say now.
    pub(crate) fn read(&self) -> io::Result<Books> {
        self.alone(|opened| Ok(opened.books.clone()))
    }

    fn alone<T>(&self, work: impl FnOnce(&mut Opened) -> io::Result<T>) -> io::Result<T> {
        let mut opened = self.0.lock().unwrap();
        opened.file.lock()?;
        let done = opened.catch_up().and_then(|()| work(&mut opened));
        opened.file.unlock()?;
        done
    }
}

impl Opened {
    /// Reads what others wrote meanwhile; half a line is nobody's.
    fn catch_up(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.read_to))?;
        let mut text = String::new();
        self.file.read_to_string(&mut text)?;
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            apply(&mut self.books, &serde_json::from_str(line)?);
            self.read_to += line.len() as u64;
        }
        Ok(())
    }

    fn write(&mut self, arrival: &Arrival) -> io::Result<()> {
        let line = serde_json::to_string(arrival)? + "\n";
        self.file.set_len(self.read_to)?;
        self.file.seek(SeekFrom::Start(self.read_to))?;
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.read_to += line.len() as u64;
        Ok(())
    }
}

fn apply(books: &mut Books, Arrival { operation, amounts }: &Arrival) -> Performed {
    if let Some(quote) = &operation.quote_id {
        let stay = quote.split('/').next().unwrap_or_default();
        books.quotes.insert(quote.clone(), stay.into());
    }
    match &operation.kind {
        OperationKind::Commit => books.commit(operation, amounts.clone()),
        OperationKind::Reverse { original, .. } => books.reverse(operation, original, false),
    }
}
