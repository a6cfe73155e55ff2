//! Every payer of an illness asked over TLS, each taking its own 20 to 80 ms for a quote and for a commit, all quotes firm.
//!
//! Goal, for each settlement from its receipt to its bill: at most the sum of its quotes, its slowest commit, two bare
//! durable commits of the same disk in the same turn, and 5 ms. Quotes and commits count as they were measured at the
//! payers, so that the way there and back, coverage and everything else is the gateway's.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use yizhan::runtime::steady;

use crate::figures::{median, milliseconds, quantile, spread, verdict};
use crate::hospitals::{Client, LINYI, People, id_number};
use crate::house::{self, Adapter, House};
use crate::insurers::Insurers;

const TURNS: usize = 5;
const LASTING: Duration = Duration::from_secs(6);
const WARM_UP: Duration = Duration::from_secs(2);
const BARE_COMMITS: usize = 200;
const CLIENTS: [usize; 2] = [1, 8];
const LIMIT_US: i64 = 5_000;
const PAYERS: [(&str, u64); 5] = [
    ("basic", 20),
    ("critical_illness", 35),
    ("medical_assistance", 50),
    ("provider_waiver", 65),
    ("supplementary", 80),
];

/// What one settlement took, all in µs.
struct Settled {
    wall: i64,
    quotes: i64,
    slowest_commit: i64,
    asked: usize,
    committed: usize,
}

#[derive(Default)]
struct Seen {
    walls: Vec<i64>,
    above_p50: Vec<i64>,
    above_p95: Vec<i64>,
    settled: Vec<Settled>,
}

pub(crate) fn measure(store: Option<&str>) {
    let (folder, insurers) = (house::folder(), Insurers::new(house::folder()));
    let adapters = PAYERS.map(|(payer, ms)| {
        let (address, manifest) = insurers.begin(payer, Duration::from_millis(ms));
        Adapter { payer, port: address.port(), mode: "mode = \"primary\"", manifest }
    });
    let house = House::open(folder.path(), store, insurers.certificates(), &adapters);
    let (client, people) = (Client::new(&house.http), People::default());
    let bare = Bare::open(folder.path(), store);
    settle(&client, &people, &insurers, (8, WARM_UP));
    let (mut commits, mut seen) = (Vec::new(), CLIENTS.map(|_| Seen::default()));
    for _ in 0..TURNS {
        let commit = median(&bare.commits());
        commits.push(commit);
        for (clients, seen) in CLIENTS.iter().zip(&mut seen) {
            seen.add(settle(&client, &people, &insurers, (*clients, LASTING)), commit);
        }
    }
    house.close();
    println!("{TURNS} turns of {LASTING:?}; ms, median (lowest to highest)");
    println!("one bare durable commit {}", spread(&commits));
    for (clients, seen) in CLIENTS.iter().zip(&seen) {
        seen.tell(*clients);
    }
}

/// Each client sends again as soon as it has its bill.
fn settle(
    client: &Client,
    people: &People,
    insurers: &Insurers,
    (clients, lasting): (usize, Duration),
) -> Vec<Settled> {
    let (begun, settled) = (steady(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while steady().duration_since(begun) < lasting {
                    let (person, sent) = (people.next(), steady());
                    assert!(client.is_settled(LINYI, person, 60), "not settled");
                    let wall = us_since(sent);
                    let took = insurers.took(&id_number(person));
                    assert!(0 < took.commits, "settled without its payers");
                    settled.lock().unwrap().push(Settled {
                        wall,
                        quotes: took.quotes_us,
                        slowest_commit: took.slowest_commit_us,
                        asked: took.quotes,
                        committed: took.commits,
                    });
                }
            });
        }
    });
    settled.into_inner().unwrap()
}

fn us_since(begun: Instant) -> i64 {
    i64::try_from(steady().duration_since(begun).as_micros()).unwrap()
}

impl Seen {
    fn add(&mut self, settled: Vec<Settled>, commit: i64) {
        let above = |one: &Settled| one.wall - one.quotes - one.slowest_commit - 2 * commit;
        let above: Vec<i64> = settled.iter().map(above).collect();
        let walls: Vec<i64> = settled.iter().map(|one| one.wall).collect();
        self.walls.push(median(&walls));
        self.above_p50.push(quantile(&above, 50));
        self.above_p95.push(quantile(&above, 95));
        self.settled.extend(settled);
    }

    fn tell(&self, clients: usize) {
        let of = |count: fn(&Settled) -> usize| {
            let counts: Vec<i64> =
                self.settled.iter().map(|one| i64::try_from(count(one)).unwrap()).collect();
            (quantile(&counts, 0), quantile(&counts, 100))
        };
        let ((least_asked, asked), (least_committed, committed)) =
            (of(|one| one.asked), of(|one| one.committed));
        println!(
            "{clients} at a time: {} settlements, {least_asked} to {asked} quotes and {least_committed} to {committed} \
             commits each, wall {}",
            self.settled.len(),
            spread(&self.walls)
        );
        for (name, above) in [("p50", &self.above_p50), ("p95", &self.above_p95)] {
            println!(
                "    above quotes, slowest commit and two bare commits, {name}: {} (goal ≤ {}): {}",
                spread(above),
                milliseconds(LIMIT_US),
                verdict(median(above) <= LIMIT_US)
            );
        }
    }
}

/// One row, one durable commit, where the gateway keeps its store.
enum Bare {
    File(rusqlite::Connection),
    Postgres(tokio::runtime::Runtime, tokio_postgres::Client),
}

impl Bare {
    fn open(folder: &Path, store: Option<&str>) -> Self {
        let table = "CREATE TABLE bare (a INTEGER)";
        let Some(store) = store else {
            let file = rusqlite::Connection::open(folder.join("bare.db")).unwrap();
            let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
            file.execute_batch(&format!("{pragmas}{table}")).unwrap();
            return Self::File(file);
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(store, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            // A table of the session's own would be no durable one.
            client.batch_execute(&format!("DROP TABLE IF EXISTS bare; {table}")).await.unwrap();
            client
        });
        Self::Postgres(runtime, client)
    }

    /// µs of each.
    fn commits(&self) -> Vec<i64> {
        match self {
            Self::File(file) => {
                let mut insert = file.prepare("INSERT INTO bare VALUES (1)").unwrap();
                let one = |_| {
                    let begun = steady();
                    insert.execute([]).unwrap();
                    us_since(begun)
                };
                (0..BARE_COMMITS).map(one).collect()
            }
            Self::Postgres(runtime, client) => runtime.block_on(async {
                let insert = client.prepare("INSERT INTO bare VALUES (1)").await.unwrap();
                let mut times = Vec::new();
                for _ in 0..BARE_COMMITS {
                    let begun = steady();
                    client.execute(&insert, &[]).await.unwrap();
                    times.push(us_since(begun));
                }
                times
            }),
        }
    }
}
