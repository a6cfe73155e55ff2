//! Asking outside payers what they would pay, and making ready what they will be sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::instant::later;
use yizhan_contract::opaque::Opaque;
use yizhan_contract::payer::{
    ASK_DEADLINE, AskedLeg, Manifest, Operation as Ordered, OperationKind, Payer, PrepareError, Quote,
    QuoteAnswer, QuotedAmount, Unavailable,
};
use yizhan_contract::stay::SettledElsewhere;
use yizhan_contract::{Money, PayerCode, Text};
use yizhan_rules::Item;

use super::cover::{Answering, AskedAhead, Covers};
use super::heard;
use super::pursue::{Drive, Seen, Stop};
use crate::refusal::Refusal;
use crate::settlement::decide::Asked;
use crate::settlement::given::{Answer, Given};
use crate::settlement::message::Mode;
use crate::settlement::payers::{Adapter, Payers};
use crate::settlement::price::{Breach, Ground, Priced, ToAsk, price};
use crate::settlement::record::Settlement;
use crate::settlement::refusals::{self, LinePlaces};
use crate::settlement::reserved::reserved_by_others;
use crate::settlement::saga::event::Part;
use crate::settlement::saga::{Call, Operation, Terms, Why, plan};
use crate::settlement::told;
use crate::telemetry;

type Legs = Vec<(PayerCode, Money)>;

/// What asking for quotes came to.
pub(super) enum Quoted {
    All {
        given: Given,
        settlement: Box<Settlement>,
    },
    Refused(Vec<Refusal>),
    /// A payer that is needed cannot be asked now, and asks to be left alone for so long.
    Waits(Refusal, Option<SignedDuration>),
    /// What a payer has confirmed already is more than it may pay.
    Breach(Why),
}

/// Why a payer gave no quote.
pub(super) enum Unanswered {
    NotReady(String),
    Unavailable(Unavailable),
}

impl Unanswered {
    /// Before it, the adapter did not say either whether the person is covered; told once, where it is for the same reason.
    fn and_cover(self, unsaid: Option<Text>) -> Self {
        match (self, unsaid) {
            (Self::Unavailable(Unavailable { why, retry_after }), Some(cover))
                if Text::of_line(&why) != cover =>
            {
                let why = neither(&Text::of_line(&why), &cover).line();
                Self::Unavailable(Unavailable { why, retry_after })
            }
            (why, _) => why,
        }
    }

    pub(super) fn retry_after(&self) -> Option<SignedDuration> {
        match self {
            Self::NotReady(_) => None,
            Self::Unavailable(why) => why.retry_after,
        }
    }
}

