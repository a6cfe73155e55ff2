//! The driver: takes a checked message through the store and back to its answer.
//!
//! Everything that decides about money is pure and runs inside one step of the store. Here is only the
//! looking up before, and the trying again where a stay moved meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use uuid::Uuid;
use yizhan_contract::stay::{CatalogueClass, civil_date};
use yizhan_contract::{Money, Personal};
use yizhan_rules::{Item, PolicyShelf};

use super::bill::BillState;
use super::decide::{Asked, Decision, Leasing, Lookups, Verdict};
use super::findings;
use super::message::{Hospital, Message, Mode, Trigger};
use super::outcome::{Beneficiary, Kept, Noted, Outcome};
use super::part::StayPart;
use super::payers::Payers;
use super::price::share_tolerance;
use super::pursue::{Handled, Pursuit, later};
use super::record::{Settlement, StayRecord};
use super::saga::{self, LEASE, Stepping};
use crate::refusal::{Code, Refusal};
use crate::runtime::Runtime;
use crate::store::{
    CatalogueItem, Done, Lease, MessageClaim, PersonRef, StayRef, Step, Store, StoreError, StoredSettlement,
    StoredStay,
};

/// How often a step is tried again because the stay moved between looking up and deciding.
const TRIES_MAX: usize = 4;
/// How often a stay that another task or gateway drives is looked at.
const LOOK_PAUSE: SignedDuration = SignedDuration::from_millis(100);

/// Finds a hospital's settlement side by its code; the profiles know it.
pub type Hospitals = Arc<dyn Fn(&str) -> Option<Arc<Hospital>> + Send + Sync>;

