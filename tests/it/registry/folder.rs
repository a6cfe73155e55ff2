//! The folder as it is read again and again.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use yizhan::registry::standing::Noted;
use yizhan::runtime::{Clock as _, Shutdown, SystemClock};
use yizhan::settlement::bill::{BillState, ComputedBy};
use yizhan::settlement::outcome::Outcome;
use yizhan::store::adapter_book::AdapterBook;
use yizhan_contract::FindingCode;
use yizhan_contract::payer::VisitEventKind;

use super::begun::{Given, begun, bill, book, decided, house, in_its_own_time, notes, outcome, registry};
use super::insurer::Insurer;
use crate::gateway::audit;

const PRIMARY: &str = "mode = \"primary\"\notherwise = \"rules\"\n";
const OFF: &str = "mode = \"off\"\notherwise = \"rules\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_put_in_changed_and_taken_out_while_hospitals_go_on() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.put(folder.path(), PRIMARY);
    let mut registry = registry(folder.path(), &insurer, "acme").await.unwrap();
    let house = house(&registry).await;
    assert_eq!((decided(&house, 1).await, notes(&registry)), (ComputedBy::Payer, String::new()));

    insurer.put(folder.path(), OFF);
    registry.look(false).await.unwrap();
    assert_eq!(decided(&house, 2).await, ComputedBy::Gateway);
    insurer.put(folder.path(), "mode = \"canary\"\ncanary = [\"H37130001\"]\notherwise = \"rules\"\n");
    registry.look(false).await.unwrap();
    assert_eq!(decided(&house, 3).await, ComputedBy::Gateway);
    insurer.put(folder.path(), "mode = \"canary\"\ncanary = [\"H37132301\"]\notherwise = \"rules\"\n");
    registry.look(false).await.unwrap();
    assert_eq!(decided(&house, 4).await, ComputedBy::Payer);

    // What cannot be used changes nothing, and why is told until it can.
    for (wrong, said) in [
        ("mode = \"of\"\notherwise = \"rules\"\n", "mode: must be one of"),
        ("mode = \"canary\"\ncanary = [\"H9\"]\notherwise = \"rules\"\n", "no hospital has the code H9"),
        ("mode = \"primary\"\notherwise = \"rules\"\nmapping = \"x\"\n", "and not both"),
    ] {
        insurer.put(folder.path(), wrong);
        registry.look(false).await.unwrap();
        let notes = notes(&registry);
        assert!(notes.contains(said) && notes.contains("what was good before stays"), "{notes}");
    }
    assert_eq!(decided(&house, 5).await, ComputedBy::Payer);
    insurer.put(folder.path(), PRIMARY);
    registry.look(false).await.unwrap();
    assert_eq!((decided(&house, 6).await, notes(&registry)), (ComputedBy::Payer, String::new()));

    // Taken out, nobody else is asked in its place: its payers' stays wait.
    std::fs::remove_file(folder.path().join("acme.toml")).unwrap();
    registry.look(false).await.unwrap();
    assert!(notes(&registry).contains("adapter acme is not configured"));
    let waits = outcome(&house, 7).await;
    assert!(matches!(&waits, Outcome::Noted(noted) if noted.state == BillState::Settling), "{waits:?}");
    insurer.put(folder.path(), PRIMARY);
    registry.look(false).await.unwrap();
    assert_eq!(decided(&house, 8).await, ComputedBy::Payer);
    assert_eq!(audit(&*house.store).await.1, []);
    insurer.goes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_does_not_answer_yet_is_asked_again_and_one_that_did_is_kept() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.goes().await;
    insurer.put(folder.path(), PRIMARY);
    let mut registry = registry(folder.path(), &insurer, "acme").await.unwrap();
    let house = house(&registry).await;
    let waits = outcome(&house, 1).await;
    assert!(matches!(&waits, Outcome::Noted(noted) if noted.state == BillState::Settling), "{waits:?}");
    insurer.comes(Duration::ZERO).await;
    registry.look(false).await.unwrap();
    assert_eq!(decided(&house, 2).await, ComputedBy::Payer);

    // A changed file that leads nowhere does not replace what leads somewhere.
    let nowhere = insurer.file(PRIMARY).replace(&insurer.address.port().to_string(), "1");
    std::fs::write(folder.path().join("acme.toml"), nowhere).unwrap();
    registry.look(false).await.unwrap();
    assert!(notes(&registry).contains("has not answered describe"), "{}", notes(&registry));
    assert_eq!(decided(&house, 3).await, ComputedBy::Payer);
    insurer.goes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_does_not_begin_with_half_of_its_adapters() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    let refused = async |name| registry(folder.path(), &insurer, name).await.err().map(|why| why.to_string());
    let said = refused("acme").await.unwrap();
    assert!(said.contains("payers.supplementary = \"acme\"") && said.contains("no adapter in"), "{said}");
    insurer.put(folder.path(), PRIMARY);
    let said = refused("other").await.unwrap();
    assert!(said.contains("acme.toml: name:") && said.contains("gives no payer to acme"), "{said}");
    std::fs::write(folder.path().join("twice.toml"), insurer.file(PRIMARY)).unwrap();
    let said = refused("acme").await.unwrap();
    assert!(said.contains("twice.toml: name:") && said.contains("another file's adapter"), "{said}");
    std::fs::write(folder.path().join("twice.toml"), "x").unwrap();
    let said = refused("acme").await.unwrap();
    assert!(said.contains("twice.toml: 1: 该行不是有效的 TOML"), "{said}");
    std::fs::remove_file(folder.path().join("twice.toml")).unwrap();
    assert_eq!(refused("acme").await, None);
    let said = registry(&folder.path().join("none"), &insurer, "acme").await.err().unwrap().to_string();
    assert!(said.contains("cannot be read"), "{said}");
    insurer.goes().await;
}