impl Drive<'_> {
    /// Asks payer after payer, each with what those before it pay. Read-only: nothing is held meanwhile.
    pub(super) async fn quote(&mut self, seen: &Seen, mode: Mode, mut given: Given) -> Result<Quoted, Stop> {
        // The stay's charges and its day are those of one look, and so are the items they are priced by.
        let items = self.items(seen, mode).await?;
        let mut ahead = None;
        loop {
            match self.price(seen, mode, &given, &items) {
                Err(refusals) => return Ok(Quoted::Refused(refusals)),
                Ok(Priced::Bill(settlement)) => return Ok(Quoted::All { given, settlement }),
                Ok(Priced::Breach(breach)) => {
                    if let Some(why) = refuse(breach, &seen.payers, &mut given) {
                        return Ok(Quoted::Breach(why));
                    }
                }
                Ok(Priced::Ask(to_ask)) => {
                    self.renew().await?;
                    let ahead = ahead.get_or_insert_with(|| {
                        let price = |given: &Given| self.price(seen, mode, given, &items);
                        self.ask_ahead(seen, || turns(&to_ask, &given, price))
                    });
                    if let Some(stopped) = self.ask(seen, &to_ask, &mut given, ahead).await {
                        return Ok(stopped);
                    }
                }
            }
        }
    }

    /// With one that can say whether it covers the person there is nothing to ask before its turn.
    fn ask_ahead(&self, seen: &Seen, turns: impl FnOnce() -> Vec<ToAsk>) -> AskedAhead {
        match seen.payers.adapters().filter(|adapter| adapter.says_cover()).count() {
            0 | 1 => AskedAhead::default(),
            _ => AskedAhead::of(self.gateway, seen, &turns()),
        }
    }

    async fn ask(
        &self,
        seen: &Seen,
        to_ask: &ToAsk,
        given: &mut Given,
        ahead: &mut AskedAhead,
    ) -> Option<Quoted> {
        let first = to_ask.legs.first()?;
        let adapter = seen.payers.of(&first.payer)?;
        let cover = ahead.find(adapter, to_ask);
        let cover = cover.or_else(|| self.gateway.cover(&seen.record, to_ask, adapter));
        match ahead.beside(self.put(seen, to_ask, adapter, cover)).await {
            Ok(answers) => given.extend(answers),
            Err(Unanswered::NotReady(what)) => {
                return Some(Quoted::Refused(vec![refusals::payer_not_ready(&to_ask.name, &what)]));
            }
            // It is the first of a tail whose payers are all optional: with it, the whole tail is left out.
            Err(Unanswered::Unavailable(why)) if adapter.manifest().optional => {
                telemetry::payer_deferred(&adapter.name, &first.payer);
                for payer in to_ask.legs.iter().map(|leg| &leg.payer).chain(&to_ask.after) {
                    given.entry(payer.clone()).or_insert_with(|| Answer::deferred(None));
                }
                let unanswered = Answer::deferred(None).instead_of(Text::of_line(&why.why));
                given.insert(first.payer.clone(), unanswered);
            }
            Err(Unanswered::Unavailable(why)) => {
                let refusal = refusals::payer_unavailable(&to_ask.name, &why);
                return Some(Quoted::Waits(refusal, why.retry_after));
            }
        }
        None
    }

    /// Asks one adapter, and holds its answer to what was asked: all it is asked takes no longer than one question may.
    pub(super) async fn put(
        &self,
        seen: &Seen,
        to_ask: &ToAsk,
        adapter: &Adapter,
        cover: Option<Answering>,
    ) -> Result<Given, Unanswered> {
        let deadline = later(self.gateway.runtime().now(), ASK_DEADLINE);
        let covers = match cover {
            Some(asked) => asked.await,
            None => Covers::Perhaps,
        };
        let unsaid = match covers {
            Covers::Nobody => return Ok(answered(to_ask, |_, asked| Answer::not_covered(asked))),
            Covers::Perhaps => None,
            Covers::Unsaid(why) => Some(why),
        };
        let mut given = match self.ask_for_quote(seen, to_ask, adapter, deadline).await {
            Ok(given) => given,
            Err(why) => return Err(why.and_cover(unsaid)),
        };
        let first = to_ask.legs.first().and_then(|leg| given.get_mut(&leg.payer));
        if let Some(answer) = first {
            answer.cover_unsaid = unsaid;
        }
        Ok(given)
    }

    async fn ask_for_quote(
        &self,
        seen: &Seen,
        to_ask: &ToAsk,
        adapter: &Adapter,
        deadline: Timestamp,
    ) -> Result<Given, Unanswered> {
        let memo = self.tell(seen, adapter, deadline).await.map_err(Unanswered::Unavailable)?;
        let ask = told::ask(self.stay(), &seen.record, to_ask, &adapter.manifest().needs, memo);
        let answer = self.gateway.within(deadline, adapter.payer.quote(&ask, deadline)).await;
        let first = to_ask.legs.first().map(|leg| &leg.payer);
        match answer.map_or_else(|| QuoteAnswer::Unavailable(no_answer()), heard::quote) {
            // What cannot be committed is no quote; the payer is asked again.
            QuoteAnswer::Quote(quote) if quote.valid_until < self.gateway.runtime().now() => {
                Err(Unanswered::Unavailable(lapsed()))
            }
            QuoteAnswer::Quote(quote) if !heard::is_within_limits(&quote) => {
                telemetry::quote_beyond_limits(&adapter.name, first);
                Ok(answered(to_ask, |_, asked| Answer::refused(asked).instead_of(beyond_limits())))
            }
            QuoteAnswer::Quote(quote) if answers_all(&quote, to_ask) => {
                Ok(answered(to_ask, |payer, asked| quoted(&quote, to_ask, payer, asked)))
            }
            QuoteAnswer::Quote(_) => {
                telemetry::quote_for_others(&adapter.name, first);
                Ok(answered(to_ask, |_, asked| Answer::refused(asked).instead_of(for_others())))
            }
            QuoteAnswer::Refused { code, .. } => {
                telemetry::payer_refuses(&adapter.name, first, &code);
                Ok(answered(to_ask, |_, asked| Answer::refused(asked)))
            }
            QuoteAnswer::NotCovered => Ok(answered(to_ask, |_, asked| Answer::not_covered(asked))),
            QuoteAnswer::NotReady { what } => Err(Unanswered::NotReady(what)),
            QuoteAnswer::Unavailable(why) => Err(Unanswered::Unavailable(why)),
        }
    }

    async fn items(&self, seen: &Seen, mode: Mode) -> Result<BTreeMap<String, Item>, Stop> {
        let at = self.gateway.runtime().now();
        let work = self.work(seen, Asked::ChargesQuiet { mode, now: at });
        Ok(self.gateway.look_up(&work, Some(&seen.record), at).await?.items)
    }

    fn price(
        &self,
        seen: &Seen,
        mode: Mode,
        given: &Given,
        items: &BTreeMap<String, Item>,
    ) -> Result<Priced, Vec<Refusal>> {
        let Some(owner) = &seen.facts.person else { return Err(vec![refusals::no_such_stay()]) };
        let ground = Ground {
            hospital: &seen.hospital,
            policies: self.gateway.policies(),
            items,
            roster: owner.roster.as_ref(),
            years: &owner.years,
            reserved: reserved_by_others(owner, &seen.record),
            at: self.gateway.runtime().now(),
            new_id: uuid::Uuid::nil(),
            payers: &seen.payers,
            given,
        };
        price(&seen.record, &ground, mode, &LinePlaces::none())
    }

    /// One call for each adapter that pays something, in the order of the chain.
    pub(super) fn plan(
        &self,
        seen: &Seen,
        settlement: &Settlement,
        given: &Given,
    ) -> Result<Vec<Call>, (Arc<str>, PrepareError)> {
        let mut planned: Vec<(&Adapter, Legs)> = Vec::new();
        for line in &settlement.bill.payers {
            let Some(adapter) = seen.payers.of(&line.payer) else { continue };
            let is_quoted = given.get(&line.payer).is_some_and(Answer::is_quoted);
            if !is_quoted || (line.paid.is_zero() && !adapter.manifest().commits_zero) {
                continue;
            }
            let leg = (line.payer.clone(), line.paid);
            match planned.last_mut() {
                Some((last, legs)) if last.name == adapter.name => legs.push(leg),
                _ => planned.push((adapter, vec![leg])),
            }
        }
        let manifests: Vec<_> = planned.iter().map(|(adapter, _)| adapter.manifest()).collect();
        let waves = plan::waves(&manifests);
        let planned = planned.into_iter().zip(waves);
        let is_advanced = |manifest: &Manifest| {
            seen.hospital.hospital_advances && manifest.optional && manifest.quotes_are_firm
        };
        let call = |((adapter, legs), wave): ((&Adapter, Legs), u8)| {
            let call = self.call(adapter, legs, wave, given)?;
            Ok(Call { is_advanced: is_advanced(adapter.manifest()), ..call })
        };
        planned.map(call).collect()
    }

    /// What an adapter is to commit, with an operation of its own.
    pub(super) fn call(
        &self,
        adapter: &Adapter,
        legs: Legs,
        wave: u8,
        given: &Given,
    ) -> Result<Call, (Arc<str>, PrepareError)> {
        let is_of_quote =
            |(payer, answer): &(&PayerCode, &Answer)| adapter.serves(payer) && answer.is_quoted();
        let answers = || given.iter().filter(is_of_quote).map(|(_, answer)| answer);
        let first = answers().next();
        let (quote_id, kept) =
            first.map(|answer| (answer.quote_id.clone(), answer.kept.clone())).unwrap_or_default();
        let also_paid = answers().flat_map(|answer| answer.also_paid.iter().cloned()).collect();
        let ordered = self.new_operation(OperationKind::Commit, (&quote_id, &kept), &legs);
        let commit = self.prepare((&adapter.name, &*adapter.payer), &ordered)?;
        Ok(Call {
            adapter: Arc::clone(&adapter.name),
            terms: Terms::of(adapter.manifest()),
            wave,
            legs,
            quote_id,
            kept,
            also_paid,
            commit,
            undo: None,
            tombstones: Vec::new(),
            is_advanced: false,
            in_doubt_since: None,
            unusable: Vec::new(),
        })
    }

    /// A new operation of this stay.
    fn new_operation(
        &self,
        kind: OperationKind,
        (quote_id, kept): (&Option<String>, &Opaque),
        legs: &[(PayerCode, Money)],
    ) -> Ordered {
        Ordered {
            id: Arc::from(self.gateway.runtime().next_id().to_string()),
            stay: self.stay(),
            kind,
            quote_id: quote_id.clone(),
            kept: kept.clone(),
            amounts: legs.to_vec(),
        }
    }

    pub(super) fn stay(&self) -> Arc<str> {
        Arc::from(self.lease.stay_id.to_string())
    }

    /// Ready to be made durable.
    fn prepare(
        &self,
        (name, payer): (&Arc<str>, &dyn Payer),
        ordered: &Ordered,
    ) -> Result<Operation, (Arc<str>, PrepareError)> {
        let prepared = heard::prepared(payer.prepare(ordered));
        let prepared = prepared.map_err(|why| (Arc::clone(name), why))?;
        Ok(Operation::intended(Arc::clone(&ordered.id), prepared, self.gateway.runtime().now()))
    }

    pub(super) fn prepare_part(
        &self,
        call: &Call,
        part: Part,
    ) -> Result<Operation, (Arc<str>, PrepareError)> {
        let kind = match part {
            Part::Commit => OperationKind::Commit,
            Part::Undo => OperationKind::Reverse {
                original: Arc::clone(&call.commit.id),
                prepared: call.commit.prepared.clone(),
            },
        };
        let amounts = match part {
            Part::Commit => &call.legs,
            Part::Undo => call.to_take_back(),
        };
        let payer = self.gateway.directory().named(&call.adapter);
        let ordered = self.new_operation(kind, (&call.quote_id, &call.kept), amounts);
        self.prepare((&call.adapter, &*payer), &ordered)
    }
}

