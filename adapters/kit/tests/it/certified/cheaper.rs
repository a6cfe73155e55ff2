//! A payer whose quotes are not firm: it pays a fen less than it quoted, and is right to.

use jiff::Timestamp;
use jiff::civil::Date;
use yizhan_contract::payer::{Coverage, Manifest, Performed, QuoteAnswer, Status, Visited};
use yizhan_contract::protocol::{
    CommitRequest, CoverageRequest, QuoteRequest, ReverseRequest, Statement, StatusRequest, VisitRequest,
};
use yizhan_contract::{Money, PayerCode};
use yizhan_kit::service::{Replied, Verbs};
use yizhan_kit::simulate::Simulator;

use super::faulty::leisurely;

pub(crate) struct Cheaper {
    inner: Simulator,
    manifest: Manifest,
}

impl Cheaper {
    pub(crate) fn of(inner: Simulator) -> Self {
        let manifest = Manifest { quotes_are_firm: false, ..leisurely(inner.manifest().clone()) };
        Self { inner, manifest }
    }
}

/// A fen less of whatever moved, to the payer or from it.
fn less(amount: Money) -> Money {
    match amount {
        amount if amount.is_positive() => amount - Money::FEN,
        amount if amount.is_negative() => amount + Money::FEN,
        nothing => nothing,
    }
}

fn all_less(amounts: &mut [(PayerCode, Money)]) {
    amounts.iter_mut().for_each(|(_, amount)| *amount = less(*amount));
}

fn performed(mut answer: Performed) -> Performed {
    if let Performed::Committed { amounts, .. } = &mut answer {
        all_less(amounts);
    }
    answer
}

impl Verbs for Cheaper {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn coverage<'a>(&'a self, asked: &'a CoverageRequest, at: Timestamp) -> Replied<'a, Coverage> {
        self.inner.coverage(asked, at)
    }

    fn visit<'a>(&'a self, asked: &'a VisitRequest, at: Timestamp) -> Replied<'a, Visited> {
        self.inner.visit(asked, at)
    }

    fn quote<'a>(&'a self, asked: &'a QuoteRequest, at: Timestamp) -> Replied<'a, QuoteAnswer> {
        self.inner.quote(asked, at)
    }

    fn commit<'a>(&'a self, asked: &'a CommitRequest, at: Timestamp) -> Replied<'a, Performed> {
        Box::pin(async move { self.inner.commit(asked, at).await.map(performed) })
    }

    fn reverse<'a>(&'a self, asked: &'a ReverseRequest, at: Timestamp) -> Replied<'a, Performed> {
        Box::pin(async move { self.inner.reverse(asked, at).await.map(performed) })
    }

    fn status<'a>(&'a self, asked: &'a StatusRequest, at: Timestamp) -> Replied<'a, Status> {
        Box::pin(async move {
            let mut status = self.inner.status(asked, at).await?;
            if let Status::Done { amounts, .. } = &mut status {
                all_less(amounts);
            }
            Ok(status)
        })
    }

    fn statement<'a>(&'a self, day: Date, after: Option<&'a str>, at: Timestamp) -> Replied<'a, Statement> {
        Box::pin(async move {
            let mut page = self.inner.statement(day, after, at).await?;
            page.lines.iter_mut().for_each(|line| line.amount = less(line.amount));
            Ok(page)
        })
    }
}
