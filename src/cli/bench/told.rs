//! The hospitals' own ends: an MLLP listener for each on this machine, which takes EHC^E10, says that it has it and
//! keeps of a letter no more than its id and the settlement it tells of.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use uuid::Uuid;

use super::progress::Progress;
use crate::cli::workload::SendingHospital;
use crate::intake::hl7::{Charset, Message};
use crate::intake::mllp::listener::BoxFuture;
use crate::intake::mllp::{self, Answers, Peer, Settings};
use crate::runtime::steady;

const QUIET_MAX: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(100);
/// A settlement is named before the lines of its bill.
const LINES_BEGIN: &[u8] = b"\rPSS";

/// What the hospitals of a run were told.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// Settlements by the id of the letter, which is the same each time it is told: MSH-10, twenty hexadecimal digits.
    pub(super) letters: HashMap<u128, Uuid>,
    /// That name no settlement, not the same one as before under their id, or that came to another hospital.
    pub(super) astray: u64,
}

/// The listeners, until it is dropped.
pub(super) struct Receivers {
    /// Where each hospital takes its letters.
    pub(super) addresses: Vec<SocketAddr>,
    tray: Arc<Tray>,
    /// Where nothing has come for so long, nothing more is waited for.
    quiet_max: Duration,
    /// Once it is gone they take nothing more.
    _open: watch::Sender<bool>,
}

/// Where all of them lay what comes.
#[derive(Default)]
struct Tray {
    told: Mutex<Told>,
    came: Condvar,
}

impl Receivers {
    /// One for each hospital, in their order.
    pub(super) fn open(hospitals: &[SendingHospital]) -> anyhow::Result<Self> {
        let (open, closed) = watch::channel(false);
        let tray = Arc::new(Tray::default());
        let listen = |hospital: &SendingHospital| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let hospital = Arc::from(hospital.code.as_str());
            let handle = Arc::new(Receiver { hospital, tray: Arc::clone(&tray) });
            tokio::spawn(mllp::serve(listener, None, Settings::default(), handle, closed.clone()));
            Ok(address)
        };
        let addresses = hospitals.iter().map(listen).collect::<std::io::Result<_>>();
        let addresses = addresses.context("本机端口 | a port of this machine")?;
        Ok(Self { addresses, tray, quiet_max: QUIET_MAX, _open: open })
    }

    /// By now.
    pub(super) fn told(&self) -> Told {
        self.tray.told().clone()
    }

    /// What came so far is of no run that counts.
    pub(super) fn forget(&self) {
        *self.tray.told() = Told::default();
    }

    /// Waits until there are so many letters, as long as any come; how many are missing then.
    pub(super) fn wait_for(&self, letters: usize, progress: &Progress) -> usize {
        let mut told = self.tray.told();
        let (mut seen, mut since) = (told.letters.len(), steady());
        while seen < letters && steady().duration_since(since) < self.quiet_max {
            progress.counted("回送", "telling", seen as u64, letters as u64);
            told = self.tray.came.wait_timeout(told, TICK).unwrap_or_else(PoisonError::into_inner).0;
            if told.letters.len() > seen {
                (seen, since) = (told.letters.len(), steady());
            }
        }
        letters.saturating_sub(seen)
    }
}

impl Tray {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, letter: Option<(u128, Uuid)>) {
        let mut told = self.told();
        let is_astray = match letter {
            Some((id, settlement)) => *told.letters.entry(id).or_insert(settlement) != settlement,
            None => true,
        };
        told.astray += u64::from(is_astray);
        self.came.notify_all();
    }
}

/// One hospital's.
struct Receiver {
    hospital: Arc<str>,
    tray: Arc<Tray>,
}

impl mllp::listener::Handle for Receiver {
    fn handle(&self, content: Vec<u8>, _peer: Peer) -> BoxFuture<Answers> {
        let hospital = &*self.hospital;
        let head = head(&content);
        self.tray.put(head.as_ref().and_then(|head| letter(head, hospital)));
        let id = head.as_ref().map(control_id).unwrap_or_default();
        let answer = format!("MSH|^~\\&|HIS|{hospital}|||||ACK|{id}|P|2.6\rMSA|AA|{id}\r");
        Box::pin(std::future::ready(Answers { stored: true, messages: vec![answer.into_bytes()] }))
    }
}

/// What stands before the lines of the bill: to know which it is the rest need not be read.
fn head(content: &[u8]) -> Option<Message<'_>> {
    let end = content.windows(LINES_BEGIN.len()).position(|bytes| bytes == LINES_BEGIN);
    Message::parse_lossily(&content[..end.unwrap_or(content.len())], Charset::Utf8).ok()
}

fn control_id(message: &Message<'_>) -> String {
    message.first("MSH").map(|header| header.field(10).text().into_owned()).unwrap_or_default()
}

/// Its id, and the settlement it tells this hospital of.
fn letter(message: &Message<'_>, hospital: &str) -> Option<(u128, Uuid)> {
    let invoice = message.first("IVC")?;
    let id = u128::from_str_radix(&control_id(message), 16).ok()?;
    let settlement = invoice.field(2).component(1).text().parse().ok()?;
    (invoice.field(10).component(10).text() == hospital).then_some((id, settlement))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::mllp::client::Sender;

    const SETTLEMENT: &str = "01926b7c-0000-7000-8000-000000000001";
    const ANOTHER: &str = "01926b7c-0000-7000-8000-000000000002";

    fn bill(id: &str, settlement: &str, hospital: &str) -> String {
        let head = format!("MSH|^~\\&|YIZHAN|GATEWAY|HIS|{hospital}|||EHC^E10^EHC_E10|{id}|P|2.6");
        let invoice =
            format!("IVC|V1^{hospital}|{settlement}^YIZHAN||OR||||||县医院^^^^^^^^^{hospital}\rPSS|1\r");
        format!("{head}\rMSA|AA|1\rIPR|1\r{invoice}")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn letters_are_counted_by_their_ids_and_strange_ones_are_astray() {
        let hospitals = ["H1", "H2"].map(|code| SendingHospital::named(code, ""));
        let receivers = Receivers { quiet_max: Duration::ZERO, ..Receivers::open(&hospitals).unwrap() };
        let refusal = "MSH|^~\\&|YIZHAN|GATEWAY|HIS|H1|||ACK|C3|P|2.6\rMSA|AE|1\r".to_owned();
        // Content, its id, and what there is after it.
        let told = [
            (bill("C1", SETTLEMENT, "H1"), "C1", (1, 0)),
            (bill("C1", SETTLEMENT, "H1"), "C1", (1, 0)),
            (bill("C1", ANOTHER, "H1"), "C1", (1, 1)),
            (bill("C2", ANOTHER, "H1"), "C2", (2, 1)),
            (bill("C3", SETTLEMENT, "H2"), "C3", (2, 2)),
            (bill("C3", "V1", "H1"), "C3", (2, 3)),
            (bill("letter", SETTLEMENT, "H1"), "letter", (2, 4)),
            (refusal, "C3", (2, 5)),
        ];
        for (letter, id, expected) in told {
            let sender = Sender::connect(&receivers.addresses[0].to_string()).await.unwrap();
            sender.hand_over(letter.as_bytes(), id).await.unwrap();
            let told = receivers.told();
            assert_eq!((told.letters.len(), told.astray), expected, "{letter}");
        }
        assert_eq!(receivers.wait_for(2, &Progress::new()), 0);
        assert_eq!(receivers.wait_for(5, &Progress::new()), 3, "nothing more comes");
    }
}
