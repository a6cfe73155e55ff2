//! A payer as somebody writes it in an afternoon: it books whatever it is sent, as often as it is sent. What makes it right
//! is the service over it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use yizhan_contract::payer::{
    Answer, Ask, Manifest, Need, Operation, OperationKind, Payer, Performed, PrepareError, Prepared, Quote,
    QuoteAnswer, QuotedAmount, StatementLine, Status, Unavailable, by_payer,
};
use yizhan_contract::stay::civil_date;
use yizhan_contract::{Money, PayerCode};

use super::faulty::leisurely;

/// The insurer's own system: it stays when the adapter is killed.
#[derive(Debug, Default)]
pub(crate) struct Core {
    quotes: HashMap<String, Money>,
    lines: Vec<StatementLine>,
    refused: Vec<String>,
}

pub(crate) struct Careless {
    manifest: Manifest,
    core: Arc<Mutex<Core>>,
    /// One in four of the commits that it is killed amid never reaches its system.
    loses_some: bool,
}

#[derive(Serialize, Deserialize)]
struct Sent {
    id: String,
    /// Of a reversal: what it takes back.
    original: Option<String>,
    quote: Option<String>,
    #[serde(with = "by_payer")]
    amounts: Vec<(PayerCode, Money)>,
}

impl Careless {
    pub(crate) fn with(core: Arc<Mutex<Core>>) -> Self {
        let cautious = Manifest::cautious("careless", "1", vec!["supplementary".parse().unwrap()]);
        let manifest = Manifest {
            quotes_are_firm: true,
            commits_are_idempotent: true,
            reverse_window_s: Some(86_400),
            concurrency_max: 16,
            needs: [Need::IdNumber].into(),
            ..leisurely(cautious)
        };
        Self { manifest, core, loses_some: false }
    }

    /// One whose system would book twice what is sent twice, so that what was lost on the way is not sent again; it
    /// takes nothing back that it never booked.
    pub(crate) fn losing_some(core: Arc<Mutex<Core>>) -> Self {
        let Self { manifest, core, .. } = Self::with(core);
        let not_found_settles_after_s = 300;
        let manifest = Manifest { commits_are_idempotent: false, not_found_settles_after_s, ..manifest };
        Self { manifest, core, loses_some: true }
    }

    fn is_lost(&self, id: &str) -> bool {
        let number = id.rsplit_once("-killed-").and_then(|(_, number)| number.parse::<u32>().ok());
        self.loses_some && number.is_some_and(|number| number.is_multiple_of(4))
    }
}

#[expect(clippy::disallowed_methods, reason = "a payer has a clock of its own")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn sent(prepared: &Prepared) -> Sent {
    serde_json::from_slice(&prepared.0).unwrap()
}

impl Payer for Careless {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        let (id, most) = (format!("Q-{}", ask.stay), ask.legs[0].pay_at_most);
        self.core.lock().unwrap().quotes.insert(id.clone(), most);
        let amounts =
            vec![QuotedAmount { payer: ask.legs[0].payer.clone(), amount: most, steps: Vec::new() }];
        let valid_until = deadline + SignedDuration::from_mins(30);
        let quote = Quote { id, valid_until, amounts, also_paid: Vec::new(), kept: Default::default() };
        Box::pin(std::future::ready(QuoteAnswer::Quote(quote)))
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        let sent = Sent {
            id: operation.id.to_string(),
            original: match &operation.kind {
                OperationKind::Commit => None,
                OperationKind::Reverse { original, .. } => Some(original.to_string()),
            },
            quote: operation.quote_id.clone(),
            amounts: operation.amounts.clone(),
        };
        Ok(Prepared::from(serde_json::to_vec(&sent).unwrap()))
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Performed> {
        let Sent { id, original, quote, amounts } = sent(prepared);
        let is_reversal = original.is_some();
        Box::pin(async move {
            // Whoever else works on the same has every chance to come in between.
            tokio::task::yield_now().await;
            if self.is_lost(&id) {
                return Performed::Unknown { poll_after: None, why: "no answer".to_owned() };
            }
            let mut core = self.core.lock().unwrap();
            let is_booked = |of: &String| core.lines.iter().any(|line| line.operation_id == *of);
            if self.loses_some && original.as_ref().is_some_and(|of| !is_booked(of)) {
                return Performed::Committed { amounts: Vec::new(), reference: "nothing".to_owned() };
            }
            let quoted = quote.and_then(|quote| core.quotes.get(&quote).copied());
            if !is_reversal && quoted != Some(amounts[0].1) {
                core.refused.push(id);
                let code = "quote_unknown".to_owned();
                return Performed::Refused { message: code.clone(), code };
            }
            let reference = format!("C-{}", core.lines.len() + 1);
            let (payer, amount) = amounts[0].clone();
            let amount = if is_reversal { -amount } else { amount };
            let (operation_id, at) = (id, now());
            core.lines.push(StatementLine { operation_id, reference: reference.clone(), payer, amount, at });
            Performed::Committed { amounts, reference }
        })
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Status> {
        let sent = sent(prepared);
        let core = self.core.lock().unwrap();
        let line = core.lines.iter().find(|line| line.operation_id == sent.id);
        let status = match line {
            Some(line) => Status::Done { amounts: sent.amounts, reference: line.reference.clone() },
            None if core.refused.contains(&sent.id) => Status::Refused { code: "quote_unknown".to_owned() },
            None => Status::NotFound,
        };
        Box::pin(std::future::ready(status))
    }

    fn statement(&self, day: Date, _: Timestamp) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        let core = self.core.lock().unwrap();
        let lines = core.lines.iter().filter(|line| civil_date(line.at) == day).cloned().collect();
        Box::pin(std::future::ready(Ok(lines)))
    }
}
