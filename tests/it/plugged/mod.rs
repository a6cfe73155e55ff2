//! Five payers and a gateway, each a process of its own, over TLS with certificates on both sides, as they are run: what
//! each payer pays stands on the bill, in its own statement and in the ledger, whoever is killed at whatever moment.
//!
//! Reading order: [`crate::installed`] (the gateway), [`site`] (all of them, and what must agree), here (what is done to them).

mod site;

use serde_json::Value;
use yizhan_kit::simulate::Magic;

use site::{PAYERS, STRANGERS, Site, Stay};

/// The payer that is killed. It takes its time, so that the others are through while it has yet to begin.
const KILLED: &str = "medical_assistance";
const TAKES_MS: u16 = 2_000;

/// Every payer's amount, in the order of the bill.
fn paid(bill: &Value) -> Vec<(&str, &str)> {
    let lines = bill["payers"].as_array().unwrap().iter();
    lines.map(|line| (line["payer"].as_str().unwrap(), line["paid"].as_str().unwrap())).collect()
}

fn each_pays_its_part(bill: &Value) {
    let paid = paid(bill);
    let payers: Vec<&str> = paid.iter().map(|(payer, _)| *payer).collect();
    assert_eq!(payers, PAYERS, "{bill}");
    assert!(paid.iter().all(|(_, paid)| *paid != "0.00"), "{bill}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_payers_pay_their_parts_over_either_port_and_take_them_back() {
    let site = Site::open(0).await;
    let (json, hl7) = (Stay::of("zhang", "json", "J1"), Stay::of("stranger", "ADT^A03", "H1"));
    let over_http = site.settled(&json).await;
    let over_mllp = site.hl7(&hl7).await;
    for bill in [&over_http, &over_mllp] {
        assert_eq!(bill["state"], "settled", "{bill}");
        each_pays_its_part(bill);
    }
    let bills = [over_http, over_mllp];
    site.agrees(&bills).await;
    let reversed = [site.reversed(&bills[0], 60).await, site.reversed(&bills[1], 60).await];
    assert!(reversed.iter().all(|bill| bill["state"] == "reversed"), "{reversed:?}");
    site.agrees(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_that_is_killed_at_any_moment_ends_as_all_the_others() {
    let mut site = Site::open(TAKES_MS).await;
    // Before its quote: nobody has paid anything, and the stay waits for it.
    site.kill(KILLED);
    let waiting = Stay::of("zhang", "json", "Q1");
    assert_eq!(site.ask(&waiting, 0).await.status, 202);
    site.is_left_waiting(&waiting).await;
    site.others_have_booked(KILLED, 0).await;
    site.restart(KILLED).await;
    let first = site.settled(&waiting).await;
    each_pays_its_part(&first);

    let others = is_killed_amid_commits(&mut site).await;
    site.agrees(&[std::slice::from_ref(&first), &others[..]].concat()).await;

    // In the midst of a reversal, which it was sent and has yet to do.
    let booked = 1 + others.len();
    site.stands_still(KILLED);
    assert_eq!(site.reverse(&first, 0).await.status, 202);
    site.others_have_booked(KILLED, booked + 1).await;
    site.kill(KILLED);
    assert_eq!(site.booked_before_its_end(KILLED).await, booked, "it had yet to book its reversal");
    site.restart(KILLED).await;
    assert_eq!(site.reversed(&first, 60).await["state"], "reversed");
    site.agrees(&others).await;
    for bill in &others {
        assert_eq!(site.reversed(bill, 60).await["state"], "reversed");
    }
    site.agrees(&[]).await;
}

/// Between quote and commit: it was sent its commit, and had yet to do it when the others had done theirs. Where that was
/// seen too late, with the next stay. The bills of all of them; there was one before.
async fn is_killed_amid_commits(site: &mut Site) -> Vec<Value> {
    let mut bills = Vec::new();
    for (stranger, visit) in STRANGERS.into_iter().zip(["C1", "C2", "C3", "C4"]) {
        let (sent, booked) = (Stay::of_number(stranger, visit), 1 + bills.len());
        assert_eq!(site.ask(&sent, 0).await.status, 202);
        site.others_have_booked(KILLED, booked + 1).await;
        site.kill(KILLED);
        let is_before = site.booked_before_its_end(KILLED).await == booked;
        site.restart(KILLED).await;
        bills.push(site.settled(&sent).await);
        each_pays_its_part(bills.last().unwrap());
        if is_before {
            return bills;
        }
    }
    panic!("each time it had booked its commit before it was killed: {bills:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_and_the_gateway_that_are_killed_after_the_commits_and_before_their_answers_find_them_again()
{
    let mut site = Site::open(0).await;
    // All five book it, and say nothing.
    let unheard = Stay::of_magic(Magic::TimesOut, "T1");
    assert_eq!(site.ask(&unheard, 0).await.status, 202);
    site.all_have_booked(1).await;
    site.kill(KILLED);
    site.restart(KILLED).await;
    let first = site.settled(&unheard).await;
    each_pays_its_part(&first);

    let unsure = Stay::of_magic(Magic::LosesStatus, "T2");
    assert_eq!(site.ask(&unsure, 0).await.status, 202);
    site.all_have_booked(2).await;
    site.kill_gateway();
    site.restart_gateway().await;
    let second = site.settled(&unsure).await;
    each_pays_its_part(&second);
    let bills = [first, second];
    site.agrees(&bills).await;
    for bill in &bills {
        assert_eq!(site.reversed(bill, 60).await["state"], "reversed");
    }
    site.agrees(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_that_is_killed_after_its_reversal_and_before_the_answer_has_taken_it_back_once() {
    let mut site = Site::open(0).await;
    let bill = site.settled(&Stay::of_magic(Magic::ReversalTimesOut, "R1")).await;
    each_pays_its_part(&bill);
    site.agrees(std::slice::from_ref(&bill)).await;
    // All five book it, and say nothing.
    assert_eq!(site.reverse(&bill, 0).await.status, 202);
    site.all_have_booked(2).await;
    site.kill(KILLED);
    assert_eq!(site.booked_before_its_end(KILLED).await, 2, "it had booked its reversal");
    site.restart(KILLED).await;
    assert_eq!(site.reversed(&bill, 60).await["state"], "reversed");
    site.all_have_booked(2).await;
    site.agrees(&[]).await;
}
