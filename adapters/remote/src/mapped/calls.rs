//! The exchanges with an insurer: a question of the contract into a request, its answer into the contract's.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use yizhan_contract::instant::later;
use yizhan_contract::payer::{
    Ask, Cover, Coverage, CoverageQuestion, KEPT_BYTES_MAX, Memo, Operation, Performed, PrepareError,
    Prepared, Quote, QuoteAnswer, QuotedAmount, StatementLine, Status, Unavailable, VisitEvent, Visited, cut,
};
use yizhan_contract::{Money, PayerCode, Text, revealing};

use super::answer::Said;
use super::kept::{Kept, no_prepare, prune};
use super::mapping::{Exchange, add_moment};
use super::section::Kind;
use super::template::Unwritten;
use super::{Mapped, names};
use crate::answers;
use crate::wire::{self, Call, Incoming, Trouble, Verb};

/// Pages of one day's book.
const STATEMENT_PAGES_MAX: usize = 1_000;

impl Mapped {
    async fn exchange<T>(
        &self,
        exchange: &Exchange,
        call: &Call<'_>,
        values: &Map<String, Value>,
        read: impl Fn(&Said<'_>) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let write = || self.mapping.write(&self.wire, exchange, values.clone(), call.deadline);
        let read = |incoming: &Incoming| {
            let said = exchange.reading.read(incoming, self.mapping.hand())?;
            Ok(wire::Said { kind: said.kind.word(), answer: read(&said)? })
        };
        self.wire.call(call, write, read).await
    }

    pub(super) async fn quoted(&self, ask: &Ask, deadline: Timestamp) -> Result<QuoteAnswer, Trouble> {
        let values = asked(ask);
        let quote = &self.mapping.quote;
        if let Err(Unwritten::Missing { name, .. }) = self.try_out(quote, &values) {
            return Ok(QuoteAnswer::NotReady { what: names::in_words(&name) });
        }
        let call = Call { verb: Verb::Quote, operation_id: None, deadline };
        self.exchange(quote, &call, &values, |said| {
            let mut answer = match said.kind {
                Kind::Quote => QuoteAnswer::Quote(self.quote_of(said, ask, &values)?),
                Kind::NotCovered => QuoteAnswer::NotCovered,
                Kind::Refused => QuoteAnswer::Refused { code: said.code(), message: said.message() },
                Kind::NotReady => QuoteAnswer::NotReady { what: said.message() },
                _ => QuoteAnswer::Unavailable(unavailable(said)),
            };
            answers::quote(&mut answer, ask, self.wire.host().now()).map_err(Trouble::Odd)?;
            Ok(answer)
        })
        .await
    }

    fn quote_of(&self, said: &Said<'_>, ask: &Ask, values: &Map<String, Value>) -> Result<Quote, Trouble> {
        let legs: Vec<(PayerCode, Money)> =
            ask.legs.iter().map(|leg| (leg.payer.clone(), leg.pay_at_most)).collect();
        let amount = |(payer, amount)| QuotedAmount { payer, amount, steps: Vec::new() };
        let valid_for = SignedDuration::from_secs(self.mapping.quote.reading.valid_for_s.unwrap_or(0).into());
        let from_now = later(self.wire.host().now(), valid_for);
        let mut kept = prune(&Value::Object(values.clone()), &self.mapping.kept);
        kept.insert(
            "quoted".to_owned(),
            Value::Object(said.kept()?.into_iter().map(|(k, v)| (k, v.into())).collect()),
        );
        let kept = serde_json::to_vec(&kept).unwrap_or_default();
        if kept.len() > KEPT_BYTES_MAX {
            return Err(Trouble::Odd(Text::new(
                format!("支付请求所需内容超过 {KEPT_BYTES_MAX} 字节"),
                format!("what the commit needs to say is longer than {KEPT_BYTES_MAX} bytes"),
            )));
        }
        Ok(Quote {
            id: said.quote_id()?.unwrap_or_else(|| ask.stay.to_string()),
            valid_until: said.valid_until()?.unwrap_or(from_now),
            amounts: said.amounts(&legs)?.into_iter().map(amount).collect(),
            also_paid: Vec::new(),
            kept: kept.into(),
        })
    }

    /// Whether a request can be written at all.
    fn try_out(&self, exchange: &Exchange, values: &Map<String, Value>) -> Result<(), Unwritten> {
        let mut values = values.clone();
        add_moment(&mut values, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        self.mapping.texts(exchange, &Value::Object(values)).map(|_| ())
    }

    /// What an operation, and a question about it, are sent with.
    fn exchanges(&self, is_reversal: bool) -> Result<(&Exchange, &Exchange), Text> {
        match (&self.mapping.reverse, is_reversal) {
            (_, false) => Ok((&self.mapping.commit, &self.mapping.status)),
            (Some((reverse, status)), true) => Ok((reverse, status)),
            (None, true) => Err(Text::new(
                "映射文件没有 [reverse]，不能冲正",
                "the mapping has no [reverse]: nothing is taken back",
            )),
        }
    }

    pub(super) fn prepared(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        let kept = Kept::of(operation)?;
        let is_reversal = kept.original_operation_id.is_some();
        let (perform, status) = self.exchanges(is_reversal).map_err(|why| no_prepare(&why))?;
        let values = kept.values();
        let mut exchanges = vec![(perform, values.clone()), (status, values.clone())];
        if let (Some((undo, undone)), false) = (&self.mapping.reverse, is_reversal) {
            let mut values = values;
            values.insert("original_operation_id".to_owned(), (&*kept.operation_id).into());
            exchanges.extend([(undo, values.clone()), (undone, values)]);
        }
        for (exchange, values) in exchanges {
            self.try_out(exchange, &values).map_err(|why| no_prepare(&why.text()))?;
        }
        kept.written()
    }

    pub(super) async fn performed(
        &self,
        prepared: &Prepared,
        deadline: Timestamp,
    ) -> Result<Performed, Trouble> {
        let kept = Kept::read(prepared)?;
        let is_reversal = kept.original_operation_id.is_some();
        let (exchange, _) = self.exchanges(is_reversal).map_err(Trouble::NotWritten)?;
        let verb = exchange.section.verb();
        let call = Call { verb, operation_id: Some(&kept.operation_id), deadline };
        self.exchange(exchange, &call, &kept.values(), |said| {
            said.is_of(&kept.operation_id)?;
            let mut answer = match said.kind {
                Kind::Done => Performed::Committed {
                    amounts: said.amounts(&kept.amounts)?,
                    reference: said.reference()?.unwrap_or_else(|| kept.operation_id.to_string()),
                },
                Kind::NothingToReverse => {
                    Performed::Committed { amounts: Vec::new(), reference: kept.operation_id.to_string() }
                }
                Kind::Refused => Performed::Refused { code: said.code(), message: said.message() },
                _ => Performed::Unknown { poll_after: None, why: said.message() },
            };
            let ordered = kept.ordered(self.mapping.manifest.quotes_are_firm);
            answers::performed(&mut answer, ordered).map_err(Trouble::Odd)?;
            Ok(answer)
        })
        .await
    }

    pub(super) async fn asked_about(
        &self,
        prepared: &Prepared,
        deadline: Timestamp,
    ) -> Result<Status, Trouble> {
        let kept = Kept::read(prepared)?;
        let is_reversal = kept.original_operation_id.is_some();
        let (_, exchange) = self.exchanges(is_reversal).map_err(Trouble::NotWritten)?;
        let call = Call { verb: Verb::Status, operation_id: Some(&kept.operation_id), deadline };
        self.exchange(exchange, &call, &kept.values(), |said| {
            said.is_of(&kept.operation_id)?;
            let mut answer = match said.kind {
                Kind::Done => Status::Done {
                    amounts: said.amounts(&kept.amounts)?,
                    reference: said.reference()?.unwrap_or_else(|| kept.operation_id.to_string()),
                },
                Kind::NothingToReverse => {
                    Status::Done { amounts: Vec::new(), reference: kept.operation_id.to_string() }
                }
                Kind::Refused => Status::Refused { code: said.code() },
                Kind::NotFound => Status::NotFound,
                Kind::Pending => Status::Pending,
                _ => Status::Unavailable(unavailable(said)),
            };
            let ordered = kept.ordered(self.mapping.manifest.quotes_are_firm);
            answers::status(&mut answer, ordered).map_err(Trouble::Odd)?;
            Ok(answer)
        })
        .await
    }

    pub(super) async fn covered(
        &self,
        coverage: &Exchange,
        question: &CoverageQuestion,
        deadline: Timestamp,
    ) -> Result<Coverage, Trouble> {
        if let Some(known) = self.known.look_up(question, self.wire.host().steady()) {
            return Ok(known);
        }
        let values = revealed(question);
        let call = Call { verb: Verb::Coverage, operation_id: None, deadline };
        let answer = self.exchange(coverage, &call, &values, |said| {
            let in_force = match said.kind {
                Kind::Covered => true,
                Kind::NotCovered => false,
                Kind::UnknownPerson => return Ok(Coverage::UnknownPerson),
                _ => return Ok(Coverage::Unavailable(unavailable(said))),
            };
            let [from, to] = said.period()?;
            let cover = |payer: &PayerCode| Cover { payer: payer.clone(), in_force, from, to };
            let mut answer = Coverage::Covers { covers: question.payers.iter().map(cover).collect() };
            answers::coverage(&mut answer, question).map_err(Trouble::Odd)?;
            Ok(answer)
        });
        let answer = answer.await?;
        self.known.keep(question, &answer, self.wire.host().steady());
        Ok(answer)
    }

    pub(super) async fn noted(
        &self,
        visit: &Exchange,
        event: &VisitEvent,
        memo: &Memo,
        deadline: Timestamp,
    ) -> Result<Visited, Trouble> {
        let mut values = revealed(event);
        values.insert("visited".to_owned(), visited(memo));
        let call = Call { verb: Verb::Visit, operation_id: None, deadline };
        self.exchange(visit, &call, &values, |said| {
            let mut answer = match said.kind {
                Kind::Noted => {
                    let kept = said.kept()?;
                    let memo = if kept.is_empty() {
                        memo.clone()
                    } else {
                        Memo::from(serde_json::to_vec(&kept).unwrap_or_default())
                    };
                    Visited::Noted { memo }
                }
                _ => Visited::Unavailable(unavailable(said)),
            };
            answers::visited(&mut answer, KEPT_BYTES_MAX).map_err(Trouble::Odd)?;
            Ok(answer)
        })
        .await
    }

    pub(super) async fn book(
        &self,
        statement: &Exchange,
        day: Date,
        deadline: Timestamp,
    ) -> Result<Vec<StatementLine>, Unavailable> {
        let (mut lines, mut after) = (Vec::new(), None::<String>);
        for _ in 0..STATEMENT_PAGES_MAX {
            let mut values = Map::from_iter([("day".to_owned(), day.to_string().into())]);
            values.insert("after".to_owned(), after.as_deref().into());
            let call = Call { verb: Verb::Statement, operation_id: None, deadline };
            let page = self.exchange(statement, &call, &values, |said| {
                if said.kind != Kind::Book {
                    return Ok(Err(unavailable(said)));
                }
                let mut page = said.lines()?;
                let serves = &self.mapping.manifest.serves;
                page.iter_mut()
                    .try_for_each(|line| answers::statement_line(line, serves))
                    .map_err(Trouble::Odd)?;
                Ok(Ok((page, said.next())))
            });
            let (page, next) = page.await.map_err(|trouble| trouble.unavailable())??;
            lines.extend(page);
            match next {
                None => return Ok(lines),
                next if next == after => break,
                next => after = next,
            }
        }
        let endless = Text::new("对账单的下一页无法到达", "the next page of the book leads nowhere");
        Err(Trouble::Odd(endless).unavailable())
    }
}

/// The contract's own names, with what they stand for in clear.
fn revealed(value: &impl serde::Serialize) -> Map<String, Value> {
    match revealing(|| serde_json::to_value(value)) {
        Ok(Value::Object(values)) => values,
        _ => Map::new(),
    }
}

fn asked(ask: &Ask) -> Map<String, Value> {
    let mut values = revealed(ask);
    values.insert("visited".to_owned(), visited(&ask.memo));
    values.remove("memo");
    if let Some(Value::Array(legs)) = values.get("legs") {
        let first = legs.first().cloned().unwrap_or_default();
        values.insert("leg".to_owned(), first);
    }
    values
}

/// What visits kept.
fn visited(memo: &Memo) -> Value {
    serde_json::from_slice(&memo.0).unwrap_or(Value::Null)
}

fn unavailable(said: &Said<'_>) -> Unavailable {
    let mut why = said.message();
    cut(&mut why);
    Unavailable { why, retry_after: None }
}