/// What a gateway has written down of its only adapter.
async fn noted(book: &dyn AdapterBook) -> Noted {
    let notes = book.adapter_notes().await.unwrap();
    assert_eq!(notes.len(), 1, "{notes:?}");
    serde_json::from_str(&notes[0].document).unwrap()
}

/// Each call that is not answered counts; the budget is used up with the third.
const TIGHT: &str =
    "mode = \"primary\"\notherwise = \"rules\"\n[budget]\ncalls_min = 3\nfailed_percent_max = 50\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_its_budget_an_adapter_is_not_asked_until_it_is_taken_back() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.put(folder.path(), TIGHT);
    let book = book();
    let (mut registry, _) =
        begun(folder.path(), Given { book: book.clone(), ..Given::to(&insurer) }).await.unwrap();
    let house = house(&registry).await;
    assert_eq!(decided(&house, 1).await, ComputedBy::Payer);
    insurer.goes().await;
    for nth in 2..=6 {
        outcome(&house, nth).await;
        registry.look(false).await.unwrap();
    }
    registry.keep_notes().await.unwrap();
    let fallen = noted(&*book).await.fallen.unwrap();
    assert!(fallen.why.en.contains("brought no answer that can be used"), "{fallen:?}");
    assert!(notes(&registry).contains("so it is not asked for now"), "{}", notes(&registry));
    let stood_in = bill(&house, 7).await;
    assert_eq!(stood_in.state, BillState::Settled);
    let said = stood_in.findings.iter().find(|one| one.code == FindingCode::PayerNotAsked).unwrap();
    assert!(said.message.en.contains("brought no answer that can be used"), "{said:?}");

    // A gateway that begins again knows it still; an order takes it back everywhere.
    insurer.comes(Duration::ZERO).await;
    let (mut again, _) =
        begun(folder.path(), Given { book: book.clone(), ..Given::to(&insurer) }).await.unwrap();
    let after = super::begun::house(&again).await;
    assert_eq!(decided(&after, 1).await, ComputedBy::Gateway);
    assert_eq!(book.reset_adapter("acme".into()).await.unwrap(), 1);
    again.keep_notes().await.unwrap();
    assert_eq!(noted(&*book).await.fallen, None);
    assert_eq!(decided(&after, 2).await, ComputedBy::Payer);
    insurer.goes().await;
}

