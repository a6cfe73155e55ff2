//! Two hospitals at one gateway: one whose basic insurance is asked of a payer over TLS, and one whose is not. A turn has
//! one part for each state of that payer's line, so that whatever else the machine does meets all of them.
//!
//! Goal: a payer that is slow or dead moves the p95 of settlements that do not need it by less than a tenth, or by less
//! than 1 ms, whichever is more; median of five turns.

use std::sync::Mutex;
use std::time::Duration;

use yizhan::runtime::steady;

use crate::figures::{median, milliseconds, quantile, spread, verdict};
use crate::hospitals::{Client, Hospital, LINYI, Pace, People, YISHUI, open_loop};
use crate::house::{self, Adapter, House};
use crate::insurers::Insurers;
use crate::line::{Line, State};

const TURNS: usize = 5;
const LASTING: Duration = Duration::from_secs(6);
const WARM_UP: Duration = Duration::from_secs(3);
const BESIDE: Pace = Pace { per_second: 100, clients: 16, lasting: LASTING };
const NEEDING: Pace = Pace { per_second: 20, clients: 4, lasting: LASTING };
const STATES: [State; 4] = [State::Sound, State::Slow, State::Cut, State::Silent];
const LEAST_LIMIT_US: i64 = 1_000;
/// Once the line is sound again, every stay that needs the payer is settled within this.
const DRAINED_WITHIN: Duration = Duration::from_secs(90);

struct Bench<'b> {
    client: Client,
    people: People,
    line: &'b Line,
    insurers: &'b Insurers,
}

/// What one part of a turn saw.
struct Seen {
    /// µs, of settlements that do not need the payer.
    beside: Vec<i64>,
    /// µs until stays that need it were taken in.
    needing: Vec<i64>,
    /// Those that its payer committed before the part was over.
    committed: usize,
}

pub(crate) fn measure(store: Option<&str>) {
    let (folder, insurers) = (house::folder(), Insurers::new(house::folder()));
    let (payer, manifest) = insurers.begin("basic", Duration::ZERO);
    let line = insurers.runtime.block_on(Line::to(payer));
    let mode = "mode = \"canary\"\ncanary = [\"H37132301\"]";
    let adapter = Adapter { payer: "basic", port: line.port, mode, manifest };
    let house = House::open(folder.path(), store, insurers.certificates(), &[adapter]);
    let (client, people) = (Client::new(&house.http), People::default());
    let bench = Bench { client, people, line: &line, insurers: &insurers };
    bench.part(State::Sound, WARM_UP);
    let mut seen: [Vec<Seen>; STATES.len()] = Default::default();
    for _ in 0..TURNS {
        for (state, parts) in STATES.iter().zip(&mut seen) {
            parts.push(bench.part(*state, LASTING));
        }
    }
    house.close();
    tell(&seen);
}

impl Bench<'_> {
    /// Both hospitals send while the line is in this state; then it is sound, and all that waited is settled.
    fn part(&self, state: State, lasting: Duration) -> Seen {
        let (before, waiting) = (self.insurers.commits(), Mutex::new(Vec::new()));
        self.line.put(state);
        let begun = steady();
        let send = |of: Hospital, wait_s| {
            let person = self.people.next();
            (person, self.client.is_settled(of, person, wait_s))
        };
        let (beside, needing) = std::thread::scope(|scope| {
            let beside = scope.spawn(|| {
                open_loop(Pace { lasting, ..BESIDE }, begun, || assert!(send(LINYI, 60).1, "not settled"))
            });
            let needing = scope.spawn(|| {
                open_loop(Pace { lasting, ..NEEDING }, begun, || {
                    waiting.lock().unwrap().push(send(YISHUI, 0).0)
                })
            });
            (beside.join().unwrap(), needing.join().unwrap())
        });
        let committed = self.insurers.commits() - before;
        assert!(state != State::Sound || 0 < committed, "settled without its payer");
        self.line.put(State::Sound);
        self.drain(&waiting.into_inner().unwrap());
        Seen { beside, needing, committed }
    }

    fn drain(&self, waiting: &[u64]) {
        let begun = steady();
        for person in waiting {
            while !self.client.is_settled(YISHUI, *person, 10) {
                assert!(steady().duration_since(begun) < DRAINED_WITHIN, "a stay still waits for its payer");
            }
        }
    }
}

fn tell(seen: &[Vec<Seen>; STATES.len()]) {
    let p95s = |of: fn(&Seen) -> &Vec<i64>, parts: &[Seen]| -> Vec<i64> {
        parts.iter().map(|part| quantile(of(part), 95)).collect()
    };
    let beside = seen.each_ref().map(|parts| p95s(|part| &part.beside, parts));
    let [sound, ..] = &beside;
    let limit = (median(sound) / 10).max(LEAST_LIMIT_US);
    println!(
        "{TURNS} turns of {LASTING:?}: {}/s that do not need the payer, {}/s that do; ms, median (lowest to highest)",
        BESIDE.per_second, NEEDING.per_second
    );
    for ((state, parts), p95) in STATES.iter().zip(seen).zip(&beside) {
        let p50: Vec<i64> = parts.iter().map(|part| quantile(&part.beside, 50)).collect();
        let committed: Vec<usize> = parts.iter().map(|part| part.committed).collect();
        println!(
            "{state:?}: not needing it p50 {}, p95 {}; needing it, until taken in p95 {}, committed at once {committed:?}",
            spread(&p50),
            spread(p95),
            spread(&p95s(|part| &part.needing, parts)),
        );
        let moved: Vec<i64> = p95.iter().zip(sound).map(|(p95, sound)| p95 - sound).collect();
        if *state != State::Sound {
            println!(
                "    p95 moved by {} (goal < {}): {}",
                spread(&moved),
                milliseconds(limit),
                verdict(median(&moved) < limit)
            );
        }
    }
}
