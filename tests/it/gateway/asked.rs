//! What messages and a desk may do to a stay while its outside payer is being asked.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use yizhan::intake::reception::Arrival;
use yizhan::runtime::{Clock as _, CountedIds};
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::StayRef;
use yizhan::store::sqlite::Sqlite;
use yizhan::telemetry::Channel;
use yizhan_contract::Money;
use yizhan_rules::PolicyShelf;

use super::insurer::Generous;
use super::together::runs;
use super::{House, Letters, Sent, profiles, shown};

const QUIET_S: i64 = 600;

async fn house(insurer: &Arc<Generous>, profile: &str) -> House {
    let ids = Arc::new(CountedIds::default());
    let store = Arc::new(Sqlite::in_memory(ids.clone()).unwrap());
    let (policies, profiles) = (PolicyShelf::shipped().unwrap(), profiles(profile, None));
    let house = House::over(store, policies, profiles, insurer.payers(), "test", ids);
    house.fill().await;
    house
}

/// A message of a stay of a person whom critical illness insurance has something to pay for.
fn sent(kind: &str, id: &str, line: &str) -> Sent {
    let discharges = ["json", "ADT^A03"].contains(&kind);
    Sent {
        kind: kind.to_owned(),
        id: id.to_owned(),
        who: Some("zhou".to_owned()),
        visit: "Z1".to_owned(),
        admitted: Some("2020-06-01".to_owned()),
        discharged: discharges.then(|| "2020-06-11".to_owned()),
        lines: Some(line.to_owned()).filter(|line| !line.is_empty()).into_iter().collect(),
        ..Sent::default()
    }
}

/// Over MLLP, where nobody waits for a payer.
async fn send(house: &House, kind: &str, id: &str, line: &str) -> Outcome {
    let (bytes, format) = sent(kind, id, line).bytes();
    let arrival =
        Arrival { channel: Channel::Mllp, bytes: &bytes, format, charset: None, mode: None, only: None };
    house.reception.receive(arrival).await.outcome
}

fn quiet_time_goes_by(house: &House) {
    house.clock.put(house.clock.now() + SignedDuration::from_secs(QUIET_S));
}

/// Closed, its quiet time over, and its payer asked for a quote, which comes only after `meanwhile`.
async fn asked_while(
    house: &House,
    insurer: &Generous,
    meanwhile: impl Future<Output = Outcome>,
) -> (Outcome, Outcome) {
    send(house, "DFT^P03", "1", "1 CG SUR09 90000.00").await;
    send(house, "ADT^A03", "2", "").await;
    quiet_time_goes_by(house);
    let gateway = house.reception.gateway();
    let due = gateway.due(house.clock.now(), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    let meanwhile = async {
        insurer.asked().await;
        let told = meanwhile.await;
        // A stay that moved is asked about again.
        insurer.answer(10);
        told
    };
    tokio::join!(Box::pin(gateway.pursue(due[0])), Box::pin(meanwhile))
}

fn said(outcome: &Outcome) -> String {
    shown(outcome, &mut Letters::default())
}

#[tokio::test]
async fn a_charge_that_comes_meanwhile_has_its_quiet_time_again() {
    let insurer = Generous::gated(false);
    let house = house(&insurer, &format!("charges_quiet_s = {QUIET_S}")).await;
    let (ended, charged) =
        asked_while(&house, &insurer, send(&house, "DFT^P03", "3", "2 CG SUR01 2600.00")).await;
    assert_eq!(said(&charged), "noted awaiting_charges lines 2 total 92600.00");
    assert_eq!(said(&ended), said(&charged), "what was asked for is not the stay any more");
    let gateway = house.reception.gateway();
    assert!(gateway.due(house.clock.now(), 10).await.unwrap().is_empty(), "it is quiet already");
    assert_eq!(insurer.holds(), Money::ZERO);

    quiet_time_goes_by(&house);
    let due = gateway.due(house.clock.now(), 10).await.unwrap();
    let ended = Box::pin(gateway.pursue(due[0])).await;
    assert!(said(&ended).starts_with("settled A v1 total 92600.00 "), "{}", said(&ended));
}

#[tokio::test]
async fn an_update_meanwhile_calls_nobody_back() {
    let insurer = Generous::gated(false);
    let house = house(&insurer, &format!("charges_quiet_s = {QUIET_S}")).await;
    let (ended, told) = asked_while(&house, &insurer, send(&house, "ADT^A08", "3", "")).await;
    let (ended, told) = (said(&ended), said(&told));
    assert_eq!(told, "noted settling lines 1 total 90000.00");
    assert!(ended.starts_with("settled A v1 total 90000.00 "), "{ended}");
}

#[tokio::test]
async fn a_cancelled_discharge_or_admission_is_not_settled() {
    for (kind, left) in [
        ("ADT^A13", "noted awaiting_charges lines 1 total 90000.00"),
        ("ADT^A11", "noted awaiting_charges lines 0 total 0.00 ! cancelled_charges"),
    ] {
        let insurer = Generous::gated(false);
        let house = house(&insurer, &format!("charges_quiet_s = {QUIET_S}")).await;
        let (ended, told) = asked_while(&house, &insurer, send(&house, kind, "3", "")).await;
        assert_eq!((said(&ended), said(&told)), (left.to_owned(), left.to_owned()), "{kind}");
        assert_eq!(insurer.commits(), 0, "{kind}");
        let due = house.reception.gateway().due(house.clock.now(), 10).await.unwrap();
        assert!(due.is_empty(), "{kind}: {due:?}");
    }
}

/// The desk commits the quote; its payer has been sent the commit and not answered yet.
#[tokio::test]
async fn while_a_commit_is_being_confirmed_the_desk_is_told_so() {
    let insurer = Generous::gated(true);
    let house = house(&insurer, "").await;
    let gateway = house.reception.gateway();
    insurer.answer(1);
    let (bytes, format) = sent("json", "1", "1 CG SUR09 90000.00").bytes();
    let Outcome::Bill(quote) = house.receive(&bytes, format, Some(Mode::Quote)).await.outcome else {
        panic!()
    };
    insurer.asked().await;
    let (id, share) = (quote.settlement_id, quote.patient_share);

    insurer.answer(1);
    let handled = gateway.commit(id, share).await;
    let desk = async {
        insurer.asked().await;
        // Time goes by, and what became of the commit is asked.
        tokio::spawn(runs(Arc::clone(&house.clock)));
        insurer.asked().await;
        let settling = said(&gateway.commit(id, share).await.outcome);
        assert!(settling.starts_with("settling A v2 total 90000.00 "), "{settling}");
        let other = said(&gateway.commit(id, share + "1.00".parse().unwrap()).await.outcome);
        let refused = format!("refused being_settled @ - money being_confirmed + {settling}");
        assert_eq!(other, refused);
        let reversed = gateway.reverse(id, "费用有误".to_owned(), "desk 7".to_owned()).await.outcome;
        let being_settled = "refused being_settled @ - money being_confirmed";
        assert_eq!(said(&reversed), being_settled);
        assert_eq!(said(&send(&house, "ADT^A13", "2", "").await), being_settled);
        let changed = said(&send(&house, "json", "3", "1 CG SUR09 80000.00").await);
        assert_eq!(changed, format!("{being_settled} differs in $.lines[?@.id=='1']"));
        insurer.answer(1);
    };
    let (ended, ()) = tokio::join!(Box::pin(gateway.pursue(handled.pursuit.unwrap())), Box::pin(desk));
    assert!(said(&ended).starts_with("settled A v2 total 90000.00 "), "{}", said(&ended));
    assert_eq!(said(&gateway.commit(id, share).await.outcome), said(&ended));
    assert_eq!(insurer.commits(), 1);
}

/// Acknowledged over MLLP, nobody waits for what becomes of it: log and metrics tell.
#[tokio::test]
async fn what_becomes_of_an_acknowledged_stay_is_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let _counted = metrics::set_default_local_recorder(&recorder);
    let insurer = Generous::gated(false);
    let house = house(&insurer, "").await;
    let noted = send(&house, "json", "1", "1 CG SUR09 90000.00").await;
    assert_eq!(said(&noted), "noted settling lines 1 total 90000.00");
    assert!(!shown.render().contains("yizhan_stays_taken_up_total"));
    insurer.answer(10);
    let counted = async {
        while !shown.render().contains("yizhan_stays_taken_up_total{ended=\"settled\"} 1") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted).await.unwrap();
}

