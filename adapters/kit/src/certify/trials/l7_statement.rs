//! L7: the day's book says what was done, and nothing else.

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::Money;
use yizhan_contract::payer::StatementLine;
use yizhan_contract::protocol::MALFORMED;
use yizhan_contract::stay::civil_date;

use super::Trial;
use crate::certify::bench::{Bench, Quoted};
use crate::certify::came::Came;
use crate::certify::outcomes::End;
use crate::certify::verdict::{Stop, Verdict};
use crate::given;

const WORKING: &[&str] = &["L0", "L1-01", "L1-07"];
const BOOKED: &[&str] = &["L0", "L1-01", "L1-07", "L7-01"];

/// How far the adapter's clock may be off.
const CLOCK_OFF_MAX: SignedDuration = SignedDuration::from_secs(5);

pub(super) const TRIALS: &[Trial] = &[
    Trial {
        id: "L7-01",
        zh: "每笔支付在当日账中恰有一行，业务号、参考号、支付方与金额相符",
        en: "each commit has one line in the day's book, with its operation, reference, payer and amount",
        clause: "statement",
        after: WORKING,
        check: |bench| Box::pin(holds_every_commit(bench)),
    },
    Trial {
        id: "L7-02",
        zh: "每笔冲正在当日账中恰有一行，金额为负",
        en: "each reversal has one line in the day's book, and its amount is negative",
        clause: "statement",
        after: &["L0", "L1-01", "L1-07", "L1-10", "L7-01"],
        check: |bench| Box::pin(holds_every_reversal(bench)),
    },
    Trial {
        id: "L7-03",
        zh: "被拒绝的与空冲正的业务不在账中",
        en: "what was refused, or had nothing to take back, is not in the book",
        clause: "statement",
        after: &["L0", "L1-01", "L1-07", "L1-08", "L1-14", "L7-01"],
        check: |bench| Box::pin(holds_nothing_else(bench)),
    },
    Trial {
        id: "L7-04",
        zh: "只含所问日期（北京时间）的行",
        en: "only lines of the day that was asked for (Asia/Shanghai)",
        clause: "statement",
        after: BOOKED,
        check: |bench| Box::pin(keeps_days_apart(bench)),
    },
    Trial {
        id: "L7-06",
        zh: "日期无效得到 400 malformed",
        en: "a day that is none gets 400 malformed",
        clause: "statement",
        after: WORKING,
        check: |bench| Box::pin(refuses_no_day(bench)),
    },
];

/// What has to stand in the book for an operation, payer by payer; what moved nothing has no line.
fn expected(id: &str, end: &End, is_reversal: bool) -> Vec<(String, String, String, Money)> {
    let End::Done { amounts, reference } = end else { return Vec::new() };
    let line = |(payer, amount): &(yizhan_contract::PayerCode, Money)| {
        let amount = if is_reversal { -*amount } else { *amount };
        (id.to_owned(), reference.clone(), payer.to_string(), amount)
    };
    let mut lines: Vec<_> = amounts.iter().filter(|(_, amount)| !amount.is_zero()).map(line).collect();
    lines.sort();
    lines
}

fn of(lines: &[StatementLine], id: &str) -> Vec<(String, String, String, Money)> {
    let of_it = lines.iter().filter(|line| line.operation_id == id && !line.amount.is_zero());
    let mut lines: Vec<_> = of_it
        .map(|line| (id.to_owned(), line.reference.clone(), line.payer.to_string(), line.amount))
        .collect();
    lines.sort();
    lines
}

/// Names what breaks: missing, twice, another amount, another reference.
fn stands(came: &Came, lines: &[StatementLine], id: &str, end: &End, is_reversal: bool) -> Verdict {
    let (stands, should) = (of(lines, id), expected(id, end, is_reversal));
    let written = |lines: &[(String, String, String, Money)]| {
        let line = |(_, reference, payer, amount): &(String, String, String, Money)| {
            format!("{reference} {payer} {amount}")
        };
        lines.iter().map(line).collect::<Vec<_>>().join("; ")
    };
    came.holds(
        stands == should,
        format!("业务 {id} 的行：{}；账中为：{}", written(&should), written(&stands)),
        format!("lines of operation {id}: {}; the book has: {}", written(&should), written(&stands)),
    )
}

async fn commits(bench: &Bench, count: usize) -> Result<Vec<(String, Quoted, End)>, Stop> {
    let mut made = Vec::new();
    for _ in 0..count {
        made.push(bench.committed().await?);
    }
    Ok(made)
}

async fn holds_every_commit(bench: &Bench) -> Verdict {
    let from = given::now();
    let made = commits(bench, 3).await?;
    let (lines, came) = bench.our_lines().await?;
    for (id, _, end) in &made {
        stands(&came, &lines, id, end, false)?;
    }
    let to = given::now();
    let is_then =
        |at: Timestamp| -CLOCK_OFF_MAX < at.duration_since(from) && at.duration_since(to) < CLOCK_OFF_MAX;
    let mut ours = lines.iter().filter(|line| made.iter().any(|(id, _, _)| *id == line.operation_id));
    came.holds(
        ours.all(|line| is_then(line.at)),
        "at 为记账时刻（时钟误差不超过 5 秒）",
        "at is when it was written (clocks differ by less than 5 s)",
    )?;
    for (id, quoted, _) in &made {
        bench.give_back(id, quoted).await?;
    }
    Ok(())
}

async fn holds_every_reversal(bench: &Bench) -> Verdict {
    bench.reversible()?;
    let (commit, quoted, committed) = bench.committed().await?;
    let reversal = bench.id("reverse");
    let (reversed, _) = bench.reverse(&reversal, &commit, &quoted).await?;
    let (lines, came) = bench.our_lines().await?;
    stands(&came, &lines, &commit, &committed, false)?;
    stands(&came, &lines, &reversal, &reversed, true)
}

async fn holds_nothing_else(bench: &Bench) -> Verdict {
    let mut quoted = bench.quote_some(&bench.data.people.covered, None).await?;
    let never = bench.id("never");
    let empty = bench.id("reverse");
    if bench.manifest().reverse_window_s.is_some() {
        let _ = bench.reverse(&empty, &never, &quoted).await?;
    }
    let of_another_sum = bench.id("commit");
    let _ = bench.commit(&of_another_sum, &quoted.off_by(Money::FEN)).await?;
    quoted.id = bench.id("no-quote");
    let of_no_quote = bench.id("commit");
    let _ = bench.commit(&of_no_quote, &quoted).await?;
    let (lines, came) = bench.our_lines().await?;
    let moved = |id: &String| !of(&lines, id).is_empty();
    came.holds(
        ![never, empty, of_another_sum, of_no_quote].iter().any(moved),
        "没有被拒绝的或空冲正的业务",
        "no line of what was refused or had nothing to take back",
    )
}

async fn keeps_days_apart(bench: &Bench) -> Verdict {
    let (id, quoted, _) = bench.committed().await?;
    let today = civil_date(given::now());
    for day in [today.yesterday(), today.tomorrow()].into_iter().flatten() {
        let (lines, came) = bench.statement(day).await?;
        let strays = lines.iter().any(|line| civil_date(line.at) != day || line.operation_id == id);
        came.holds(!strays, format!("只有 {day} 的行"), format!("lines of {day} alone"))?;
    }
    bench.give_back(&id, &quoted).await
}

async fn refuses_no_day(bench: &Bench) -> Verdict {
    bench.caller.get("/v1/statement?day=2020-02-30").await.is_problem(400, MALFORMED)?;
    bench.caller.get("/v1/statement").await.is_problem(400, MALFORMED)
}
