//! What a hospital advances: the firm quote and nothing else, set apart until it is collected; its own where the payer
//! refuses it; and never the patient's.

use yizhan::settlement::advanced::HOSPITAL_ADVANCE;
use yizhan::settlement::bill::Bill;
use yizhan::settlement::record::{Phase, Settlement};
use yizhan::settlement::saga::{Call, Saga, Sent};
use yizhan_contract::step::PayerState;
use yizhan_contract::{FindingCode, Money, PayerCode};

use super::look::{Look, StayLook};
use super::promises::{Held, Promises};
use super::world::World;

impl Promises<'_> {
    /// A settlement that stands shows of each payer whose part is advanced what it quoted, as not collected; once that
    /// has ended, as collected, or what the hospital bears in its place.
    pub(super) fn advances(&self, stay: &StayLook) -> Held {
        let record = &stay.record;
        let Some(settlement) = record.settlement.as_ref().filter(|_| record.phase == Phase::Settled) else {
            return Ok(());
        };
        let held = self.set_apart(stay, &settlement.bill);
        let borne = held.and_then(|()| self.refused(stay, &settlement.bill));
        let borne = borne.map_err(|why| format!("advanced: {} {why}", stay.visit))?;
        let (line, noted) = (borne_by(&settlement.bill), noted(settlement));
        if (line, noted) != (borne, borne) {
            return Err(format!(
                "advanced: {} has {line} borne by its hospital ({noted} noted), refused is {borne}",
                stay.visit
            ));
        }
        self.looked_at(stay, settlement, borne)
    }

    /// What is not collected is a firm quote, advanced by a hospital that does, asked for, and said to be so.
    fn set_apart(&self, stay: &StayLook, bill: &Bill) -> Held {
        let record = &stay.record;
        let advanced = || record.saga.iter().flat_map(Saga::advanced);
        for line in bill.deferred().filter(|line| line.paid.is_positive()) {
            let (payer, paid) = (&line.payer, line.paid);
            let is_quoted =
                |call: &Call| call.terms.quotes_are_firm && call.legs.contains(&(payer.clone(), paid));
            if !self.limits.advancing.contains(&record.part.hospital.as_str()) {
                return Err(format!("has {payer} advanced by a hospital that does not"));
            }
            if !advanced().any(is_quoted) {
                return Err(format!("advances {paid} of {payer}, which is no firm quote"));
            }
            if !record.is_delivering() || !is_said_to_be_advanced(bill, paid) {
                return Err(format!("has {paid} of {payer} neither collected nor asked for"));
            }
        }
        Ok(())
    }

    /// What payers refused of what was advanced; what others confirmed stands as collected.
    fn refused(&self, stay: &StayLook, bill: &Bill) -> Result<Money, String> {
        let mut refused = Money::ZERO;
        for (payer, quoted, call) in parts(stay.record.saga.iter().flat_map(Saga::advanced)) {
            let line = bill.payers.iter().find(|line| line.payer == *payer);
            let line = line.ok_or_else(|| format!("lost the line of {payer}"))?;
            let is_paid = call.is_committed() && !call.is_clear();
            let expected = match (line.state == PayerState::Deferred, is_paid) {
                (true, _) => (PayerState::Deferred, quoted),
                (false, true) => (PayerState::Committed, quoted),
                (false, false) => (PayerState::Refused, Money::ZERO),
            };
            if (line.state, line.paid) != expected {
                let (state, paid) = (line.state, line.paid);
                return Err(format!("has {payer} {state:?} {paid}, its advance came to {expected:?}"));
            }
            refused += if line.state == PayerState::Refused { quoted } else { Money::ZERO };
            self.is_in_books(stay, (payer, quoted), call)?;
        }
        Ok(refused)
    }

    /// What the payer's own books hold of a part that is advanced is what it has said, once it has.
    fn is_in_books(&self, stay: &StayLook, (payer, quoted): (&PayerCode, Money), call: &Call) -> Held {
        let Some(kept) = self.payers.iter().find(|kept| kept.name == call.adapter) else { return Ok(()) };
        let held = kept.books.lock().unwrap().holds(&stay.record.stay_id.to_string(), payer);
        let said = match &call.commit.state {
            Sent::Done { .. } if !call.is_clear() && !call.has_moved() => quoted,
            Sent::Refused { .. } | Sent::Dropped | Sent::Fenced => Money::ZERO,
            _ => return Ok(()),
        };
        if held == said { Ok(()) } else { Err(format!("has {payer} holding {held}, it said {said}")) }
    }

    /// What the hospital bears, somebody has to look at, until somebody said that they know.
    fn looked_at(&self, stay: &StayLook, settlement: &Settlement, borne: Money) -> Held {
        let record = &stay.record;
        let is_seen = settlement.borne.as_ref().is_some_and(|borne| borne.is_seen);
        let is_somebodys = match is_seen {
            true => !record.orders.is_empty(),
            false => self.look.attention.contains(&record.stay_id),
        };
        if borne.is_zero() || is_somebodys {
            return Ok(());
        }
        Err(format!("an owner: {} bears {borne}, and nobody has looked", stay.visit))
    }
}

fn parts<'c>(
    calls: impl Iterator<Item = &'c Call>,
) -> impl Iterator<Item = (&'c PayerCode, Money, &'c Call)> {
    calls.flat_map(|call| call.legs.iter().map(move |(payer, quoted)| (payer, *quoted, call)))
}

/// The bill says so to whoever reads it.
fn is_said_to_be_advanced(bill: &Bill, amount: Money) -> bool {
    let words = format!("its {amount} yet; the hospital advances it");
    let findings = bill.findings.iter().filter(|finding| finding.code == FindingCode::DeferredPayer);
    findings.into_iter().any(|finding| finding.message.en.contains(&words))
}

fn borne_by(bill: &Bill) -> Money {
    let lines = bill.payers.iter().filter(|line| line.payer.as_str() == HOSPITAL_ADVANCE);
    lines.map(|line| line.paid).sum()
}

fn noted(settlement: &Settlement) -> Money {
    settlement.borne.iter().flat_map(|borne| &borne.parts).map(|(_, amount)| *amount).sum()
}

impl World {
    /// Whatever payers say later, nobody pays more than by the bill that first stood.
    pub(super) fn never_raised(&self, look: &Look) -> Held {
        let mut shares = self.shares.lock().unwrap();
        for stay in look.stays.values().filter(|stay| stay.record.phase == Phase::Settled) {
            let Some(settlement) = &stay.record.settlement else { continue };
            let share = settlement.bill.patient_share;
            if let Some(before) = shares.insert(settlement.id, share).filter(|before| *before < share) {
                let visit = &stay.visit;
                return Err(format!("never raised: {visit} is settled for {share}, it was {before}"));
            }
        }
        Ok(())
    }
}
