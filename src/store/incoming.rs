//! Files on their way in, up to the point where a store writes them: read whole, checked whole.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;
use yizhan_contract::Text;

use super::StoreError;
use super::person::Hashed;
use super::registers::{ImportError, OnProgress, Progress, Rows};
use super::seal::random;
use super::spill::{PARTS, Spill, SpilledRow};
use super::vault::Vault;
use crate::catalogue::{CATALOGUE_ROWS_MAX, CatalogueRow, overlaps};
use crate::sheet::{Problem, Problems};

/// Rows between two calls of the progress callback.
const ROWS_PER_PROGRESS: u64 = 20_000;

/// Files are imported one after the other.
pub(super) fn another_import() -> StoreError {
    StoreError::unavailable("另一个文件正在导入", "another file is being imported")
}

/// A file on its way in: its rows count once it is made visible.
pub(super) struct Generation {
    pub(super) number: i64,
    pub(super) at: Timestamp,
}

/// What a file is for.
#[derive(Clone, Copy)]
pub(super) enum Register {
    Roster,
    Catalogue,
    Accumulators,
}

impl Register {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Roster => "roster",
            Self::Catalogue => "catalogue",
            Self::Accumulators => "accumulators",
        }
    }
}

impl From<io::Error> for ImportError {
    fn from(why: io::Error) -> Self {
        Self::Store(StoreError::unavailable(
            format!("导入所用的临时文件无法使用：{why}"),
            format!("the temporary file of an import cannot be used: {why}"),
        ))
    }
}

/// The rows of a file about people, brought together by person.
pub(super) struct Gathered {
    pub(super) spill: Spill,
    pub(super) rows: u64,
    pub(super) people: u64,
}

/// Reads the whole file and checks it, person by person.
pub(super) fn gather<T: SpilledRow>(
    vault: &Vault,
    file: Arc<str>,
    rows: Rows<T>,
    progress: &OnProgress,
    problems_of: impl Fn(Vec<T>) -> Vec<Problem>,
) -> Result<Gathered, ImportError> {
    let mut gathered = Gathered { spill: Spill::new()?, rows: 0, people: 0 };
    let mut problems = Problems::none(file);
    for row in rows {
        gathered.rows += 1;
        match row {
            Ok(row) => {
                let hash = Hashed::id_number(&vault.key, row.id_number().as_str()).hash;
                gathered.spill.push(&hash, &row)?;
            }
            Err(found) => problems.add(found),
        }
        if problems.is_full() {
            break;
        }
        if gathered.rows.is_multiple_of(ROWS_PER_PROGRESS) {
            progress(Progress::Reading(gathered.rows));
        }
    }
    progress(Progress::Reading(gathered.rows));
    for part in 0..PARTS {
        let people = &mut gathered.people;
        gathered.spill.for_each_person::<T, ImportError>(part, |_, rows| {
            *people += 1;
            problems.add(problems_of(rows));
            Ok(())
        })?;
    }
    if problems.is_empty() { Ok(gathered) } else { Err(ImportError::Refused(problems.sorted())) }
}

/// Person ids that sort in the order of an import, so that its rows lie side by side: instant, count,
/// 48 random bits. They say nothing of the person.
pub(super) struct InOrder {
    first: Uuid,
    count: u32,
}

impl InOrder {
    pub(super) fn after(first: Uuid) -> Self {
        Self { first, count: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Uuid, StoreError> {
        let mut bytes = self.first.into_bytes();
        let [high, middle, low, last] = self.count.to_be_bytes();
        // 26 bits of the count go where a UUIDv7 has random bits, around its variant.
        bytes[6] = 0x70 | ((high << 2) | (middle >> 6)) & 0x0f;
        bytes[7] = (middle << 2) | (low >> 6);
        bytes[8] = 0x80 | (low & 0x3f);
        bytes[9] = last;
        random(&mut bytes[10..])?;
        self.count = self.count.wrapping_add(1);
        Ok(Uuid::from_bytes(bytes))
    }
}

/// Reads a catalogue whole (it is small) and checks it.
pub(super) fn checked_catalogue(
    file: Arc<str>,
    rows: impl Iterator<Item = Result<CatalogueRow, Vec<Problem>>>,
    progress: &dyn Fn(Progress),
) -> Result<Vec<CatalogueRow>, ImportError> {
    let mut problems = Problems::none(file);
    let mut read = Vec::new();
    for row in rows {
        match row {
            Ok(row) if read.len() == CATALOGUE_ROWS_MAX => {
                problems.add([beyond(row.line)]);
                break;
            }
            Ok(row) => read.push(row),
            Err(found) => problems.add(found),
        }
        if problems.is_full() {
            break;
        }
    }
    progress(Progress::Reading(read.len() as u64));
    problems.add(overlaps(&read));
    if problems.is_empty() { Ok(read) } else { Err(ImportError::Refused(problems.sorted())) }
}

fn beyond(line: u64) -> Problem {
    let text = Text::new(
        format!("一个文件最多 {CATALOGUE_ROWS_MAX} 行，请拆分后依次导入"),
        format!("a file holds at most {CATALOGUE_ROWS_MAX} rows; split it and import the parts"),
    );
    Problem::at(line, "", text)
}
