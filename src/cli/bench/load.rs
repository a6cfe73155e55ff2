//! Clients that send: each as fast as it is answered (closed loop), or all together at a fixed rate
//! whatever becomes of the answers (open loop).
//!
//! In an open loop a message is timed from the moment it was to be sent, not from the moment a client got
//! round to it: a gateway that stalls is charged for everybody it kept waiting.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use uuid::Uuid;
use yizhan_contract::Money;

use super::progress::Progress;
use super::told::Receivers;
use crate::cli::workload::client::{Answer, Client, Doors};
use crate::cli::workload::{Outgoing, Saying, Stay, Workload};
use crate::runtime::steady;

/// Clients of an open loop; more would only wait in another queue.
const OPEN_CLIENTS: usize = 64;
/// Charges go out this long before the discharge that bills them.
const CHARGES_AHEAD: Duration = Duration::from_millis(20);
/// Longest time that is told apart, in µs.
const TIME_US_MAX: u64 = 60_000_000;
/// Times are told apart to a hundredth of themselves.
const SIGNIFICANT_DIGITS: u8 = 2;

/// How stays follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Closed { clients: usize },
    Open { stays_per_second: u64 },
}

/// A settlement that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) stay: u64,
    pub(super) settlement: Uuid,
    pub(super) patient_share: Money,
    /// Until the bill was answered, as the figures count it.
    pub(super) took_us: u64,
}

/// Everything that was answered, and what was not.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub(super) settled: Vec<Settled>,
    /// Messages acknowledged, those of settlements among them.
    pub(super) acknowledged: u64,
    pub(super) refused: Missed,
    /// Told to come again, and did not.
    pub(super) put_off: Missed,
    pub(super) lost: Missed,
}

/// Messages without the answer they should have had.
#[derive(Debug, Clone, Default)]
pub(super) struct Missed {
    pub(super) count: u64,
    /// What the gateway said of the first one.
    pub(super) first: Option<String>,
}

/// What one run of the load saw.
pub(super) struct Measured {
    pub(super) account: Account,
    pub(super) took: Duration,
    /// µs until a discharge was answered with its bill.
    pub(super) settling: Histogram<u64>,
    /// µs until charges were acknowledged.
    pub(super) charging: Histogram<u64>,
    /// From the last answer until hospitals had been told of everything.
    pub(super) told_after: Duration,
}

/// The load and whom it is for.
pub(super) struct Load<'l> {
    pub(super) workload: &'l Workload,
    pub(super) doors: &'l Doors,
    pub(super) progress: &'l Progress,
    /// Absent where hospitals are told elsewhere.
    receivers: Option<&'l Receivers>,
    /// Number of the next stay.
    next: AtomicU64,
    /// Settlements of which the hospitals are to be told, save those that were given up.
    telling: AtomicUsize,
}

impl<'l> Load<'l> {
    pub(super) fn new(workload: &'l Workload, doors: &'l Doors, progress: &'l Progress) -> Self {
        let (receivers, next, telling) = (None, AtomicU64::new(0), AtomicUsize::new(0));
        Self { workload, doors, progress, receivers, next, telling }
    }

    pub(super) fn told_at(self, receivers: &'l Receivers) -> Self {
        Self { receivers: Some(receivers), ..self }
    }

    /// From this stay on; those before it were sent already.
    pub(super) fn starting_at(self, first: u64) -> Self {
        Self { next: AtomicU64::new(first), ..self }
    }

