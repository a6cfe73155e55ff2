//! Telling adapters that see visits what they have not been told of one.

use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::instant::later;
use yizhan_contract::payer::{ASK_DEADLINE, Memo, Payer, Unavailable, VisitEvent, Visited as Answered};

use super::heard;
use super::pursue::{Drive, Seen, Stop, Went};
use super::quote::no_answer;
use crate::settlement::carried::Carry;
use crate::settlement::payers::Adapter;
use crate::settlement::told;
use crate::settlement::visits::{Visited, Visits};
use crate::telemetry;

/// How often a visit is looked at that stands only with adapters which are not configured any more: nothing can be told
/// to them until an operator has acted.
const UNCONFIGURED_AGAIN: SignedDuration = SignedDuration::from_hours(1);

impl Drive<'_> {
    /// Admission, charges and discharge as they are now, as far as the adapter does not know them: before it is asked what
    /// it pays. What it wants kept is written with what becomes of the question; lost before that, it is told again.
    pub(super) async fn tell(
        &self,
        seen: &Seen,
        adapter: &Adapter,
        deadline: Timestamp,
    ) -> Result<Memo, Unavailable> {
        if !adapter.manifest().sees_visits {
            return Ok(Memo::default());
        }
        let mut known = self.visits(seen).remove(&adapter.name).unwrap_or_default();
        for event in told::visit(self.stay(), &seen.record, &adapter.manifest().needs) {
            if !known.knows(&event) {
                self.say((&adapter.name, &*adapter.payer), &event, &mut known, deadline).await?;
            }
        }
        Ok(known.memo())
    }

    /// Whether adapters believe in a visit that is over for them.
    pub(super) fn is_to_be_called_off(&self, seen: &Seen) -> bool {
        self.to_be_called_off(seen).next().is_some()
    }

    fn to_be_called_off<'s>(&self, seen: &'s Seen) -> impl Iterator<Item = (Arc<str>, Visited)> + use<'s> {
        let is_over = |(name, known): &(Arc<str>, Visited)| known.stands() && seen.record.is_over_for(name);
        self.visits(seen).into_iter().filter(is_over)
    }

    /// One that cannot be told now is told later; whoever is not configured any more, once its file is back.
    pub(super) async fn call_off(&mut self, seen: &Seen) -> Result<Went, Stop> {
        let (mut retry_after, mut tries) = (None, 0_usize);
        for (name, mut known) in self.to_be_called_off(seen) {
            let Some(payer) = self.gateway.directory().known(&name) else {
                telemetry::visit_stands_unconfigured(&name, &self.stay());
                continue;
            };
            tries += 1;
            let needs = &payer.manifest().needs;
            let Some(event) = told::called_off(self.stay(), &seen.record, needs) else { continue };
            self.renew().await?;
            let deadline = later(self.gateway.runtime().now(), ASK_DEADLINE);
            if let Err(why) = self.say((&name, &*payer), &event, &mut known, deadline).await {
                telemetry::visit_not_called_off(&name);
                retry_after = retry_after.max(why.retry_after);
            }
        }
        let again = match tries {
            0 => later(self.gateway.runtime().now(), UNCONFIGURED_AGAIN),
            _ => self.pause(u32::MAX, retry_after),
        };
        let hold = self.hold_until(again, false);
        Ok(self.carry(seen, Carry::CalledOff { hold }).await?.map_or(Went::On, Went::Ended))
    }

    async fn say(
        &self,
        (name, payer): (&Arc<str>, &dyn Payer),
        event: &VisitEvent,
        known: &mut Visited,
        deadline: Timestamp,
    ) -> Result<(), Unavailable> {
        let answer = self.gateway.within(deadline, payer.visit(event, known.memo(), deadline)).await;
        let said = match answer.map_or_else(|| Answered::Unavailable(no_answer()), heard::visited) {
            Answered::Noted { memo } => {
                known.heard(event, memo);
                Ok(())
            }
            Answered::Unavailable(why) => {
                known.may_have_heard(event);
                Err(why)
            }
            // What it knows is what it knew.
            Answered::NotSent(why) => return Err(why),
        };
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(name), known.clone());
        said
    }

    /// What is written of it, and what this drive has told beyond.
    fn visits(&self, seen: &Seen) -> Visits {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.iter().map(|(name, known)| (Arc::clone(name), known.clone()));
        seen.record.visits.clone().into_iter().chain(told).collect()
    }
}
