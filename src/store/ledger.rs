//! What every store holds its ledger to: how accounts are written down, and that postings say what the bill says.
//!
//! A posting takes from one account what it gives another, so no sum over postings can be anything but zero. What is
//! left to check is that they are the right ones: what stands in the ledger for a settlement is its newest bill, or
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use yizhan_contract::{Money, PayerCode};

use super::{Account, BillWrite, Posting, PostingKind, ReportLine, StoreError};

/// Who stands in a report for the patient.
pub const PATIENT: &str = "patient";

/// What stands on each account of a settlement, debits less credits; accounts with nothing left out.
pub type Balances = BTreeMap<Account, Money>;

pub fn balances<'p>(postings: impl IntoIterator<Item = &'p Posting>) -> Balances {
    let mut balances = Balances::new();
    for posting in postings {
        *balances.entry(posting.debit.clone()).or_default() += posting.amount;
        *balances.entry(posting.credit.clone()).or_default() -= posting.amount;
    }
    balances.retain(|_, amount| !amount.is_zero());
    balances
}

/// What a bill may leave in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Every payer's part and the patient's.
    All,
    Nothing,
    /// Something is under way, and which way it goes is not in the word for it.
    AllOrNothing,
}

impl Standing {
    /// By the bill's state.
    pub fn of(state: &str) -> Self {
        match state {
            "settled" => Self::All,
            "reversing" | "needs_attention" => Self::AllOrNothing,
            _ => Self::Nothing,
        }
    }
}

/// What a bill says, to be held against the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Stated<'b, L> {
    pub state: &'b str,
    pub hospital: &'b str,
    pub patient_share: Money,
    /// Payer and what it pays.
    pub legs: L,
}

impl<'b, L: IntoIterator<Item = (&'b PayerCode, Money)>> Stated<'b, L> {
    /// Whether the ledger may say this of the settlement.
    pub fn fits(self, balances: &Balances) -> bool {
        match Standing::of(self.state) {
            Standing::Nothing => balances.is_empty(),
            Standing::AllOrNothing if balances.is_empty() => true,
            Standing::All | Standing::AllOrNothing => self.fills(balances),
        }
    }

    /// Each payer's part on one fund of that payer's, the patient's on the patient, the sum with the hospital.
    fn fills(self, balances: &Balances) -> bool {
        let mut owed: BTreeMap<Option<&PayerCode>, Money> = BTreeMap::new();
        owed.insert(None, self.patient_share);
        for (payer, paid) in self.legs {
            *owed.entry(Some(payer)).or_default() += paid;
        }
        owed.retain(|_, amount| !amount.is_zero());
        let total: Money = owed.values().copied().sum();
        let mut hospital = Money::ZERO;
        for (account, amount) in balances {
            let expected = match account {
                Account::Fund { payer, .. } => owed.remove(&Some(payer)),
                Account::Patient => owed.remove(&None),
                Account::Hospital(code) if **code == *self.hospital => {
                    hospital = -*amount;
                    Some(*amount)
                }
                Account::Hospital(_) => None,
            };
            if expected != Some(*amount) {
                return false;
            }
        }
        owed.is_empty() && hospital == total
    }
}

/// Refuses postings that do not bring the ledger to where the bill of the step says it is. `before`: what was posted
/// for the settlement so far.
///
/// # Errors
/// [`StoreError::Defect`]: whoever decided made a mistake, and nothing of the step may be written.
pub fn check(bill: Option<&BillWrite>, before: &[Posting], new: &[Posting]) -> Result<(), StoreError> {
    let defect = |what: String| Err(StoreError::Defect(what));
    let mut pairs = BTreeSet::new();
    for posting in new {
        let Posting { debit, credit, .. } = posting;
        if !pairs.insert((debit, credit)) {
            return defect(format!("{debit} and {credit} posted twice by one bill"));
        }
        if !posting.amount.is_positive() {
            return defect(format!("a posting of {}", posting.amount));
        }
        if posting.debit == posting.credit {
            return defect(format!("{} posted against itself", posting.debit));
        }
    }
    let Some(bill) = bill else {
        return if new.is_empty() { Ok(()) } else { defect("postings without a bill".to_owned()) };
    };
    let is_counted = |posting: &&Posting| posting.kind != PostingKind::Clearing;
    let stated = Stated {
        state: bill.state,
        hospital: &bill.hospital,
        patient_share: bill.patient_share,
        legs: bill.legs.iter().map(|leg| (&leg.payer, leg.paid)),
    };
    if stated.fits(&balances(before.iter().chain(new).filter(is_counted))) {
        return Ok(());
    }
    let (id, state) = (bill.settlement_id, bill.state);
    defect(format!("the ledger of settlement {id} would not be what its {state} bill says"))
}

