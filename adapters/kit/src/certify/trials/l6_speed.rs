//! L6: as fast as the manifest promises, at the pace it promises, for a minute.

use std::sync::Mutex;
use std::sync::PoisonError;

use futures_util::future::join_all;
use tokio::time::Instant;
use yizhan_contract::Text;
use yizhan_contract::payer::{Performed, QuoteAnswer};

use super::Trial;
use crate::certify::bench::{Bench, Quoted};
use crate::certify::came::Came;
use crate::certify::verdict::{Verdict, failed, not_run};
use crate::certify::visits::{Stay, noted};

const WORKING: &[&str] = &["L0", "L1-01", "L1-02", "L1-07"];
/// Callers at once, whatever the manifest allows.
const CALLERS_MAX: u16 = 64;
/// 95 of 100.
const OF_TWENTY: usize = 19;

pub(super) const TRIALS: &[Trial] = &[
    Trial {
        id: "L6-01",
        zh: "持续负载下，95% 的试算在 quote_p95_ms 之内",
        en: "under load 95 of 100 quotes are answered within quote_p95_ms",
        clause: "speed",
        after: WORKING,
        check: |bench| Box::pin(quotes_in_time(bench)),
    },
    Trial {
        id: "L6-02",
        zh: "持续负载下，95% 的支付在 commit_p95_ms 之内",
        en: "under load 95 of 100 commits are answered within commit_p95_ms",
        clause: "speed",
        after: WORKING,
        check: |bench| Box::pin(commits_in_time(bench)),
    },
    Trial {
        id: "L6-03",
        zh: "持续负载下，每个请求都得到应答，没有繁忙",
        en: "under load every request is answered, and none is told to come again",
        clause: "speed",
        after: WORKING,
        check: |bench| Box::pin(answers_everything(bench)),
    },
];

/// What came of the load.
#[derive(Debug, Default)]
pub(in crate::certify) struct Loaded {
    quotes: Vec<u64>,
    commits: Vec<u64>,
    /// The first request that was not answered as it should have been, and how many were not.
    unanswered: Option<Came>,
    unanswered_count: usize,
}

impl Loaded {
    fn missed(&mut self, came: Came) {
        self.unanswered_count += 1;
        self.unanswered.get_or_insert(came);
    }
}

/// As many as the adapter allows, within reason.
pub(super) fn callers(bench: &Bench) -> u16 {
    bench.manifest().concurrency_max.clamp(1, CALLERS_MAX)
}

/// One more stay; absent: something of it was not answered as it should have been.
pub(super) async fn stay_given_back(bench: &Bench) -> Option<()> {
    let seen = Mutex::default();
    stay(bench, &seen).await;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    seen.unanswered.is_none().then_some(())
}

/// Loads the adapter once, whichever trial asks first.
async fn loaded(bench: &Bench) -> &Loaded {
    bench.loaded.get_or_init(|| load(bench)).await
}

async fn load(bench: &Bench) -> Loaded {
    let until = Instant::now() + bench.load;
    let seen = Mutex::new(Loaded::default());
    let calling = (0..callers(bench)).map(|_| async {
        loop {
            stay(bench, &seen).await;
            if until <= Instant::now() {
                return;
            }
        }
    });
    join_all(calling).await;
    seen.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// One stay: quoted, committed, given back.
async fn stay(bench: &Bench, seen: &Mutex<Loaded>) {
    let see = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    let (person, most) = (&bench.data.people.covered, Bench::small(0));
    let mut stay = Stay::of(bench.id("stay"));
    for event in bench.events(person, &stay.id) {
        let came = bench.caller.post_once("/v1/visit", &stay.telling(&event)).await;
        let Ok(memo) = noted(&came) else { return see().missed(came) };
        stay.memo = memo;
    }
    let asked = bench.ask(person, &stay, &bench.manifest().serves, most);
    let came = bench.caller.post_once("/v1/quote", &asked).await;
    let Ok(QuoteAnswer::Quote(quote)) = came.answer() else { return see().missed(came) };
    see().quotes.push(came.0.micros);
    let (id, amounts, valid_until) = (quote.id, quote.amounts, quote.valid_until);
    let most = most.unwrap_or(bench.data.total);
    let quoted = Quoted { id, stay: stay.id, amounts, most, valid_until, came };
    let commit = bench.id("load");
    let came = bench.caller.post_once("/v1/commit", &bench.commit_body(&commit, &quoted)).await;
    match came.answer() {
        Ok(Performed::Committed { amounts, .. }) => {
            bench.moved(&commit, &amounts);
            bench.wrote(&commit, amounts.iter().map(|(_, amount)| *amount).sum());
        }
        Ok(Performed::Unknown { .. }) => {}
        Ok(Performed::Refused { .. }) | Err(_) => return see().missed(came),
    }
    see().commits.push(came.0.micros);
    if bench.give_back(&commit, &quoted).await.is_err() {
        see().missed(quoted.came);
    }
}

fn p95(micros: &[u64]) -> Option<u64> {
    let mut sorted = micros.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() * OF_TWENTY).div_ceil(OF_TWENTY + 1).checked_sub(1)?).copied()
}

fn in_time(micros: &[u64], promised_ms: u32) -> Verdict {
    let Some(p95) = p95(micros) else {
        return not_run("没有可计量的应答", "nothing was answered that could be measured");
    };
    if p95 <= u64::from(promised_ms) * 1_000 {
        return Ok(());
    }
    let count = micros.len();
    failed(
        Text::new(format!("不超过 {promised_ms} ms"), format!("no more than {promised_ms} ms")),
        Text::new(format!("{} ms（{count} 次）", p95 / 1_000), format!("{} ms, of {count}", p95 / 1_000)),
        None,
    )
}

async fn quotes_in_time(bench: &Bench) -> Verdict {
    in_time(&loaded(bench).await.quotes, bench.manifest().quote_p95_ms)
}

async fn commits_in_time(bench: &Bench) -> Verdict {
    in_time(&loaded(bench).await.commits, bench.manifest().commit_p95_ms)
}

async fn answers_everything(bench: &Bench) -> Verdict {
    let loaded = loaded(bench).await;
    match &loaded.unanswered {
        None => Ok(()),
        Some(came) => came.is_not(
            format!("全部得到应答（{} 次没有）", loaded.unanswered_count),
            format!("every request answered; {} were not", loaded.unanswered_count),
        ),
    }
}
