//! The driver: takes a checked message through the store and back to its answer.
//!
//! Everything that decides about money is pure and runs inside one step of the store. Here is only the
//! looking up before, the trying again where a stay moved meanwhile, and the waiting for outside payers.
//!
//! Reading order: this page (what can be asked of a gateway), `step` (one step through the store), `standing` (what
//! is stored, and waiting for it), `taken_up` (what is found when it begins, and what is due), `pursue` (stays that need
//! outside payers), `no_profile` (those of a hospital that is not known here), `quote` (asking them), `heard` (what of their
//! answers goes further), `drive`
//! (carrying the saga out), `deliver` (those that were left out), `attended` (what a person orders), `bells` (who waits for what in this process).

mod attended;
mod bells;
mod cover;
mod deliver;
mod drive;
mod heard;
mod no_profile;
mod pursue;
mod quote;
mod standing;
mod step;
mod taken_up;
mod visit;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;
use yizhan_contract::instant::later;
use yizhan_contract::{Money, Personal, Text};
use yizhan_rules::PolicyShelf;

pub use attended::{Order, OrderError, Waiting};
use bells::Bells;
pub use pursue::{Handled, Pursuit};
use step::{Stepped, Work};

use crate::refusal::{self, Code, Refusal};
use crate::runtime::Runtime;
use crate::settlement::bill::BillState;
use crate::settlement::decide::Asked;
use crate::settlement::directory::Directory;
use crate::settlement::message::{Hospital, Message, Mode};
use crate::settlement::names::Head;
use crate::settlement::outcome::{Beneficiary, Outcome};
use crate::settlement::price::share_tolerance;
use crate::settlement::record::{Phase, Settlement, StayRecord};
use crate::settlement::saga::{self, LEASE, Stepping};
use crate::settlement::visits::Visits;
use crate::store::{MessageClaim, PersonRef, StayRef, Store, StoreError};
use crate::telemetry;

/// How often a step is tried again because the stay moved between looking up and deciding.
const TRIES_MAX: usize = 4;

/// Finds a hospital's settlement side by its code; the profiles know it.
pub type Hospitals = Arc<dyn Fn(&str) -> Option<Arc<Hospital>> + Send + Sync>;

#[derive(Clone)]
pub struct Gateway {
    store: Arc<dyn Store>,
    policies: Arc<PolicyShelf>,
    hospitals: Hospitals,
    directory: Directory,
    /// Under which this gateway holds leases; no two that serve one store have the same.
    name: Arc<str>,
    runtime: Runtime,
    stepping: Stepping,
    outbox_written: Arc<Notify>,
    turns: Arc<Semaphore>,
    bells: Arc<Bells>,
}

/// A settlement as stored, for reading and printing.
pub struct Found {
    pub record: StayRecord,
    pub settlement: Settlement,
}

/// A message that was refused before it could be understood.
pub struct Unread {
    pub sender: String,
    pub message_id: String,
    /// SHA-256 of the content.
    pub digest: [u8; 32],
    pub raw: Vec<u8>,
}

impl Gateway {
    pub fn new(
        store: Arc<dyn Store>,
        policies: Arc<PolicyShelf>,
        hospitals: Hospitals,
        payers: impl Into<Directory>,
        name: Arc<str>,
        runtime: Runtime,
    ) -> Self {
        let stepping = Stepping(saga::step);
        let turns = Arc::new(Semaphore::new(store.steps_beside_messages()));
        let (outbox_written, bells) = (Arc::default(), Arc::default());
        let directory = payers.into();
        Self { store, policies, hospitals, directory, name, runtime, stepping, outbox_written, turns, bells }
    }

    /// The same gateway whose sagas move by another function: for proving that a wrong one is found out.
    #[must_use]
    pub fn stepping_by(self, stepping: Stepping) -> Self {
        Self { stepping, ..self }
    }

    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Rings when a step may have left something to be told to a hospital.
    pub fn outbox_written(&self) -> Arc<Notify> {
        Arc::clone(&self.outbox_written)
    }

    fn policies(&self) -> &PolicyShelf {
        &self.policies
    }