/// Money of one kind between two accounts on one day.
#[derive(Debug, Clone)]
pub struct DaySum {
    pub kind: PostingKind,
    pub debit: Account,
    pub credit: Account,
    pub settlements: u64,
    pub amount: Money,
}

/// The report of a day: what its ledger says, and the `others` that came into a state that moves no money.
pub fn report(sums: impl IntoIterator<Item = DaySum>, others: Vec<ReportLine>) -> Vec<ReportLine> {
    let mut lines = report_lines(sums);
    lines.extend(others);
    lines.sort_unstable_by(|a, b| (&a.hospital, &a.payer, &a.state).cmp(&(&b.hospital, &b.payer, &b.state)));
    lines
}

/// The day's ledger as lines of the report, which is about hospitals: what each is owed, and by whom.
fn report_lines(sums: impl IntoIterator<Item = DaySum>) -> Vec<ReportLine> {
    let mut lines: BTreeMap<(String, String, String), (u64, Money)> = BTreeMap::new();
    for DaySum { kind, debit, credit, settlements, amount } in sums {
        let state = match kind {
            PostingKind::Settlement => "settled",
            PostingKind::Reversal => "reversed",
            PostingKind::Clearing => continue,
        };
        // What a later version takes off is less of what stands, and no settlement more.
        let (owing, hospital, settlements, amount) = match (debit, credit, kind) {
            (owing, Account::Hospital(hospital), PostingKind::Settlement)
            | (Account::Hospital(hospital), owing, PostingKind::Reversal) => {
                (owing, hospital, settlements, amount)
            }
            (owing, Account::Hospital(hospital), _) | (Account::Hospital(hospital), owing, _) => {
                (owing, hospital, 0, -amount)
            }
            _ => continue,
        };
        let payer = match owing {
            Account::Fund { payer, .. } => payer.to_string(),
            Account::Patient => PATIENT.to_owned(),
            Account::Hospital(_) => continue,
        };
        let line = lines.entry((hospital.to_string(), payer, state.to_owned())).or_default();
        line.0 += settlements;
        line.1 += amount;
    }
    let line = |((hospital, payer, state), (count, paid))| ReportLine { hospital, payer, state, count, paid };
    lines.into_iter().map(line).collect()
}

impl PostingKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Settlement => "settlement",
            Self::Reversal => "reversal",
            Self::Clearing => "clearing",
        }
    }
}

/// Text of the ledger that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no word of the ledger")]
pub struct NotOfTheLedger(String);

impl From<NotOfTheLedger> for StoreError {
    fn from(why: NotOfTheLedger) -> Self {
        Self::Damaged(why.to_string())
    }
}

impl FromStr for PostingKind {
    type Err = NotOfTheLedger;

    fn from_str(text: &str) -> Result<Self, NotOfTheLedger> {
        [Self::Settlement, Self::Reversal, Self::Clearing]
            .into_iter()
            .find(|kind| kind.word() == text)
            .ok_or_else(|| NotOfTheLedger(text.to_owned()))
    }
}

/// `fund:PAYER:REGION`, `patient`, `hospital:CODE`.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fund { payer, region } => write!(f, "fund:{}:{region}", payer.as_str()),
            Self::Patient => f.write_str(PATIENT),
            Self::Hospital(code) => write!(f, "hospital:{code}"),
        }
    }
}

impl FromStr for Account {
    type Err = NotOfTheLedger;

    fn from_str(text: &str) -> Result<Self, NotOfTheLedger> {
        let unknown = || NotOfTheLedger(text.to_owned());
        match text.split_once(':') {
            None if text == PATIENT => Ok(Self::Patient),
            Some(("hospital", code)) => Ok(Self::Hospital(Arc::from(code))),
            Some(("fund", rest)) => {
                let (payer, region) = rest.split_once(':').ok_or_else(unknown)?;
                let payer = payer.parse().map_err(|_| unknown())?;
                Ok(Self::Fund { payer, region: Arc::from(region) })
            }
            _ => Err(unknown()),
        }
    }
}
