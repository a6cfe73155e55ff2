//! Files that people import: cases as data, and what happens around them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use yizhan::catalogue::CatalogueFile;
use yizhan::roster::opening::OpeningFile;
use yizhan::roster::{RosterFile, RosterMode};
use yizhan::sheet::{Problem, Problems};
use yizhan::store::registers::{Import, ImportError, Imported, OnProgress, Progress};
use yizhan::store::seal::Key;
use yizhan::store::{AccumulatorMove, Changes, Decide, Pot};
use yizhan_contract::person::RosterEntry;

use crate::stays::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    files: Vec<CaseFile>,
    /// Before the last file: person, day, and `settled` or `reversed`. A settlement of 100.00 by basic.
    #[serde(default)]
    settled: Vec<[String; 3]>,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    register: String,
    /// Present: a snapshot.
    as_of: Option<String>,
    encoding: Option<String>,
    #[serde(default)]
    text: String,
    path: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Expected {
    problems: Vec<String>,
    holds: Vec<Vec<String>>,
    names: Vec<[String; 3]>,
    unknown: Vec<String>,
    items: Vec<Vec<String>>,
    years: Vec<Vec<String>>,
}

pub(crate) fn quiet() -> OnProgress {
    Arc::new(|_| {})
}

fn import<T>(
    rows: Result<impl Iterator<Item = Result<T, Vec<Problem>>> + Send + 'static, Vec<Problem>>,
    progress: OnProgress,
) -> Result<Import<T>, ImportError> {
    let mut problems = Problems::none("file".into());
    let rows = rows.map_err(|found| {
        problems.add(found);
        ImportError::Refused(problems)
    })?;
    Ok(Import { at: now(), file: "file".into(), rows: Box::new(rows), progress })
}

pub(crate) async fn import_roster(
    store: &dyn Ports,
    path: &Path,
    as_of: Option<&str>,
    progress: OnProgress,
) -> Result<Imported, ImportError> {
    let mode = as_of.map_or(RosterMode::Delta, |as_of| RosterMode::Snapshot { as_of: day(as_of) });
    store.import_roster(import(RosterFile::open(path), progress)?, mode).await
}

async fn import_file(store: &dyn Ports, directory: &Path, file: &CaseFile) -> Result<Imported, ImportError> {
    let path = match &file.path {
        Some(name) => Path::new("tests/cases/imports").join(name),
        None => written(directory, file),
    };
    match file.register.as_str() {
        "roster" => import_roster(store, &path, file.as_of.as_deref(), quiet()).await,
        "catalogue" => store.import_catalogue(import(CatalogueFile::open(&path), quiet())?).await,
        "accumulators" => store.import_openings(import(OpeningFile::open(&path), quiet())?).await,
        other => panic!("no register {other}"),
    }
}

