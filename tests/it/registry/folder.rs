//! The folder as it is read again and again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use yizhan::registry::{Registry, RegistryError, Setting};
use yizhan::runtime::{Clock as _, CountedIds, Runtime, SystemClock};
use yizhan::settlement::bill::{Bill, BillState, ComputedBy};
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::Ports;
use yizhan::store::sqlite::Sqlite;

use super::insurer::Insurer;
use crate::away::{discharge, policies};
use crate::gateway::{House, Sent, audit, profiles};

const PRIMARY: &str = "mode = \"primary\"\notherwise = \"rules\"\n";
const OFF: &str = "mode = \"off\"\notherwise = \"rules\"\n";

async fn registry(folder: &Path, name: &str) -> Result<Registry, RegistryError> {
    let setting = Setting {
        folder: folder.to_owned(),
        given: [("supplementary".parse().unwrap(), Arc::from(name))].into(),
        policies: Arc::new(policies()),
        hospitals: BTreeSet::from(["H37132301".into(), "H37130001".into()]),
    };
    Registry::open(setting, Runtime::system()).await.map(|(registry, _)| registry)
}

/// A gateway that asks whom the folder says, today.
async fn house(registry: &Registry) -> House {
    let ids = Arc::<CountedIds>::default();
    let store: Arc<dyn Ports> = Arc::new(Sqlite::in_memory(ids.clone()).unwrap());
    let directory = registry.directory().clone();
    let house = House::asking(store, policies(), profiles("", None), directory, "test", ids);
    house.clock.put(SystemClock.now());
    house.fill().await;
    house
}

async fn outcome(house: &House, nth: u32) -> Outcome {
    let message = Sent { visit: format!("V{nth}"), ..discharge(&format!("m{nth}")) };
    let (bytes, format) = message.bytes();
    house.receive(&bytes, format, Some(Mode::Settle)).await.outcome
}

async fn bill(house: &House, nth: u32) -> Bill {
    match outcome(house, nth).await {
        Outcome::Bill(bill) => *bill,
        other => panic!("{other:?}"),
    }
}

/// Who computed the insurance of a stay that is settled now.
async fn decided(house: &House, nth: u32) -> ComputedBy {
    let bill = bill(house, nth).await;
    assert_eq!(bill.state, BillState::Settled);
    bill.payers.iter().find(|line| line.payer.as_str() == "supplementary").unwrap().computed_by
}

fn notes(registry: &Registry) -> String {
    registry.directory().notes().iter().map(|note| format!("{} | {}\n", note.zh, note.en)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_put_in_changed_and_taken_out_while_hospitals_go_on() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.put(folder.path(), PRIMARY);
    let mut registry = registry(folder.path(), "acme").await.unwrap();
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
    let mut registry = registry(folder.path(), "acme").await.unwrap();
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
    let refused = async |name| registry(folder.path(), name).await.err().map(|why| why.to_string());
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
    let said = registry(&folder.path().join("none"), "acme").await.err().unwrap().to_string();
    assert!(said.contains("cannot be read"), "{said}");
    insurer.goes().await;
}
