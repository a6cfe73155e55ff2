//! Bills on their way to hospitals: receivers that are dead, refuse, or hang, and a gateway that dies in between.

mod late;
mod many;

use std::sync::Arc;

use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;
use yizhan::intake::hl7::{Message, Reading};
use yizhan::intake::hl7_answer::{addressed_by_profile, bill_message, control_id};
use yizhan::intake::{Profile, Profiles};
use yizhan::outbox::Outbox;
use yizhan::runtime::{Clock as _, Shutdown, SystemClock};
use yizhan::settlement::bill::Bill;
use yizhan::settlement::gateway::Gateway;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::OutboxEntry;
use yizhan::tls;

use crate::authority::Authority;
use crate::gateway::{House, Sent};
use crate::receiver::{PATIENCE, Told, listen, listen_under, take_posts};
use crate::{project, says_both};

const LOOK_AGAIN: SignedDuration = SignedDuration::from_millis(50);
const LONGER_THAN_ANY_PAUSE: SignedDuration = SignedDuration::from_mins(10);
const COUNTY: &str = "H37132301";
const TOWNSHIP: &str = "H37132302";

/// A port that nobody listens at, as long as nobody else takes it.
async fn free_port() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// The sample hospitals with return addresses.
async fn house(addresses: &[(&str, String)]) -> House {
    let profile = |code: &str| {
        let path = project("tests/samples/hospitals").join(format!("{code}.toml"));
        let text = std::fs::read_to_string(path).unwrap();
        let address = addresses.iter().find(|(told, _)| *told == code);
        let line = address
            .map(|(_, address)| format!("return_address = {address:?}\ncharges_quiet_s = 30\n"))
            .unwrap_or_default();
        Profile::from_toml(&format!("{line}{text}")).unwrap()
    };
    House::new(Profiles::new(vec![profile(COUNTY), profile(TOWNSHIP)]).unwrap(), true).await
}

struct Worker {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Worker {
    fn start(house: &House) -> Self {
        Self::over(house.reception.gateway().clone(), Arc::clone(house.reception.profiles()))
    }

    fn over(gateway: Gateway, profiles: Arc<Profiles>) -> Self {
        let (stop, stopped) = Shutdown::new();
        let outbox = Outbox::new(gateway, profiles).unwrap();
        Self { task: tokio::spawn(outbox.serve(stopped)), stop }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }

