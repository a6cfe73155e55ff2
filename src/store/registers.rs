//! The port for whole files that people import: roster, catalogue, opening figures.
//!
//! A file counts as a whole or not at all. Settling goes on while it is written; what was known before
//! stays visible until all of it is there.

use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;

use super::StoreError;
use crate::catalogue::CatalogueRow;
use crate::roster::opening::OpeningRow;
use crate::roster::{RosterMode, RosterRow};
use crate::sheet::{Problem, Problems};

/// The rows of a file, each read, or what is wrong with it.
pub type Rows<T> = Box<dyn Iterator<Item = Result<T, Vec<Problem>>> + Send>;

pub type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

pub type Importing<'a> = Pin<Box<dyn Future<Output = Result<Imported, ImportError>> + Send + 'a>>;

/// One file to import.
pub struct Import<T> {
    pub at: Timestamp,
    /// The file's name as people know it, for problems.
    pub file: Arc<str>,
    pub rows: Rows<T>,
    pub progress: OnProgress,
}

/// How far an import is; called from the import's own thread, now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Rows read so far.
    Reading(u64),
    /// People, or items, written so far, of this many.
    Writing(u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    pub rows: u64,
    /// People of a roster, items of a catalogue.
    pub entries: u64,
    /// Number of the file among all that were imported.
    pub generation: i64,
}

/// Why nothing of a file counts.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImportError {
    #[error("{0}")]
    Refused(Problems),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub trait Registers: Send + Sync {
    fn import_roster(&self, import: Import<RosterRow>, mode: RosterMode) -> Importing<'_>;

    /// Later files decide, item by item and scope by scope, from the first day they name.
    fn import_catalogue(&self, import: Import<CatalogueRow>) -> Importing<'_>;

    /// A later file replaces the figures of the people and years it names.
    fn import_openings(&self, import: Import<OpeningRow>) -> Importing<'_>;
}