    /// Sends for as long as `lasting`, waits for the last answers, and, untimed, until the hospitals are told: what is
    /// measured next is not to be slowed down by it.
    pub(super) fn run(&self, pace: Pace, lasting: Duration) -> anyhow::Result<Measured> {
        let clients = match pace {
            Pace::Closed { clients } => clients,
            Pace::Open { .. } => OPEN_CLIENTS,
        };
        let clients = (0..clients).map(|_| Client::new(self.doors)).collect::<Result<Vec<_>, _>>()?;
        let slots = AtomicU64::new(0);
        let begun = steady();
        let seen = thread::scope(|scope| {
            let (begin, end) = (begun + CHARGES_AHEAD, begun + CHARGES_AHEAD + lasting);
            let slots = &slots;
            let working: Vec<_> = clients
                .into_iter()
                .map(|client| {
                    scope.spawn(move || match pace {
                        Pace::Closed { .. } => self.closed(client, end),
                        Pace::Open { stays_per_second } => {
                            self.open(client, |slot| begin + due(slot, stays_per_second), slots, end)
                        }
                    })
                })
                .collect();
            self.progress.until(end);
            working.into_iter().map(thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>()
        });
        let seen = seen.map_err(|_| anyhow::anyhow!("压测客户端中断 | a client of the load broke off"))?;
        let mut all = Seen::new()?;
        for one in seen {
            all.add(one?)?;
        }
        let Seen { account, settling, charging } = all;
        let answered = steady();
        if let Some(receivers) = self.receivers {
            let settled = account.settled.len();
            let letters = self.telling.fetch_add(settled, Ordering::Relaxed) + settled;
            let missing = receivers.wait_for(letters, self.progress);
            self.telling.fetch_sub(missing, Ordering::Relaxed);
        }
        let (took, told_after) = (answered.duration_since(begun), steady().duration_since(answered));
        Ok(Measured { account, took, settling, charging, told_after })
    }

    fn closed(&self, mut client: Client, end: Instant) -> anyhow::Result<Seen> {
        let mut seen = Seen::new()?;
        while steady() < end {
            let stay = self.workload.stay(self.next.fetch_add(1, Ordering::Relaxed));
            for message in stay.messages() {
                let sent = steady();
                if !seen.note(&mut client, &stay, &message, sent) {
                    break;
                }
            }
        }
        Ok(seen)
    }

    /// Clients take the slots of the schedule in turn; who is late sends at once.
    fn open(
        &self,
        mut client: Client,
        due: impl Fn(u64) -> Instant,
        slots: &AtomicU64,
        end: Instant,
    ) -> anyhow::Result<Seen> {
        let mut seen = Seen::new()?;
        loop {
            let discharged = due(slots.fetch_add(1, Ordering::Relaxed));
            if discharged >= end {
                return Ok(seen);
            }
            // Made before its time, which is the gateway's alone.
            let stay = self.workload.stay(self.next.fetch_add(1, Ordering::Relaxed));
            for message in stay.messages() {
                let intended = match message.saying {
                    Saying::Charges => discharged - CHARGES_AHEAD,
                    Saying::Discharge => discharged,
                };
                thread::sleep(intended.saturating_duration_since(steady()));
                if !seen.note(&mut client, &stay, &message, intended) {
                    break;
                }
            }
        }
    }
}

/// When a slot's discharge is due, from the beginning.
fn due(slot: u64, stays_per_second: u64) -> Duration {
    let nanoseconds = u128::from(slot) * 1_000_000_000 / u128::from(stays_per_second.max(1));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// What one client saw.
struct Seen {
    account: Account,
    settling: Histogram<u64>,
    charging: Histogram<u64>,
}

impl Seen {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { account: Account::default(), settling: times()?, charging: times()? })
    }

    /// Sends a message and notes its answer and its time since `since`; whether the stay can go on.
    fn note(&mut self, client: &mut Client, stay: &Stay<'_>, message: &Outgoing, since: Instant) -> bool {
        let answer = client.send(message, &stay.hospital.token);
        let took = micros(steady().duration_since(since));
        match answer {
            Answer::Settled { settlement, patient_share } => {
                self.settling.saturating_record(took);
                self.account.acknowledged += 1;
                let stay = stay.number;
                self.account.settled.push(Settled { stay, settlement, patient_share, took_us: took });
            }
            Answer::Noted if message.saying == Saying::Discharge => {
                let why =
                    "acknowledged without its bill; over MLLP the profile must say bill_in_ack = \"ZBL\"";
                return self.account.refused.note(message, why);
            }
            Answer::Noted => {
                self.charging.saturating_record(took);
                self.account.acknowledged += 1;
            }
            Answer::Refused { why, .. } => return self.account.refused.note(message, &why),
            Answer::PutOff(why) => return self.account.put_off.note(message, &why),
            Answer::Lost(why) => return self.account.lost.note(message, &why),
        }
        true
    }

    fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.account.add(other.account);
        self.settling.add(&other.settling)?;
        self.charging.add(&other.charging)?;
        Ok(())
    }
}

impl Account {
    pub(super) fn add(&mut self, other: Self) {
        self.settled.extend(other.settled);
        self.acknowledged += other.acknowledged;
        self.refused.add(other.refused);
        self.put_off.add(other.put_off);
        self.lost.add(other.lost);
    }
}

impl Missed {
    /// Its stay does not go on.
    fn note(&mut self, message: &Outgoing, why: &str) -> bool {
        self.add(Self { count: 1, first: Some(format!("{}: {why}", message.id)) });
        false
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.take().or(other.first);
    }
}

impl Measured {
    /// Settlements per second.
    pub(super) fn rate(&self) -> u64 {
        per_second(self.settling.len(), self.took)
    }

    /// Messages with charges per second.
    pub(super) fn charging_rate(&self) -> u64 {
        per_second(self.charging.len(), self.took)
    }
}

/// For times in µs.
pub(super) fn times() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new_with_bounds(1, TIME_US_MAX, SIGNIFICANT_DIGITS)
}

pub(super) fn per_second(count: u64, took: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000 / u128::from(micros(took).max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
