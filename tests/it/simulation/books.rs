//! A payer's own books: what it did under each operation id, whatever it told anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use yizhan_contract::payer::{Operation, OperationKind, Performed, Status};
use yizhan_contract::{Money, PayerCode};

pub(crate) type Amounts = Vec<(PayerCode, Money)>;

/// A payer, and its books, for whoever holds them against the store.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) name: Arc<str>,
    pub(crate) serves: Vec<PayerCode>,
    /// What it has paid for another payer, wherever it has paid.
    pub(crate) also_paid: Option<(PayerCode, Money)>,
    pub(crate) books: Arc<Mutex<Books>>,
}

/// One operation as the payer has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) stay: Arc<str>,
    pub(crate) is_reversal: bool,
    /// How often it was done: a payer whose commits are not idempotent does again what it is sent again.
    pub(crate) effects: u32,
    pub(crate) amounts: Amounts,
    pub(crate) is_refused: bool,
    /// Its reversal came: done before, it is taken back; not seen yet, it is refused from now on.
    pub(crate) is_reversed: bool,
    /// What its reversal did not give back.
    pub(crate) kept_back: Amounts,
    /// Of a reversal: what it takes back.
    pub(crate) original: Option<Arc<str>>,
}

impl Entry {
    fn held(&self) -> &[(PayerCode, Money)] {
        match self.is_reversed {
            _ if self.is_reversal || self.effects == 0 => &[],
            true => &self.kept_back,
            false => &self.amounts,
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Books {
    pub(crate) is_idempotent: bool,
    /// A payer that forgets reversals of what it had not seen.
    pub(crate) forgets_tombstones: bool,
    pub(crate) entries: BTreeMap<Arc<str>, Entry>,
    /// Requests that left a gateway and have not come yet.
    pub(crate) on_the_way: BTreeMap<Arc<str>, u32>,
    /// Requests that come later than the payer promises.
    pub(crate) unpromised: BTreeSet<Arc<str>>,
    /// Quote ids, and the stays they were given for.
    pub(crate) quotes: BTreeMap<String, Arc<str>>,
    /// Until when each of them holds.
    pub(crate) hold_until: BTreeMap<String, Timestamp>,
}

impl Books {
    pub(crate) fn stay_of(&self, operation: &Operation) -> Arc<str> {
        let quoted = operation.quote_id.as_ref().and_then(|quote| self.quotes.get(quote));
        quoted.map_or_else(|| "nobody's".into(), Arc::clone)
    }

    /// A request leaves a gateway.
    ///
    /// # Errors
    /// A reversal that could overtake what it takes back.
    pub(crate) fn leaves(&mut self, operation: &Operation, is_very_late: bool) -> Result<(), String> {
        *self.on_the_way.entry(Arc::clone(&operation.id)).or_default() += 1;
        let OperationKind::Reverse { original, .. } = &operation.kind else {
            if is_very_late {
                self.unpromised.insert(Arc::clone(&operation.id));
            }
            return Ok(());
        };
        let is_done = self.entries.get(original).is_some_and(|entry| entry.effects > 0 || entry.is_refused);
        if !is_done && self.is_on_the_way(original) && !self.unpromised.contains(original) {
            return Err(format!(
                "quiet: the reversal {} is sent while {original} is on its way",
                operation.id
            ));
        }
        Ok(())
    }

    pub(crate) fn is_on_the_way(&self, id: &str) -> bool {
        self.on_the_way.get(id).is_some_and(|requests| *requests > 0)
    }

    pub(crate) fn is_gone(&mut self, id: &Arc<str>) {
        if let Some(requests) = self.on_the_way.get_mut(id) {
            *requests = requests.saturating_sub(1);
        }
    }

    /// A commit comes: refused where its reversal came before, done once where commits are idempotent.
    pub(crate) fn commit(&mut self, operation: &Operation, amounts: Option<Amounts>) -> Performed {
        let stay = self.stay_of(operation);
        let forgets = self.forgets_tombstones;
        let entry = self.entries.entry(Arc::clone(&operation.id)).or_default();
        entry.stay = stay;
        let is_tombstone = entry.is_reversed && entry.effects == 0;
        if is_tombstone && forgets {
            (entry.is_reversed, entry.is_refused) = (false, false);
        } else if is_tombstone || entry.is_refused {
            entry.is_refused = true;
            return Performed::Refused { code: "refused".into(), message: "not done".into() };
        }
        if entry.effects == 0 {
            let Some(amounts) = amounts else {
                entry.is_refused = true;
                return Performed::Refused { code: "refused".into(), message: "not done".into() };
            };
            entry.amounts = amounts;
            entry.effects = 1;
        } else if !self.is_idempotent {
            entry.effects += 1;
        }
        committed(entry, &operation.id)
    }

    /// A reversal comes: it takes back what was done, or all but a tenth of it, or stands against what may still come.
    pub(crate) fn reverse(
        &mut self,
        operation: &Operation,
        original: &Arc<str>,
        keeps_a_tenth: bool,
    ) -> Performed {
        let stay = self.stay_of(operation);
        let taken = self.entries.entry(Arc::clone(original)).or_default();
        taken.is_reversed = true;
        taken.stay = Arc::clone(&stay);
        let all = if taken.effects > 0 { &taken.amounts } else { &operation.amounts };
        let tenth = |(payer, amount): &(PayerCode, Money)| {
            (payer.clone(), Money::from_fen((amount.fen() / 10).max(1)))
        };
        taken.kept_back = if keeps_a_tenth { all.iter().map(tenth).collect() } else { Vec::new() };
        let mut amounts = all.clone();
        for ((_, amount), (_, kept)) in amounts.iter_mut().zip(&taken.kept_back) {
            *amount -= *kept;
        }
        let original = Some(Arc::clone(original));
        let entry = self.entries.entry(Arc::clone(&operation.id)).or_default();
        *entry = Entry { stay, is_reversal: true, effects: 1, amounts, original, ..Entry::default() };
        committed(entry, &operation.id)
    }

    /// What a reversal kept back is given back by other means; all that was taken back then.
    pub(crate) fn gives_the_rest(&mut self, reversal: &str) -> Option<Amounts> {
        let original = self.entries.get(reversal)?.original.clone()?;
        let taken = self.entries.get_mut(&original).filter(|taken| taken.effects > 0)?;
        taken.kept_back.clear();
        let amounts = taken.amounts.clone();
        self.entries.get_mut(reversal)?.amounts.clone_from(&amounts);
        Some(amounts)
    }

    pub(crate) fn status(&self, id: &str) -> Status {
        match self.entries.get(id) {
            Some(entry) if entry.effects > 0 => {
                Status::Done { amounts: entry.amounts.clone(), reference: format!("R-{id}") }
            }
            Some(entry) if entry.is_refused => Status::Refused { code: "refused".into() },
            _ => Status::NotFound,
        }
    }

    /// What this payer holds of a stay's money, for one of the payers it serves.
    pub(crate) fn holds(&self, stay: &str, payer: &PayerCode) -> Money {
        let of_stay = self.entries.values().filter(|entry| *entry.stay == *stay);
        let amounts = of_stay.flat_map(|entry| {
            let of = entry.held().iter().filter(|(code, _)| code == payer).map(|(_, amount)| *amount);
            let amount: Money = of.sum();
            (0..entry.effects).map(move |_| amount)
        });
        amounts.sum()
    }
}

fn committed(entry: &Entry, id: &str) -> Performed {
    Performed::Committed { amounts: entry.amounts.clone(), reference: format!("R-{id}") }
}
