//! Which adapter is asked where, what stands in its place, and that a stay in flight keeps the one it began with.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use yizhan::runtime::CountedIds;
use yizhan::settlement::bill::{Bill, BillState, ComputedBy};
use yizhan::settlement::directory::{Directory, Mode, Otherwise, Registered};
use yizhan::settlement::payers::{Adapter, PayersError};
use yizhan::settlement::saga::plan::Impossible;
use yizhan::settlement::shadow::Shadowed;
use yizhan::store::Ports;
use yizhan::store::sqlite::Sqlite;
use yizhan_contract::payer::{Payer, QuotedAmount};
use yizhan_contract::step::PayerState;
use yizhan_contract::{FindingCode, Money, Reason, Text};

use super::outside::{books_agree, goes_by, line, reversed, send, stands};
use super::{House, profiles};
use crate::away::{ASK_AFTER, Away, policies};

const COUNTY: &str = "H37132301";

type Shadows = Arc<Mutex<Vec<Shadowed>>>;

/// A gateway over a store of its own, and what its shadows are to be asked.
async fn opened() -> (House, Directory, Shadows) {
    let ids = Arc::<CountedIds>::default();
    let store: Arc<dyn Ports> = Arc::new(Sqlite::in_memory(ids.clone()).unwrap());
    let shadows = Shadows::default();
    let seen = Arc::clone(&shadows);
    let directory = Directory::comparing(Arc::new(move |one| seen.lock().unwrap().push(one)));
    let house = House::asking(store, policies(), profiles("", None), directory.clone(), "test", ids);
    house.fill().await;
    (house, directory, shadows)
}

fn registered(name: &str, insurer: &Arc<Away>, mode: Mode, otherwise: Otherwise) -> Registered {
    let payer = Arc::clone(insurer) as Arc<dyn Payer>;
    let adapter = Adapter { name: name.into(), serves: payer.manifest().serves.clone(), payer };
    Registered { adapter, mode, otherwise, fallen: None, unproven: None }
}

fn canary(hospitals: &[&str]) -> Mode {
    Mode::Canary(hospitals.iter().map(|code| Arc::from(*code)).collect::<BTreeSet<_>>())
}

/// Questions and commits that came.
fn seen(insurer: &Away) -> (usize, u32) {
    let mood = insurer.mood();
    (mood.asks.len(), mood.commits)
}

fn put(directory: &Directory, registered: &[Registered]) {
    Directory::check(registered, &policies()).unwrap();
    directory.put(registered, Vec::new()).unwrap();
}

fn not_asked(bill: &Bill) -> Vec<&str> {
    let is_it = |finding: &&yizhan_contract::Finding| finding.code == FindingCode::PayerNotAsked;
    bill.findings.iter().filter(is_it).map(|finding| &*finding.message.en).collect()
}

/// What keeps an adapter from deciding, whatever its mode.
enum Held {
    No,
    Fallen,
    Unproven,
}

/// Who decided for the insurance, how often it was asked, how much the bill says of it, and how often it is compared.
async fn check(mode: Mode, otherwise: Otherwise, held: Held, expected: (ComputedBy, usize, usize, usize)) {
    let (house, directory, shadows) = opened().await;
    let insurer = Away::required("supplementary");
    let (fallen, unproven) = match held {
        Held::No => (None, None),
        Held::Fallen => (Some(Text::new("过慢", "it is too slow")), None),
        Held::Unproven => (None, Some(Text::new("没有评测证明", "it has no attestation"))),
    };
    let said = fallen.as_ref().or(unproven.as_ref()).map(|why| why.en.clone());
    let one = registered("acme", &insurer, mode.clone(), otherwise);
    put(&directory, &[Registered { fallen, unproven, ..one }]);
    let bill = send(&house, "m1").await;
    let (asked, commits) = seen(&insurer);
    let computed_by = line(&bill, "supplementary").computed_by;
    let compared = shadows.lock().unwrap().len();
    let what = format!("{mode:?} {otherwise:?} {said:?}");
    let findings = not_asked(&bill);
    assert_eq!((computed_by, asked, findings.len(), compared), expected, "{what}");
    assert!(said.is_none_or(|said| findings.iter().all(|finding| finding.contains(&*said))), "{findings:?}");
    assert_eq!(bill.state, BillState::Settled, "{what}");
    assert_eq!(commits > 0, asked > 0, "{what}");
    books_agree(&house).await;
}

