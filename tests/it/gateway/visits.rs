//! Adapters that see visits: what they hear of one before they are asked, what is kept for them, and that a cancelled
//! admission is called off.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use metrics_exporter_prometheus::PrometheusBuilder;
use yizhan::runtime::{Clock as _, CountedIds};
use yizhan::settlement::directory::{self, Directory, Otherwise, Registered};
use yizhan::settlement::message::Mode;
use yizhan::settlement::payers::{Adapter, Payers};
use yizhan::store::Ports;
use yizhan::store::sqlite::Sqlite;
use yizhan_contract::Text;
use yizhan_contract::payer::{
    Answer, Ask, KEPT_BYTES_MAX, Manifest, Memo, Need, Operation, Payer, Performed, PrepareError, Prepared,
    QuoteAnswer, StatementLine, Status, Unavailable, VisitEvent, Visited,
};

use super::insurer::Generous;
use super::{House, Letters, Sent, profiles, shown};
use crate::away;

/// Pays as [`Generous`] does, and must see a visit first. Its memo counts what it has heard.
struct Registry {
    inner: Arc<Generous>,
    manifest: Manifest,
    heard: Mutex<Vec<String>>,
    mood: Mutex<Mood>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Away,
    /// Nothing comes to it.
    Unreached,
    /// What it wants kept is more than is kept.
    Wordy,
}

impl Registry {
    fn new(sees_visits: bool, optional: bool, needs: &[Need]) -> Arc<Self> {
        let inner = Generous::new(Duration::ZERO);
        // Only the last payer of a chain may be left out.
        let serves = if optional { "supplementary" } else { "critical_illness" };
        let manifest = Manifest {
            serves: vec![serves.parse().unwrap()],
            sees_visits,
            optional,
            needs: needs.iter().copied().collect(),
            ..inner.manifest().clone()
        };
        Arc::new(Self { inner, manifest, heard: Mutex::default(), mood: Mutex::new(Mood::Well) })
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Since it was asked last.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    fn hears(&self, what: &str, memo: &Memo) {
        let memo = String::from_utf8(memo.0.to_vec()).unwrap();
        self.heard.lock().unwrap().push(format!("{what} memo {memo:?}"));
    }
}

impl Payer for Registry {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn visit<'a>(&'a self, event: &'a VisitEvent, memo: Memo, _: Timestamp) -> Answer<'a, Visited> {
        let kind = serde_json::to_value(event.kind).unwrap();
        let mut what = format!("{} {}", kind.as_str().unwrap(), event.admitted);
        what.extend(event.discharged.map(|day| format!("-{day}")));
        what.extend(event.lines.iter().map(|line| format!(" {} {}", line.code, line.amount.unwrap())));
        what.extend(event.person.id_number.is_some().then_some(" known by number"));
        let mood = *self.mood.lock().unwrap();
        if mood != Mood::Unreached {
            self.hears(&what, &memo);
        }
        let count = || String::from_utf8(memo.0.to_vec()).unwrap().parse().unwrap_or(0);
        let why = Unavailable { why: "日终 | end of day".to_owned(), retry_after: None };
        let answer = match mood {
            Mood::Well => Visited::Noted { memo: (count() + 1).to_string().into_bytes().into() },
            Mood::Away => Visited::Unavailable(why),
            Mood::Unreached => Visited::NotSent(why),
            Mood::Wordy => Visited::Noted { memo: vec![b'9'; KEPT_BYTES_MAX + 1].into() },
        };
        Box::pin(std::future::ready(answer))
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        self.hears("quote", &ask.memo);
        self.inner.quote(ask, deadline)
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        self.inner.prepare(operation)
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed> {
        self.inner.perform(prepared, deadline)
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Status> {
        self.inner.status(prepared, deadline)
    }

    fn statement(&self, day: Date, at: Timestamp) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        self.inner.statement(day, at)
    }
}

/// What gateways share.
struct Shared {
    store: Arc<dyn Ports>,
    ids: Arc<CountedIds>,
}

impl Shared {
    fn new() -> Self {
        let ids = Arc::<CountedIds>::default();
        Self { store: Arc::new(Sqlite::in_memory(ids.clone()).unwrap()), ids }
    }

