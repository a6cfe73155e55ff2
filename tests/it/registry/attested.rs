//! Whether an adapter may decide, by who vouches for it.

use std::sync::Arc;

use jiff::SignedDuration;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde::Deserialize;
use tempfile::TempDir;
use yizhan::registry::{DESCRIBE_EVERY, Registry};
use yizhan::runtime::{Clock as _, CountedIds, FixedClock, Runtime, SystemClock};
use yizhan::settlement::bill::ComputedBy;
use yizhan::store::adapter_book::AdapterBook as _;
use yizhan::store::sqlite::Sqlite;
use yizhan_contract::FindingCode;
use yizhan_contract::payer::{Manifest, Need};

use super::begun::{Given, begun, bill, book, decided, house, notes};
use super::bureau::Says;
use super::insurer::{ATTESTATION, Insurer};
use crate::gateway::House;
use crate::project;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Else `primary`.
    mode: Option<String>,
    #[serde(default)]
    says: Says,
    /// The adapter's file names no attestation.
    #[serde(default)]
    names_none: bool,
    /// It names one that is not there.
    #[serde(default)]
    is_missing: bool,
    decides: String,
    told: String,
}

impl Case {
    fn keys(&self) -> String {
        let mode = self.mode.as_deref().unwrap_or("primary");
        let canary = if mode == "canary" { "canary = [\"H37132301\"]\n" } else { "" };
        let named =
            if self.names_none { "# attestation\n" } else { "attestation = \"acme-attestation.json\"\n" };
        format!("{named}mode = \"{mode}\"\n{canary}otherwise = \"rules\"\n")
    }

    /// Puts file and attestation into the folder, and looks at it.
    async fn put(&self, insurer: &Insurer, folder: &TempDir, registry: &mut Registry) {
        let file = folder.path().join(ATTESTATION);
        insurer.attests(folder.path(), &self.says);
        if self.is_missing {
            std::fs::remove_file(&file).unwrap();
        }
        insurer.put(folder.path(), &self.keys());
        registry.look(false).await.unwrap();
    }