/// Whom a chain would ask one after the other, as far as that is known before they have answered: as if none of them
/// paid.
fn turns(first: &ToAsk, given: &Given, price: impl Fn(&Given) -> Result<Priced, Vec<Refusal>>) -> Vec<ToAsk> {
    let (mut turns, mut given) = (vec![first.clone()], given.clone());
    while let Some(last) = turns.last() {
        let known = given.len();
        given.extend(answered(last, |_, asked| Answer::refused(asked)));
        match price(&given) {
            Ok(Priced::Ask(next)) if known < given.len() => turns.push(*next),
            Ok(_) | Err(_) => break,
        }
    }
    turns
}

/// One answer for each payer asked; the first one's holds for the leg it was asked about.
fn answered(to_ask: &ToAsk, answer: impl Fn(&PayerCode, Option<AskedLeg>) -> Answer) -> Given {
    let of = |(nth, leg): (usize, &AskedLeg)| {
        (leg.payer.clone(), answer(&leg.payer, (nth == 0).then(|| leg.clone())))
    };
    to_ask.legs.iter().enumerate().map(of).collect()
}

/// An answer that breaks the contract is refused; why all is given up, where it is committed already.
fn refuse(breach: Breach, payers: &Payers, given: &mut Given) -> Option<Why> {
    let is_confirmed = |payer: &PayerCode| given.get(payer).is_some_and(Answer::is_confirmed);
    match breach {
        Breach::Above { payer, amount, pay_at_most } if is_confirmed(&payer) => {
            return Some(Why::Breach { payer, quoted: pay_at_most, committed: amount });
        }
        Breach::AlsoPaid { by } if is_confirmed(&by) => {
            return Some(Why::NoQuote { payer: by, why: Some(others_cannot_have_paid()) });
        }
        Breach::Above { payer, amount, pay_at_most } => {
            let adapter = payers.of(&payer).map_or("", |adapter| &adapter.name);
            telemetry::quote_above_limit(adapter, &payer, &amount, &pay_at_most);
            let unusable = above_limit(amount, pay_at_most);
            given.insert(payer, Answer::refused(None).instead_of(unusable));
        }
        // The quote as a whole: its other payers rest on it too.
        Breach::AlsoPaid { by } => {
            let adapter = payers.of(&by);
            telemetry::quote_for_others(adapter.map_or("", |adapter| &adapter.name), &by);
            let is_of_it = |payer: &PayerCode| *payer == by || adapter.is_some_and(|one| one.serves(payer));
            for (payer, answer) in given.iter_mut() {
                if is_of_it(payer) && answer.is_quoted() {
                    *answer = Answer::refused(answer.asked.take());
                    if *payer == by {
                        answer.unusable = Some(others_have_not_paid());
                    }
                }
            }
        }
    }
    None
}

