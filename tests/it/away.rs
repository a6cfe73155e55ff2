//! An insurer that is away at times and asked later: its quotes and its book are the same for every gateway.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Barrier;
use yizhan::settlement::payers::Payers;
use yizhan_contract::payer::{
    Answer, Ask, AskedLeg, Cover, Coverage, CoverageQuestion, Manifest, Need, Operation, OperationKind,
    Payer, Performed, PrepareError, Prepared, Quote, QuoteAnswer, QuotedAmount, StatementLine, Status,
    Unavailable,
};
use yizhan_contract::{Money, PayerCode, Step, StepKind};
use yizhan_rules::{PolicyShelf, SHIPPED};

use crate::gateway::Sent;

/// How long a gateway is to wait before it asks about an answer that was lost.
pub(crate) const ASK_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// Policies whose last payer is the insurer: an older one lets another be computed behind it.
pub(crate) fn policies() -> PolicyShelf {
    let with_insurer_last = SHIPPED.iter().copied().filter(|(file, _)| file.contains("shandong-2020"));
    PolicyShelf::read(with_insurer_last).unwrap()
}

/// A stay for which the insurer has something left to pay.
pub(crate) fn discharge(id: &str) -> Sent {
    Sent {
        kind: "json".to_owned(),
        id: id.to_owned(),
        who: Some("li".to_owned()),
        visit: "L1".to_owned(),
        admitted: Some("2020-06-01".to_owned()),
        discharged: Some("2020-06-11".to_owned()),
        lines: vec!["1 CG SUR09 1000.00".to_owned()],
        ..Sent::default()
    }
}

#[derive(Default)]
pub(crate) struct Mood {
    pub(crate) is_away: bool,
    /// After so many quotes it is away.
    pub(crate) quotes_left: Option<u32>,
    /// What it says wherever it says something in words, and as the id of a quote; absent: something short.
    pub(crate) words: Option<String>,
    pub(crate) quote_id: Option<String>,
    /// When it wishes to be asked about what it has not answered, and for a quote.
    pub(crate) poll_after: Option<SignedDuration>,
    pub(crate) retry_after: Option<SignedDuration>,
    /// Bytes that are to be kept with its quotes, and beyond what is needed with its operations.
    pub(crate) kept_bytes: usize,
    pub(crate) padding_bytes: usize,
    /// It explains its quotes by one step, which comes to so much beyond the amount.
    pub(crate) explains_beyond: Option<Money>,
    pub(crate) refuses: bool,
    /// Commits that come, whatever it quoted.
    pub(crate) refuses_commits: bool,
    /// Something of the stay has not reached it.
    pub(crate) is_not_ready: bool,
    /// Of what it may pay; else half of it.
    pub(crate) pays_a_tenth: bool,
    pub(crate) pays_nothing: bool,
    /// Commits never come, and nobody hears of it.
    pub(crate) loses_commits: bool,
    /// What becomes of a commit, it does not say.
    pub(crate) is_mute: bool,
    /// Commits are done, and nobody hears of it.
    pub(crate) loses_answers: bool,
    /// Reversals are done, and it says that there was nothing to take back.
    pub(crate) gives_nothing_back: bool,
    /// Until when its quotes may be committed; absent: for ever.
    pub(crate) valid_until: Option<Timestamp>,
    /// What its quotes say of payers behind it.
    pub(crate) also_paid: Vec<(&'static str, &'static str)>,
    /// What it commits beyond its quote.
    pub(crate) drift: Money,
    /// What it does not give back of what it is to take back.
    pub(crate) keeps_back: Money,
    pub(crate) asks: Vec<Ask>,
    /// What it says of a person's cover, where it is asked.
    pub(crate) is_in_force: Option<bool>,
    /// Why nothing can be made of what it says of that, instead.
    pub(crate) cover_unsaid: Option<&'static str>,
    /// It says so once others were asked too.
    pub(crate) covers_with: Option<Arc<Barrier>>,
    /// How often it was asked.
    pub(crate) cover_asked: u32,
    /// By operation id; what was taken back stands with nothing.
    pub(crate) book: BTreeMap<Arc<str>, Money>,
    /// What each reversal that came was to take back.
    pub(crate) reversed: Vec<Vec<(PayerCode, Money)>>,
    /// Commits that came, the same one again included.
    pub(crate) commits: u32,
}

