//! A short real run through both ports, judged as it is and with one thing broken at a time.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::civil::Date;
use yizhan_contract::stay::civil_date;

use super::*;
use crate::cli::bench::books::StoreBooks;
use crate::cli::bench::house::OwnGateway;
use crate::cli::bench::load::Pace;
use crate::cli::bench::progress::Progress;
use crate::runtime::Runtime;
use crate::store::address::Address;

/// What the run answered and what was in the store after it.
#[derive(Debug, Clone)]
struct Ran {
    account: Account,
    bills: HashMap<uuid::Uuid, Bill>,
    report: Vec<ReportLine>,
    audited: Audited,
    told: Told,
}

impl Books for Ran {
    fn bill(&mut self, settled: &Settled) -> anyhow::Result<Option<Bill>> {
        Ok(self.bills.get(&settled.settlement).cloned())
    }

    fn report(&mut self) -> anyhow::Result<Option<Vec<ReportLine>>> {
        Ok(Some(self.report.clone()))
    }

    fn audit(&mut self) -> anyhow::Result<Option<Audited>> {
        Ok(Some(self.audited.clone()))
    }

    fn told(&mut self) -> Option<Told> {
        Some(self.told.clone())
    }
}

fn workload() -> Workload {
    Workload::sample(3, 200)
}

fn ran() -> Ran {
    static RAN: OnceLock<Ran> = OnceLock::new();
    RAN.get_or_init(run).clone()
}

fn run() -> Ran {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _entered = runtime.enter();
    let today = || civil_date(Runtime::system().now());
    let (folder, first) = (tempfile::tempdir().unwrap(), today());
    let (workload, file) = (workload(), Address::File(folder.path().join("yizhan.db")));
    let gateway = OwnGateway::start(file, folder.path(), &workload, Vec::new()).unwrap();
    let progress = Progress::new();
    let load = gateway.load(&workload, &progress);
    let account = load.run(Pace::Closed { clients: 4 }, Duration::from_secs(1)).unwrap().account;
    let ran = read(&gateway, account, (first, today()));
    gateway.close().unwrap();
    ran
}

fn read(gateway: &OwnGateway, account: Account, days: (Date, Date)) -> Ran {
    let mut books = StoreBooks { store: &*gateway.store, days, receivers: &gateway.receivers };
    let bills = account.settled.iter().filter_map(|settled| {
        let bill = books.bill(settled).unwrap()?;
        Some((settled.settlement, bill))
    });
    let bills = bills.collect();
    let (report, audited) = (books.report().unwrap().unwrap(), books.audit().unwrap().unwrap());
    let told = books.told().unwrap();
    Ran { bills, report, audited, told, account }
}

fn caps_of(accident: &str) -> BTreeMap<PayerCode, Money> {
    BTreeMap::from([("accident".parse().unwrap(), accident.parse().unwrap())])
}

/// The verdict after `break_it`; its faults in English.
fn judged(break_it: impl FnOnce(&mut Ran), caps: &BTreeMap<PayerCode, Money>) -> (bool, String) {
    let mut ran = ran();
    break_it(&mut ran);
    let account = ran.account.clone();
    let verdict = judge(&account, &workload(), caps, &mut ran).unwrap();
    let faults: Vec<&str> = verdict.faults.iter().map(|fault| &*fault.en).collect();
    (verdict.is_valid, faults.join("\n"))
}

#[test]
fn every_stay_sent_through_both_ports_is_settled_and_accounted_for() {
    assert_eq!(judged(|_| {}, &caps_of("5000.00")), (true, String::new()));
    let ran = ran();
    assert_eq!(ran.told.letters.len(), ran.account.settled.len());
    let settled = u64::try_from(ran.account.settled.len()).unwrap();
    assert!(settled > 10, "{settled} settlements");
    // Charges that came before their discharge, over MLLP; the other stays came over HTTP.
    let charges = ran.account.acknowledged - settled;
    assert!(0 < charges && charges < settled, "{charges} of {settled}");
}

