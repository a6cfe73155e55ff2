//! The store: what the gateway knows across messages, durable before anything is acknowledged.
//!
//! [`Store`] speaks whole steps; no transaction handle leaves it. Documents are opaque bytes here: the
//! domain writes and reads them, the store seals them ([`seal`], under a [`key_file`]). [`registers`] is
//! the second port: whole files that people import; [`adapter_book`] the third: what is written down of adapters. All are implemented on SQLite ([`sqlite`]), whose memory
//! form serves `settle` and tests, and on PostgreSQL ([`postgres`]).
//!
//! What implementations share knows no SQL: what is read for a step ([`seen`], of people in [`person`]), the
//! decision on it ([`deciding`]), and rows, sealed by [`finished`], to be written if all is as it was ([`writes`]).

pub mod adapter_book;
pub mod address;
mod deciding;
mod documents;
mod error;
mod finished;
mod incoming;
mod items;
pub mod key_file;
pub mod ledger;
mod person;
pub mod postgres;
pub mod registers;
mod roster_entry;
pub mod seal;
mod seen;
mod shown;
pub mod spill;
mod spilled;
pub mod sqlite;
mod sums;
mod vault;
mod writes;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;
use yizhan_contract::person::RosterEntry;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Accumulators, IdNumber, Money, PayerCode, Personal, Used};

pub use error::StoreError;

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Names a person by what a message carries; looked up by keyed hash only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonRef {
    IdNumber(Personal<IdNumber>),
    /// The hospital's own patient number, for those without an identity card.
    Mrn {
        hospital: Arc<str>,
        mrn: Personal<String>,
    },
}

/// Which stay a step is about.
#[derive(Clone, PartialEq, Eq)]
pub enum StayRef {
    /// Absent `admitted`: the newest stay under this visit number.
    Visit {
        hospital: Arc<str>,
        number: Arc<str>,
        admitted: Option<Date>,
    },
    Settlement(Uuid),
    Stay(Uuid),
}

/// A message's claim to be handled once: unique per sender.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageClaim {
    /// Sending application, facility and message kind.
    pub sender: String,
    pub message_id: String,
    /// SHA-256 of the message's content.
    pub digest: [u8; 32],
    /// The message as received, sealed.
    pub raw: Vec<u8>,
}

/// One step of one stay: what it reads is so still when what it decided is written, or it is done again.
pub struct Step {
    pub at: Timestamp,
    /// Absent: not a message (a timer, a desk action that is idempotent by state).
    pub claim: Option<MessageClaim>,
    pub stay: StayRef,
    /// Strongest first; empty: the stay's own person.
    pub persons: Vec<PersonRef>,
    /// The right to act for a stay whose payers are in flight. Where the stay has another epoch by now, somebody
    /// else acts for it: nothing is decided or written. Absent: whoever comes.
    pub lease: Option<Lease>,
    pub decide: Decide,
}

/// The right to act for one stay until its [`Hold::due_at`]; whoever takes it over raises the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    pub stay_id: Uuid,
    /// Whose the stay was when the lease was taken: where to look first.
    pub person_id: Uuid,
    pub epoch: u64,
}

/// When a stay is to be looked at without a message, and by whom until then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hold {
    /// Absent: nothing waits. While the stay is held, the end of the lease.
    pub due_at: Option<Timestamp>,
    /// Counts the takings of the lease.
    pub epoch: u64,
    /// The gateway that holds the lease.
    pub held_by: Option<Arc<str>>,
}

/// Runs beside the transaction that writes, and again where another step was faster; its last run counts.
/// `None` writes nothing at all, not even the claim: the caller looks something up and tries the step again.
pub type Decide = Box<dyn Fn(Facts) -> Option<Changes> + Send + Sync>;

/// What a decision may look at.
#[derive(Debug, Clone)]
pub struct Facts {
    pub stay: Option<StoredStay>,
    /// The person of the message, made where new. Absent where the message names none and there is no stay.
    pub person: Option<PersonFacts>,
    /// Others whom references of the message name, each once.
    pub others: Vec<PersonFacts>,
    /// Whose the stay is, where that is not `person`.
    pub owner: Option<PersonFacts>,
}

