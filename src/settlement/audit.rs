//! Holding the books against each other: bills against their parts, the store's figures, the ledger, and the year's
//! sums. Pure; what reads the books hands them over person by person.

use std::collections::BTreeMap;

use uuid::Uuid;
use yizhan_contract::{Money, PayerCode, Text};

use super::bill::Bill;
use crate::store::ledger::{Balances, Stated, balances};
use crate::store::{Book, PostingKind};

/// Something in the books that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub settlement_id: Uuid,
    pub what: Text,
    pub next_step: Text,
}

/// An audit under way.
#[derive(Debug, Default)]
pub struct Audit {
    pub settlements: u64,
    pub people: u64,
    /// Every account, debits less credits.
    pub accounts: Balances,
    /// What payers are called by the bills seen so far, a person's own last.
    names: BTreeMap<PayerCode, Text>,
    person: Option<PersonSums>,
}

/// What one person's standing bills add up to, to be held against the accumulators once all of them were seen.
#[derive(Debug)]
struct PersonSums {
    person_id: Uuid,
    last: Uuid,
    billed: BTreeMap<(i16, PayerCode), Money>,
    accumulated: BTreeMap<(i16, PayerCode), Money>,
}

impl Audit {
    /// Names payers that stand on no bill that is read; bills say what they were called when they were issued.
    pub fn knowing(names: BTreeMap<PayerCode, Text>) -> Self {
        Self { names, ..Self::default() }
    }

    /// Takes the next settlement, people one after the other, and says what is wrong with it.
    pub fn take(&mut self, book: &Book) -> Vec<Difference> {
        let mut differences = Vec::new();
        if self.person.as_ref().is_none_or(|person| person.person_id != book.person_id) {
            differences.extend(self.end_of_person());
        }
        let counted = book.postings.iter().filter(|posting| posting.kind != PostingKind::Clearing);
        let standing = balances(counted);
        for (account, amount) in balances(&book.postings) {
            *self.accounts.entry(account).or_default() += amount;
        }
        self.settlements += 1;
        let newest = check_bills(book, &mut differences);
        let wrong = |what, next_step| Difference { settlement_id: book.settlement_id, what, next_step };
        if let Some(bill) = &newest
            && !stated(bill).fits(&standing)
        {
            differences.push(wrong(not_in_the_ledger(bill, &standing), ask_for_help()));
        }
        let person = self.person.get_or_insert_with(|| PersonSums {
            person_id: book.person_id,
            last: book.settlement_id,
            billed: BTreeMap::new(),
            accumulated: BTreeMap::new(),
        });
        person.take(book, newest.as_ref().filter(|_| !standing.is_empty()));
        for payer in newest.iter().flat_map(|bill| &bill.payers) {
            if self.names.get(&payer.payer) != Some(&payer.name) {
                self.names.insert(payer.payer.clone(), payer.name.clone());
            }
        }
        differences
    }

    /// What is wrong with the sums of the last person.
    pub fn end_of_person(&mut self) -> Vec<Difference> {
        let Some(person) = self.person.take() else { return Vec::new() };
        self.people += 1;
        person.differences(&self.names)
    }
}

/// Every bill by itself, the newest against what the store says beside it. Absent: the newest cannot be read.
fn check_bills(book: &Book, differences: &mut Vec<Difference>) -> Option<Bill> {
    let wrong = |what, next_step| Difference { settlement_id: book.settlement_id, what, next_step };
    let mut newest = None;
    for document in &book.bills {
        newest = match serde_json::from_slice::<Bill>(document) {
            Ok(bill) => {
                if let Err(why) = bill.check() {
                    let version = bill.version;
                    let what = Text::new(
                        format!("第 {version} 版结算单各项不平（{why}）"),
                        format!("bill version {version}: {why}"),
                    );
                    differences.push(wrong(what, ask_for_help()));
                }
                Some(bill)
            }
            Err(why) => {
                let what =
                    Text::new(format!("结算单无法读取（{why}）"), format!("a bill cannot be read: {why}"));
                differences.push(wrong(what, restore()));
                None
            }
        };
    }
    match &newest {
        None if book.bills.is_empty() => {
            let what = Text::new("没有结算单", "there is no bill");
            differences.push(wrong(what, restore()));
        }
        Some(bill) if !is_as_stored(bill, book) => {
            let what = Text::new(
                "结算单与存储中的状态或金额不一致",
                "the bill and the figures stored beside it differ",
            );
            differences.push(wrong(what, ask_for_help()));
        }
        _ => {}
    }
    newest
}