#[test]
fn a_run_with_anything_broken_is_void() {
    type Break = fn(&mut Ran);
    let breaks: [(Break, &str); 22] = [
        (|ran| first_bill(ran).state = BillState::Reversed, "the store holds another bill"),
        (|ran| first_bill(ran).settlement_id = uuid::Uuid::nil(), "the store holds another bill"),
        (|ran| first_bill(ran).hospital = "H0".into(), "the charges are not those that were sent"),
        (charge_one_fen_more, "the charges are not those that were sent"),
        (|ran| patients_line(ran).count += 1, "settlements leave the patient a share, the report has"),
        (
            |ran| {
                let unsettled = ReportLine { state: "quoted".to_owned(), ..ran.report[0].clone() };
                ran.report.push(unsettled);
            },
            "the store holds bills that are not settled: quoted",
        ),
        (
            |ran| ran.audited.differences.push(Text::new("账目不符", "a posting is missing")),
            "a posting is missing",
        ),
        (|ran| drop(ran.bills.remove(&ran.account.settled[0].settlement)), "answered, but not in the store"),
        (|ran| ran.account.settled.truncate(1), "are in the books"),
        (
            |ran| {
                let first = ran.account.settled[0];
                ran.account.settled.push(first);
            },
            "settled twice over",
        ),
        (|ran| ran.account.settled[0].patient_share += Money::FEN, "is not what was answered"),
        (|ran| first_bill(ran).amounts.total += Money::FEN, "does not balance"),
        (|ran| ran.report[0].paid += Money::FEN, "is not the sum of the bills"),
        (|ran| ran.audited.settlements -= 1, "are in the books"),
        (|ran| ran.audited.untold = 1, "wait to be told"),
        (|ran| lose_a_letter(ran), "its hospital was not told"),
        (|ran| tell_of(ran.account.settled[0].settlement, ran), "told under several ids"),
        (|ran| tell_of(uuid::Uuid::nil(), ran), "told 1 times of no settlement of theirs"),
        (|ran| ran.told.astray = 2, "told 2 times of no settlement of theirs"),
        (|ran| ran.account.lost = once(), "1 messages were not answered at all: Z1: why"),
        (|ran| ran.account.put_off = once(), "1 messages were told to come again: Z1: why"),
        (|ran| ran.account.refused = once(), "1 messages were not answered as they should be: Z1: why"),
    ];
    for (break_it, expected) in breaks {
        let (is_valid, faults) = judged(break_it, &BTreeMap::new());
        assert!(!is_valid && faults.contains(expected), "{expected}: {faults}");
    }
}

#[test]
fn a_run_in_which_a_cap_was_passed_is_void() {
    let (is_valid, faults) = judged(|_| {}, &BTreeMap::from([("basic".parse().unwrap(), Money::FEN)]));
    assert!(!is_valid && faults.contains("an annual cap was passed"), "{faults}");
}

#[test]
fn a_run_that_settled_nothing_is_void() {
    let nothing = |ran: &mut Ran| {
        *ran = Ran {
            account: Account::default(),
            bills: HashMap::new(),
            report: Vec::new(),
            audited: Audited::default(),
            told: Told::default(),
        };
    };
    assert_eq!(judged(nothing, &BTreeMap::new()), (false, String::new()));
}

fn once() -> Missed {
    Missed { count: 1, first: Some("Z1: why".to_owned()) }
}

fn first_bill(ran: &mut Ran) -> &mut Bill {
    let first = ran.account.settled[0].settlement;
    ran.bills.get_mut(&first).unwrap()
}

fn lose_a_letter(ran: &mut Ran) {
    let lost = *ran.told.letters.keys().next().unwrap();
    ran.told.letters.remove(&lost);
}

/// Under an id that was not there before.
fn tell_of(settlement: uuid::Uuid, ran: &mut Ran) {
    assert_eq!(ran.told.letters.insert(0, settlement), None);
}

/// A bill that balances, of charges nobody sent.
fn charge_one_fen_more(ran: &mut Ran) {
    let bill = first_bill(ran);
    bill.amounts.total += Money::FEN;
    bill.amounts.self_funded += Money::FEN;
    bill.lines_by_category[0].buckets.total += Money::FEN;
    bill.patient_share += Money::FEN;
    *bill = bill.clone().with_deposit(bill.deposit);
    assert!(bill.check().is_ok());
}

fn patients_line(ran: &mut Ran) -> &mut ReportLine {
    ran.report.iter_mut().find(|line| line.payer == PATIENT).unwrap()
}
