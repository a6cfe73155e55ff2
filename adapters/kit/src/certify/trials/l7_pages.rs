//! L7: the day's book in pages, once there are lines enough for more than one of them.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use yizhan_contract::payer::StatementLine;
use yizhan_contract::protocol::{STATEMENT_LINES_MAX, Statement};
use yizhan_contract::stay::civil_date;

use super::{Trial, l6_speed};
use crate::certify::bench::Bench;
use crate::certify::came::Came;
use crate::certify::verdict::{Stop, Verdict, not_run};
use crate::given;

/// Stays are made for a second page where there is none, and no longer than this: patience with a slow adapter.
const FILLED_FOR: Duration = Duration::from_secs(300);

/// Made last, when the book is as long as it gets. What is booked twice, or was refused, is told by its own trial.
pub(super) const TRIALS: &[Trial] = &[Trial {
    id: "L7-05",
    zh: "按记账顺序排列，每页不超过 1000 行，翻页不重不漏",
    en: "in the order of writing, at most 1000 lines on a page; over all pages no line is there twice and none is missing",
    clause: "statement",
    after: &["L0", "L1-01", "L1-02", "L1-07", "L2-02", "L2-06", "L2-07", "L2-09", "L7-01", "L7-03", "L7-04"],
    check: |bench| Box::pin(comes_in_pages(bench)),
}];

async fn comes_in_pages(bench: &Bench) -> Verdict {
    let (page, came) = first_page(bench).await?;
    came.holds(
        page.lines.len() <= STATEMENT_LINES_MAX,
        "一页不超过 1000 行",
        "at most 1000 lines on a page",
    )?;
    came.holds(page.day == civil_date(given::now()), "day 为所问日期", "the day that was asked for")?;
    if page.next.is_none() {
        fills(bench, page.lines.len()).await;
    }
    let (page, _) = first_page(bench).await?;
    let (lines, came) = pages(bench).await?;
    let in_order = lines.windows(2).all(|pair| pair[0].at <= pair[1].at);
    came.holds(in_order, "按记账时刻排列", "lines in the order they were written")?;
    let mut seen = HashSet::new();
    let once = lines.iter().all(|line| seen.insert((&line.operation_id, &line.payer, &line.reference)));
    came.holds(once, "没有重复的行", "no line twice")?;
    let there: HashSet<&str> = lines.iter().map(|line| line.operation_id.as_str()).collect();
    if let Some(missing) = bench.written().iter().find(|id| !there.contains(id.as_str())) {
        return came.is_not(
            format!("各页合计含本次评测的全部业务，缺 {missing}"),
            format!("on all pages together, every operation of this run; {missing} is missing"),
        );
    }
    if page.next.is_some() {
        return Ok(());
    }
    let count = lines.len();
    not_run(
        format!("当日账只有一页（{count} 行），翻页未能评测"),
        format!("the day's book has one page ({count} lines), so that no second one was seen"),
    )
}

async fn first_page(bench: &Bench) -> Result<(Statement, Came), Stop> {
    let today = civil_date(given::now());
    let came = bench.caller.get(&format!("/v1/statement?day={today}")).await;
    Ok((came.answer()?, came))
}

/// All pages of the days of this run.
async fn pages(bench: &Bench) -> Result<(Vec<StatementLine>, Came), Stop> {
    let (first, last) = (civil_date(bench.began), civil_date(given::now()));
    let (mut lines, mut came) = bench.statement(first).await?;
    if first != last {
        let (more, last) = bench.statement(last).await?;
        lines.extend(more);
        came = last;
    }
    Ok((lines, came))
}

/// Stays, each committed and given back, until the book is longer than a page may be.
async fn fills(bench: &Bench, lines: usize) {
    let until = Instant::now() + FILLED_FOR;
    let of_stay = if bench.manifest().reverse_window_s.is_some() { 2 } else { 1 };
    let stays = (STATEMENT_LINES_MAX + 1).saturating_sub(lines).div_ceil(of_stay);
    let callers = usize::from(l6_speed::callers(bench)).min(stays);
    let making = (0..callers).map(|caller| async move {
        for _ in (caller..stays).step_by(callers) {
            if until <= Instant::now() || l6_speed::stay_given_back(bench).await.is_none() {
                return;
            }
        }
    });
    join_all(making).await;
}