/// Whether a quote speaks of every payer asked, once, and of no other; and of those it says have paid, of each once and
/// of such as come later. What is left for them shows in their turn.
fn answers_all(quote: &Quote, to_ask: &ToAsk) -> bool {
    let count = |of: &[QuotedAmount], payer: &PayerCode| of.iter().filter(|one| one.payer == *payer).count();
    let is_behind =
        |also: &QuotedAmount| to_ask.after.contains(&also.payer) && count(&quote.also_paid, &also.payer) == 1;
    quote.amounts.len() == to_ask.legs.len()
        && to_ask.legs.iter().all(|leg| count(&quote.amounts, &leg.payer) == 1)
        && quote.amounts.iter().chain(&quote.also_paid).all(|amount| !amount.amount.is_negative())
        && quote.also_paid.iter().all(is_behind)
}

fn quoted(quote: &Quote, to_ask: &ToAsk, payer: &PayerCode, asked: Option<AskedLeg>) -> Answer {
    let is_last = to_ask.legs.last().is_some_and(|leg| leg.payer == *payer);
    let elsewhere = |also: &QuotedAmount| SettledElsewhere {
        payer: also.payer.clone(),
        amount: also.amount,
        reference: quote.id.clone(),
    };
    let found = quote.amounts.iter().find(|amount| amount.payer == *payer);
    let (amount, steps) = found.map(|found| (found.amount, found.steps.clone())).unwrap_or_default();
    let also_paid = if is_last { quote.also_paid.iter().map(elsewhere).collect() } else { Vec::new() };
    Answer::quoted(asked, amount, steps).under(quote).also_paying(also_paid)
}