    fn house(&self, name: &str, registry: &Arc<Registry>) -> House {
        let payers = vec![("registry".into(), Arc::clone(registry) as Arc<dyn Payer>)];
        let (payers, policies) = (Payers::new(payers).unwrap(), away::policies());
        let (store, ids) = (Arc::clone(&self.store), Arc::clone(&self.ids));
        House::over(store, policies, profiles("", None), payers, name, ids)
    }
}

/// A gateway that asks the registry.
async fn house(registry: &Arc<Registry>) -> House {
    let house = Shared::new().house("test", registry);
    house.fill().await;
    house
}

async fn send(house: &House, kind: &str, id: &str, amount: &str, mode: Mode) -> String {
    let sent = Sent {
        kind: kind.to_owned(),
        id: id.to_owned(),
        who: Some("li".to_owned()),
        visit: "Z1".to_owned(),
        admitted: Some("2020-06-01".to_owned()),
        discharged: (kind == "json").then(|| "2020-06-11".to_owned()),
        lines: (kind == "json").then(|| format!("1 CG SUR09 {amount}")).into_iter().collect(),
        ..Sent::default()
    };
    let (bytes, format) = sent.bytes();
    let outcome = house.receive(&bytes, format, Some(mode)).await.outcome;
    let said = shown(&outcome, &mut Letters::default());
    said.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// What is due now is driven to its end; how many stays that were.
async fn drive_what_is_due(house: &House) -> usize {
    let gateway = house.reception.gateway();
    let due = gateway.due(house.clock.now(), 10).await.unwrap();
    for pursuit in &due {
        Box::pin(gateway.pursue(*pursuit)).await;
    }
    due.len()
}

const FIRST: [&str; 4] = [
    "admitted 2020-06-01 memo \"\"",
    "charged 2020-06-01 SUR09 90000.00 memo \"1\"",
    "discharged 2020-06-01-2020-06-11 SUR09 90000.00 memo \"2\"",
    "quote memo \"3\"",
];

#[tokio::test]
async fn a_visit_is_told_once_and_before_the_quote() {
    let registry = Registry::new(true, false, &[Need::Lines]);
    let shared = Shared::new();
    let house = shared.house("test", &registry);
    house.fill().await;
    assert_eq!(send(&house, "json", "1", "90000.00", Mode::Quote).await, "quoted A");
    assert_eq!(registry.heard(), FIRST);
    // Asked again for the same stay, by whoever: it knows.
    let other = shared.house("other", &registry);
    assert_eq!(send(&other, "json", "2", "90000.00", Mode::Settle).await, "settled A");
    assert_eq!(registry.heard(), ["quote memo \"3\""]);
}

#[tokio::test]
async fn what_changed_is_told_again() {
    let registry = Registry::new(true, false, &[Need::Lines, Need::IdNumber]);
    let house = house(&registry).await;
    send(&house, "json", "1", "90000.00", Mode::Quote).await;
    assert_eq!(registry.heard()[0], "admitted 2020-06-01 known by number memo \"\"");
    assert_eq!(send(&house, "json", "2", "80000.00", Mode::Settle).await, "settled A");
    let again = [
        "charged 2020-06-01 SUR09 80000.00 known by number memo \"3\"",
        "discharged 2020-06-01-2020-06-11 SUR09 80000.00 known by number memo \"4\"",
        "quote memo \"5\"",
    ];
    assert_eq!(registry.heard(), again);
}

#[tokio::test]
async fn it_hears_no_more_than_it_needs_and_only_where_it_sees_visits() {
    for (sees_visits, heard) in [
        (false, vec!["quote memo \"\""]),
        (true, {
            let mut heard = FIRST.to_vec();
            heard[1] = "charged 2020-06-01 memo \"1\"";
            heard[2] = "discharged 2020-06-01-2020-06-11 memo \"2\"";
            heard
        }),
    ] {
        let registry = Registry::new(sees_visits, false, &[]);
        let house = house(&registry).await;
        assert_eq!(send(&house, "json", "1", "90000.00", Mode::Settle).await, "settled A");
        assert_eq!(registry.heard(), heard, "{sees_visits}");
    }
}

/// It is not asked what it pays for a visit that it has not taken in.
#[tokio::test]
async fn one_that_cannot_take_a_visit_in_is_unavailable() {
    for mood in [Mood::Away, Mood::Wordy] {
        for (optional, amount, said) in
            [(false, "90000.00", "noted settling"), (true, "1000.00", "settled A")]
        {
            let registry = Registry::new(true, optional, &[]);
            let house = house(&registry).await;
            registry.is(mood);
            assert_eq!(send(&house, "json", "1", amount, Mode::Settle).await, said, "{optional}");
            assert_eq!(registry.heard(), FIRST[..1], "{optional}");

            // It is told from the beginning once it is well.
            registry.is(Mood::Well);
            house.clock.put(house.clock.now() + SignedDuration::from_secs(300));
            assert_eq!(drive_what_is_due(&house).await, 1);
            let heard = registry.heard();
            assert_eq!((heard[0].as_str(), heard.len()), (FIRST[0], 4), "{optional}");
            assert_eq!(registry.inner.commits(), 1, "{optional}");
        }
    }
}

/// Away when it is to hear of it, it hears of it later, with what it wanted kept.
async fn hears_that_it_is_over(house: &House, registry: &Registry) {
    let called_off = vec!["cancelled 2020-06-01 memo \"3\"".to_owned()];
    assert_eq!((drive_what_is_due(house).await, registry.heard()), (1, called_off.clone()));
    assert_eq!(drive_what_is_due(house).await, 0, "it is left alone for a while");
    registry.is(Mood::Well);
    house.clock.put(house.clock.now() + SignedDuration::from_secs(300));
    assert_eq!((drive_what_is_due(house).await, registry.heard()), (1, called_off));
    house.clock.put(house.clock.now() + SignedDuration::from_hours(24));
    assert_eq!(drive_what_is_due(house).await, 0, "it knows");
}

#[tokio::test]
async fn a_cancelled_admission_is_called_off() {
    let registry = Registry::new(true, false, &[Need::Lines]);
    let house = house(&registry).await;
    send(&house, "json", "1", "90000.00", Mode::Quote).await;
    registry.heard();
    registry.is(Mood::Away);
    assert_eq!(send(&house, "ADT^A11", "2", "", Mode::Settle).await, "noted awaiting_charges");
    hears_that_it_is_over(&house, &registry).await;

    // Admitted again under the number, all is told again.
    assert_eq!(send(&house, "json", "3", "90000.00", Mode::Settle).await, "settled A");
    let told_again = registry.heard();
    assert_eq!((told_again[0].as_str(), told_again.len()), ("admitted 2020-06-01 memo \"4\"", 4));
}

/// What it may have taken in, though nobody heard so, is called off too; not what never left.
#[tokio::test]
async fn an_admission_whose_answer_was_lost_is_called_off() {
    let called_off = || vec!["cancelled 2020-06-01 memo \"\"".to_owned()];
    for (mood, heard, called_off) in
        [(Mood::Away, &FIRST[..1], called_off()), (Mood::Unreached, &[], Vec::new())]
    {
        let registry = Registry::new(true, false, &[]);
        let house = house(&registry).await;
        registry.is(mood);
        send(&house, "json", "1", "90000.00", Mode::Quote).await;
        assert_eq!(registry.heard(), heard);
        registry.is(Mood::Well);
        send(&house, "ADT^A11", "2", "", Mode::Settle).await;
        assert_eq!((drive_what_is_due(&house).await, registry.heard()), (called_off.len(), called_off));
    }
}

/// A gateway over adapters that change, and how to change them.
async fn changing(registry: &Arc<Registry>) -> (House, impl Fn(directory::Mode, bool)) {
    let (directory, ids) = (Directory::default(), Arc::<CountedIds>::default());
    let (asked, serves) = (directory.clone(), registry.manifest.serves.clone());
    let payer = Arc::clone(registry) as Arc<dyn Payer>;
    let becomes = move |mode, has_fallen: bool| {
        let adapter = Adapter { name: "registry".into(), payer: Arc::clone(&payer), serves: serves.clone() };
        let fallen = has_fallen.then(|| Text::new("已自动停用", "it is not asked for now"));
        let otherwise = Otherwise::Rules;
        asked.put(&[Registered { adapter, mode, otherwise, fallen, unproven: None }], Vec::new()).unwrap();
    };
    becomes(directory::Mode::Primary, false);
    let store = Arc::new(Sqlite::in_memory(ids.clone()).unwrap());
    let house = House::asking(store, away::policies(), profiles("", None), directory, "test", ids);
    house.fill().await;
    (house, becomes)
}

#[tokio::test]
async fn a_visit_is_over_for_an_adapter_that_the_stay_is_settled_without() {
    for (mode, has_fallen) in [(directory::Mode::Off, false), (directory::Mode::Primary, true)] {
        let registry = Registry::new(true, false, &[Need::Lines]);
        let (house, becomes) = changing(&registry).await;
        assert_eq!(send(&house, "json", "1", "90000.00", Mode::Quote).await, "quoted A");
        assert_eq!(registry.heard(), FIRST);
        assert_eq!(drive_what_is_due(&house).await, 0, "it may be asked to pay");
        becomes(mode, has_fallen);
        registry.is(Mood::Away);
        assert_eq!(send(&house, "json", "2", "90000.00", Mode::Settle).await, "settled A");
        assert_eq!((registry.heard(), registry.inner.commits()), (Vec::new(), 0));
        hears_that_it_is_over(&house, &registry).await;
    }
}

/// The stay waits for it, and is settled when it is taken up again.
#[tokio::test]
async fn a_visit_is_over_for_an_adapter_that_falls_while_the_stay_waits_for_it() {
    let registry = Registry::new(true, false, &[]);
    let (house, becomes) = changing(&registry).await;
    registry.is(Mood::Away);
    assert_eq!(send(&house, "json", "1", "90000.00", Mode::Settle).await, "noted settling");
    assert_eq!(registry.heard(), FIRST[..1]);
    becomes(directory::Mode::Primary, true);
    registry.is(Mood::Well);
    house.clock.put(house.clock.now() + SignedDuration::from_secs(300));
    assert_eq!((drive_what_is_due(&house).await, registry.heard()), (1, Vec::new()));
    assert_eq!(send(&house, "json", "1", "90000.00", Mode::Settle).await, "settled A");
    let called_off = vec!["cancelled 2020-06-01 memo \"\"".to_owned()];
    assert_eq!((drive_what_is_due(&house).await, registry.heard()), (1, called_off));
    assert_eq!(drive_what_is_due(&house).await, 0, "it knows");
}

/// Its file was taken away: nothing leaves the house until an operator has put it back.
#[tokio::test]
async fn a_visit_that_stands_with_an_adapter_without_a_file_is_looked_at_each_hour() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _told = metrics::set_default_local_recorder(&recorder);
    let registry = Registry::new(true, false, &[Need::Lines]);
    let (house, becomes) = changing(&registry).await;
    assert_eq!(send(&house, "json", "1", "90000.00", Mode::Quote).await, "quoted A");
    assert_eq!(registry.heard(), FIRST);
    house.reception.gateway().directory().put(&[], Vec::new()).unwrap();
    assert_eq!(send(&house, "json", "2", "90000.00", Mode::Settle).await, "settled A");
    let hour = SignedDuration::from_hours(1);
    for (after, due) in [(SignedDuration::ZERO, 1), (hour - SignedDuration::from_secs(1), 0), (hour, 1)] {
        house.clock.put(house.clock.now() + after);
        assert_eq!(drive_what_is_due(&house).await, due, "after {after}");
    }
    let counted = recorder.handle().render();
    let twice = "{adapter=\"registry\",payer=\"\",event=\"visit_stands_unconfigured\"} 2\n";
    assert!(counted.contains(twice), "{counted}");

    becomes(directory::Mode::Off, false);
    house.clock.put(house.clock.now() + hour);
    let called_off = vec!["cancelled 2020-06-01 memo \"3\"".to_owned()];
    assert_eq!((drive_what_is_due(&house).await, registry.heard()), (1, called_off));
    house.clock.put(house.clock.now() + SignedDuration::from_hours(24));
    assert_eq!(drive_what_is_due(&house).await, 0, "it knows");
}

/// Where no adapter has heard of it, there is nothing to call off.
#[tokio::test]
async fn a_cancelled_admission_nobody_saw_is_over() {
    let registry = Registry::new(false, false, &[]);
    let house = house(&registry).await;
    send(&house, "json", "1", "90000.00", Mode::Quote).await;
    send(&house, "ADT^A11", "2", "", Mode::Settle).await;
    assert_eq!(drive_what_is_due(&house).await, 0);
}
