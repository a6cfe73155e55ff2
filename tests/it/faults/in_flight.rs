//! A gateway that is killed with a thousand settlements in flight, and started again: how long until it serves, and
//! until each of them is over. The times are printed; what is held to is that all of it comes about.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use yizhan::runtime::steady;
use yizhan::store::{Due, StayRef, Store};

use super::hospitals::{TOKEN, Told};
use super::letters::{Form, Receiver};
use super::payer::{SIDE_BY_SIDE, Temper, kept};
use super::process::{Hurried, Running, Setting};
use super::reckoning::{quiet, reckon};
use super::site::Site;
use super::{pass_ms, until};
use crate::cluster;
use crate::gateway::{Sent, profiles};
use crate::http::client::Ask;
use crate::simulation::workload::{COUNTY, Sending, discharge};

const SETTLEMENTS: usize = 1_000;
/// Senders at a time.
const AT_A_TIME: usize = 32;

/// Stays that somebody acts for, or that wait to be looked at.
async fn in_flight(store: &dyn Store) -> Vec<Due> {
    store.due(Timestamp::MAX, 2 * SETTLEMENTS as u32).await.unwrap()
}

/// Every stay is taken in: no bill is waited for, and what was too much at a time is sent again.
async fn send_all(running: &Running, stays: &[Sending], store: &dyn Store) {
    let sending = stream::iter(stays).for_each_concurrent(AT_A_TIME, async |stay| {
        let ask = Ask::post("/v1/discharges", stay.raw.clone()).token(TOKEN).with("prefer", "wait=0");
        let number = Arc::clone(&stay.visit);
        let visit = StayRef::Visit { hospital: COUNTY.into(), number, admitted: None };
        until("taken in", async || {
            let reply = ask.try_send(running.doors.http).await.unwrap();
            assert!(matches!(reply.status, 200 | 202 | 429 | 503), "{}", reply.text());
            for _ in 0..20 {
                if let Ok(Some(_)) = store.stay(visit.clone()).await {
                    return Some(());
                }
                pass_ms(50).await;
            }
            None
        })
        .await;
    });
    sending.await;
}

fn stays() -> Vec<Sending> {
    let profiles = profiles("", None);
    let stay = |nth: usize| {
        let sent = discharge("zhang", &format!("v{nth}"), format!("m{nth}"), 2_000 + nth as u64 % 700);
        let mrn = Some(format!("P{nth}"));
        Sending::of(&Sent { card: Some(card(nth)), mrn, ..sent }, 0, &profiles, Hurried::today())
    };
    (0..SETTLEMENTS).map(stay).collect()
}

/// An identity card number for each, with its check character.
fn card(nth: usize) -> String {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let number = format!("3713231960{:02}{:02}{:03}", nth / 280 + 1, nth / 10 % 28 + 1, nth % 10);
    let digits = number.chars().map(|digit| digit.to_digit(10).unwrap());
    let sum: u32 = digits.zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    let check = "10X98765432".chars().nth((sum % 11) as usize).unwrap();
    format!("{number}{check}")
}

/// Each with a stay of their own, insured with both outside payers.
fn roster() -> String {
    let person = |nth: usize| {
        let card = card(nth);
        let row = |kind: &str| format!("{card},张桂兰,371323,{kind},2020-01-01,2020-12-31\n");
        row("category,entitled_out_of_poverty") + &row("cover,supplementary")
    };
    "id_number,name,region,kind,code,from,to\n".to_owned() + &(0..SETTLEMENTS).map(person).collect::<String>()
}

async fn killed_in_flight(what: &str, site: Site) {
    let stays = stays();
    site.place.add_people(&roster()).await;
    // So slow that nobody gives up waiting for the payers while the thousand come together.
    let receiver = Receiver::open(Form::Message).await;
    let return_address = Some(receiver.address.clone());
    let setting = site.setting(SIDE_BY_SIDE, Temper::Silent, 1, Hurried::slower(20));
    let setting = Setting { return_address: return_address.clone(), ..setting };
    let first = Running::start(&setting).await;
    let store = site.place.open_beside().await;
    send_all(&first, &stays, &*store).await;
    until("a thousand in flight", async || (in_flight(&*store).await.len() == SETTLEMENTS).then_some(()))
        .await;
    let epochs: BTreeMap<_, _> =
        in_flight(&*store).await.into_iter().map(|due| (due.stay_id, due.epoch)).collect();
    first.kill();

    // Its clock was set back: the leases end later than any of its own.
    let began = steady();
    let setting = site.setting(SIDE_BY_SIDE, Temper::Even, 2, Hurried::times(1));
    let setting = Setting { return_address, ..setting };
    let second = Running::start(&setting).await;
    until("ready", async || {
        let reply = Ask::get("/readyz").try_send(second.doors.http).await?;
        (reply.status == 200).then_some(())
    })
    .await;
    let ready = steady().duration_since(began);
    let left = in_flight(&*store).await;
    assert!(left.iter().all(|due| epochs[&due.stay_id] < due.epoch), "not all of them are in hand again");
    until("resolved", async || in_flight(&*store).await.is_empty().then_some(())).await;
    let resolved = steady().duration_since(began) - ready;
    let _ = writeln!(
        std::io::stderr(),
        "{what}: {SETTLEMENTS} in flight: ready {ready:.2?} after the start, resolved {resolved:.2?} after that"
    );
    let visits: Vec<_> = stays.iter().map(|stay| Arc::clone(&stay.visit)).collect();
    let look = quiet(&*store, &visits).await;
    second.kill();
    let told = Told { visits, messages: stays, ..Told::default() };
    let sum = reckon(&*store, &kept(SIDE_BY_SIDE, site.folder.path()), &told, &look).await.unwrap();
    assert_eq!(sum.ends.get("settled"), Some(&SETTLEMENTS), "{sum:?}");
    let (letters, _) = receiver.reckon(&look).unwrap();
    assert_eq!(letters, SETTLEMENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_on_sqlite_are_taken_up_and_resolved() {
    killed_in_flight("SQLite", Site::on_file().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_on_postgresql_are_taken_up_and_resolved() {
    killed_in_flight("PostgreSQL", Site::on_postgres(cluster::shared()).await).await;
}