pub(crate) struct Away {
    manifest: Manifest,
    mood: Mutex<Mood>,
}

impl Away {
    pub(crate) fn new() -> Arc<Self> {
        Self::serving("supplementary")
    }

    pub(crate) fn serving(payer: &str) -> Arc<Self> {
        Self::of(payer, |_| {})
    }

    /// One that is asked until it answers: without it nothing is settled.
    pub(crate) fn required(payer: &str) -> Arc<Self> {
        Self::of(payer, |manifest| manifest.optional = false)
    }

    /// One that is to be told more than what everybody is told.
    pub(crate) fn needing(needs: impl IntoIterator<Item = Need>) -> Arc<Self> {
        Self::of("supplementary", |manifest| manifest.needs = needs.into_iter().collect())
    }

    /// One whose commits cannot be taken back.
    pub(crate) fn irreversible() -> Arc<Self> {
        Self::of("supplementary", |manifest| manifest.reverse_window_s = None)
    }

    pub(crate) fn of(payer: &str, change: impl FnOnce(&mut Manifest)) -> Arc<Self> {
        let mut manifest = Manifest {
            quotes_are_firm: true,
            commits_are_idempotent: false,
            reverse_window_s: Some(86_400 * 30),
            not_found_settles_after_s: 1,
            optional: true,
            commits_zero: false,
            concurrency_max: 4,
            ..Manifest::cautious("test", "1", vec![payer.parse().unwrap()])
        };
        change(&mut manifest);
        Arc::new(Self { manifest, mood: Mutex::default() })
    }

    pub(crate) fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap()
    }

    /// It can be asked again, in another mood.
    pub(crate) fn is_back(&self, change: impl FnOnce(&mut Mood)) {
        let mut mood = self.mood();
        mood.is_away = false;
        change(&mut mood);
    }

    pub(crate) fn payers(self: &Arc<Self>) -> Payers {
        together(&[("insurer", self)])
    }

    pub(crate) fn holds(&self) -> Money {
        self.mood().book.values().copied().sum()
    }
}

/// Adapters by name.
pub(crate) fn together(insurers: &[(&str, &Arc<Away>)]) -> Payers {
    let adapter = |(name, away): &(&str, &Arc<Away>)| (Arc::from(*name), Arc::clone(away) as Arc<dyn Payer>);
    Payers::new(insurers.iter().map(adapter).collect()).unwrap()
}

fn unavailable() -> Unavailable {
    Unavailable { why: "down".into(), retry_after: None }
}

/// How an operation is made ready: what it is, and spaces.
fn ready(operation: &Operation, padding_bytes: usize) -> Result<Prepared, PrepareError> {
    let mut bytes = serde_json::to_vec(operation).map_err(|why| PrepareError(why.to_string()))?;
    bytes.resize(bytes.len() + padding_bytes, b' ');
    Ok(Prepared::from(bytes))
}

fn read(prepared: &Prepared) -> Operation {
    serde_json::from_slice(&prepared.0).unwrap()
}

impl Mood {
    fn words(&self, short: &str) -> String {
        self.words.clone().unwrap_or_else(|| short.to_owned())
    }

    fn unavailable(&self) -> Unavailable {
        Unavailable { why: self.words("down"), retry_after: self.retry_after }
    }

