//! Whether payers cover the person: asked at once of all whom a chain may come to, and waited for in each one's turn.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, Shared};
use futures_util::stream::{FuturesUnordered, StreamExt};
use yizhan_contract::instant::later;
use yizhan_contract::payer::{AskedLeg, COVER_DEADLINE, Coverage};
use yizhan_contract::{PayerCode, Text};

use super::Gateway;
use super::heard;
use super::pursue::Seen;
use super::quote::no_answer;
use crate::settlement::payers::Adapter;
use crate::settlement::price::ToAsk;
use crate::settlement::record::StayRecord;
use crate::settlement::told;

/// Whether a person is covered by the payers asked.
#[derive(Debug, Clone)]
pub(super) enum Covers {
    /// By none of them.
    Nobody,
    /// The quote says so.
    Perhaps,
    /// Why its answer could not be used.
    Unsaid(Text),
}

/// An answer that may be waited for in more than one place.
pub(super) type Answering = Shared<BoxFuture<'static, Covers>>;

/// Questions that were put before their payers' turn.
#[derive(Default)]
pub(super) struct AskedAhead {
    asked: Vec<(Arc<str>, Vec<PayerCode>, Answering)>,
    under_way: FuturesUnordered<Answering>,
}

impl AskedAhead {
    /// Puts the questions of all adapters that can be asked, each once.
    pub(super) fn of(gateway: &Gateway, seen: &Seen, turns: &[ToAsk]) -> Self {
        let mut ahead = Self::default();
        for to_ask in turns {
            let first = to_ask.legs.first();
            let Some(adapter) = first.and_then(|leg| seen.payers.of(&leg.payer)) else { continue };
            if ahead.find(adapter, to_ask).is_none()
                && let Some(answering) = gateway.cover(&seen.record, to_ask, adapter)
            {
                ahead.under_way.push(answering.clone());
                ahead.asked.push((Arc::clone(&adapter.name), payers(to_ask), answering));
            }
        }
        ahead
    }

    /// What was asked of this adapter about these payers.
    pub(super) fn find(&self, adapter: &Adapter, to_ask: &ToAsk) -> Option<Answering> {
        let payers = payers(to_ask);
        let found = self.asked.iter().find(|(name, about, _)| *name == adapter.name && *about == payers);
        found.map(|(_, _, answering)| answering.clone())
    }

    /// Goes on with what is under way while `work` is.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                Some(_) = self.under_way.next(), if !self.under_way.is_empty() => {}
            }
        }
    }
}

impl Gateway {
    /// What an adapter that can say so says of the person's cover; absent: it is not asked, its quote says so.
    pub(super) fn cover(&self, record: &StayRecord, to_ask: &ToAsk, adapter: &Adapter) -> Option<Answering> {
        if !adapter.says_cover() {
            return None;
        }
        let question = told::coverage(record, to_ask, &adapter.manifest().needs);
        let (gateway, payer, legs) = (self.clone(), Arc::clone(&adapter.payer), to_ask.legs.clone());
        let deadline = later(self.runtime().now(), COVER_DEADLINE);
        let asking = async move {
            let answer = gateway.within(deadline, payer.coverage(&question, deadline)).await;
            understood(answer.map_or_else(|| Coverage::Unavailable(no_answer()), heard::coverage), &legs)
        };
        Some(asking.boxed().shared())
    }
}

fn understood(answer: Coverage, legs: &[AskedLeg]) -> Covers {
    match answer {
        Coverage::UnknownPerson => Covers::Nobody,
        Coverage::Covers { covers } => {
            let is_without =
                |leg: &AskedLeg| covers.iter().any(|cover| cover.payer == leg.payer && !cover.in_force);
            if legs.iter().all(is_without) { Covers::Nobody } else { Covers::Perhaps }
        }
        Coverage::NotSaid => Covers::Perhaps,
        Coverage::Unavailable(why) => Covers::Unsaid(Text::of_line(&why.why)),
    }
}

fn payers(to_ask: &ToAsk) -> Vec<PayerCode> {
    to_ask.legs.iter().map(|leg| leg.payer.clone()).collect()
}
