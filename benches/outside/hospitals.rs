//! Hospitals that send whole discharges over HTTP, each of a person of its own who is on the roster.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use yizhan::runtime::steady;
use yizhan_contract::IdNumber;

/// People on the roster; each is discharged once.
const PEOPLE: u64 = 40_000;
/// People born on one day.
const A_DAY: u64 = 900;
/// An answer that takes longer is none.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Hospital {
    pub(crate) code: &'static str,
    pub(crate) token: &'static str,
}

pub(crate) const YISHUI: Hospital = Hospital { code: "H37132301", token: "demo" };
pub(crate) const LINYI: Hospital = Hospital { code: "H37130001", token: "demo-linyi" };

/// The card of the person with a number.
pub(crate) fn id_number(person: u64) -> String {
    let (day, nth) = (person / A_DAY, 100 + person % A_DAY);
    let digits = format!("371323195{}{:02}{:02}{nth}", day / 336, 1 + day / 28 % 12, 1 + day % 28);
    // One of eleven fits.
    let whole = "0123456789X".chars().map(|check| format!("{digits}{check}"));
    whole.into_iter().find(|number| number.parse::<IdNumber>().is_ok()).unwrap()
}

pub(crate) fn roster() -> String {
    let mut rows = "id_number,name,region,kind,code,from,to\n".to_owned();
    for person in 0..PEOPLE {
        let number = id_number(person);
        for entry in ["category,entitled_out_of_poverty", "cover,supplementary"] {
            rows += &format!("{number},李{person},371323,{entry},2020-01-01,2020-12-31\n");
        }
    }
    rows
}

/// Of persons nobody was discharged of yet.
#[derive(Default)]
pub(crate) struct People(AtomicU64);

impl People {
    pub(crate) fn next(&self) -> u64 {
        let person = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(person < PEOPLE, "everybody on the roster was discharged");
        person
    }
}

/// A client that keeps its connections.
pub(crate) struct Client {
    agent: ureq::Agent,
    http: String,
}

impl Client {
    pub(crate) fn new(http: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(ANSWER_WAIT)).build().into();
        Self { agent, http: http.to_owned() }
    }

    /// Sends a person's discharge; the status, and the answer.
    pub(crate) fn discharge(&self, of: Hospital, person: u64, wait_s: u32) -> (u16, Value) {
        let request = self
            .agent
            .post(format!("{}/v1/discharges", self.http))
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .header("Prefer", format!("wait={wait_s}"))
            .header("Authorization", format!("Bearer {}", of.token));
        let mut answer = request.send(&discharge(of, person)[..]).unwrap();
        let body = answer.body_mut().read_to_vec().unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&body).unwrap_or_default())
    }

    pub(crate) fn is_settled(&self, of: Hospital, person: u64, wait_s: u32) -> bool {
        let (status, bill) = self.discharge(of, person, wait_s);
        assert!(matches!(status, 200 | 202), "{status} {bill}");
        status == 200 && bill["state"] == "settled"
    }
}

/// So much that at the hospital of the third level all five payers of an illness have a part in it.
fn discharge(of: Hospital, person: u64) -> Vec<u8> {
    let line = |id: u32, code: &str, name: &str, amount: u64| {
        json!({"id": id.to_string(), "date": "2020-06-24", "code": code, "name": name, "quantity": "1",
            "amount": format!("{amount}.00")})
    };
    let message = json!({
        "message_id": format!("M{person}"),
        "sent_at": "2020-07-02T10:15:00+08:00",
        "hospital": of.code,
        "visit": {"number": format!("ZY{person}"), "admitted": "2020-06-24", "discharged": "2020-07-02"},
        "patient": {"id_number": id_number(person), "mrn": format!("P{person}"), "name": format!("李{person}"),
            "sex": "female", "birth": birth(&id_number(person))},
        "diagnoses": [{"code": "K35.900", "name": "急性阑尾炎", "principal": true}],
        "lines": [line(1, "SUR09", "胃大部切除术", 10_000 + person % 97), line(2, "DRU05", "低分子肝素", 4_000)],
    });
    message.to_string().into_bytes()
}

fn birth(id_number: &str) -> String {
    format!("{}-{}-{}", &id_number[6..10], &id_number[10..12], &id_number[12..14])
}

/// How discharges follow each other: so many a second, by so many clients, for so long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: u64,
    pub(crate) clients: usize,
    pub(crate) lasting: Duration,
}

/// Sends whatever becomes of the answers; µs of each since the moment it was to be sent.
pub(crate) fn open_loop(pace: Pace, begun: Instant, send: impl Fn() + Sync) -> Vec<i64> {
    let slots = AtomicU64::new(0);
    let of_one = || {
        let mut times = Vec::new();
        loop {
            let slot = slots.fetch_add(1, Ordering::Relaxed);
            let after = Duration::from_nanos(slot * 1_000_000_000 / pace.per_second);
            if pace.lasting <= after {
                return times;
            }
            let due = begun + after;
            std::thread::sleep(due.saturating_duration_since(steady()));
            send();
            times.push(i64::try_from(steady().duration_since(due).as_micros()).unwrap());
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..pace.clients).map(|_| scope.spawn(of_one)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}