#[derive(Clone)]
pub struct StoredStay {
    pub stay_id: Uuid,
    pub person_id: Uuid,
    /// The domain's own document of the stay.
    pub document: Vec<u8>,
    pub hold: Hold,
    /// Its newest bill as issued; absent before one was, and where the document holds it (record format 1).
    pub bill: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
pub struct PersonFacts {
    pub person_id: Uuid,
    /// Whether any of the message's references named another person than the others.
    pub is_ambiguous: bool,
    /// Seen before, or on the roster; otherwise made for this message.
    pub is_known: bool,
    /// Whether an identity card number names the person in the store.
    pub has_id_number: bool,
    /// As the roster spells it.
    pub roster_name: Option<Personal<String>>,
    pub roster: Option<RosterEntry>,
    /// By benefit year: what was settled, here and before.
    pub years: BTreeMap<i16, Accumulators>,
    /// By benefit year: what settlements in flight have set aside, beyond `years`.
    pub reserved: BTreeMap<i16, Accumulators>,
}

/// What a decision wants written.
#[derive(Clone, Default)]
pub struct Changes {
    pub stay: Option<StayWrite>,
    pub bill: Option<BillWrite>,
    pub accumulators: Vec<AccumulatorMove>,
    /// Belong to the bill of the same step.
    pub postings: Vec<Posting>,
    pub outbox: Vec<OutboxWrite>,
    /// Further references that from now on name this person (A40, a corrected number).
    pub person_aliases: Vec<PersonRef>,
    /// People who turn out to be the person this step is about: their references, stays, bills and sums
    /// become that person's, before anything else is written.
    pub joined: Vec<Uuid>,
    /// Whose step it is where no stay is written (A40).
    pub person_id: Option<Uuid>,
    /// Given back word for word when the message comes again.
    pub answer: Vec<u8>,
    /// Nothing was taken in: the message is kept with its answer, its id stays free for another try.
    pub is_refused: bool,
}

#[derive(Clone)]
pub struct StayWrite {
    pub stay_id: Uuid,
    pub person_id: Uuid,
    pub hospital: Arc<str>,
    pub visit_number: Arc<str>,
    pub admitted: Option<Date>,
    pub document: Vec<u8>,
    pub hold: Hold,
    /// A person has to act before the stay can go on.
    pub needs_attention: bool,
    /// The settlement whose newest bill belongs to the document; it is read with it.
    pub settlement_id: Option<Uuid>,
}

/// A bill version: the document as issued, and what reports are made of.
#[derive(Clone)]
pub struct BillWrite {
    pub settlement_id: Uuid,
    pub stay_id: Uuid,
    pub version: u32,
    pub hospital: Arc<str>,
    /// `quoted`, `settled`, `reversed`, ….
    pub state: &'static str,
    /// Civil date in Shanghai of the last change of state.
    pub day: Date,
    pub total: Money,
    pub patient_share: Money,
    pub legs: Vec<LegWrite>,
    pub document: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct LegWrite {
    pub payer: PayerCode,
    pub state: PayerState,
    pub paid: Money,
}

/// What a settlement adds to a year, or a reversal takes back (negative figures, -1 admission). It belongs to
/// the bill of the same step; taking one back marks the person's later settlements of that year
/// ([`StoredSettlement::earlier_reversed`]).
#[derive(Debug, Clone)]
pub struct AccumulatorMove {
    pub pot: Pot,
    pub year: i16,
    pub admissions: i32,
    pub payers: Vec<(PayerCode, Used)>,
}

/// Which sums of a year move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pot {
    /// What settlements used up.
    Settled,
    /// What settlements in flight may use up; every quote sees both.
    Reserved,
}

/// Money that somebody owes somebody from now on: one account is debited what the other is credited, so that a
/// ledger of postings is zero-sum by its shape. The store refuses amounts that are not positive and an account
/// posted against itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    pub kind: PostingKind,
    pub debit: Account,
    pub credit: Account,
    pub amount: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PostingKind {
    Settlement,
    Reversal,
    /// A payer's money has arrived. Kept free: clearing is not built.
    Clearing,
}

/// One side of a posting: a fund (payer and insured region, kept apart from every other: 专账管理、独立核算), a hospital,
/// or the patient of the settlement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    Fund { payer: PayerCode, region: Arc<str> },
    Patient,
    Hospital(Arc<str>),
}

