//! A payer as an insurer writes it at first: a list in memory, no thought of anything being sent twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use yizhan_contract::payer::{
    Answer, Ask, Manifest, Operation, OperationKind, Payer, Performed, PrepareError, Prepared, Quote,
    QuoteAnswer, QuotedAmount, StatementLine, Status, Unavailable, by_payer,
};
use yizhan_contract::{Money, PayerCode};

/// What the insurer's core system holds; it outlives the adapter.
#[derive(Debug, Default)]
pub(crate) struct Core {
    /// Operation → what moved by it; negative for a reversal.
    pub(crate) booked: Vec<(String, Money)>,
    pub(crate) refused: Vec<String>,
    pub(crate) fenced: Vec<String>,
    /// How the next operations go: `lost` (booked, no answer), `dropped` (not booked, no answer), `refused`.
    pub(crate) next: VecDeque<String>,
    /// What a commit brings with it from its quote.
    pub(crate) kept_seen: BTreeMap<String, Vec<u8>>,
}

pub(crate) struct Insurer {
    manifest: Manifest,
    core: Arc<Mutex<Core>>,
}

#[derive(Serialize, Deserialize)]
struct Sent {
    id: String,
    reverses: Option<String>,
    #[serde(with = "by_payer")]
    amounts: Vec<(PayerCode, Money)>,
    kept: Vec<u8>,
}

impl Insurer {
    pub(crate) fn with(core: &Arc<Mutex<Core>>, commits_are_idempotent: bool) -> Self {
        let serves = vec!["supplementary".parse().unwrap()];
        let cautious = Manifest::cautious("insurer", "1", serves);
        let manifest = Manifest { commits_are_idempotent, concurrency_max: 4, ..cautious };
        Self { manifest, core: Arc::clone(core) }
    }

    fn book(&self, sent: &Sent) -> Performed {
        let mut core = self.core.lock().unwrap();
        let how = core.next.pop_front().unwrap_or_default();
        let unknown = || Performed::Unknown { poll_after: None, why: "no answer".to_owned() };
        let refused = |code: &str| Performed::Refused { code: code.to_owned(), message: code.to_owned() };
        if how == "dropped" {
            return unknown();
        }
        if how == "refused" || core.fenced.contains(&sent.id) {
            core.refused.push(sent.id.clone());
            return refused("no");
        }
        let total: Money = sent.amounts.iter().map(|(_, amount)| *amount).sum();
        let amounts = match &sent.reverses {
            None => {
                core.kept_seen.insert(sent.id.clone(), sent.kept.clone());
                core.booked.push((sent.id.clone(), total));
                sent.amounts.clone()
            }
            Some(original) if core.booked.iter().any(|(id, _)| id == original) => {
                core.booked.push((sent.id.clone(), -total));
                sent.amounts.clone()
            }
            Some(original) => {
                core.fenced.push(original.clone());
                core.booked.push((sent.id.clone(), Money::ZERO));
                Vec::new()
            }
        };
        if how == "lost" {
            return unknown();
        }
        Performed::Committed { amounts, reference: format!("I-{}", sent.id) }
    }
}

fn sent(prepared: &Prepared) -> Sent {
    serde_json::from_slice(&prepared.0).unwrap()
}

impl Payer for Insurer {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        let amount = |leg: &yizhan_contract::payer::AskedLeg| QuotedAmount {
            payer: leg.payer.clone(),
            amount: leg.pay_at_most,
            steps: Vec::new(),
        };
        let quote = Quote {
            id: format!("Q-{}", ask.stay),
            valid_until: deadline,
            amounts: ask.legs.iter().map(amount).collect(),
            also_paid: Vec::new(),
            kept: format!("kept of {}", ask.stay).into_bytes().into(),
        };
        Box::pin(std::future::ready(QuoteAnswer::Quote(quote)))
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        let reverses = match &operation.kind {
            OperationKind::Commit => None,
            OperationKind::Reverse { original, .. } => Some(original.to_string()),
        };
        let (id, amounts) = (operation.id.to_string(), operation.amounts.clone());
        if id == "unsendable" {
            return Err(PrepareError("no such branch".to_owned()));
        }
        let sent = Sent { id, reverses, amounts, kept: operation.kept.to_vec() };
        Ok(Prepared::from(serde_json::to_vec(&sent).unwrap()))
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Performed> {
        Box::pin(async move {
            // Whoever else works on the same has every chance to come in between.
            tokio::task::yield_now().await;
            self.book(&sent(prepared))
        })
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Status> {
        let sent = sent(prepared);
        let core = self.core.lock().unwrap();
        let status = if core.refused.contains(&sent.id) {
            Status::Refused { code: "no".to_owned() }
        } else if core.booked.iter().any(|(id, _)| *id == sent.id) {
            Status::Done { amounts: sent.amounts, reference: format!("I-{}", sent.id) }
        } else {
            Status::NotFound
        };
        Box::pin(std::future::ready(status))
    }

    fn statement(&self, day: Date, _: Timestamp) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        let at = "2020-07-02T02:00:00Z".parse().unwrap();
        let line = |(id, amount): &(String, Money)| StatementLine {
            operation_id: id.clone(),
            reference: format!("I-{id}"),
            payer: "supplementary".parse().unwrap(),
            amount: *amount,
            at,
        };
        let is_day = yizhan_contract::stay::civil_date(at) == day;
        let core = self.core.lock().unwrap();
        let lines = core.booked.iter().filter(|_| is_day).map(line).collect();
        Box::pin(std::future::ready(Ok(lines)))
    }
}
