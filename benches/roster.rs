//! A province's roster, 2,013,800 people: import time and memory, alone.
//!
//! `cargo bench --bench roster [-- PEOPLE]`. The file is generated first and is not part of the time.
//! Memory is the peak of the whole process (`VmHWM`, Linux).
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, ended by any failure")]

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use yizhan::roster::{RosterFile, RosterMode};
use yizhan::runtime::{Clock as _, RandomIds, SystemClock};
use yizhan::store::registers::{Import, Registers as _};
use yizhan::store::seal::Key;
use yizhan::store::sqlite::{Options, Sqlite};

/// 建档立卡 population of the provincial plan.
const PEOPLE: u32 = 2_013_800;
/// Birth dates of the generated people.
const DAYS: u32 = 28 * 12 * 60;

fn main() {
    let people = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(PEOPLE);
    let directory = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let file = directory.path().join("roster.csv");
    generate(&file, people);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let path = directory.path().join("store.db");
    let key = Key::ephemeral().unwrap();
    let store = Sqlite::open(&path, Some(key), Arc::new(RandomIds), Options::default()).unwrap();
    for (round, as_of) in [("first import", "2020-01-01"), ("next snapshot", "2020-07-01")] {
        let begun = SystemClock.now();
        let import = Import {
            at: begun,
            file: "roster.csv".into(),
            rows: Box::new(RosterFile::open(&file).unwrap()),
            progress: Arc::new(|_| {}),
        };
        let mode = RosterMode::Snapshot { as_of: as_of.parse().unwrap() };
        let imported = runtime.block_on(store.import_roster(import, mode)).unwrap();
        let took = SystemClock.now().duration_since(begun);
        println!(
            "{round}: {} people in {}.{:01} s, peak {} MiB, store {} MiB",
            imported.entries,
            took.as_secs(),
            took.subsec_millis() / 100,
            peak_mib(),
            std::fs::metadata(&path).unwrap().len() / 1024 / 1024
        );
    }
    runtime.block_on(store.close());
}

/// People in no order of their numbers, as lists of a bureau are.
fn generate(path: &Path, people: u32) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(file, "id_number,name,region,kind,code,from,to").unwrap();
    let step = 1_000_003_u64;
    for count in 0..u64::from(people) {
        let number = (count * step % u64::from(people)) as u32;
        let (day, rest) = (number % DAYS, number / DAYS);
        let (year, month, date) = (1940 + day / 336, day / 28 % 12 + 1, day % 28 + 1);
        let seventeen = format!("{}{year}{month:02}{date:02}{:03}", 371_300 + rest % 20, rest / 20);
        let check = check_character(&seventeen);
        writeln!(
            file,
            "{seventeen}{check},王小明,371323,category,entitled_out_of_poverty,2019-12-31,2020-12-31"
        )
        .unwrap();
    }
    file.flush().unwrap();
}

/// GB 11643-1999 §4.
fn check_character(digits: &str) -> char {
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits.bytes().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    char::from(b"10X98765432"[(sum % 11) as usize])
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
