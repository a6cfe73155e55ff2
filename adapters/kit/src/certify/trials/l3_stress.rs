//! L3: much at once for one person.

use std::collections::HashSet;

use futures_util::future::join_all;
use yizhan_contract::{Money, PayerCode};

use super::Trial;
use crate::certify::bench::{Bench, Quoted};
use crate::certify::came::Came;
use crate::certify::data::TestPerson;
use crate::certify::outcomes::End;
use crate::certify::verdict::{Stop, Verdict, not_applicable, not_run};

/// Commits that want three tenths of what is left, each.
const RACERS: usize = 10;
const PAIRS: usize = 20;
const STAYS: usize = 25;

const WORKING: &[&str] = &["L0", "L1-01", "L1-02", "L1-07", "L1-10"];
const BOOKED: &[&str] = &["L0", "L1-01", "L1-02", "L1-07", "L7-01", "L7-02"];

pub(super) const TRIALS: &[Trial] = &[
    Trial {
        id: "L3-01",
        zh: "支付占用年度限额，冲正后归还",
        en: "a commit uses the year's cap, and its reversal gives it back",
        clause: "caps",
        after: WORKING,
        check: |bench| Box::pin(gives_the_cap_back(bench)),
    },
    Trial {
        id: "L3-02",
        zh: "并发支付合计绝不超过年度限额",
        en: "commits side by side never pay more than is left of the year's cap",
        clause: "caps",
        after: &["L0", "L1-01", "L1-02", "L1-07", "L3-01"],
        check: |bench| Box::pin(never_passes_the_cap(bench)),
    },
    Trial {
        id: "L3-03",
        zh: "支付与其冲正并发：无论先后，账中合计为 0.00，结果一致",
        en: "commits and their reversals side by side: whichever is first, nothing stays booked",
        clause: "reverse",
        after: &["L0", "L1-01", "L1-02", "L1-07", "L7-01", "L7-02", "L7-03", "L2-04"],
        check: |bench| Box::pin(leaves_nothing_hanging(bench)),
    },
    Trial {
        id: "L3-04",
        zh: "同一人多笔并发支付：各得各的金额与参考号，账中一笔不少",
        en: "many stays of one person at once: each gets its own amount and reference, and none is lost",
        clause: "exactly-once",
        after: BOOKED,
        check: |bench| Box::pin(keeps_stays_apart(bench)),
    },
];

/// The person with a cap, and how much is left of it.
fn capped(bench: &Bench) -> Result<(&TestPerson, Money), Stop> {
    let person = bench.data.people.capped.as_ref();
    match person.and_then(|person| Some((person, person.left?))) {
        _ if bench.data.no_annual_cap => {
            not_applicable("该支付方无年度限额", "this payer has no cap in a year")
        }
        Some(known) => Ok(known),
        None => not_run(
            "测试数据中没有 people.capped 及其 left（无年度限额时请写 no_annual_cap = true）",
            "the test data have no people.capped with left; where there is no cap, say no_annual_cap = true",
        ),
    }
}

/// The one payer whose cap is known: another one that the adapter serves has a cap of its own.
fn whose_cap(bench: &Bench, person: &TestPerson) -> Vec<PayerCode> {
    let first = bench.manifest().serves.first().cloned();
    person.payer.clone().or(first).into_iter().collect()
}

async fn quote_capped(bench: &Bench, person: &TestPerson, most: Option<Money>) -> Result<Quoted, Stop> {
    bench.quote_of(person, &whose_cap(bench, person), most).await
}

async fn gives_the_cap_back(bench: &Bench) -> Verdict {
    let (person, left) = capped(bench)?;
    bench.reversible()?;
    let before = quote_capped(bench, person, None).await?;
    before.came.holds(
        before.total() == left,
        format!("试算等于余额 {left}（请检查 people.capped.left）"),
        format!("a quote of the {left} that are left; see to people.capped.left"),
    )?;
    let id = bench.id("commit");
    let (end, came) = bench.commit(&id, &before).await?;
    came.holds(end.is_done(), "支付成功（done）", "the commit is done")?;
    let stay = bench.stay(person).await?;
    let used =
        bench.caller.post("/v1/quote", &bench.ask(person, &stay, &whose_cap(bench, person), None)).await;
    let used_up = match used.answer()? {
        yizhan_contract::payer::QuoteAnswer::Quote(quote) => {
            quote.amounts.iter().all(|part| part.amount.is_zero())
        }
        yizhan_contract::payer::QuoteAnswer::Unavailable(_) => false,
        _ => true,
    };
    bench.give_back(&id, &before).await?;
    used.holds(used_up, "限额用尽后试算为 0.00", "0.00 once the cap is used up")?;
    let after = quote_capped(bench, person, None).await?;
    after.came.holds(
        after.total() == left,
        format!("冲正后余额恢复为 {left}"),
        format!("{left} again after the reversal"),
    )
}

