//! The books after settlements and reversals in any order: the day's report is the day's ledger, an audit finds
//! nothing, and what is damaged it names.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::Date;
use proptest::prelude::*;
use proptest::test_runner::Config;
use yizhan::settlement::audit::{Audit, Difference};
use yizhan::settlement::bill::{Bill, BillState};
use yizhan::settlement::ledger::{self, Standing};
use yizhan::settlement::outcome::Outcome;
use yizhan::store::ledger::balances;
use yizhan::store::{Account, PostingKind, Store};
use yizhan_contract::Money;
use yizhan_contract::stay::civil_date;

use super::sender::Sent;
use super::{House, profiles};

/// One resident, two beneficiaries, and one who is on no roster.
const PEOPLE: [&str; 4] = ["zhou", "li", "zhang", "stranger"];
const HOSPITALS: [&str; 2] = ["H37132301", "H37132302"];
const DAYS: i64 = 3;

#[derive(Debug, Clone)]
enum Act {
    Settle { who: usize, hospital: usize, visit: usize, amount: u32, quote: bool },
    Reverse { which: usize },
    NextDay,
}

fn act() -> impl Strategy<Value = Act> {
    let settle = (0..4usize, 0..2usize, 0..3usize, 50..60_000u32, prop::bool::weighted(0.2));
    prop_oneof![
        5 => settle.prop_map(|(who, hospital, visit, amount, quote)| Act::Settle { who, hospital, visit, amount, quote }),
        3 => (0..20usize).prop_map(|which| Act::Reverse { which }),
        1 => Just(Act::NextDay),
    ]
}

fn stay(who: &str, hospital: &str, visit: usize, id: usize, amount: u32) -> Sent {
    Sent {
        kind: "json".to_owned(),
        id: format!("{id}"),
        hospital: Some(hospital.to_owned()),
        who: Some(who.to_owned()),
        visit: format!("{who}{visit}"),
        admitted: Some("2020-06-01".to_owned()),
        discharged: Some("2020-06-11".to_owned()),
        lines: vec![format!("1 CG SUR09 {amount}.00"), format!("2 CG DRU05 {}.00", amount / 7 + 1)],
        ..Sent::default()
    }
}

/// What a day's lines have to be, added up from the bills as they were handed out: by hospital, payer and state.
type Lines = BTreeMap<(String, String, String), (u64, Money)>;

#[derive(Default)]
struct Expected {
    days: BTreeMap<Date, Lines>,
    /// What is owed by whom, for the bills that stand.
    owed: BTreeMap<String, Money>,
}

impl Expected {
    fn note(&mut self, day: Date, bill: &Bill) {
        let state = bill.state.word();
        let sign = |amount: Money| if bill.state == BillState::Reversed { -amount } else { amount };
        let share = ("patient".to_owned(), bill.patient_share);
        let legs = bill.payers.iter().map(|payer| (payer.payer.to_string(), payer.paid)).chain([share]);
        for (payer, paid) in legs.filter(|(_, paid)| !paid.is_zero()) {
            let line = (bill.hospital.to_string(), payer.clone(), state.to_owned());
            let line = self.days.entry(day).or_default().entry(line).or_default();
            *line = (line.0 + 1, line.1 + paid);
            *self.owed.entry(payer).or_default() += sign(paid);
        }
        *self.owed.entry(bill.hospital.to_string()).or_default() -= sign(bill.amounts.total);
    }
}

/// Each payer's funds together, the patients', and each hospital.
fn owed(accounts: impl IntoIterator<Item = (Account, Money)>) -> BTreeMap<String, Money> {
    let mut owed: BTreeMap<String, Money> = BTreeMap::new();
    for (account, amount) in accounts {
        let name = match account {
            Account::Fund { payer, .. } => payer.to_string(),
            Account::Patient => "patient".to_owned(),
            Account::Hospital(code) => code.to_string(),
        };
        *owed.entry(name).or_default() += amount;
    }
    owed
}

