//! The driver: takes a checked message through the store and back to its answer.
//!
//! Everything that decides about money is pure and runs inside one transaction of the store, with the
//! person's row held. Here is only the looking up before, and the trying again where a stay moved meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;
use yizhan_contract::stay::{CatalogueClass, civil_date};
use yizhan_contract::{Money, Personal};
use yizhan_rules::{Item, PolicyShelf};

use super::bill::BillState;
use super::decide::{Asked, Decision, Lookups};
use super::findings;
use super::message::{Hospital, Message, Mode, SettleOn, Trigger};
use super::outcome::{Beneficiary, Outcome};
use super::part::StayPart;
use super::record::{Settlement, StayRecord};
use crate::refusal::{Code, Refusal};
use crate::runtime::Runtime;
use crate::store::{CatalogueItem, Done, MessageClaim, PersonRef, StayRef, Step, Store, StoreError};

/// How often a step is tried again because the stay moved between looking up and deciding.
const TRIES_MAX: usize = 4;

/// Finds a hospital's settlement side by its code; the profiles know it.
pub type Hospitals = Arc<dyn Fn(&str) -> Option<Arc<Hospital>> + Send + Sync>;

#[derive(Clone)]
pub struct Gateway {
    store: Arc<dyn Store>,
    policies: Arc<PolicyShelf>,
    hospitals: Hospitals,
    runtime: Runtime,
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
        runtime: Runtime,
    ) -> Self {
        Self { store, policies, hospitals, runtime }
    }

    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// One message, handled once; durable when this returns.
    pub async fn handle(&self, message: Message, raw: Vec<u8>, asked: Option<Mode>) -> Outcome {
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
        let answer = serde_json::to_vec(outcome).unwrap_or_default();
        self.store.keep_refused(at, claim, answer).await
    }

    /// Commits a quote, if the patient's share is still the expected one.
    pub async fn commit(&self, id: Uuid, expected: Money) -> Outcome {
        self.at_desk(id, Asked::Commit { expected_patient_share: expected }).await
    }

    /// Takes a settlement back; asked twice, it answers with the first reversal.
    pub async fn reverse(&self, id: Uuid, reason: String, operator: String) -> Outcome {
        self.at_desk(id, Asked::Reverse { reason, operator }).await
    }

    async fn at_desk(&self, id: Uuid, asked: Asked) -> Outcome {
        let found = match self.settlement(id).await {
            Ok(Some(found)) => found,
            Ok(None) => return no_such_settlement().into(),
            Err(error) => return store_refusal(&error).into(),
        };
        // A settlement that was replaced since can only be reversed again, which it is.
        let is_replaced = found.record.settlement.as_ref().is_none_or(|settlement| settlement.id != id);
        let is_reversed = found.settlement.bill.state == BillState::Reversed;
        if is_replaced && is_reversed && matches!(asked, Asked::Reverse { .. }) {
            return Outcome::Bill(Box::new(found.settlement.bill));
        }
        let Some(hospital) = (self.hospitals)(&found.record.part.hospital) else {
            return no_such_settlement().into();
        };
        let stay = StayRef::Settlement(id);
        self.run(Work { hospital, persons: Vec::new(), asked, claim: None, stay }).await
    }

    /// Settles or quotes the stays whose charges went quiet; answers what became of each.
    pub async fn close_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = Vec::new();
        for stay_id in self.store.due(now, limit).await? {
            let stay = StayRef::Stay(stay_id);
            let record = match self.read(stay.clone()).await {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                // One stay that cannot be read keeps no other from being settled.
                Err(error) => {
                    tracing::error!(error = %error, %stay_id, "a quiet stay cannot be read");
                    continue;
                }
            };
            let Some(hospital) = (self.hospitals)(&record.part.hospital) else { continue };
            let mode = if hospital.settle_on == SettleOn::Desk { Mode::Quote } else { hospital.mode };
            let asked = Asked::ChargesQuiet { mode, now };
            outcomes.push(self.run(Work { hospital, persons: Vec::new(), asked, claim: None, stay }).await);
        }
        Ok(outcomes)
    }

    /// A settlement as issued, and what has to be said of it since.
    pub async fn settlement(&self, id: Uuid) -> Result<Option<Found>, StoreError> {
        let Some(stored) = self.store.settlement(id).await? else { return Ok(None) };
        let record = StayRecord::read(&stored.stay).map_err(|why| StoreError::Damaged(why.to_string()))?;
        let mut settlement = match &record.settlement {
            Some(settlement) if settlement.id == id => settlement.clone(),
            // An earlier settlement of the stay: its bill as issued, the newest stay for the name.
            Some(settlement) => Settlement { id, ..settlement.clone() },
            None => return Ok(None),
        };
        settlement.bill =
            serde_json::from_slice(&stored.bill).map_err(|why| StoreError::Damaged(why.to_string()))?;
        settlement.bill.check().map_err(|why| StoreError::Damaged(why.to_string()))?;
        if stored.earlier_reversed > 0 && settlement.bill.state == BillState::Settled {
            let finding = findings::earlier_stay_reversed(stored.earlier_reversed);
            settlement.bill.findings.push(finding);
        }
        Ok(Some(Found { record, settlement }))
    }

    /// What the roster says of a person on a day.
    pub async fn beneficiary(&self, person: PersonRef, on: Date) -> Result<Beneficiary, StoreError> {
        let facts = self.store.person(vec![person]).await?;
        let roster = facts.and_then(|facts| facts.roster);
        Ok(Beneficiary::of(roster.as_ref(), "", on, &self.policies))
    }

    async fn run(&self, work: Work) -> Outcome {
        match self.try_run(&work).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(error = %error, "store step failed");
                store_refusal(&error).into()
            }
        }
    }

    async fn try_run(&self, work: &Work) -> Result<Outcome, StoreError> {
        let at = self.runtime.now();
        let mut needs_stay = !work.asked.is_self_contained();
        for _ in 0..TRIES_MAX {
            let known = if needs_stay { self.read(work.stay.clone()).await? } else { None };
            let lookups = self.look_up(work, known.as_ref(), at).await?;
            let decision = Decision {
                asked: work.asked.clone(),
                hospital: Arc::clone(&work.hospital),
                policies: Arc::clone(&self.policies),
                lookups,
                at,
                stay_ref: work.stay.clone(),
                persons: work.persons.clone(),
                new_stay_id: self.runtime.next_id(),
                new_settlement_id: self.runtime.next_id(),
            };
            let step = Step {
                at,
                claim: work.claim.clone(),
                stay: work.stay.clone(),
                persons: work.persons.clone(),
                decide: Box::new(move |facts| decision.decide(facts)),
            };
            match self.store.step(step).await? {
                Done::Decided(answer) => return outcome_of(&answer),
                Done::Repeated(answer) => return self.as_it_stands(work, outcome_of(&answer)?).await,
                Done::OtherContent => return Ok(same_message_other_content().into()),
                Done::Undecided => needs_stay = true,
            }
        }
        Err(StoreError::Unavailable("the stay kept changing while it was looked up".to_owned()))
    }

    /// The answer of a message that comes again: its settlement as it stands by now, for a desk must not see
    /// money that was given back. A document that was quoted and is now sent to be settled is settled.
    async fn as_it_stands(&self, work: &Work, outcome: Outcome) -> Result<Outcome, StoreError> {
        let Outcome::Bill(issued) = outcome else { return Ok(outcome) };
        let Some(found) = self.settlement(issued.settlement_id).await? else {
            return Ok(Outcome::Bill(issued));
        };
        let bill = found.settlement.bill;
        if bill.state == BillState::Quoted && work.asked.is_to_settle() {
            return Ok(Box::pin(self.commit(bill.settlement_id, bill.patient_share)).await);
        }
        Ok(Outcome::Bill(Box::new(bill)))
    }

    async fn read(&self, stay: StayRef) -> Result<Option<StayRecord>, StoreError> {
        let Some(stored) = self.store.stay(stay).await? else { return Ok(None) };
        StayRecord::read(&stored.document).map(Some).map_err(|why| StoreError::Damaged(why.to_string()))
    }

    /// Catalogue items for every code the stay may be priced with, as on its discharge date.
    async fn look_up(
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
        let mut codes: Vec<String> =
            part.map_or_else(Vec::new, |part| part.lines.iter().map(|line| line.code.clone()).collect());
        codes.extend(known.iter().flat_map(|record| record.part.lines.iter().map(|line| line.code.clone())));
        codes.sort_unstable();
        codes.dedup();
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

fn outcome_of(answer: &[u8]) -> Result<Outcome, StoreError> {
    serde_json::from_slice(answer).map_err(|why| StoreError::Damaged(why.to_string()))
}

/// One thing to do to one stay.
struct Work {
    hospital: Arc<Hospital>,
    persons: Vec<PersonRef>,
    asked: Asked,
    claim: Option<MessageClaim>,
    stay: StayRef,
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
            Self::Commit { .. } | Self::Reverse { .. } | Self::ChargesQuiet { .. } => false,
        }
    }

    /// A whole document, sent to be settled and not to be quoted.
    fn is_to_settle(&self) -> bool {
        match self {
            Self::Message { message, mode } => message.trigger == Trigger::Complete && *mode == Mode::Settle,
            Self::Commit { .. } | Self::Reverse { .. } | Self::ChargesQuiet { .. } => false,
        }
    }

    fn may_price(&self) -> bool {
        match self {
            Self::Message { message, .. } => {
                !matches!(message.trigger, Trigger::CancelAdmit | Trigger::CancelDischarge)
            }
            Self::Commit { .. } | Self::ChargesQuiet { .. } => true,
            Self::Reverse { .. } => false,
        }
    }

    fn part(&self) -> Option<&StayPart> {
        match self {
            Self::Message { message, .. } => Some(&message.part),
            Self::Commit { .. } | Self::Reverse { .. } | Self::ChargesQuiet { .. } => None,
        }
    }
}
