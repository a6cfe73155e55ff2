//! One step of a stay through the store: looked up before, decided inside, durable after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use yizhan_contract::instant::later;
use yizhan_contract::stay::{CatalogueClass, civil_date};
use yizhan_rules::Item;

use super::Gateway;
use super::pursue::Pursuit;
use crate::settlement::decide::{Asked, Decision, Leasing, Lookups, Undecided, Verdict};
use crate::settlement::message::{Hospital, Mode, Trigger};
use crate::settlement::outcome::Outcome;
use crate::settlement::part::StayPart;
use crate::settlement::payers::Payers;
use crate::settlement::record::StayRecord;
use crate::settlement::saga::LEASE;
use crate::settlement::shadow::Shadowed;
use crate::settlement::visits::Visits;
use crate::store::{CatalogueItem, Done, Lease, MessageClaim, PersonRef, StayRef, Step, StoreError};

/// What a step came to.
pub(super) enum Stepped {
    Decided { outcome: Outcome, pursuit: Option<Pursuit> },
    Repeated(Vec<u8>),
    OtherContent,
    Undecided,
    LeaseLost,
}

/// What a decision said last.
type Said = Result<(Outcome, Option<Lease>, Vec<Shadowed>), Undecided>;

/// One thing to do to one stay.
pub(super) struct Work {
    pub(super) hospital: Arc<Hospital>,
    /// Who is asked for it.
    pub(super) payers: Arc<Payers>,
    pub(super) persons: Vec<PersonRef>,
    pub(super) asked: Asked,
    pub(super) claim: Option<MessageClaim>,
    pub(super) stay: StayRef,
    /// What adapters were told of the visit and is not written yet.
    pub(super) visits: Visits,
}

impl Gateway {
    /// One step of a stay: looked up, decided, durable.
    pub(super) async fn step(
        &self,
        work: &Work,
        known: Option<&StayRecord>,
        lease: Option<Lease>,
    ) -> Result<Stepped, StoreError> {
        let at = self.runtime.now();
        let until = later(at, LEASE);
        let leasing = Leasing { holder: Arc::clone(&self.name), until, lease };
        let decision = self.decision(work, self.look_up(work, known, at).await?, at, leasing);
        // What the last run came to; the store hands back only what it keeps of it.
        let slot = Arc::<Mutex<Option<Said>>>::default();
        let told = Arc::clone(&slot);
        let decide = move |facts| {
            let (said, changes) = match decision.decide(facts) {
                Ok(Verdict { changes, outcome, lease, shadowed }) => {
                    (Ok((outcome, lease, shadowed)), Some(changes))
                }
                Err(undecided) => (Err(undecided), None),
            };
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
            changes
        };
        let step = Step {
            at,
            claim: work.claim.clone(),
            stay: work.stay.clone(),
            persons: work.persons.clone(),
            lease,
            decide: Box::new(decide),
        };
        let done = self.store.step(step).await?;
        let said = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(match done {
            Done::Decided(_) => {
                if work.hospital.is_told {
                    self.outbox_written.notify_one();
                }
                let Some(Ok((outcome, taken, shadowed))) = said else {
                    return Err(StoreError::Defect("decided by nobody".to_owned()));
                };
                self.directory.compare(shadowed);
                // A lease this step was made under is somebody's already.
                let taken = taken.filter(|_| lease.is_none());
                let pursuit = taken.map(|lease| Pursuit { lease, until, is_holder_gone: false, as_of: None });
                Stepped::Decided { outcome, pursuit }
            }
            Done::Repeated(kept) => Stepped::Repeated(kept),
            Done::OtherContent => Stepped::OtherContent,
            Done::Undecided => match said {
                Some(Err(Undecided::Failed(why))) => return Err(why),
                _ => Stepped::Undecided,
            },
            Done::LeaseLost => Stepped::LeaseLost,
        })
    }

    fn decision(&self, work: &Work, lookups: Lookups, at: Timestamp, leasing: Leasing) -> Decision {
        Decision {
            asked: work.asked.clone(),
            hospital: Arc::clone(&work.hospital),
            policies: Arc::clone(&self.policies),
            lookups,
            at,
            stay_ref: work.stay.clone(),
            persons: work.persons.clone(),
            new_stay_id: self.runtime.next_id(),
            new_settlement_id: self.runtime.next_id(),
            new_outbox_id: self.runtime.next_id(),
            payers: Arc::clone(&work.payers),
            visits: work.visits.clone(),
            leasing,
        }
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

/// Messages that say all there is to price need no look at the stay before.
impl Asked {
    pub(super) fn is_self_contained(&self) -> bool {
        match self {
            Self::Message { message, .. } => {
                matches!(message.trigger, Trigger::Complete | Trigger::Admit | Trigger::CancelAdmit)
            }
            Self::Commit { .. } | Self::Reverse { .. } | Self::ChargesQuiet { .. } | Self::Carry(_) => false,
        }
    }

    /// A whole document, sent to be settled and not to be quoted.
    pub(super) fn is_to_settle(&self) -> bool {
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