async fn run(acts: Vec<Act>) {
    let house = House::new(profiles("", None), false).await;
    let mut expected = Expected::default();
    let mut standing: Vec<Bill> = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    let start = civil_date(house.reception.gateway().runtime().now());
    for (id, act) in acts.into_iter().enumerate() {
        let now = house.reception.gateway().runtime().now();
        let today = civil_date(now);
        match act {
            Act::NextDay if start.until(today).unwrap().get_days() + 1 < DAYS as i32 => {
                house.clock.put(now + SignedDuration::from_hours(24));
            }
            Act::NextDay => {}
            Act::Settle { who, hospital, visit, amount, quote } => {
                if !known.insert((who, hospital, visit)) {
                    continue;
                }
                let sent = stay(PEOPLE[who], HOSPITALS[hospital], visit, id, amount);
                let (bytes, format) = sent.bytes();
                let mode = quote.then_some(yizhan::settlement::message::Mode::Quote);
                let outcome = house.receive(&bytes, format, mode).await.outcome;
                let Outcome::Bill(bill) = outcome else { panic!("{outcome:?}") };
                if !quote {
                    expected.note(today, &bill);
                    standing.push(*bill);
                }
            }
            Act::Reverse { which } => {
                if standing.is_empty() {
                    continue;
                }
                let bill = standing.remove(which % standing.len());
                let gateway = house.reception.gateway();
                let outcome =
                    gateway.reverse(bill.settlement_id, "test".to_owned(), "desk".to_owned()).await.outcome;
                let Outcome::Bill(bill) = outcome else { panic!("{outcome:?}") };
                expected.note(today, &bill);
            }
        }
    }
    for day in (0..DAYS).map(|days| start.checked_add(SignedDuration::from_hours(24 * days)).unwrap()) {
        let wanted = expected.days.remove(&day).unwrap_or_default();
        assert_eq!(reported(&house, day).await, wanted, "{day}");
    }
    let (audit, differences) = audit(&*house.store).await;
    assert_eq!(differences, []);
    let mut owed = owed(audit.accounts);
    assert_eq!(owed.values().copied().sum::<Money>(), Money::ZERO);
    owed.retain(|_, amount| !amount.is_zero());
    expected.owed.retain(|_, amount| !amount.is_zero());
    assert_eq!(owed, expected.owed);
}

#[tokio::test]
async fn a_bill_posts_what_it_says_and_a_later_one_the_difference_alone() {
    let house = House::new(profiles("", None), false).await;
    let (bytes, format) = stay("li", HOSPITALS[0], 1, 1, 9_000).bytes();
    let Outcome::Bill(bill) = house.receive(&bytes, format, None).await.outcome else { panic!("no bill") };
    let standing = |bill| Some(Standing { bill, insured_region: "371323" });
    let settled = ledger::postings(None, standing(&bill));
    assert!(settled.iter().all(|posting| posting.kind == PostingKind::Settlement));
    let owing = bill.payers.iter().filter(|payer| !payer.paid.is_zero()).count() + 1;
    assert_eq!(settled.len(), owing, "who owes nothing is not posted");
    assert_eq!(balances(&settled)[&Account::Hospital(bill.hospital.clone())], -bill.amounts.total);

    let back = ledger::postings(standing(&bill), None);
    assert!(back.iter().all(|posting| posting.kind == PostingKind::Reversal));
    assert!(balances(settled.iter().chain(&back)).is_empty());
    assert_eq!(ledger::postings(standing(&bill), standing(&bill)), []);
    assert_eq!(ledger::postings(None, None), []);

    let mut later = (*bill).clone();
    later.patient_share -= "1.00".parse().unwrap();
    later.payers[0].paid += "1.00".parse().unwrap();
    let moved = ledger::postings(standing(&bill), standing(&later));
    assert_eq!(moved.iter().map(|posting| posting.amount.to_string()).collect::<Vec<_>>(), ["1.00", "1.00"]);
    let all = settled.iter().chain(&moved);
    assert_eq!(balances(all), balances(&ledger::postings(None, standing(&later))));

    // Another region's fund pays: the first one's part is taken back whole.
    let elsewhere = Some(Standing { bill: &bill, insured_region: "371302" });
    let moved = ledger::postings(standing(&bill), elsewhere);
    assert_eq!(moved.len(), 2 * (owing - 1));
    let all = settled.iter().chain(&moved);
    assert_eq!(balances(all), balances(&ledger::postings(None, elsewhere)));
}

/// The report, without quotes: those are in no ledger.
async fn reported(house: &House, day: Date) -> Lines {
    let lines = house.store.report(day).await.unwrap().into_iter();
    let lines = lines.filter(|line| line.state != "quoted");
    lines.map(|line| ((line.hospital, line.payer, line.state), (line.count, line.paid))).collect()
}

pub(crate) async fn audit(store: &dyn Store) -> (Audit, Vec<Difference>) {
    let (mut audit, mut differences, mut after) = (Audit::default(), Vec::new(), None);
    loop {
        let page = store.books(after, 2).await.unwrap();
        let Some(last) = page.last else { break };
        after = Some(last);
        for book in &page.books {
            differences.extend(audit.take(book));
        }
    }
    differences.extend(audit.end_of_person());
    (audit, differences)
}

proptest! {
    #![proptest_config(Config { cases: 16, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_report_of_each_day_is_its_ledger(acts in proptest::collection::vec(act(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(acts));
    }
}
