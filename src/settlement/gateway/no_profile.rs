//! Stays under way of a hospital that this gateway has no profile of: nobody can go on with one, so a person is told.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::Text;
use yizhan_contract::instant::later;

use super::pursue::{Drive, Stop};
use super::standing::record;
use crate::settlement::saga::attention::Owner;
use crate::store::{Changes, Done, Facts, Hold, StayRef, Step};
use crate::telemetry;

/// Pause before it is looked at again. Another gateway of the store may know the hospital, so it does not lie for long.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);

impl Drive<'_> {
    /// Shows the stay to a person and lets it go; everything else stays as it is. Whoever goes on with it takes it off
    /// the list with what is written then.
    pub(super) async fn waits_for_profile(&self, hospital: &str) -> Result<(), Stop> {
        telemetry::hospital_without_profile(&self.lease.stay_id, hospital);
        let at = self.gateway.runtime().now();
        let hold = Hold { due_at: Some(later(at, LOOK_AGAIN)), ..self.hold_until(at, false) };
        let step = Step {
            at,
            claim: None,
            stay: StayRef::Stay(self.lease.stay_id),
            persons: Vec::new(),
            lease: Some(self.lease),
            decide: Box::new(move |facts| marked(&facts, at, hold.clone())),
        };
        match self.gateway.in_turn(self.gateway.store().step(step)).await? {
            Done::LeaseLost => Err(Stop::LeaseLost),
            Done::Undecided | Done::Decided(_) | Done::Repeated(_) | Done::OtherContent => Ok(()),
        }
    }
}

fn marked(facts: &Facts, at: Timestamp, hold: Hold) -> Option<Changes> {
    let stored = facts.stay.as_ref()?;
    let mut record = record(stored).ok()?;
    record.no_profile_since.get_or_insert(at);
    let hospital = Arc::from(record.part.hospital.as_str());
    let (stay, _) = record.into_write(stored.person_id, hospital, hold).ok()?;
    Some(Changes { stay: Some(stay), ..Changes::default() })
}

pub(super) fn owner() -> Text {
    Owner::Operator.text()
}

pub(super) fn sentence(hospital: &str) -> Text {
    Text::new(
        format!("网关没有医院 {hospital} 的配置，无法继续办理该次住院"),
        format!("the gateway has no profile of hospital {hospital}, and cannot go on with this stay"),
    )
}

pub(super) fn next_step() -> Text {
    Text::new(
        "已办理的部分保持不变；请将该医院的配置文件放回 hospitals 文件夹并重新启动网关，随后自动继续",
        "what was done stays as it is; put the hospital's profile back into the folder of hospitals and start the gateway again: \
         it then goes on by itself",
    )
}