/// Who waits for what another task of this process drives hears of its end, and looks no more often than it must: the
/// clock stands still here.
#[tokio::test]
async fn what_this_process_drives_is_heard_of_at_once() {
    let insurer = Generous::gated(false);
    let house = house(&insurer, "").await;
    let (bytes, format) = sent("json", "1", "1 CG SUR09 90000.00").bytes();
    let first = house.receive(&bytes, format, Some(Mode::Settle));
    let second = async {
        insurer.asked().await;
        let waits = house.receive(&bytes, format, Some(Mode::Settle));
        let answers = async {
            // Let the other one look first.
            tokio::task::yield_now().await;
            insurer.answer(10);
        };
        tokio::join!(Box::pin(waits), answers).0
    };
    let both = async { tokio::join!(Box::pin(first), Box::pin(second)) };
    let (first, second) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    assert!(said(&first.outcome).starts_with("settled A v1 "), "{}", said(&first.outcome));
    assert_eq!(first.outcome, second.outcome);
    assert_eq!(insurer.commits(), 1);
}

#[tokio::test]
async fn a_stay_is_waited_for_no_longer_than_was_said() {
    let insurer = Generous::gated(false);
    let house = house(&insurer, "").await;
    let (bytes, format) = sent("json", "1", "1 CG SUR09 90000.00").bytes();
    let handled = async {
        insurer.asked().await;
        let stay = StayRef::Visit {
            hospital: "H37132301".into(),
            number: "Z1".into(),
            admitted: Some(jiff::civil::date(2020, 6, 1)),
        };
        let deadline = house.clock.now() + SignedDuration::from_secs(2);
        let waits = house.reception.gateway().settle_down(stay, deadline);
        let time = async {
            for _ in 0..4 {
                tokio::task::yield_now().await;
                house.clock.put(house.clock.now() + SignedDuration::from_millis(500));
            }
        };
        let (stands, ()) = tokio::join!(Box::pin(waits), time);
        assert_eq!(said(&stands), "noted settling lines 1 total 90000.00");
        insurer.answer(10);
    };
    let (settled, ()) =
        tokio::join!(Box::pin(house.receive(&bytes, format, Some(Mode::Settle))), Box::pin(handled));
    assert!(said(&settled.outcome).starts_with("settled A v1 "), "{}", said(&settled.outcome));
}