#[derive(Clone)]
pub struct Gateway {
    store: Arc<dyn Store>,
    policies: Arc<PolicyShelf>,
    hospitals: Hospitals,
    payers: Arc<Payers>,
    /// Under which this gateway holds leases; no two that serve one store have the same.
    name: Arc<str>,
    runtime: Runtime,
    stepping: Stepping,
    outbox_written: Arc<Notify>,
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
        payers: Arc<Payers>,
        name: Arc<str>,
        runtime: Runtime,
    ) -> Self {
        let stepping = Stepping(saga::step);
        Self { store, policies, hospitals, payers, name, runtime, stepping, outbox_written: Arc::default() }
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

    pub(super) fn policies(&self) -> &PolicyShelf {
        &self.policies
    }

    pub(super) fn payers(&self) -> &Payers {
        &self.payers
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn hospital(&self, code: &str) -> Option<Arc<Hospital>> {
        (self.hospitals)(code)
    }

    pub(super) fn stepping(&self) -> Stepping {
        self.stepping
    }

    pub(super) fn tolerance(&self, settlement: &Settlement) -> Money {
        share_tolerance(&self.policies, settlement)
    }

    pub(super) fn lease_end(&self) -> Timestamp {
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
            hospital: Arc::clone(&message.hospital),
            persons: persons_of(&message),
            asked: Asked::Message {
                mode: asked.unwrap_or(message.hospital.mode),
                message: Arc::new(message),
            },
            claim: Some(claim),
            stay,
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
        self.store.keep_refused(at, claim, outcome.kept()).await
    }

    /// Commits a quote, if the patient's share is still the expected one.
    pub async fn commit(&self, id: Uuid, expected: Money) -> Handled {
        self.at_desk(id, Asked::Commit { expected_patient_share: expected }).await
    }

    /// Takes a settlement back; asked twice, it answers with the first reversal.
    pub async fn reverse(&self, id: Uuid, reason: String, operator: String) -> Handled {
        self.at_desk(id, Asked::Reverse { reason, operator }).await
    }

    async fn at_desk(&self, id: Uuid, asked: Asked) -> Handled {
        let found = match self.settlement(id).await {
            Ok(Some(found)) => found,
            Ok(None) => return Handled::refused(no_such_settlement()),
            Err(error) => return Handled::refused(store_refusal(&error)),
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
        self.run(Work { hospital, persons: Vec::new(), asked, claim: None, stay }).await
    }

    /// A settlement as issued, and what has to be said of it since.
    pub async fn settlement(&self, id: Uuid) -> Result<Option<Found>, StoreError> {
        let Some(stored) = self.store.settlement(id).await? else { return Ok(None) };
        found(stored).map(Some)
    }

    /// One bill as it was issued under this version.
    pub async fn bill(&self, id: Uuid, version: u32) -> Result<Option<Found>, StoreError> {
        let Some(stored) = self.store.bill(id, version).await? else { return Ok(None) };
        found(stored).map(Some)
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
                tracing::error!(error = %error, "store step failed");
                Handled::refused(store_refusal(&error))
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
                Stepped::OtherContent => return Ok(Handled::refused(same_message_other_content())),
                Stepped::Undecided | Stepped::LeaseLost => needs_stay = true,
            }
        }
        Err(StoreError::Unavailable("the stay kept changing while it was looked up".to_owned()))
    }

    /// One step of a stay: looked up, decided, durable.
    pub(super) async fn step(
        &self,
        work: &Work,
        known: Option<&StayRecord>,
        lease: Option<Lease>,
    ) -> Result<Stepped, StoreError> {
        let at = self.runtime.now();
        let until = later(at, LEASE);
        let decision = Decision {
            asked: work.asked.clone(),
            hospital: Arc::clone(&work.hospital),
            policies: Arc::clone(&self.policies),
            lookups: self.look_up(work, known, at).await?,
            at,
            stay_ref: work.stay.clone(),
            persons: work.persons.clone(),
            new_stay_id: self.runtime.next_id(),
            new_settlement_id: self.runtime.next_id(),
            new_outbox_id: self.runtime.next_id(),
            payers: Arc::clone(&self.payers),
            leasing: Leasing { holder: Arc::clone(&self.name), until, lease },
        };
        // What the last run came to; the store hands back only what it keeps of it.
        let slot = Arc::<Mutex<Option<(Outcome, Option<Lease>)>>>::default();
        let told = Arc::clone(&slot);
        let decide = move |facts| {
            let Verdict { changes, outcome, lease } = decision.decide(facts)?;
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some((outcome, lease));
            Some(changes)
        };
        let step = Step {
            at,
            claim: work.claim.clone(),
            stay: work.stay.clone(),
            persons: work.persons.clone(),
            lease,
            decide: Box::new(decide),
        };
        Ok(match self.store.step(step).await? {
            Done::Decided(_) => {
                if work.hospital.is_told {
                    self.outbox_written.notify_one();
                }
                let said = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                let (outcome, taken) =
                    said.ok_or_else(|| StoreError::Defect("decided by nobody".to_owned()))?;
                // A lease this step was made under is somebody's already.
                let taken = taken.filter(|_| lease.is_none());
                let pursuit = taken.map(|lease| Pursuit { lease, until, is_holder_gone: false, as_of: None });
                Stepped::Decided { outcome, pursuit }
            }
            Done::Repeated(kept) => Stepped::Repeated(kept),
            Done::OtherContent => Stepped::OtherContent,
            Done::Undecided => Stepped::Undecided,
            Done::LeaseLost => Stepped::LeaseLost,
        })
    }

    /// The answer of a message that comes again: its settlement as it stands by now, for a desk must not see
    /// money that was given back. A document that was quoted and is now sent to be settled is settled.
    async fn as_it_stands(&self, work: &Work, kept: &[u8]) -> Result<Handled, StoreError> {
        let kept = serde_json::from_slice(kept).map_err(|why| StoreError::Damaged(why.to_string()))?;
        let id = match kept {
            Kept::Settlement { id } => id,
            Kept::Bill(bill) => bill.settlement_id,
            Kept::Noted(noted) if noted.state == BillState::Settling => {
                let (stay, outcome) = (Some(work.stay.clone()), self.standing(work.stay.clone()).await?);
                return Ok(Handled { outcome, pursuit: None, stay });
            }
            Kept::Noted(noted) => return Ok(Handled::outcome(Outcome::Noted(noted))),
            Kept::Refused(refused) => return Ok(Handled::outcome(Outcome::Refused(refused))),
        };
        let Some(found) = self.settlement(id).await? else {
            return Err(StoreError::Damaged(
                "a message was settled, and its settlement is not there".to_owned(),
            ));
        };
        let bill = found.settlement.bill;
        if bill.state == BillState::Quoted && work.asked.is_to_settle() {
            return Ok(Box::pin(self.commit(bill.settlement_id, bill.patient_share)).await);
        }
        let stay = Some(StayRef::Settlement(bill.settlement_id));
        Ok(Handled { outcome: Outcome::Bill(Box::new(bill)), pursuit: None, stay })
    }

    /// A stay as it stands by now: its bill, or that its payers are being asked for one.
    async fn standing(&self, stay: StayRef) -> Result<Outcome, StoreError> {
        let Some(record) = self.read(stay).await? else { return Ok(no_such_settlement().into()) };
        match record {
            StayRecord { pricing: None, settlement: Some(settlement), .. } => {
                Ok(Outcome::Bill(Box::new(settlement.bill)))
            }
            record => self.noted(&record).await.map(|noted| Outcome::Noted(Box::new(noted))),
        }
    }

    async fn noted(&self, record: &StayRecord) -> Result<Noted, StoreError> {
        let part = &record.part;
        let id_number = part.id_number.value().cloned().map(PersonRef::IdNumber);
        let hospital = Arc::from(part.hospital.as_str());
        let mrn = part.mrn.value().cloned().map(|mrn| PersonRef::Mrn { hospital, mrn });
        let persons = id_number.into_iter().chain(mrn).collect();
        let roster = self.store.person(persons).await?.and_then(|facts| facts.roster);
        let on = part.discharged.value().or(part.admitted.value()).copied();
        let on = on.map_or_else(|| civil_date(self.runtime.now()), |moment| moment.date);
        let region = self.hospital(&part.hospital).map(|hospital| Arc::clone(&hospital.region));
        Ok(Noted {
            state: if record.is_with_payers() { BillState::Settling } else { BillState::AwaitingCharges },
            hospital: Arc::from(part.hospital.as_str()),
            visit_number: part.visit_number.clone(),
            lines: part.lines.len(),
            total: part.lines.iter().filter_map(|line| line.signed_amount().ok()).sum(),
            beneficiary: Beneficiary::of(
                roster.as_ref(),
                region.as_deref().unwrap_or_default(),
                on,
                &self.policies,
            ),
            findings: record.findings.clone(),
        })
    }

    /// Waits while somebody else asks the payers of a stay; answers what it came to. A stay that waits for a payer
    /// to be there again is not waited for.
    pub async fn settle_down(&self, stay: StayRef) -> Outcome {
        loop {
            let is_waiting = match self.read(stay.clone()).await {
                Ok(Some(record)) => record.is_asked_now(),
                Ok(None) => false,
                Err(error) => return store_refusal(&error).into(),
            };
            if !is_waiting {
                return self.standing(stay).await.unwrap_or_else(|error| store_refusal(&error).into());
            }
            self.runtime.clock.sleep_until(later(self.runtime.now(), LOOK_PAUSE)).await;
        }
    }

    async fn read(&self, stay: StayRef) -> Result<Option<StayRecord>, StoreError> {
        let Some(stored) = self.store.stay(stay).await? else { return Ok(None) };
        record(&stored).map(Some)
    }

    /// Catalogue items for every code the stay may be priced with, as on its discharge date.
    pub(super) async fn look_up(
        &self,
        work: &Work,
        known: Option<&StayRecord>,
        at: Timestamp,
    ) -> Result<Lookups, StoreError> {
        let part = work.asked.part();
        let told = part.and_then(|part| part.discharged.value().copied());
        let on = told
            .or_else(|| known.and_then(|record| record.part.discharged.value().copied()))
            .map_or_else(|| civil_date(at), |moment| moment.date);
        let lines = part.into_iter().chain(known.map(|record| &record.part)).flat_map(|part| &part.lines);
        let codes: BTreeSet<&str> = lines.map(|line| line.code.as_str()).collect();
        let codes: Vec<String> = codes.into_iter().map(str::to_owned).collect();
        let found = if work.asked.may_price() && !codes.is_empty() {
            let hospital = Arc::clone(&work.hospital.code);
            self.store.items(hospital, Arc::clone(&work.hospital.region), on, codes.clone()).await?
        } else {
            Vec::new()
        };
        let items: BTreeMap<String, Item> =
            found.into_iter().flatten().map(|item| (item.code.clone(), rules_item(item))).collect();
        Ok(Lookups { on, codes, items })
    }
}