    fn quote(&mut self, ask: &Ask) -> QuoteAnswer {
        self.asks.push(ask.clone());
        if self.is_away || self.quotes_left == Some(0) {
            return QuoteAnswer::Unavailable(self.unavailable());
        }
        self.quotes_left = self.quotes_left.map(|left| left - 1);
        if self.is_not_ready {
            return QuoteAnswer::NotReady { what: self.words("the admission") };
        }
        if self.refuses {
            return QuoteAnswer::Refused { code: self.words("no"), message: self.words("not covered") };
        }
        let part = match (self.pays_nothing, self.pays_a_tenth) {
            (true, _) => i64::MAX,
            (false, true) => 10,
            (false, false) => 2,
        };
        let amount = |leg: &AskedLeg| {
            let amount = Money::from_fen(leg.pay_at_most.fen() / part);
            let step = |beyond| Step::new(StepKind::Base, (amount + beyond).exact());
            let steps = self.explains_beyond.map(step).into_iter().collect();
            QuotedAmount { payer: leg.payer.clone(), amount, steps }
        };
        let also = |(payer, amount): &(&str, &str)| QuotedAmount {
            payer: payer.parse().unwrap(),
            amount: amount.parse().unwrap(),
            steps: Vec::new(),
        };
        QuoteAnswer::Quote(Quote {
            id: self.quote_id.clone().unwrap_or_else(|| ask.stay.to_string()),
            valid_until: self.valid_until.unwrap_or(Timestamp::MAX),
            amounts: ask.legs.iter().map(amount).collect(),
            kept: vec![0; self.kept_bytes].into(),
            also_paid: self.also_paid.iter().map(also).collect(),
        })
    }

    /// What it does where it is asked for this.
    fn done(&self, operation: &Operation) -> Vec<(PayerCode, Money)> {
        let mut amounts = operation.amounts.clone();
        match operation.kind {
            OperationKind::Commit => amounts[0].1 += self.drift,
            OperationKind::Reverse { .. } => amounts[0].1 -= self.keeps_back,
        }
        amounts
    }

    fn perform(&mut self, operation: Operation) -> Performed {
        let mut amounts = self.done(&operation);
        let poll_after = Some(self.poll_after.unwrap_or(ASK_AFTER));
        let lost = Performed::Unknown { poll_after, why: self.words("no answer") };
        match &operation.kind {
            OperationKind::Commit if self.loses_commits => return lost,
            OperationKind::Commit if self.refuses_commits => {
                return Performed::Refused { code: self.words("E7"), message: self.words("not insured") };
            }
            OperationKind::Commit => {
                self.commits += 1;
                let amount = amounts.iter().map(|(_, amount)| *amount).sum();
                self.book.insert(Arc::clone(&operation.id), amount);
                if self.loses_answers {
                    return lost;
                }
            }
            OperationKind::Reverse { original, .. } => {
                self.reversed.push(operation.amounts.clone());
                self.book.insert(Arc::clone(original), self.keeps_back);
                self.book.insert(Arc::clone(&operation.id), Money::ZERO);
                if self.gives_nothing_back {
                    amounts.clear();
                }
            }
        }
        let reference = self.words(&format!("R{}", self.book.len()));
        Performed::Committed { amounts, reference }
    }
}

impl Payer for Away {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn quote<'a>(&'a self, ask: &'a Ask, _: Timestamp) -> Answer<'a, QuoteAnswer> {
        Box::pin(async move { self.mood().quote(ask) })
    }

    fn coverage<'a>(&'a self, question: &'a CoverageQuestion, _: Timestamp) -> Answer<'a, Coverage> {
        let cover = |in_force| {
            let of = |payer: &PayerCode| Cover { payer: payer.clone(), in_force, from: None, to: None };
            Coverage::Covers { covers: question.payers.iter().map(of).collect() }
        };
        let mut mood = self.mood();
        mood.cover_asked += 1;
        let others = mood.covers_with.clone();
        let unsaid = |why: &str| Unavailable { why: why.to_owned(), retry_after: None };
        let said = match mood.cover_unsaid {
            Some(why) => Coverage::Unavailable(unsaid(why)),
            None => mood.is_in_force.map_or(Coverage::UnknownPerson, cover),
        };
        Box::pin(async move {
            if let Some(others) = others {
                others.wait().await;
            }
            said
        })
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        ready(operation, self.mood().padding_bytes)
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Performed> {
        Box::pin(async move { self.mood().perform(read(prepared)) })
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, _: Timestamp) -> Answer<'a, Status> {
        let operation = read(prepared);
        let mood = self.mood();
        let status = match mood.book.contains_key(&operation.id) {
            _ if mood.is_mute => Status::Unavailable(unavailable()),
            true => Status::Done { amounts: mood.done(&operation), reference: "R".into() },
            false => Status::NotFound,
        };
        drop(mood);
        Box::pin(async move { status })
    }

    fn statement(&self, _: Date, _: Timestamp) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        Box::pin(async move { Err(unavailable()) })
    }
}