    /// Leaves no last word, and does nothing any more once this comes back.
    async fn killed(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Whatever waits is due by now.
fn later(house: &House) {
    let runtime = house.reception.gateway().runtime();
    house.clock.put(runtime.now() + LONGER_THAN_ANY_PAUSE);
    house.reception.gateway().outbox_written().notify_one();
}

/// Waits until what is in the outbox is as wanted.
async fn outbox(house: &House, wanted: impl Fn(&[OutboxEntry]) -> bool) -> Vec<OutboxEntry> {
    let waiting = async {
        loop {
            let waiting = house.store.outbox_waiting(1_000).await.unwrap();
            if wanted(&waiting) {
                return waiting;
            }
            // Whoever looks all the time keeps the store from those who write.
            SystemClock.sleep_until(SystemClock.now() + LOOK_AGAIN).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the outbox is not what it should be")
}

async fn settle(house: &House, hospital: &str, visit: &str) -> Bill {
    settle_for(house, hospital, visit, "1000.00").await
}

async fn settle_for(house: &House, hospital: &str, visit: &str, amount: &str) -> Bill {
    let sent = Sent {
        kind: "json".to_owned(),
        id: format!("{visit} {amount}"),
        hospital: Some(hospital.to_owned()),
        who: Some("zhang".to_owned()),
        visit: visit.to_owned(),
        admitted: Some("2020-06-24".to_owned()),
        discharged: Some("2020-07-02".to_owned()),
        lines: vec![format!("1 CG S001 {amount}")],
        ..Sent::default()
    };
    let (bytes, format) = sent.bytes();
    match house.receive(&bytes, format, None).await.outcome {
        Outcome::Bill(bill) => *bill,
        other => panic!("{other:?}"),
    }
}

async fn reverse(house: &House, id: Uuid) {
    let outcome =
        house.reception.gateway().reverse(id, "费用有误".to_owned(), "desk 7".to_owned()).await.outcome;
    assert!(matches!(outcome, Outcome::Bill(_)), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_was_dead_is_told_everything_in_order() {
    let port = free_port().await;
    let house = house(&[(COUNTY, port.to_string())]).await;
    let bill = settle(&house, COUNTY, "V1").await;
    reverse(&house, bill.settlement_id).await;
    settle(&house, TOWNSHIP, "V2").await;
    let worker = Worker::start(&house);
    let waiting = outbox(&house, |waiting| waiting.iter().any(|entry| entry.why.is_some())).await;
    assert_eq!(waiting.len(), 2, "a hospital without an address is told nothing");
    assert_eq!(waiting.iter().map(|entry| entry.version).collect::<Vec<_>>(), [1, 2]);
    assert!(waiting[0].why.as_deref().unwrap().contains(&port.to_string()), "{waiting:?}");
    assert_eq!(waiting[1].attempts, 0, "the second bill waits for the first");

    let told = Told::answering(&[]);
    let _listening = listen(TcpListener::bind(port).await.unwrap(), Arc::clone(&told)).await;
    later(&house);
    let messages = told.reach(2).await;
    outbox(&house, <[_]>::is_empty).await;
    let ids: Vec<String> = waiting.iter().map(|entry| control_id(entry.outbox_id)).collect();
    assert_eq!(told.ids(), ids);
    assert!(messages[0].1.contains("|PAID|") && !messages[0].1.contains("|REJECT|"), "{}", messages[0].1);
    assert!(messages[1].1.contains("|REJECT|"), "{}", messages[1].1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bills_of_a_stay_whose_charges_changed_since_are_told_as_they_were_issued() {
    let port = free_port().await;
    let house = house(&[(COUNTY, port.to_string())]).await;
    let first = settle(&house, COUNTY, "V1").await;
    reverse(&house, first.settlement_id).await;
    let second = settle_for(&house, COUNTY, "V1", "2500.00").await;
    let told = Told::answering(&[]);
    let _listening = listen(TcpListener::bind(port).await.unwrap(), Arc::clone(&told)).await;
    let worker = Worker::start(&house);
    let messages = told.reach(3).await;
    for ((_, message), (bill, amount)) in
        messages.iter().zip([(&first, "|1000.00&CNY"), (&first, "|1000.00&CNY"), (&second, "|2500.00&CNY")])
    {
        assert!(message.contains(&bill.settlement_id.to_string()) && message.contains(amount), "{message}");
    }
    outbox(&house, <[_]>::is_empty).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_over_tls_whose_certificate_nobody_vouches_for_is_told_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("mllps://localhost:{}", listener.local_addr().unwrap().port());
    let house = house(&[(COUNTY, address.clone())]).await;
    let config = tls::server_config(&Authority::new().configured(false), &[]).unwrap();
    let told = Told::answering(&[]);
    let _listening = listen_under(listener, Some(Arc::new(config).into()), Arc::clone(&told)).await;
    settle(&house, COUNTY, "V1").await;
    let worker = Worker::start(&house);
    let waiting = outbox(&house, |waiting| waiting.iter().any(|entry| entry.why.is_some())).await.remove(0);
    let why = waiting.why.as_deref().unwrap();
    assert!(says_both(why) && why.contains("请核对其证书") && why.contains("check its certificate"), "{why}");
    assert!(told.ids().is_empty());
    worker.stop().await;
}

#[tokio::test]
async fn a_bill_is_addressed_as_the_profile_says() {
    let text = std::fs::read_to_string(project("tests/samples/hospitals/H37132301.toml")).unwrap();
    let address = "return_address = \"his:1\"\nsenders = [\"HIS|COUNTY\"]\ncharset = \"GB18030\"\n";
    let profile = Profile::from_toml(&format!("{address}{text}")).unwrap();
    let house = house(&[]).await;
    let bill = settle(&house, COUNTY, "V1").await;
    let found = house.reception.gateway().bill(bill.settlement_id, 1).await.unwrap().unwrap();
    for (answered, shown) in [("MSG-1", "MSG-1"), ("a|b", "a|b"), ("", "0")] {
        let header = addressed_by_profile(&profile, answered);
        let bytes = bill_message(&header, "ID-1", &found.settlement, &profile.hospital.name).unwrap();
        let message = Message::parse(&bytes, &Reading::default()).unwrap();
        let field = |segment: &str, number| message.first(segment).unwrap().field(number).text().into_owned();
        let addressed =
            [field("MSH", 5), field("MSH", 6), field("MSH", 10), field("MSH", 18), field("MSA", 2)];
        assert_eq!(addressed, ["HIS", "COUNTY", "ID-1", "GB 18030-2000", shown]);
        assert!(field("IN1", 4).contains("居民"), "the names survive the character set");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_that_is_refused_comes_again_and_holds_up_no_other_stay() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let house = house(&[(COUNTY, listener.local_addr().unwrap().to_string())]).await;
    let told = Told::answering(&["AE"]);
    let _listening = listen(listener, Arc::clone(&told)).await;
    settle(&house, COUNTY, "V1").await;
    let worker = Worker::start(&house);
    let refused = outbox(&house, |waiting| waiting.iter().any(|entry| entry.why.is_some())).await.remove(0);
    let why = refused.why.as_deref().unwrap();
    assert!(says_both(why) && why.contains("应答 AE |") && why.ends_with("answered AE"), "{why}");

    settle(&house, COUNTY, "V2").await;
    told.reach(2).await;
    // Its delivery has ended: time must not run past one that is under way.
    outbox(&house, |waiting| waiting.len() == 1).await;
    later(&house);
    told.reach(3).await;
    outbox(&house, <[_]>::is_empty).await;
    let ids = told.ids();
    assert_eq!((&ids[0], &ids[2]), (&control_id(refused.outbox_id), &ids[0]));
    assert_ne!(ids[1], ids[0]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gateway_left_half_delivered_the_next_delivers_under_the_same_id() {
    // Takes the connection and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let house = house(&[(COUNTY, address.to_string())]).await;
    settle(&house, COUNTY, "V1").await;
    let worker = Worker::start(&house);
    let begun = outbox(&house, |waiting| waiting.iter().any(|entry| entry.attempts == 1)).await.remove(0);
    worker.killed().await;
    drop(silent);

    let told = Told::answering(&[]);
    let listening = timeout(PATIENCE, async {
        loop {
            // The kernel may hold on to the port for a moment.
            if let Ok(listener) = TcpListener::bind(address).await {
                return listen(listener, Arc::clone(&told)).await;
            }
            tokio::task::yield_now().await;
        }
    });
    let _listening = listening.await.unwrap();
    let worker = Worker::start(&house);
    later(&house);
    told.reach(1).await;
    outbox(&house, <[_]>::is_empty).await;
    assert!(told.ids().iter().all(|id| *id == control_id(begun.outbox_id)), "{:?}", told.ids());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_holds_up_nobody_else() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let posted_to = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let post = format!("http://{}/bills", posted_to.local_addr().unwrap());
    let house = house(&[(COUNTY, silent.local_addr().unwrap().to_string()), (TOWNSHIP, post)]).await;
    let told = Told::answering(&["503 Busy", "404 Not Found"]);
    take_posts(posted_to, Arc::clone(&told)).await;
    for visit in ["V1", "V2", "V3"] {
        settle(&house, COUNTY, visit).await;
    }
    let worker = Worker::start(&house);
    let hanging = |entry: &OutboxEntry| &*entry.hospital == COUNTY;
    outbox(&house, |waiting| waiting.iter().any(|entry| hanging(entry) && entry.attempts == 1)).await;
    let bill = settle(&house, TOWNSHIP, "V4").await;
    for count in 1..=3 {
        // Tried again each time the clock is put forward, while the first receiver says nothing.
        told.reach(count).await;
        if count < 3 {
            let why = if count == 1 { "503" } else { "404" };
            let failed = |entry: &OutboxEntry| entry.why.as_deref().is_some_and(|said| said.contains(why));
            let waiting = outbox(&house, |waiting| waiting.iter().any(failed)).await;
            let begun = waiting.iter().filter(|entry| hanging(entry) && entry.attempts > 0).count();
            assert!(begun == 1 || count > 1, "one at a time for each receiver");
            later(&house);
        }
    }
    let left = outbox(&house, |waiting| waiting.iter().all(hanging)).await;
    assert_eq!(left.len(), 3);
    let messages = told.reach(3).await;
    assert!(messages.iter().all(|(id, _)| *id == messages[0].0 && id.parse::<Uuid>().is_ok()));
    let posted: Bill = serde_json::from_str(&messages[2].1).unwrap();
    assert_eq!(posted, bill);
    worker.killed().await;
}

/// A stay whose charges went quiet and do not add up to anything.
async fn cannot_be_priced(house: &House, hospital: &str) {
    let message = |kind: &str, id: &str, lines: &[&str]| Sent {
        kind: kind.to_owned(),
        id: id.to_owned(),
        hospital: Some(hospital.to_owned()),
        who: Some("zhang".to_owned()),
        visit: "V1".to_owned(),
        admitted: Some("2020-06-24".to_owned()),
        discharged: (kind == "ADT^A03").then(|| "2020-07-02".to_owned()),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        ..Sent::default()
    };
    for sent in
        [message("DFT^P03", "1", &["1 CG S001 100.00", "2 CD S001 200.00"]), message("ADT^A03", "2", &[])]
    {
        let (bytes, format) = sent.bytes();
        assert!(matches!(house.receive(&bytes, format, None).await.outcome, Outcome::Noted(_)));
    }
    let gateway = house.reception.gateway();
    later(house);
    for pursuit in gateway.due(gateway.runtime().now(), 100).await.unwrap() {
        assert!(gateway.pursue(pursuit).await.is_refused());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_quiet_stay_has_no_bill_is_told_once() {
    let (mllp, http) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let post = format!("http://{}/bills", http.local_addr().unwrap());
    let house = house(&[(COUNTY, mllp.local_addr().unwrap().to_string()), (TOWNSHIP, post)]).await;
    let (answered, posted) = (Told::answering(&["AE"]), Told::answering(&[]));
    let _listening = listen(mllp, Arc::clone(&answered)).await;
    take_posts(http, Arc::clone(&posted)).await;
    cannot_be_priced(&house, COUNTY).await;
    cannot_be_priced(&house, TOWNSHIP).await;
    let worker = Worker::start(&house);
    answered.reach(1).await;
    // One is told, the other declined; no delivery is under way that time could run past.
    outbox(&house, |waiting| waiting.len() == 1 && waiting[0].why.is_some()).await;
    later(&house);
    let answers = answered.reach(2).await;
    let posts = posted.reach(1).await;
    outbox(&house, <[_]>::is_empty).await;
    worker.stop().await;
    assert_eq!(answers[0].0, answers[1].0, "tried again under its id");
    let message = &answers[1].1;
    assert!(message.contains("MSA|AE|2|") && message.contains("||ACK|"), "{message}");
    assert!(message.contains("\rERR||FT1") && message.contains("|bad_charges^"), "{message}");
    let noted: serde_json::Value = serde_json::from_str(&posts[0].1).unwrap();
    assert_eq!((&noted["state"], &noted["visit_number"]), (&"needs_attention".into(), &"V1".into()));
    let said = &noted["findings"][0];
    assert_eq!(said["code"], "not_priced");
    for (language, part) in [("zh", "（FT1）"), ("en", "at FT1")] {
        assert!(said["message"][language].as_str().unwrap().contains(part), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_priced_before_it_was_told_is_told_as_a_bill_only() {
    let port = free_port().await;
    let house = house(&[(COUNTY, port.to_string())]).await;
    cannot_be_priced(&house, COUNTY).await;
    let bill = settle(&house, COUNTY, "V1").await;
    assert_eq!(house.store.outbox_waiting(10).await.unwrap().len(), 2);
    let told = Told::answering(&[]);
    let _listening = listen(TcpListener::bind(port).await.unwrap(), Arc::clone(&told)).await;
    let worker = Worker::start(&house);
    outbox(&house, <[_]>::is_empty).await;
    worker.stop().await;
    let messages = told.reach(1).await;
    assert!(messages.len() == 1 && messages[0].1.contains(&bill.settlement_id.to_string()), "{messages:?}");
}