pub(super) fn record(stored: &StoredStay) -> Result<StayRecord, StoreError> {
    StayRecord::read(stored).map_err(|why| StoreError::Damaged(why.to_string()))
}

/// A stored settlement, opened and checked.
fn found(stored: StoredSettlement) -> Result<Found, StoreError> {
    let id = stored.settlement_id;
    let record = record(&stored.stay)?;
    let mut settlement = match &record.settlement {
        Some(settlement) if settlement.id == id => settlement.clone(),
        // An earlier settlement of the stay: its bill as issued, the newest stay for the name.
        Some(settlement) => Settlement { id, ..settlement.clone() },
        None => return Err(StoreError::Damaged("a bill without its settlement".to_owned())),
    };
    settlement.bill =
        serde_json::from_slice(&stored.bill).map_err(|why| StoreError::Damaged(why.to_string()))?;
    settlement.bill.check().map_err(|why| StoreError::Damaged(why.to_string()))?;
    if stored.earlier_reversed > 0 && settlement.bill.state == BillState::Settled {
        let finding = findings::earlier_stay_reversed(stored.earlier_reversed);
        settlement.bill.findings.push(finding);
    }
    Ok(Found { record, settlement })
}

/// What a step came to.
pub(super) enum Stepped {
    Decided { outcome: Outcome, pursuit: Option<Pursuit> },
    Repeated(Vec<u8>),
    OtherContent,
    Undecided,
    LeaseLost,
}