#[tokio::test]
async fn the_mode_says_who_decides() {
    use ComputedBy::{Gateway, Payer};
    use Otherwise::{LeftOut, Rules};
    let elsewhere = || canary(&["H37130001"]);
    check(Mode::Primary, Rules, Held::No, (Payer, 1, 0, 0)).await;
    check(canary(&[COUNTY]), Rules, Held::No, (Payer, 1, 0, 0)).await;
    check(elsewhere(), Rules, Held::No, (Gateway, 0, 0, 0)).await;
    check(Mode::Off, Rules, Held::No, (Gateway, 0, 0, 0)).await;
    check(Mode::Shadow, Rules, Held::No, (Gateway, 0, 0, 1)).await;
    check(Mode::Off, LeftOut, Held::No, (Gateway, 0, 1, 0)).await;
    check(Mode::Shadow, LeftOut, Held::No, (Gateway, 0, 1, 1)).await;
    check(Mode::Primary, Rules, Held::Fallen, (Gateway, 0, 1, 0)).await;
    check(elsewhere(), Rules, Held::Fallen, (Gateway, 0, 0, 0)).await;
    check(Mode::Primary, LeftOut, Held::Fallen, (Gateway, 0, 1, 0)).await;
    check(Mode::Primary, Rules, Held::Unproven, (Gateway, 0, 1, 1)).await;
    check(Mode::Primary, LeftOut, Held::Unproven, (Gateway, 0, 1, 1)).await;
    check(canary(&[COUNTY]), Rules, Held::Unproven, (Gateway, 0, 1, 1)).await;
    check(elsewhere(), Rules, Held::Unproven, (Gateway, 0, 0, 0)).await;
}

#[tokio::test]
async fn a_payer_that_is_left_out_pays_nothing_and_the_bill_says_so() {
    let (house, directory, _) = opened().await;
    let insurer = Away::required("supplementary");
    put(&directory, &[registered("acme", &insurer, Mode::Off, Otherwise::Rules)]);
    let by_rules = send(&house, "m1").await;
    let paid = line(&by_rules, "supplementary").paid;
    assert!(paid.is_positive());
    let reversed = reversed(&house, &by_rules).await;
    assert_eq!(reversed.state, BillState::Reversed);
    put(&directory, &[registered("acme", &insurer, Mode::Off, Otherwise::LeftOut)]);
    let left_out = send(&house, "m2").await;
    let insurance = line(&left_out, "supplementary");
    assert_eq!(
        (insurance.paid, insurance.state, insurance.reason),
        (Money::ZERO, PayerState::NotApplicable, None)
    );
    assert_eq!(left_out.patient_share, by_rules.patient_share + paid);
    assert!(not_asked(&left_out)[0].contains("adapter acme, and it is not in use yet"), "{left_out:?}");
    books_agree(&house).await;
}

#[tokio::test]
async fn a_shadow_is_asked_what_it_would_be_asked_and_only_compared() {
    let (house, directory, shadows) = opened().await;
    let insurer = Away::required("supplementary");
    put(&directory, &[registered("acme", &insurer, Mode::Shadow, Otherwise::Rules)]);
    let bill = send(&house, "m1").await;
    let shadowed = shadows.lock().unwrap().remove(0);
    let paid = line(&bill, "supplementary").paid;
    assert_eq!(shadowed.by_rules, [("supplementary".parse().unwrap(), paid)]);
    let leg = &shadowed.ask.legs[0];
    assert!(paid <= leg.pay_at_most && !shadowed.ask.paid_before.is_empty());
    assert_eq!(shadowed.ask.person, Default::default(), "its manifest needs nothing");
    let quoted = |amount| vec![QuotedAmount { payer: leg.payer.clone(), amount, steps: Vec::new() }];
    assert_eq!(shadowed.differences(&quoted(paid)), []);
    assert_eq!(shadowed.differences(&quoted(Money::ZERO))[0].quoted, Some(Money::ZERO));
    assert_eq!(shadowed.differences(&[])[0].by_rules, paid);
    // Sent again, nothing is compared twice.
    send(&house, "m1").await;
    assert_eq!((shadows.lock().unwrap().len(), insurer.mood().commits), (0, 0));
}