fn is_as_stored(bill: &Bill, book: &Book) -> bool {
    let mut legs: Vec<(&PayerCode, Money)> = stated(bill).legs.collect();
    let mut stored: Vec<(&PayerCode, Money)> =
        book.legs.iter().map(|(payer, _, paid)| (payer, *paid)).collect();
    legs.sort_unstable();
    stored.sort_unstable();
    let figures = (bill.state.word(), bill.amounts.total, bill.patient_share);
    figures == (&book.state, book.total, book.patient_share) && legs == stored
}

fn stated(bill: &Bill) -> Stated<'_, impl Iterator<Item = (&PayerCode, Money)>> {
    Stated {
        state: bill.state.word(),
        hospital: &bill.hospital,
        patient_share: bill.patient_share,
        legs: bill.payers.iter().map(|payer| (&payer.payer, payer.paid)),
    }
}

fn not_in_the_ledger(bill: &Bill, standing: &Balances) -> Text {
    let accounts: Vec<String> =
        standing.iter().map(|(account, amount)| format!("{account} {amount}")).collect();
    let accounts = if accounts.is_empty() { "0.00".to_owned() } else { accounts.join(", ") };
    let state = bill.state.text();
    Text::new(
        format!("{}的结算单与账目不符，账目为 {accounts}", state.zh),
        format!("the bill is {}, and the ledger says {accounts}", bill.state.word()),
    )
}

fn restore() -> Text {
    Text::new("请用备份核对并恢复该存储", "compare the store with a backup and restore it")
}

fn ask_for_help() -> Text {
    Text::new(
        "请勿手工改库；备份存储，连同本行内容交网关维护方",
        "do not edit the store by hand; back it up and give this line to whoever maintains the gateway",
    )
}

impl PersonSums {
    /// `standing`: the newest bill, if its money stands.
    fn take(&mut self, book: &Book, standing: Option<&Bill>) {
        self.last = book.settlement_id;
        // The latest reading is as new as the latest bill.
        self.accumulated =
            book.accumulated.iter().map(|(year, payer, paid)| ((*year, payer.clone()), *paid)).collect();
        for payer in standing.iter().flat_map(|bill| &bill.payers) {
            let year = standing.map_or(0, |bill| bill.benefit_year);
            *self.billed.entry((year, payer.payer.clone())).or_default() += payer.paid;
        }
    }

    fn differences(mut self, names: &BTreeMap<PayerCode, Text>) -> Vec<Difference> {
        self.billed.retain(|_, paid| !paid.is_zero());
        self.accumulated.retain(|_, paid| !paid.is_zero());
        let mut keys: Vec<_> = self.billed.keys().chain(self.accumulated.keys()).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        let of = |sums: &BTreeMap<_, Money>, key| sums.get(key).copied().unwrap_or_default();
        let pairs = keys.iter().map(|key| (key, of(&self.billed, key), of(&self.accumulated, key)));
        let differing = pairs.filter(|(_, billed, accumulated)| billed != accumulated);
        let difference = |((year, payer), billed, accumulated): (&(i16, PayerCode), Money, Money)| {
            let code = || Text::new(payer.as_str(), payer.as_str());
            let Text { zh, en } = names.get(payer).cloned().unwrap_or_else(code);
            let what = Text::new(
                format!("该参保人 {year} 年{zh}累计 {accumulated} 元，有效结算单合计 {billed} 元"),
                format!("the person's {year} sum for {en} is {accumulated}; their bills add up to {billed}"),
            );
            Difference { settlement_id: self.last, what, next_step: ask_for_help() }
        };
        differing.map(difference).collect()
    }
}