/// One thing to do to one stay.
pub(super) struct Work {
    pub(super) hospital: Arc<Hospital>,
    pub(super) persons: Vec<PersonRef>,
    pub(super) asked: Asked,
    pub(super) claim: Option<MessageClaim>,
    pub(super) stay: StayRef,
}

fn rules_item(item: CatalogueItem) -> Item {
    Item {
        name: Arc::from(item.name),
        // An item listed without a class is paid by nobody, as one that is not listed.
        class: item.class.unwrap_or(CatalogueClass::C),
        category: item.category.map(Arc::from),
        upfront_ratio: item.upfront_ratio,
        ceiling: item.ceiling,
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

/// Also what another hospital's settlement is answered with.
pub fn no_such_settlement() -> Refusal {
    Refusal::new(Code::NoSuchSettlement, "没有这个结算号", "no settlement has this id")
}

fn same_message_other_content() -> Refusal {
    Refusal::new(
        Code::SameMessageOtherContent,
        "同一发送方已用该消息号发送过其他内容",
        "the sender used this message id before for other content",
    )
}

/// A step that failed in the store moved nothing.
pub fn store_refusal(error: &StoreError) -> Refusal {
    match error {
        StoreError::Unavailable(_) => {
            Refusal::new(Code::StoreUnavailable, "存储暂时无法写入", "the store cannot be written right now")
        }
        StoreError::Damaged(_)
        | StoreError::WrongKey { .. }
        | StoreError::NoKey(_)
        | StoreError::Schema(_)
        | StoreError::Taken(_) => {
            Refusal::new(Code::Internal, "存储内容无法读取", "what is stored cannot be read")
        }
        StoreError::Defect(_) => Refusal::new(
            Code::Internal,
            "网关内部错误，未发生资金变动",
            "an error inside the gateway; no money moved",
        ),
    }
}

/// Messages that say all there is to price need no look at the stay before.
impl Asked {
    fn is_self_contained(&self) -> bool {
        match self {
            Self::Message { message, .. } => {
                matches!(message.trigger, Trigger::Complete | Trigger::Admit | Trigger::CancelAdmit)
            }
            Self::Commit { .. } | Self::Reverse { .. } | Self::ChargesQuiet { .. } | Self::Carry(_) => false,
        }
    }

    /// A whole document, sent to be settled and not to be quoted.
    fn is_to_settle(&self) -> bool {
        match self {
            Self::Message { message, mode } => message.trigger == Trigger::Complete && *mode == Mode::Settle,
            Self::Commit { .. } | Self::Reverse { .. } | Self::ChargesQuiet { .. } | Self::Carry(_) => false,
        }
    }

    fn may_price(&self) -> bool {
        match self {
            Self::Message { message, .. } => {
                !matches!(message.trigger, Trigger::CancelAdmit | Trigger::CancelDischarge)
            }
            Self::Commit { .. } | Self::ChargesQuiet { .. } | Self::Carry(_) => true,
            Self::Reverse { .. } => false,
        }
    }

    fn part(&self) -> Option<&StayPart> {
        match self {
            Self::Message { message, .. } => Some(&message.part),
            Self::Commit { .. } | Self::Reverse { .. } | Self::ChargesQuiet { .. } | Self::Carry(_) => None,
        }
    }
}