#[tokio::test]
async fn a_stay_in_flight_keeps_its_adapter_and_never_gets_another() {
    let (house, directory, _) = opened().await;
    let (acme, other) = (Away::required("supplementary"), Away::required("supplementary"));
    let is_acme = || registered("acme", &acme, Mode::Primary, Otherwise::Rules);
    put(&directory, &[is_acme()]);
    acme.mood().loses_answers = true;
    let begun = send(&house, "m1").await;
    assert_eq!((begun.state, acme.mood().commits), (BillState::Settling, 1));

    // Another adapter is asked for the payer from now on, and the first one is not configured any more.
    put(&directory, &[registered("other", &other, Mode::Primary, Otherwise::Rules)]);
    for by in [ASK_AFTER, SignedDuration::from_mins(6)] {
        goes_by(&house, by).await;
    }
    let open = stands(&house, begun.settlement_id).await;
    assert_eq!(open.state, BillState::NeedsAttention);
    let waiting = house.reception.gateway().attention(10).await.unwrap().remove(0);
    let heard = waiting.log.iter().any(|entry| entry.what.contains("adapter acme is not configured"));
    assert!(heard, "{:?}", waiting.log);
    assert_eq!(seen(&other), (0, 0));

    // Configured again, if only to be compared, it says what became of it.
    put(&directory, &[registered("acme", &acme, Mode::Shadow, Otherwise::Rules)]);
    acme.mood().loses_answers = false;
    goes_by(&house, SignedDuration::from_hours(1)).await;
    let settled = stands(&house, begun.settlement_id).await;
    assert_eq!((settled.state, acme.mood().commits), (BillState::Settled, 1));
    assert_eq!(line(&settled, "supplementary").computed_by, ComputedBy::Payer);
    let back = reversed(&house, &settled).await;
    assert_eq!((back.state, acme.holds()), (BillState::Reversed, Money::ZERO));
    assert_eq!(seen(&other), (0, 0));
    books_agree(&house).await;
}

#[tokio::test]
async fn adapters_that_cannot_be_used_together_change_nothing() {
    let (house, directory, _) = opened().await;
    let insurer = Away::required("supplementary");
    let twice = ["one", "two"].map(|name| registered(name, &insurer, Mode::Primary, Otherwise::Rules));
    let refused = Directory::check(&twice, &policies());
    assert!(matches!(refused, Err(PayersError::ServedTwice { .. })), "{refused:?}");
    assert!(directory.put(&twice, Vec::new()).is_err());
    // Two that are chosen at one hospital only meet there.
    let apart = [
        registered("one", &insurer, canary(&[COUNTY]), Otherwise::Rules),
        registered("two", &insurer, canary(&["H37130001"]), Otherwise::Rules),
    ];
    put(&directory, &apart);
    assert_eq!(send(&house, "m1").await.state, BillState::Settled);
    let [basic, last] = ["basic", "supplementary"].map(|payer| {
        Away::of(payer, |manifest| (manifest.optional, manifest.reverse_window_s) = (false, None))
    });
    let irreversible = |mode| {
        let one = registered("one", &basic, Mode::Primary, Otherwise::Rules);
        Directory::check(&[one, registered("two", &last, mode, Otherwise::Rules)], &policies())
    };
    irreversible(Mode::Shadow).unwrap();
    let refused = irreversible(canary(&[COUNTY]));
    let Err(PayersError::Chain { why: Impossible::TwoIrreversible { first, second }, .. }) = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!((&**first, &**second), ("one", "two"));
}

#[tokio::test]
async fn whom_an_adapter_does_not_cover_it_is_not_asked_to_pay_for() {
    for (is_asked_first, is_in_force, asked) in
        [(true, Some(false), 0), (true, None, 0), (true, Some(true), 1), (false, Some(false), 1)]
    {
        let (house, directory, _) = opened().await;
        let insurer = Away::of("supplementary", |manifest| {
            (manifest.optional, manifest.coverage_valid_s) = (false, is_asked_first.then_some(60));
        });
        insurer.mood().is_in_force = is_in_force;
        put(&directory, &[registered("acme", &insurer, Mode::Primary, Otherwise::Rules)]);
        let bill = send(&house, "m1").await;
        let reason = (asked == 0).then_some(Reason::CoverNotInForce);
        assert_eq!((line(&bill, "supplementary").reason, seen(&insurer).0), (reason, asked));
        assert_eq!(bill.state, BillState::Settled);
        books_agree(&house).await;
    }
}
