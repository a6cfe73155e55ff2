//! What every call leaves behind: who, when, how long, what it came to, and digests of what was said.
//!
//! Handing a record over never waits: where the host does not keep up, records are lost and counted. Nothing that
//! recovery needs is in them, and nothing of a person: digests are keyed with a number of this process, because a plain
//! digest of a body that holds an identity card number could be tried out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use yizhan_contract::Text;
use zeroize::Zeroizing;

use super::keyed::{Digest, hmac_sha256};
use super::trouble::Trouble;
use super::verb::Verb;
use crate::host::Host;

/// Records that wait for the host to take them.
pub const RECORDS_WAITING_MAX: usize = 8_192;

/// One call, or one attempt of a call that was sent twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    pub at: Timestamp,
    /// The name the host gave the adapter.
    pub adapter: Arc<str>,
    pub verb: Verb,
    pub operation_id: Option<Arc<str>>,
    /// Absent: nothing was sent.
    pub request_digest: Option<Digest>,
    /// Absent: no whole answer came.
    pub answer_digest: Option<Digest>,
    pub latency: Duration,
    pub class: Class,
    /// The kind of the answer, such as `quote` or `done`; absent where it was none.
    pub answer: Option<&'static str>,
    pub http_status: Option<u16>,
    /// What was wrong, in both languages and without any of the payer's values; absent where nothing was.
    pub why: Option<String>,
}

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// An answer of the kinds there are.
    Answered,
    /// The payer asks to be left alone for a while.
    Busy,
    /// Another HTTP status than 200.
    Refused,
    /// An answer that cannot be one: a sum that is wrong, a payer nobody asked about.
    Odd,
    /// An answer that cannot be read.
    Unreadable,
    /// No whole answer in time.
    Late,
    /// The connection broke.
    Broken,
    /// No connection.
    Unreachable,
    /// It never left the gateway.
    NotSent,
    /// Whoever asked waits no longer.
    GivenUp,
}

impl Class {
    pub const ALL: [Self; 10] = [
        Self::Answered,
        Self::Busy,
        Self::Refused,
        Self::Odd,
        Self::Unreadable,
        Self::Late,
        Self::Broken,
        Self::Unreachable,
        Self::NotSent,
        Self::GivenUp,
    ];

    /// Which one a record was kept under.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }

    /// For whoever reads records.
    pub fn text(self) -> Text {
        let (zh, en) = match self {
            Self::Answered => ("已应答", "answered"),
            Self::Busy => ("对方繁忙", "busy"),
            Self::Refused => ("HTTP 状态不符", "another HTTP status"),
            Self::Odd => ("应答不合规", "an answer that cannot be one"),
            Self::Unreadable => ("应答无法读取", "an answer that cannot be read"),
            Self::Late => ("期限内无完整应答", "no whole answer in time"),
            Self::Broken => ("连接中断", "the connection broke"),
            Self::Unreachable => ("无法连接", "no connection"),
            Self::NotSent => ("未发送", "not sent"),
            Self::GivenUp => ("不再等待", "given up"),
        };
        Text::new(zh, en)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::Odd => "odd",
            Self::Unreadable => "unreadable",
            Self::Late => "late",
            Self::Broken => "broken",
            Self::Unreachable => "unreachable",
            Self::NotSent => "not_sent",
            Self::GivenUp => "given_up",
        }
    }
}

/// Where records go. Clones write to the same place, under the same key.
#[derive(Clone)]
pub struct Journal {
    records: mpsc::Sender<CallRecord>,
    lost: Arc<AtomicU64>,
    key: Arc<Zeroizing<[u8; 32]>>,
}

impl Journal {
    /// One for each process; the host takes the records off the other end, in batches of its own size.
    pub fn new(host: &dyn Host) -> (Self, mpsc::Receiver<CallRecord>) {
        Self::of(host, RECORDS_WAITING_MAX)
    }

    fn of(host: &dyn Host, waiting_max: usize) -> (Self, mpsc::Receiver<CallRecord>) {
        let (records, taken) = mpsc::channel(waiting_max);
        let mut key = Zeroizing::new([0; 32]);
        host.fill_random(key.as_mut());
        (Self { records, lost: Arc::default(), key: Arc::new(key) }, taken)
    }