fn written(directory: &Path, file: &CaseFile) -> PathBuf {
    let path = directory.join("file.csv");
    let bytes = match file.encoding.as_deref() {
        Some("gb18030") => encoding_rs::GB18030.encode(&file.text).0.into_owned(),
        Some("bom") => [b"\xef\xbb\xbf", file.text.as_bytes()].concat(),
        _ => file.text.clone().into_bytes(),
    };
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(crate) async fn entry(store: &dyn Ports, person: &str) -> RosterEntry {
    store.person(vec![id_number(person)]).await.unwrap().unwrap().roster.unwrap()
}

/// Settles a stay of somebody, and takes it back.
async fn settle(store: &dyn Ports, person: &str, on: &str, takes_back: bool) {
    let settlement = new_id(1);
    let versions: &[(u32, &'static str, i32, &str)] = if takes_back {
        &[(1, "settled", 1, "100.00"), (2, "reversed", -1, "-100.00")]
    } else {
        &[(1, "settled", 1, "100.00")]
    };
    for &(version, state, admissions, paid) in versions {
        let (number, on, paid) = (person.to_owned(), on.to_owned(), paid.to_owned());
        let decide: Decide = Box::new(move |facts| {
            let stay = stay_write(&facts, &number, None, "stay");
            let bill = bill(settlement, stay.stay_id, version, state, &on);
            let owed = postings(&bill);
            let payers = vec![("basic".parse().unwrap(), used("0.00", &paid))];
            Some(Changes {
                stay: Some(stay),
                postings: if version == 1 { owed } else { mirrored(&owed) },
                bill: Some(bill),
                accumulators: vec![AccumulatorMove { pot: Pot::Settled, year: 2020, admissions, payers }],
                ..Changes::default()
            })
        });
        let id = format!("{settlement} {version}");
        store.step(step(&id, visit(person, None), vec![id_number(person)], decide)).await.unwrap();
    }
}

async fn check(store: &dyn Ports, case: &Case) {
    let (name, expect) = (&case.name, &case.expect);
    let directory = tempfile::tempdir().unwrap();
    let (last, before) = case.files.split_last().unwrap();
    for file in before {
        import_file(store, directory.path(), file).await.unwrap();
    }
    for [person, on, state] in &case.settled {
        settle(store, person, on, state == "reversed").await;
    }
    match import_file(store, directory.path(), last).await {
        Err(ImportError::Refused(problems)) => {
            let said = problems.to_string();
            let (problems, next) = said.rsplit_once('\n').unwrap();
            assert_eq!(problems.lines().collect::<Vec<_>>(), expect.problems, "{name}");
            assert!(
                next.contains("请更正后重新导入") && next.contains("import all of it again"),
                "{name}: {next}"
            );
        }
        outcome => assert!(expect.problems.is_empty() && outcome.is_ok(), "{name}: {outcome:?}"),
    }
    for line in &expect.holds {
        let entry = entry(store, &line[0]).await;
        let on = day(&line[1]);
        let mut held: Vec<&str> = entry.categories_on(on).chain(entry.covers_on(on)).collect();
        held.sort_unstable();
        assert_eq!(held, line[2..], "{name}: {} on {on}", line[0]);
    }
    for [person, spelt, region] in &expect.names {
        let facts = store.person(vec![id_number(person)]).await.unwrap().unwrap();
        assert_eq!(facts.roster_name.unwrap().reveal(), spelt, "{name}");
        assert_eq!(facts.roster.unwrap().region.as_ref(), Some(region), "{name}");
    }
    for person in &expect.unknown {
        assert!(store.person(vec![id_number(person)]).await.unwrap().is_none(), "{name}: {person}");
    }
    for line in &expect.items {
        let [hospital, region, on, code] = [0, 1, 2, 3].map(|at| line[at].as_str());
        let found =
            store.items(hospital.into(), region.into(), day(on), vec![code.to_owned()]).await.unwrap();
        let said = found[0].as_ref().map(|item| {
            let word = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let class = word(item.class.map(|class| class.to_string()));
            format!(
                "{class} {} {}",
                word(item.upfront_ratio.map(|r| r.to_string())),
                word(item.ceiling.map(|c| c.to_string()))
            )
        });
        assert_eq!(said.as_ref(), line.get(4), "{name}: {line:?}");
    }
    for line in &expect.years {
        let facts = store.person(vec![id_number(&line[0])]).await.unwrap().unwrap();
        let year = &facts.years[&line[1].parse().unwrap()];
        let payers = year.payers.iter().map(|(payer, used)| format!("{payer} {} {}", used.base, used.paid));
        let said: Vec<_> = std::iter::once(format!("{} admissions", year.admissions)).chain(payers).collect();
        assert_eq!(said, line[2..], "{name}");
    }
}

#[tokio::test]
async fn imports_as_data() {
    let cases: Cases = toml::from_str(&std::fs::read_to_string("tests/cases/imports.toml").unwrap()).unwrap();
    for mut case in cases.case {
        // In the case file a text begins on a line of its own.
        for file in &mut case.files {
            file.text = file.text.trim_start().to_owned();
        }
        each_store(async |store| check(store, &case).await).await;
    }
}

#[tokio::test]
async fn a_row_that_never_ends_is_not_read_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roster.csv");
    let mut text =
        String::from("id_number,name,region,kind,code,from,to\n371323195001010015,\"王小明,371323\n");
    text.extend(std::iter::repeat_n(
        "371323195001020029,李红,371323,category,low_income,2020-01-01,\n",
        40_000,
    ));
    std::fs::write(&path, text).unwrap();
    let store = yizhan::store::sqlite::Sqlite::in_memory(Arc::new(yizhan::runtime::RandomIds)).unwrap();
    let refused = import_roster(&store, &path, None, quiet()).await.unwrap_err().to_string();
    assert!(refused.starts_with("file:2: 一行超过 1024 KiB"), "{refused}");
}

/// How many rows of a table each of both stores keeps after files came in one after the other.
async fn kept_after(files: &[(&str, &str)], table: &str) -> [i64; 2] {
    let directory = tempfile::tempdir().unwrap();
    let bring = async |store: &dyn Ports| {
        for (register, text) in files {
            let file = CaseFile {
                register: (*register).to_owned(),
                as_of: None,
                encoding: None,
                text: (*text).to_owned(),
                path: None,
            };
            import_file(store, directory.path(), &file).await.unwrap();
        }
    };
    let path = directory.path().join("store.db");
    let store = open(&path, Key::ephemeral().unwrap()).unwrap();
    bring(&store).await;
    store.close().await;
    let sql = format!("SELECT count(*) FROM {table}");
    let in_file = rusqlite::Connection::open(&path).unwrap().query_row(&sql, [], |row| row.get(0)).unwrap();
    let cluster = crate::cluster::shared();
    let name = cluster.database().await;
    bring(&open_postgres(&cluster.address(&name), Key::ephemeral().unwrap()).await.unwrap()).await;
    [in_file, cluster.client(&name).await.query_one(&sql, &[]).await.unwrap().get(0)]
}

#[tokio::test]
async fn what_later_files_say_again_is_not_kept_for_ever() {
    let head = "scope,code,name,class,category,upfront_ratio,ceiling,from,to\n";
    let of = |rows: &str| format!("{head}{rows}");
    let first =
        of("37,D1,a,A,x,,,2020-01-01,2020-06-30\n37,D1,a,A,x,,,2020-07-01,\n37,D2,b,A,x,,,2020-01-01,\n");
    // The days of D1 before July stay what they were; D2 is said again from its first day on.
    let second = of("37,D1,a,B,x,0.1,,2020-07-01,\n37,D2,b,C,x,,,2020-01-01,\n");
    let (first, second) = (("catalogue", first.as_str()), ("catalogue", second.as_str()));
    assert_eq!(kept_after(&[first], "catalogue").await, [3, 3]);
    assert_eq!(kept_after(&[first, second], "catalogue").await, [3, 3]);

    let figures = |paid: &str| {
        format!(
            "id_number,payer,year,base,paid,admissions,as_of\n{WANG},basic,2020,0,{paid},2,2020-06-30\n{WANG},accident,2020,0,1.00,2,2020-06-30\n"
        )
    };
    let files: Vec<String> = ["1.00", "2.00", "3.00", "4.00"].map(figures).into();
    let files: Vec<_> = files.iter().map(|text| ("accumulators", text.as_str())).collect();
    // The one that counts, and the one that counted until it did.
    assert_eq!(kept_after(&files, "opening").await, [4, 4]);
}

/// A number of the right form for each count.
pub(crate) fn numbered(count: u32) -> String {
    let seventeen = format!("37132319500101{:03}", count % 1000);
    let region = 371_300 + count / 1000;
    let seventeen = format!("{region}{}", &seventeen[6..]);
    "0123456789X"
        .chars()
        .map(|last| format!("{seventeen}{last}"))
        .find(|text| text.parse::<yizhan_contract::IdNumber>().is_ok())
        .unwrap()
}

pub(crate) fn roster_of(path: &Path, people: u32, code: &str) {
    let mut text = String::from("id_number,name,region,kind,code,from,to\n");
    for count in 0..people {
        text += &format!("{},王小明,371323,category,{code},2020-01-01,2020-12-31\n", numbered(count));
    }
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn no_more_than_fifty_problems_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roster.csv");
    roster_of(&path, 60, "LOW");
    each_store(async |store| {
        let refused = import_roster(store, &path, None, quiet()).await.unwrap_err().to_string();
        let lines: Vec<&str> = refused.lines().collect();
        assert_eq!(lines.len(), 52);
        assert!(lines[50].ends_with("| … and more: only the first 50 are listed"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn an_import_that_broke_off_leaves_the_old_roster_visible() {
    let directory = tempfile::tempdir().unwrap();
    let (path, file) = (directory.path().join("store.db"), directory.path().join("roster.csv"));
    let store = open(&path, Key::ephemeral().unwrap()).unwrap();
    roster_of(&file, 3, "low_income");
    import_roster(&store, &file, Some("2020-01-01"), quiet()).await.unwrap();
    roster_of(&file, 9000, "extreme_poverty");
    let breaking: OnProgress = Arc::new(|progress| {
        if let Progress::Writing(..) = progress {
            panic!("the machine stops");
        }
    });
    assert!(import_roster(&store, &file, Some("2020-06-01"), breaking).await.is_err());
    let held =
        |entry: RosterEntry| entry.categories_on(day("2020-07-01")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(held(entry(&store, &numbered(0)).await), ["low_income"]);

    roster_of(&file, 2, "extreme_poverty");
    import_roster(&store, &file, Some("2020-06-01"), quiet()).await.unwrap();
    assert_eq!(held(entry(&store, &numbered(0)).await), ["extreme_poverty"]);
    assert!(held(entry(&store, &numbered(2)).await).is_empty());
    store.close().await;
    let left: i64 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM roster", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 5, "what was left behind is cleared: three old rows and two new ones");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settling_goes_on_while_a_roster_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let (path, file) = (directory.path().join("store.db"), directory.path().join("roster.csv"));
    let store = Arc::new(open(&path, Key::ephemeral().unwrap()).unwrap());
    roster_of(&file, 9000, "low_income");
    let (settling, handle) = (Arc::clone(&store), tokio::runtime::Handle::current());
    let person = numbered(77);
    let same = person.clone();
    // The step meets a person of the file before the file's own rows of them are written.
    let between: OnProgress = Arc::new(move |progress| {
        use yizhan::store::Store as _;
        if let Progress::Reading(9000) = progress {
            let step = step("1", visit("ZY1", None), vec![id_number(&same)], keep("ZY1", None, "stay"));
            handle.block_on(settling.step(step)).unwrap();
            let seen = handle.block_on(settling.person(vec![id_number(&same)])).unwrap().unwrap();
            assert!(seen.roster.is_none());
        }
    });
    let imported = import_roster(&*store, &file, Some("2020-01-01"), between).await.unwrap();
    assert_eq!((imported.rows, imported.entries), (9000, 9000));
    assert_eq!(entry(&*store, &person).await.entitlements.len(), 1);
}