/// Something to be told to a hospital: durable with what it tells of, delivered at least once under one id, in
/// order for each stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxWrite {
    pub outbox_id: Uuid,
    pub stay_id: Uuid,
    pub hospital: Arc<str>,
    /// The stay's own id where no bill is told, but why there is none.
    pub settlement_id: Uuid,
    /// Of the bill to be told, or of the newest one before.
    pub version: u32,
    pub due_at: Timestamp,
}

/// The oldest undelivered entry of a stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    pub outbox_id: Uuid,
    pub stay_id: Uuid,
    /// Whose the stay was when this was read: where to look first.
    pub person_id: Uuid,
    pub hospital: Arc<str>,
    pub settlement_id: Uuid,
    pub version: u32,
    /// Deliveries begun; the next one is taken by naming this.
    pub attempts: u32,
    pub due_at: Timestamp,
    /// Why the last delivery failed.
    pub why: Option<String>,
}

/// A stay that waits to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub stay_id: Uuid,
    /// Whose the stay was when this was read: where to look first.
    pub person_id: Uuid,
    pub epoch: u64,
    /// Absent: nothing waits, and somebody takes the stay all the same.
    pub due_at: Option<Timestamp>,
    /// Somebody acts for it until then.
    pub is_held: bool,
}

/// The books of some people.
#[derive(Debug, Clone, Default)]
pub struct BooksPage {
    /// Person by person.
    pub books: Vec<Book>,
    /// The last person looked at, behind whom the next page begins; absent: there was nobody any more.
    pub last: Option<Uuid>,
}

/// One settlement in the books, for checking them against each other.
#[derive(Clone)]
pub struct Book {
    pub person_id: Uuid,
    pub settlement_id: Uuid,
    pub hospital: Arc<str>,
    pub state: String,
    pub total: Money,
    pub patient_share: Money,
    pub legs: Vec<(PayerCode, String, Money)>,
    /// Every bill issued, oldest version first.
    pub bills: Vec<Vec<u8>>,
    pub postings: Vec<Posting>,
    /// By benefit year and payer, what the person's accumulators say was paid by settlements here.
    pub accumulated: Vec<(i16, PayerCode, Money)>,
}

/// How a step ended.
#[derive(Clone, PartialEq, Eq)]
pub enum Done {
    /// Decided and durable now.
    Decided(Vec<u8>),
    /// The same message was handled before: its answer again.
    Repeated(Vec<u8>),
    /// The same message id, other content: nothing was decided or written.
    OtherContent,
    /// The decision asked to look something up first: nothing was written.
    Undecided,
    /// Somebody else acts for the stay by now: nothing was decided or written.
    LeaseLost,
}

/// A settlement as it stands, for reading and printing.
#[derive(Clone)]
pub struct StoredSettlement {
    pub settlement_id: Uuid,
    pub hospital: Arc<str>,
    /// The newest bill version as issued.
    pub bill: Vec<u8>,
    /// With its own newest bill, which may be another settlement's.
    pub stay: StoredStay,
    /// How many settlements of the same person and benefit year that came before it were reversed after it.
    pub earlier_reversed: u32,
}

/// A catalogue item's conditions on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueItem {
    pub code: String,
    pub name: String,
    pub class: Option<yizhan_contract::stay::CatalogueClass>,
    pub category: Option<String>,
    pub upfront_ratio: Option<yizhan_contract::Ratio>,
    pub ceiling: Option<yizhan_contract::UnitPrice>,
}

/// One line of the day's report: equal to the bills, equal to the ledger.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ReportLine {
    pub hospital: String,
    pub payer: String,
    pub state: String,
    pub count: u64,
    pub paid: Money,
}