    /// Who is asked at which hospital.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn hospital(&self, code: &str) -> Option<Arc<Hospital>> {
        (self.hospitals)(code)
    }

    /// Driving a stay waits for its turn at the store. A store that is busy refuses a message at once, and its sender
    /// comes again; a stay that were refused would lie until its lease has run out.
    async fn in_turn<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        // Nobody closes it: without a turn it would go ahead.
        let _turn = self.turns.acquire().await.ok();
        work.await
    }

    fn stepping(&self) -> Stepping {
        self.stepping
    }

    fn tolerance(&self, settlement: &Settlement) -> Money {
        share_tolerance(&self.policies, settlement)
    }

    fn lease_end(&self) -> Timestamp {
        later(self.runtime.now(), LEASE)
    }

    /// One message, handled once; durable when this returns.
    pub async fn handle(&self, message: Message, raw: Vec<u8>, asked: Option<Mode>) -> Handled {
        let claim = MessageClaim {
            sender: message.sender.clone(),
            message_id: message.message_id.clone(),
            digest: message.digest,
            raw,
        };
        let stay = StayRef::Visit {
            hospital: Arc::clone(&message.hospital.code),
            number: Arc::from(message.part.visit_number.as_str()),
            admitted: message.part.admitted.value().map(|moment| moment.date),
        };
        let work = Work {
            payers: self.directory.at(&message.hospital.code),
            hospital: Arc::clone(&message.hospital),
            persons: persons_of(&message),
            asked: Asked::Message {
                mode: asked.unwrap_or(message.hospital.mode),
                message: Arc::new(message),
            },
            claim: Some(claim),
            stay,
            visits: Visits::new(),
        };
        self.run(work).await
    }

    /// Keeps a refused message with its answer; its id stays free for the corrected one.
    pub async fn keep_refused(
        &self,
        at: Timestamp,
        message: Unread,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let Unread { sender, message_id, digest, raw } = message;
        let claim = MessageClaim { sender, message_id, digest, raw };
        let answer = outcome.kept().map_err(|why| StoreError::Defect(why.to_string()))?;
        self.store.keep_refused(at, claim, answer).await
    }

    /// Commits a quote, if the patient's share is still the expected one.
    pub async fn commit(&self, id: Uuid, expected: Money) -> Handled {
        self.at_desk(id, Asked::Commit { expected_patient_share: expected }).await
    }

    /// Takes a settlement back; asked twice, it answers with the first reversal.
    pub async fn reverse(&self, id: Uuid, reason: String, operator: String) -> Handled {
        self.at_desk(id, Asked::Reverse { reason, operator }).await
    }

    /// No more charges come for this stay: it is closed, however long it would still wait for them. `mode` absent: as
    /// its hospital's profile says. Nothing where it waits for no charges.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn charges_complete(
        &self,
        stay: StayRef,
        mode: Option<Mode>,
    ) -> Result<Option<Handled>, StoreError> {
        let Some(record) = self.read(stay).await? else { return Ok(None) };
        if record.phase != Phase::AwaitingCharges || record.pricing.is_some() {
            return Ok(None);
        }
        let Some(hospital) = self.hospital(&record.part.hospital) else { return Ok(None) };
        let asked = Asked::ChargesQuiet { mode: hospital.mode_when_quiet(mode), now: Timestamp::MAX };
        let stay = StayRef::Stay(record.stay_id);
        Ok(Some(self.run(self.without_message(hospital, asked, stay)).await))
    }

    async fn at_desk(&self, id: Uuid, asked: Asked) -> Handled {
        let found = match self.settlement(id).await {
            Ok(Some(found)) => found,
            Ok(None) => return Handled::refused(no_such_settlement()),
            Err(error) => return Handled::refused(unread_refusal(&error)),
        };
        // A settlement that was replaced since can only be reversed again, which it is.
        let is_replaced = found.record.settlement.as_ref().is_none_or(|settlement| settlement.id != id);
        let is_reversed = found.settlement.bill.state == BillState::Reversed;
        if is_replaced && is_reversed && matches!(asked, Asked::Reverse { .. }) {
            return Handled::outcome(Outcome::Bill(Box::new(found.settlement.bill)));
        }
        let Some(hospital) = self.hospital(&found.record.part.hospital) else {
            return Handled::refused(no_such_settlement());
        };
        let stay = StayRef::Settlement(id);
        self.run(self.without_message(hospital, asked, stay)).await
    }

    fn without_message(&self, hospital: Arc<Hospital>, asked: Asked, stay: StayRef) -> Work {
        let payers = self.directory.at(&hospital.code);
        Work { hospital, payers, persons: Vec::new(), asked, claim: None, stay, visits: Visits::new() }
    }

    /// What the roster says of a person on a day.
    pub async fn beneficiary(&self, person: PersonRef, on: Date) -> Result<Beneficiary, StoreError> {
        let facts = self.store.person(vec![person]).await?;
        let roster = facts.and_then(|facts| facts.roster);
        Ok(Beneficiary::of(roster.as_ref(), "", on, &self.policies))
    }

    async fn run(&self, work: Work) -> Handled {
        match self.try_run(&work).await {
            Ok(handled) => handled,
            Err(error) => {
                telemetry::step_failed(&error);
                // A message that was not taken in moved nothing; what stands of a settlement, nobody has seen.
                let refusal =
                    if work.claim.is_some() { store_refusal(&error) } else { unread_refusal(&error) };
                Handled::refused(refusal)
            }
        }
    }

    async fn try_run(&self, work: &Work) -> Result<Handled, StoreError> {
        let mut needs_stay = !work.asked.is_self_contained();
        for _ in 0..TRIES_MAX {
            let known = if needs_stay { self.read(work.stay.clone()).await? } else { None };
            match self.step(work, known.as_ref(), None).await? {
                Stepped::Decided { outcome, pursuit } => {
                    return Ok(Handled { outcome, pursuit, stay: Some(work.stay.clone()) });
                }
                Stepped::Repeated(kept) => return self.as_it_stands(work, &kept).await,
                Stepped::OtherContent => {
                    let stay = self.read(work.stay.clone()).await?;
                    return Ok(Handled::refused(other_content(work, stay.as_ref())));
                }
                Stepped::Undecided | Stepped::LeaseLost => needs_stay = true,
            }
        }
        Err(StoreError::Unavailable(Text::new(
            "读取期间该次住院不断变化",
            "the stay kept changing while it was looked up",
        )))
    }
}