/// It promises all the time that a gateway waits for it, and takes every request without a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_says_nothing_uses_its_budget_up_whatever_it_promised() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.goes().await;
    insurer.says = |manifest| manifest.quote_p95_ms = 2_500;
    insurer.is_silent = true;
    insurer.comes(Duration::ZERO).await;
    insurer.put(folder.path(), &TIGHT.replace("calls_min = 3", "calls_min = 4"));
    let (mut registry, _) = begun(folder.path(), Given::to(&insurer)).await.unwrap();
    let house = house(&registry).await;
    house.clock.put(SystemClock.now());
    let waits = tokio::join!(in_its_own_time(&house, 1), in_its_own_time(&house, 2));
    for waits in [waits.0, waits.1] {
        assert!(matches!(&waits, Outcome::Noted(noted) if noted.state == BillState::Settling), "{waits:?}");
    }
    registry.look(false).await.unwrap();
    assert!(notes(&registry).contains("4 of 4 calls"), "{}", notes(&registry));
    assert_eq!(decided(&house, 3).await, ComputedBy::Gateway);
    insurer.goes().await;
}

/// The order comes when no gateway of this name runs; or one has heard it, and is killed before it writes that down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_to_ask_an_adapter_again_is_not_lost_on_a_gateway_that_does_not_run() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.put(folder.path(), TIGHT);
    let book = book();
    let given = |insurer: &Insurer| Given { book: book.clone(), ..Given::to(insurer) };
    let (mut before, _) = begun(folder.path(), given(&insurer)).await.unwrap();
    let house_before = house(&before).await;
    insurer.goes().await;
    for nth in 1..=5 {
        outcome(&house_before, nth).await;
        before.look(false).await.unwrap();
    }
    before.keep_notes().await.unwrap();
    assert!(noted(&*book).await.fallen.is_some());
    drop(before);
    assert_eq!(book.reset_adapter("acme".into()).await.unwrap(), 1);
    insurer.comes(Duration::ZERO).await;
    for nth in 1..=2 {
        let (again, _) = begun(folder.path(), given(&insurer)).await.unwrap();
        assert_eq!(decided(&house(&again).await, nth).await, ComputedBy::Payer, "beginning {nth}");
        let Noted { fallen, resets, .. } = noted(&*book).await;
        assert_eq!((fallen, resets), (None, 1), "beginning {nth}");
    }
    insurer.goes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_kept_after_the_fact_and_shadows_are_counted() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.goes().await;
    insurer.sees_visits = true;
    insurer.comes(Duration::ZERO).await;
    insurer.put(folder.path(), "mode = \"shadow\"\notherwise = \"rules\"\n");
    let book = book();
    let (registry, keeper) =
        begun(folder.path(), Given { book: book.clone(), ..Given::to(&insurer) }).await.unwrap();
    let house = house(&registry).await;
    let (stop, stopped) = Shutdown::new();
    let serving = tokio::spawn(registry.serve(Arc::default(), stopped.clone()));
    let keeping = tokio::spawn(keeper.serve(stopped));
    assert_eq!(decided(&house, 1).await, ComputedBy::Gateway);
    // Asked some time, and written down some time: looked at again and again.
    let compared = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            let compared = noted(&*book).await.compared;
            if compared.compared + compared.unanswered > 0 {
                return compared;
            }
        }
    };
    let compared = tokio::time::timeout(Duration::from_secs(30), compared).await.unwrap();
    assert_eq!((compared.compared, compared.differing), (1, 0), "{compared:?}");
    stop.send(true).unwrap();
    serving.await.unwrap();
    keeping.await.unwrap();
    // Nothing of the visit stays with whoever will not commit it.
    let seen = std::mem::take(&mut *insurer.visits.lock().unwrap());
    let [.., last] = seen[..] else { panic!("it saw nothing") };
    assert_eq!((seen.len(), last), (4, VisitEventKind::Cancelled), "{seen:?}");
    // What it said of itself, its quote, and what it was told around it.
    assert_eq!(book.calls_kept("acme".into()).await.unwrap(), 6);
    assert_eq!(book.forget_calls(SystemClock.now(), 5).await.unwrap(), 5);
    assert_eq!(book.forget_calls(SystemClock.now(), 9).await.unwrap(), 1);
    insurer.goes().await;
}