async fn never_passes_the_cap(bench: &Bench) -> Verdict {
    let (person, left) = capped(bench)?;
    let share = Money::from_fen((left.fen() * 3 / 10).max(1));
    let quotes = join_all((0..RACERS).map(|_| quote_capped(bench, person, Some(share)))).await;
    let quotes = quotes.into_iter().collect::<Result<Vec<_>, _>>()?;
    let raced = join_all(quotes.iter().map(|quoted| async move {
        let id = bench.id("race");
        bench.commit(&id, quoted).await.map(|(end, came)| (id, end, came))
    }));
    let raced = raced.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let won = |(_, end, _): &&(String, End, Came)| end.is_done();
    let paid: Money = raced.iter().map(|(_, end, _)| end.total()).sum();
    for ((id, end, _), quoted) in raced.iter().zip(&quotes) {
        if end.is_done() {
            bench.give_back(id, quoted).await?;
        }
    }
    let Some((_, _, came)) = raced.iter().find(won) else {
        return raced
            .first()
            .map_or(Ok(()), |(_, _, came)| came.is_not("至少一笔支付成功", "one commit that is done"));
    };
    came.holds(
        paid <= left,
        format!("合计不超过余额 {left}，而非 {paid}"),
        format!("no more than {left} altogether, not {paid}"),
    )
}

async fn leaves_nothing_hanging(bench: &Bench) -> Verdict {
    bench.reversible()?;
    let person = &bench.data.people.covered;
    let quotes = join_all((0..PAIRS).map(|number| bench.quote_some(person, Bench::small(number)))).await;
    let quotes = quotes.into_iter().collect::<Result<Vec<_>, _>>()?;
    let raced = join_all(quotes.iter().map(|quoted| async move {
        let (commit, reversal) = (bench.id("commit"), bench.id("reverse"));
        let (committed, reversed) =
            tokio::join!(bench.commit(&commit, quoted), bench.reverse(&reversal, &commit, quoted));
        Ok::<_, Stop>((commit, reversal, committed?, reversed?))
    }));
    for raced in raced.await {
        let (commit, reversal, (committed, _), (_, came)) = raced?;
        let (booked, book) = bench.booked(&[&commit, &reversal]).await?;
        book.holds(
            booked.is_zero(),
            format!("{commit} 与 {reversal} 在账中合计 0.00，而非 {booked}"),
            format!("0.00 in the book for {commit} and {reversal} together, not {booked}"),
        )?;
        let (now, _) = bench.settled(&commit).await?;
        came.holds(
            now == committed,
            "支付的结果与首次应答一致",
            "the commit's outcome is what it was answered",
        )?;
    }
    Ok(())
}

async fn keeps_stays_apart(bench: &Bench) -> Verdict {
    // Each stay has an amount that no other one has.
    let person = &bench.data.people.covered;
    let quotes = join_all((0..STAYS).map(|number| bench.quote_some(person, Bench::small(number)))).await;
    let quotes = quotes.into_iter().collect::<Result<Vec<_>, _>>()?;
    let made = join_all(quotes.iter().map(|quoted| async move {
        let id = bench.id("commit");
        bench.commit(&id, quoted).await.map(|(end, came)| (id, end, came))
    }));
    let made = made.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (lines, book) = bench.our_lines().await?;
    let mut references = HashSet::new();
    for ((id, end, came), quoted) in made.iter().zip(&quotes) {
        let End::Done { amounts, reference } = end else {
            return came.is_not("支付成功（done）", "the commit is done");
        };
        let own = end.total();
        came.holds(
            bench.fits(quoted, amounts),
            format!("自己的金额 {}", quoted.total()),
            format!("its own amount, {}", quoted.total()),
        )?;
        came.holds(references.insert(reference.clone()), "自己的参考号", "a reference of its own")?;
        let in_book: Money =
            lines.iter().filter(|line| line.operation_id == *id).map(|line| line.amount).sum();
        book.holds(
            in_book == own,
            format!("{id} 在账中为 {own}，而非 {in_book}"),
            format!("{own} in the book for {id}, not {in_book}"),
        )?;
    }
    for ((id, _, _), quoted) in made.iter().zip(&quotes) {
        bench.give_back(id, quoted).await?;
    }
    Ok(())
}