fn lapsed() -> Unavailable {
    let why = "试算到达时已过有效期 | its quote had lapsed when it came".to_owned();
    Unavailable { why, retry_after: None }
}

pub(super) fn no_answer() -> Unavailable {
    Unavailable { why: "规定时间内未应答 | no answer in time".to_owned(), retry_after: None }
}

fn neither(quote: &Text, cover: &Text) -> Text {
    Text::new(
        format!("{}；此前对参保情况的应答亦不可用：{}", quote.zh, cover.zh),
        format!("{}; nor could its answer about cover be used: {}", quote.en, cover.en),
    )
}

fn beyond_limits() -> Text {
    Text::new(
        "其内容超过规定长度，或步骤与金额不符",
        "it is longer than it may be, or its steps come to another amount",
    )
}

fn for_others() -> Text {
    Text::new(
        "所答的支付方与所问不符，或金额为负",
        "it answers for other payers than were asked, or below zero",
    )
}

fn above_limit(amount: Money, pay_at_most: Money) -> Text {
    Text::new(
        format!("其金额 {amount} 超过上限 {pay_at_most}"),
        format!("{amount} is more than the {pay_at_most} it may pay"),
    )
}

fn others_have_not_paid() -> Text {
    Text::new(
        "其所述后续支付方已付的金额无法成立",
        "what it says that payers behind it have paid cannot be true",
    )
}

fn others_cannot_have_paid() -> Text {
    Text::new(
        "其试算所述后续支付方已付的金额按确认后的金额无法成立",
        "what its quote said of payers behind it cannot be true with the amount it confirmed",
    )
}
