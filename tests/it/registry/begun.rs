//! A gateway's registry over a folder, and what becomes of stays by it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use jiff::SignedDuration;
use yizhan::BuiltIn;
use yizhan::registry::journal::Keeper;
use yizhan::registry::{Registry, RegistryError, Setting};
use yizhan::runtime::{Clock as _, CountedIds, Runtime, SystemClock};
use yizhan::settlement::bill::{Bill, BillState, ComputedBy};
use yizhan::settlement::message::Mode;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::Ports;
use yizhan::store::adapter_book::AdapterBook;
use yizhan::store::sqlite::Sqlite;
use yizhan_attestation::Trust;

use super::insurer::Insurer;
use crate::away::{discharge, policies};
use crate::gateway::{House, Sent, profiles};

/// Where nothing is written down that is looked at.
pub(super) async fn registry(
    folder: &Path,
    insurer: &Insurer,
    name: &str,
) -> Result<Registry, RegistryError> {
    let given = Given { name, ..Given::to(insurer) };
    begun(folder, given).await.map(|(registry, _)| registry)
}

/// What a gateway begins with beside its folder.
pub(super) struct Given<'g> {
    pub(super) name: &'g str,
    pub(super) trust: Trust,
    pub(super) book: Arc<dyn AdapterBook>,
    pub(super) runtime: Runtime,
}

impl Given<'_> {
    /// The insurance is given to `acme`, whose attestations count; now, by the machine's clock.
    pub(super) fn to(insurer: &Insurer) -> Self {
        Self { name: "acme", trust: insurer.bureau.trusted(), book: book(), runtime: Runtime::system() }
    }
}

pub(super) fn book() -> Arc<Sqlite> {
    Arc::new(Sqlite::in_memory(Arc::<CountedIds>::default()).unwrap())
}

pub(super) async fn begun(folder: &Path, given: Given<'_>) -> Result<(Registry, Keeper), RegistryError> {
    let Given { name, trust, book, runtime } = given;
    let setting = Setting {
        folder: folder.to_owned(),
        given: [("supplementary".parse().unwrap(), Arc::from(name))].into(),
        policies: Arc::new(policies()),
        hospitals: BTreeSet::from(["H37132301".into(), "H37130001".into()]),
        trust,
        book,
        gateway: "test".into(),
        built_in: BuiltIn::default(),
        calls_kept_for: SignedDuration::from_hours(24),
    };
    Registry::open(setting, runtime).await
}

/// A gateway that asks whom the folder says, today.
pub(super) async fn house(registry: &Registry) -> House {
    let ids = Arc::<CountedIds>::default();
    let store: Arc<dyn Ports> = Arc::new(Sqlite::in_memory(ids.clone()).unwrap());
    let directory = registry.directory().clone();
    let house = House::asking(store, policies(), profiles("", None), directory, "test", ids);
    goes_ahead(&house);
    house.fill().await;
    house
}

/// How far the house's clock is ahead of the insurer's, at least: so long may a loaded machine take for one message.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);

/// Calls have deadlines by the house's clock, which stands; the insurer holds them to a clock that runs.
pub(super) fn goes_ahead(house: &House) {
    house.clock.put(house.clock.now().max(SystemClock.now() + AHEAD));
}

pub(super) async fn outcome(house: &House, nth: u32) -> Outcome {
    goes_ahead(house);
    in_its_own_time(house, nth).await
}

/// Where the clock stands: calls have the time of a gateway, and no more.
pub(super) async fn in_its_own_time(house: &House, nth: u32) -> Outcome {
    let message = Sent { visit: format!("V{nth}"), ..discharge(&format!("m{nth}")) };
    let (bytes, format) = message.bytes();
    house.receive(&bytes, format, Some(Mode::Settle)).await.outcome
}

pub(super) async fn bill(house: &House, nth: u32) -> Bill {
    match outcome(house, nth).await {
        Outcome::Bill(bill) => *bill,
        other => panic!("{other:?}"),
    }
}

/// Who computed the insurance of a stay that is settled now.
pub(super) async fn decided(house: &House, nth: u32) -> ComputedBy {
    let bill = bill(house, nth).await;
    assert_eq!(bill.state, BillState::Settled);
    bill.payers.iter().find(|line| line.payer.as_str() == "supplementary").unwrap().computed_by
}

pub(super) fn notes(registry: &Registry) -> String {
    registry.directory().notes().iter().map(|note| format!("{} | {}\n", note.zh, note.en)).collect()
}