/// All ports of one store.
pub trait Ports: Store + registers::Registers + adapter_book::AdapterBook {}
impl<T: Store + registers::Registers + adapter_book::AdapterBook> Ports for T {}

pub trait Store: Send + Sync {
    /// Reads, lets the step decide, writes if what was read is so still, commits durably; concurrent steps
    /// share a commit. A step that others are faster than again and again is done while they wait.
    fn step(&self, step: Step) -> Answer<'_, Done>;

    /// Keeps a message that was refused before any step, sealed, with the answer it got. Its id is not
    /// claimed: the corrected message may carry it again.
    fn keep_refused(&self, at: Timestamp, claim: MessageClaim, answer: Vec<u8>) -> Answer<'_, ()>;

    /// What is known of a person without changing anything; absent: never seen, not on the roster.
    fn person(&self, persons: Vec<PersonRef>) -> Answer<'_, Option<PersonFacts>>;

    /// A stay as it is now.
    fn stay(&self, stay: StayRef) -> Answer<'_, Option<StoredStay>>;

    fn settlement(&self, id: Uuid) -> Answer<'_, Option<StoredSettlement>>;

    /// One bill as it was issued under this version.
    fn bill(&self, id: Uuid, version: u32) -> Answer<'_, Option<StoredSettlement>>;

    /// Items by code, hospital scope before region, longest prefix first; same order, absent where unknown.
    fn items(
        &self,
        hospital: Arc<str>,
        region: Arc<str>,
        on: Date,
        codes: Vec<String>,
    ) -> Answer<'_, Vec<Option<CatalogueItem>>>;

    /// Stays whose `due_at` has come, oldest first, at most `limit`. A plain read: taking one is [`Store::take`].
    fn due(&self, now: Timestamp, limit: u32) -> Answer<'_, Vec<Due>>;

    /// Stays that `holder` holds, oldest first: what a gateway left behind when it died.
    fn held_by(&self, holder: Arc<str>, limit: u32) -> Answer<'_, Vec<Due>>;

    /// Takes the lease of a stay that still has the epoch and the time that `due` names; absent where somebody was
    /// faster, or holds it for longer by now.
    fn take(&self, due: Due, holder: Arc<str>, until: Timestamp) -> Answer<'_, Option<Lease>>;

    /// Stays that wait for a person, oldest first.
    fn attention(&self, limit: u32) -> Answer<'_, Vec<Uuid>>;

    /// The heads of the stays' queues whose `due_at` has come, oldest first, but for the hospitals in `busy`.
    fn outbox_due(&self, now: Timestamp, busy: Vec<Arc<str>>, limit: u32) -> Answer<'_, Vec<OutboxEntry>>;

    /// Begins a delivery that still has the attempts `entry` names, and hides it until `until`; it has one more then.
    fn outbox_take(&self, entry: OutboxEntry, until: Timestamp) -> Answer<'_, bool>;

    fn outbox_delivered(&self, entry: OutboxEntry) -> Answer<'_, ()>;

    /// Says why it waits and until when, where it still has the attempts `entry` names: another delivery that was begun
    /// meanwhile is not disturbed.
    fn outbox_failed(&self, entry: OutboxEntry, due_at: Timestamp, why: String) -> Answer<'_, ()>;

    /// Everything undelivered, oldest first.
    fn outbox_waiting(&self, limit: u32) -> Answer<'_, Vec<OutboxEntry>>;

    /// Every settlement of at most `people` people, by person and id, after the person `after`. One snapshot.
    fn books(&self, after: Option<Uuid>, people: u32) -> Answer<'_, BooksPage>;

    /// Per hospital, payer and state. `settled` and `reversed` are what the ledger posted on `day`, and stay what
    /// they are; the other states are of the settlements that came into them that day and are in them still. The
    /// patient's share is the line with payer `patient`.
    fn report(&self, day: Date) -> Answer<'_, Vec<ReportLine>>;

    /// A round trip to the disk, for `/readyz`.
    fn ping(&self) -> Answer<'_, ()>;

    /// Steps side by side that leave room for messages: whoever has more of them that can wait, lets them wait.
    fn steps_beside_messages(&self) -> usize;
}