    /// Records that found no place so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn digest(&self, bytes: &[u8]) -> Digest {
        hmac_sha256(self.key.as_slice(), [bytes])
    }

    fn note(&self, record: CallRecord) {
        if self.records.try_send(record).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A record while its call is under way; dropped before the end, it says that nobody waited for it.
pub(crate) struct Entry<'j> {
    journal: &'j Journal,
    host: &'j dyn Host,
    begun: Duration,
    record: Option<CallRecord>,
    /// The body of the request, until its digest is there.
    undigested: Option<Bytes>,
}

impl<'j> Entry<'j> {
    pub(crate) fn begin(
        journal: &'j Journal,
        host: &'j dyn Host,
        adapter: &Arc<str>,
        verb: Verb,
        operation_id: Option<&Arc<str>>,
    ) -> Self {
        let record = CallRecord {
            at: host.now(),
            adapter: Arc::clone(adapter),
            verb,
            operation_id: operation_id.cloned(),
            request_digest: None,
            answer_digest: None,
            latency: Duration::ZERO,
            class: Class::GivenUp,
            answer: None,
            http_status: None,
            why: None,
        };
        Self { journal, host, begun: host.steady(), record: Some(record), undigested: None }
    }

    /// The request leaves now: what is waited for from here on is the payer.
    pub(crate) fn sent(&mut self, body: &Bytes) {
        self.begun = self.host.steady();
        self.undigested = Some(body.clone());
    }

    /// Best done while the request is on its way; done in the end at the latest.
    pub(crate) fn digest_request(&mut self) {
        if let (Some(record), Some(body)) = (&mut self.record, self.undigested.take()) {
            record.request_digest = Some(self.journal.digest(&body));
        }
    }

    pub(crate) fn came(&mut self, http_status: Option<u16>, body: &[u8]) {
        if let Some(record) = &mut self.record {
            record.http_status = http_status;
            record.answer_digest = Some(self.journal.digest(body));
        }
    }

    /// An answer of the kinds there are.
    pub(crate) fn answered(mut self, kind: &'static str) {
        if let Some(record) = &mut self.record {
            (record.class, record.answer) = (Class::Answered, Some(kind));
        }
    }

    pub(crate) fn failed(mut self, trouble: &Trouble) {
        if let Some(record) = &mut self.record {
            (record.class, record.why) = (trouble.class(), Some(trouble.sentence()));
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.digest_request();
        if let Some(mut record) = self.record.take() {
            record.latency = self.host.steady().saturating_sub(self.begun);
            self.journal.note(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paused::Paused;

    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_not_keep_up_loses_records_and_no_time() {
        let host = Paused::new();
        let (journal, mut taken) = Journal::of(&host, 2);
        let adapter = Arc::from("acme");
        for _ in 0..5 {
            Entry::begin(&journal, &host, &adapter, Verb::Quote, None).answered("quote");
        }
        assert_eq!(journal.lost(), 3);
        assert_eq!(taken.recv().await.unwrap().answer, Some("quote"));
        drop(taken);
        drop(Entry::begin(&journal, &host, &adapter, Verb::Quote, None));
        assert_eq!(journal.lost(), 4);
    }

    #[test]
    fn each_class_is_known_by_its_word() {
        for class in Class::ALL {
            assert_eq!(Class::of_word(class.word()), Some(class));
        }
        assert_eq!(Class::of_word("later_words"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_nobody_waits_for_is_recorded_as_given_up() {
        let host = Paused::new();
        let (journal, mut taken) = Journal::new(&host);
        let mut entry = Entry::begin(&journal, &host, &Arc::from("acme"), Verb::Commit, Some(&"op-1".into()));
        entry.sent(&Bytes::from_static(b"body"));
        tokio::time::advance(Duration::from_millis(70)).await;
        drop(entry);
        let record = taken.recv().await.unwrap();
        assert_eq!((record.class, record.latency), (Class::GivenUp, Duration::from_millis(70)));
        assert_eq!(record.operation_id.as_deref(), Some("op-1"));
        assert_eq!(record.request_digest, Some(journal.digest(b"body")));
    }

    #[tokio::test(start_paused = true)]
    async fn digests_of_one_body_differ_from_process_to_process() {
        let host = Paused::new();
        let body = b"11010519491231002X";
        let digest = || Journal::new(&host).0.digest(body);
        assert_ne!(digest(), digest());
        let (journal, _taken) = Journal::new(&host);
        assert_eq!(journal.digest(body), journal.clone().digest(body));
    }
}
