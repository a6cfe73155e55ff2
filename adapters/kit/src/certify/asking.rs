//! What a gateway does with an adapter, in the steps that trials are made of.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use yizhan_contract::payer::{Quote, QuoteAnswer, StatementLine};
use yizhan_contract::protocol::Statement;
use yizhan_contract::stay::civil_date;
use yizhan_contract::{Money, PayerCode};

use super::bench::{Bench, Quoted};
use super::came::Came;
use super::data::TestPerson;
use super::verdict::{Stop, Verdict, not_run};
use super::visits::Stay;
use crate::given;

/// Between two questions about what is still being worked on.
pub(super) const POLL_EACH: Duration = Duration::from_millis(200);
/// Pages of a statement that are read; past it, its end is not believed in.
const PAGES_MAX: usize = 10_000;

impl Bench {
    /// A quote of every payer the adapter serves.
    pub(super) async fn quote(&self, person: &TestPerson, most: Option<Money>) -> Result<Quoted, Stop> {
        self.quote_of(person, &self.manifest().serves, most).await
    }

    pub(super) async fn quote_of(
        &self,
        person: &TestPerson,
        payers: &[PayerCode],
        most: Option<Money>,
    ) -> Result<Quoted, Stop> {
        let stay = self.stay(person).await?;
        self.quote_for(person, &stay, payers, most).await
    }

    pub(super) async fn quote_for(
        &self,
        person: &TestPerson,
        stay: &Stay,
        payers: &[PayerCode],
        most: Option<Money>,
    ) -> Result<Quoted, Stop> {
        let came = self.caller.post("/v1/quote", &self.ask(person, stay, payers, most)).await;
        let stay = stay.id.clone();
        match came.answer()? {
            QuoteAnswer::Quote(Quote { id, valid_until, amounts, .. }) => {
                let most = most.unwrap_or(self.data.total);
                Ok(Quoted { id, stay, amounts, most, valid_until, came })
            }
            _ => came.is_not("answer 为 quote", "an answer of the kind quote"),
        }
    }

    /// A quote of more than nothing.
    pub(super) async fn quote_some(&self, person: &TestPerson, most: Option<Money>) -> Result<Quoted, Stop> {
        let quoted = self.quote(person, most).await?;
        let zh = "金额大于 0 的试算（请检查测试数据中的人员）";
        quoted.came.holds(
            quoted.total().is_positive(),
            zh,
            "a quote of more than 0.00; see to the people of the test data",
        )?;
        Ok(quoted)
    }

    /// One day's book, all pages.
    pub(super) async fn statement(&self, day: Date) -> Result<(Vec<StatementLine>, Came), Stop> {
        let mut path = format!("/v1/statement?day={day}");
        let (mut lines, mut followed) = (Vec::new(), HashSet::new());
        for _ in 0..PAGES_MAX {
            let came = self.caller.get(&path).await;
            let page: Statement = came.answer()?;
            lines.extend(page.lines);
            match page.next {
                None => return Ok((lines, came)),
                Some(next) if !followed.insert(next.clone()) => {
                    return came.is_not(
                        format!("next 指向下一页，而非已读过的 {next}"),
                        format!("a next that leads on, and not to {next} once more"),
                    );
                }
                Some(next) => path = format!("/v1/statement?day={day}&after={next}"),
            }
        }
        not_run("当日账翻页没有终点", "the pages of the statement do not end")
    }

    /// The lines of this run, whatever day they were written on.
    pub(super) async fn our_lines(&self) -> Result<(Vec<StatementLine>, Came), Stop> {
        let (first, last) = (civil_date(self.began), civil_date(given::now()));
        let (mut lines, mut came) = self.statement(first).await?;
        if first != last {
            let (more, came_last) = self.statement(last).await?;
            lines.extend(more);
            came = came_last;
        }
        lines.retain(|line| self.is_ours(&line.operation_id));
        Ok((lines, came))
    }

    /// What the book says that some operations moved together, each counted as often as it stands there.
    pub(super) async fn booked(&self, ids: &[&str]) -> Result<(Money, Came), Stop> {
        let (lines, came) = self.our_lines().await?;
        let of_these = lines.iter().filter(|line| ids.contains(&line.operation_id.as_str()));
        Ok((of_these.map(|line| line.amount).sum(), came))
    }

    /// Passes where an operation stands in the book with this sum.
    pub(super) async fn is_booked(&self, id: &str, total: Money) -> Verdict {
        let (booked, came) = self.booked(&[id]).await?;
        came.holds(
            booked == total,
            format!("{id} 入账 {total}，而非 {booked}"),
            format!("{total} in the book for {id}, not {booked}"),
        )
    }

    /// Whether the adapter still says anything at all.
    pub(super) async fn is_alive(&self) -> bool {
        self.caller.called.connect().await.is_ok() && self.caller.get("/v1/describe").await.status().is_some()
    }
}

/// An instant that lies ahead.
pub(super) fn is_ahead(at: Timestamp) -> bool {
    given::now() < at
}