    async fn check(&self, registry: &Registry, house: &House, nth: u32) {
        let Self { name, decides, told, .. } = self;
        let expected = match decides.as_str() {
            "payer" => ComputedBy::Payer,
            "gateway" => ComputedBy::Gateway,
            other => panic!("{name}: {other}"),
        };
        let (notes, bill) = (notes(registry), bill(house, nth).await);
        let insurance = bill.payers.iter().find(|line| line.payer.as_str() == "supplementary").unwrap();
        assert_eq!(insurance.computed_by, expected, "{name}: {notes}");
        assert!(notes.contains(told) && notes.is_empty() == told.is_empty(), "{name}: {notes}");
        assert!(told.is_empty() || notes.contains("按 shadow 运行"), "{name}: {notes}");
        // Who reads the bill is told as well.
        let findings = bill.findings.iter().filter(|one| one.code == FindingCode::PayerNotAsked).count();
        assert_eq!(findings, usize::from(!told.is_empty()), "{name}: {:?}", bill.findings);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_vouches_for_an_adapter_says_whether_it_decides() {
    let text = std::fs::read_to_string(project("tests/cases/attestations.toml")).unwrap();
    let cases: Cases = toml::from_str(&text).unwrap();
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.put(folder.path(), &cases.case[0].keys());
    let (mut registry, _) = begun(folder.path(), Given::to(&insurer)).await.unwrap();
    for (nth, case) in (1..).zip(&cases.case) {
        case.put(&insurer, &folder, &mut registry).await;
        // Each of a year's first stay: the insurance has something left to pay.
        case.check(&registry, &house(&registry).await, nth).await;
    }
    insurer.goes().await;
}

/// A folder with one adapter, over a clock that stands where it is put.
struct Served {
    insurer: Insurer,
    folder: TempDir,
    clock: Arc<FixedClock>,
    book: Arc<Sqlite>,
    registry: Registry,
    house: House,
}

impl Served {
    async fn begun(says: &Says) -> Self {
        let (insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
        let clock = Arc::new(FixedClock::at(SystemClock.now()));
        insurer.attests(folder.path(), says);
        insurer.put(folder.path(), KEYS);
        let runtime = Runtime { clock: clock.clone(), ids: Arc::<CountedIds>::default() };
        let book = book();
        let given = Given { runtime, book: book.clone(), ..Given::to(&insurer) };
        let (registry, _) = begun(folder.path(), given).await.unwrap();
        let house = house(&registry).await;
        Self { insurer, folder, clock, book, registry, house }
    }

    /// Some time later.
    async fn look_after(&mut self, by: SignedDuration) {
        self.clock.advance(by);
        self.house.clock.put(self.clock.now());
        self.registry.look(false).await.unwrap();
    }
}

const KEYS: &str = "attestation = \"acme-attestation.json\"\nmode = \"primary\"\notherwise = \"rules\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attestation_that_lapses_while_serving_counts_no_more_until_there_is_another() {
    let mut served = Served::begun(&Says { lasts_s: 3_600 + 20, ..Says::default() }).await;
    assert_eq!(decided(&served.house, 1).await, ComputedBy::Payer);
    served.look_after(SignedDuration::from_secs(19)).await;
    assert_eq!(decided(&served.house, 2).await, ComputedBy::Payer);
    served.look_after(SignedDuration::from_secs(30)).await;
    assert_eq!(decided(&served.house, 3).await, ComputedBy::Gateway);
    assert!(notes(&served.registry).contains("it lapsed on"), "{}", notes(&served.registry));
    served.insurer.attests(served.folder.path(), &Says::default());
    served.look_after(SignedDuration::ZERO).await;
    assert_eq!(
        (decided(&served.house, 4).await, notes(&served.registry)),
        (ComputedBy::Payer, String::new())
    );
    served.insurer.goes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attestation_lapses_also_while_the_folder_cannot_be_read() {
    let mut served = Served::begun(&Says { lasts_s: 3_600 + 20, ..Says::default() }).await;
    assert_eq!(decided(&served.house, 1).await, ComputedBy::Payer);
    let (folder, aside) = (served.folder.path().to_owned(), TempDir::new().unwrap());
    std::fs::rename(&folder, aside.path().join("adapters.d")).unwrap();
    served.clock.advance(SignedDuration::from_secs(30));
    served.house.clock.put(served.clock.now());
    assert!(served.registry.look(false).await.is_err());
    assert_eq!(decided(&served.house, 2).await, ComputedBy::Gateway);
    assert!(notes(&served.registry).contains("it lapsed on"), "{}", notes(&served.registry));
    std::fs::rename(aside.path().join("adapters.d"), &folder).unwrap();
    served.insurer.goes().await;
}

/// What a service says of itself by then.
type Becomes = fn(&mut Manifest);

/// Another version, or other promises under the same one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_becomes_another_one_has_to_be_certified_anew() {
    let mut served = Served::begun(&Says::default()).await;
    let changes: [(Becomes, &str); 3] = [
        (|manifest| manifest.version = "9.9.9".to_owned(), "the adapter is yizhan-simulator 9.9.9"),
        (
            |manifest| (manifest.version, manifest.commits_are_idempotent) = ("9.9.9".to_owned(), false),
            "its attestation is of another manifest than the adapter has now",
        ),
        (
            |manifest| {
                manifest.version = "9.9.9".to_owned();
                manifest.needs.extend([Need::Name, Need::Birth]);
            },
            "its attestation is of another manifest than the adapter has now",
        ),
    ];
    for (nth, (says, told)) in (0..).zip(changes) {
        served.insurer.goes().await;
        served.insurer.says = says;
        served.insurer.comes(std::time::Duration::ZERO).await;
        let well = (ComputedBy::Payer, String::new());
        served.look_after(DESCRIBE_EVERY - SignedDuration::from_secs(1)).await;
        assert_eq!((decided(&served.house, 3 * nth + 1).await, notes(&served.registry)), well);
        served.look_after(SignedDuration::from_secs(1)).await;
        assert_eq!(decided(&served.house, 3 * nth + 2).await, ComputedBy::Gateway);
        let said = notes(&served.registry);
        assert!(said.contains(told), "{said}");
        served.insurer.attests(served.folder.path(), &Says::default());
        served.look_after(SignedDuration::ZERO).await;
        assert_eq!((decided(&served.house, 3 * nth + 3).await, notes(&served.registry)), well);
    }
    served.insurer.goes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_cannot_be_is_told_and_replaces_nothing() {
    let mut served = Served::begun(&Says::default()).await;
    served.insurer.goes().await;
    served.insurer.says = |manifest| manifest.version = " ".to_owned();
    served.insurer.comes(std::time::Duration::ZERO).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let told = metrics::set_default_local_recorder(&recorder);
    for _ in 0..3 {
        served.look_after(DESCRIBE_EVERY).await;
    }
    drop(told);
    let counted = recorder.handle().render();
    assert!(counted.contains("{event=\"describes_nonsense\"} 1\n"), "told once: {counted}");
    served.registry.keep_notes().await.unwrap();
    let listed = served.book.adapter_notes().await.unwrap().remove(0).document;
    assert!(listed.contains("describe: version: must have 1 to 80 characters"), "{listed}");
    let said = notes(&served.registry);
    assert!(said.contains("acme.toml: describe: version: must have 1 to 80 characters"), "{said}");
    assert!(said.contains("describe: version：须为 1 至 80 字"), "{said}");
    assert_eq!(decided(&served.house, 1).await, ComputedBy::Payer);
    // A file that is changed meanwhile is taken, and goes by what was known.
    served.insurer.put(served.folder.path(), &KEYS.replace("primary", "off"));
    served.look_after(SignedDuration::ZERO).await;
    assert_eq!(decided(&served.house, 2).await, ComputedBy::Gateway);
    assert!(notes(&served.registry).contains("describe: version"), "{}", notes(&served.registry));
    served.insurer.put(served.folder.path(), KEYS);
    served.look_after(SignedDuration::ZERO).await;
    served.insurer.goes().await;
    served.insurer.says = |_| {};
    served.insurer.comes(std::time::Duration::ZERO).await;
    served.look_after(DESCRIBE_EVERY).await;
    assert_eq!(
        (decided(&served.house, 3).await, notes(&served.registry)),
        (ComputedBy::Payer, String::new())
    );
    served.insurer.goes().await;
}