/// Identity card first, the hospital's patient number after it, the number merged into it last.
fn persons_of(message: &Message) -> Vec<PersonRef> {
    let id_number = message.part.id_number.value().cloned().map(PersonRef::IdNumber);
    let of_hospital = |mrn: &Personal<String>| PersonRef::Mrn {
        hospital: Arc::clone(&message.hospital.code),
        mrn: Personal::clone(mrn),
    };
    let mrn = message.part.mrn.value().into_iter().chain(&message.prior_mrn);
    let mrn = mrn.filter(|mrn| !mrn.reveal().is_empty()).map(of_hospital);
    id_number.into_iter().chain(mrn).collect()
}

/// A settlement that could not be read: what stands of it, and whether its money moved, the store alone knows.
pub fn unread_refusal(error: &StoreError) -> Refusal {
    store_refusal(error).money(refusal::Money::BeingConfirmed)
}

/// Also what another hospital's settlement is answered with.
pub fn no_such_settlement() -> Refusal {
    Refusal::new(Code::NoSuchSettlement, "没有这个结算号", "no settlement has this id")
}

/// The money is that of the stay the message speaks of now.
fn other_content(work: &Work, stay: Option<&StayRecord>) -> Refusal {
    let refusal = Refusal::new(
        Code::SameMessageOtherContent,
        "同一发送方已用该消息号发送过其他内容",
        "the sender used this message id before for other content",
    )
    .money(stay.map_or(refusal::Money::NotMoved, |stay| stay.phase.money()));
    match &work.asked {
        Asked::Message { message, .. } => {
            refusal.at(work.hospital.place_of(message.dialect, Head::MessageId))
        }
        _ => refusal,
    }
}

/// A message whose step failed in the store moved nothing, unless nobody can say: of a stay that cannot be read, too,
/// nobody can say whether it was settled before.
pub fn store_refusal(error: &StoreError) -> Refusal {
    match error {
        StoreError::Unavailable(_) => {
            Refusal::new(Code::StoreUnavailable, "存储暂时无法写入", "the store cannot be written right now")
        }
        StoreError::InDoubt(_) => Refusal::new(
            Code::Internal,
            "数据库连接中断，是否已写入正在确认",
            "the connection to the store ended while it was written, and whether it was is being confirmed",
        )
        .money(refusal::Money::BeingConfirmed),
        StoreError::Damaged(_)
        | StoreError::WrongKey { .. }
        | StoreError::NoKey(_)
        | StoreError::Schema(_)
        | StoreError::Taken(_) => {
            Refusal::new(Code::Internal, "存储内容无法读取", "what is stored cannot be read")
                .money(refusal::Money::BeingConfirmed)
        }
        StoreError::Defect(_) => Refusal::new(
            Code::Internal,
            "网关内部错误，未写入",
            "an error inside the gateway; nothing was written",
        ),
    }
}
