//! Files on their way in, up to the point where a store writes them: read whole, checked whole.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;
use yizhan_contract::Text;
use yizhan_contract::stay::civil_date;

use super::StoreError;
use super::person::Hashed;
use super::registers::{ImportError, OnProgress, Progress, Rows};
use super::seal::random;
use super::spill::{KeyedHash, PARTS, Spill, SpilledRow};
use super::vault::Vault;
use crate::catalogue::{CATALOGUE_ROWS_MAX, CatalogueRow, overlaps};
use crate::roster::RosterRow;
use crate::roster::opening::{self, OpeningRow};
use crate::roster::person::person_of;
use crate::sheet::{Problem, Problems};

/// Rows between two calls of the progress callback.
const ROWS_PER_PROGRESS: u64 = 20_000;

/// What one file about people may hold.
#[derive(Clone, Copy)]
struct Limits {
    rows: u64,
    /// Of the temporary file.
    bytes: u64,
}

/// Five rows for each of four million people, and then some.
const LIMITS: Limits = Limits { rows: 20_000_000, bytes: 8 << 30 };

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

/// One person's rows, under the hash of their number.
type OfPerson<T> = (KeyedHash, Vec<T>);

/// Reads a roster file whole and checks it.
pub(super) fn gather_roster(
    vault: &Vault,
    file: Arc<str>,
    rows: Rows<RosterRow>,
    progress: &OnProgress,
) -> Result<Gathered, ImportError> {
    gather(vault, file, rows, progress, LIMITS, |people: Vec<OfPerson<RosterRow>>| {
        Ok(people.into_iter().flat_map(|(_, rows)| person_of(rows).err().unwrap_or_default()).collect())
    })
}

/// The first day of a standing settlement, by the hash of a person's number and benefit year.
pub(super) type FirstDays = Vec<(KeyedHash, i16, Date)>;

/// Reads a file of opening figures whole and checks it, also against what was settled here: `settled` looks that up.
pub(super) fn gather_openings(
    vault: &Vault,
    at: Timestamp,
    file: Arc<str>,
    rows: Rows<OpeningRow>,
    progress: &OnProgress,
    settled: impl Fn(Vec<KeyedHash>) -> Result<FirstDays, StoreError>,
) -> Result<Gathered, ImportError> {
    let today = civil_date(at);
    gather(vault, file, rows, progress, LIMITS, |people: Vec<OfPerson<OpeningRow>>| {
        let mut first: HashMap<KeyedHash, BTreeMap<i16, Date>> = HashMap::new();
        for (hash, year, day) in settled(people.iter().map(|(hash, _)| *hash).collect())? {
            first.entry(hash).or_default().insert(year, day);
        }
        let none = BTreeMap::new();
        let of = |(hash, rows): &OfPerson<OpeningRow>| {
            opening::problems_of(rows, today, first.get(hash).unwrap_or(&none))
        };
        Ok(people.iter().flat_map(of).collect())
    })
}

/// Reads the whole file and checks it, some people at a time.
fn gather<T: SpilledRow>(
    vault: &Vault,
    file: Arc<str>,
    rows: Rows<T>,
    progress: &OnProgress,
    limits: Limits,
    problems_of: impl Fn(Vec<OfPerson<T>>) -> Result<Vec<Problem>, StoreError>,
) -> Result<Gathered, ImportError> {
    let mut gathered = Gathered { spill: Spill::new()?, rows: 0, people: 0 };
    let mut problems = Problems::none(file);
    for row in rows {
        gathered.rows += 1;
        match row {
            Ok(row) if gathered.rows > limits.rows || gathered.spill.bytes() > limits.bytes => {
                problems.add([too_much(row.line(), limits)]);
                break;
            }
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
        let mut people: Vec<OfPerson<T>> = Vec::new();
        gathered.spill.for_each_person::<T, ImportError>(part, |hash, rows| {
            people.push((hash, rows));
            Ok(())
        })?;
        gathered.people += people.len() as u64;
        problems.add(problems_of(people)?);
    }
    if problems.is_empty() { Ok(gathered) } else { Err(ImportError::Refused(problems.sorted())) }
}

fn too_much(line: u64, Limits { rows, bytes }: Limits) -> Problem {
    let gib = bytes >> 30;
    let text = Text::new(
        format!("一个文件最多 {rows} 行，约 {gib} GiB，请拆分后依次导入（名册请用 --mode delta）"),
        format!(
            "a file holds at most {rows} rows, about {gib} GiB; split it and import the parts (a roster by --mode delta)"
        ),
    );
    Problem::at(line, "", text)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::RandomIds;
    use crate::store::seal::{Key, LookUp};

    fn row(line: u64) -> Result<OpeningRow, Vec<Problem>> {
        let text = format!("{line}");
        Ok(OpeningRow {
            line,
            id_number: yizhan_contract::Personal::new("371323195001010015".parse().unwrap()),
            payer: format!("payer_{text}").parse().unwrap(),
            year: 2020,
            used: yizhan_contract::Used::default(),
            admissions: 1,
            as_of: jiff::civil::date(2020, 6, 30),
        })
    }

    #[test]
    fn a_file_beyond_the_limits_is_refused_at_the_first_row_too_many() {
        let key = Key::ephemeral().unwrap();
        let (own, _) = key.new_data_key(Uuid::nil()).unwrap();
        let claims = LookUp::under(&[0; 32]);
        let vault = Vault { key, own, claims, ids: Arc::new(RandomIds) };
        let quiet: OnProgress = Arc::new(|_| {});
        let refused_at = |limits| {
            let rows: Rows<OpeningRow> = Box::new((1..=9).map(row));
            match gather(&vault, "file".into(), rows, &quiet, limits, |_| Ok(Vec::new())) {
                Err(ImportError::Refused(problems)) => problems.list.first().map(|problem| problem.line),
                outcome => panic!("{:?}", outcome.map(|gathered| gathered.rows)),
            }
        };
        assert_eq!(refused_at(Limits { rows: 5, ..LIMITS }), Some(6));
        assert_eq!(refused_at(Limits { bytes: 0, ..LIMITS }), Some(2));
    }
}
