//! Mistakes at the store: what is asked of it, and what is written.

use std::sync::Arc;

use serde_json::Value;
use yizhan::store::{Account, AccumulatorMove, Changes, Done, Facts, Hold, Posting, PostingKind, Pot, Step};
use yizhan_contract::payer::Prepared;
use yizhan_contract::{Exact, Money, PayerCode};

use super::at_step::under;
use super::{Mistake, Mutant, at_advance};

impl Mutant {
    pub(crate) fn before(&self, step: &mut Step) {
        match self.mistake {
            Mistake::StaleEpochWrites => step.lease = None,
            Mistake::HandleTwice => step.claim = None,
            _ => {}
        }
    }

    pub(crate) fn facts(&self, facts: &mut Facts) {
        if self.mistake == Mistake::LookPastReservations {
            let people = facts.person.iter_mut().chain(&mut facts.others).chain(&mut facts.owner);
            people.for_each(|person| person.reserved.clear());
        }
    }

    /// `word`: where the stay is after these changes.
    pub(crate) fn changes(&self, mut changes: Changes, word: &str, is_message: bool) -> Option<Changes> {
        let is_new =
            |bill: &yizhan::store::BillWrite| self.quoted.lock().unwrap().contains_key(&bill.settlement_id);
        match self.mistake {
            Mistake::AcknowledgeBeforeDurable if is_message => {
                *self.is_dropped.lock().unwrap() = true;
                return None;
            }
            Mistake::DoubleTheAccumulator => {
                let settled = |moved: &&AccumulatorMove| moved.pot == Pot::Settled;
                let again: Vec<_> = changes.accumulators.iter().filter(settled).cloned().collect();
                changes.accumulators.extend(again);
            }
            Mistake::KeepReservationOfRefused => {
                let is_refused = changes.bill.as_ref().is_some_and(|bill| bill.state == "refused");
                changes.accumulators.retain(|moved| !(is_refused && moved.pot == Pot::Reserved));
            }
            Mistake::ReverseTheQuote => self.reverse_the_quote(&mut changes),
            Mistake::PostAtIntent if word == "committing" => {
                let bill = changes.bill.as_ref().filter(|bill| !is_new(bill));
                let posted =
                    bill.map(|bill| (bill.settlement_id, posting(&bill.hospital, bill.patient_share)));
                if let Some((id, posting)) = posted {
                    changes.postings.push(posting);
                    self.quoted.lock().unwrap().insert(id, Vec::new());
                }
            }
            Mistake::OneIdForTwoLegs => one_id(&mut changes),
            Mistake::ReserveNothing => changes.accumulators.retain(|moved| moved.pot != Pot::Reserved),
            Mistake::CountNoBase => {
                let moves = changes.accumulators.iter_mut().flat_map(|moved| &mut moved.payers);
                moves.for_each(|(_, used)| used.base = Exact::ZERO);
            }
            Mistake::IntentOfNobody if word == "committing" => {
                changes.stay.iter_mut().for_each(|stay| stay.hold = Hold::default());
            }
            Mistake::HideAttention => changes.stay.iter_mut().for_each(|stay| stay.needs_attention = false),
            Mistake::AgreeToAnything => edit(&mut changes, "/pricing/expected_patient_share", Value::Null),
            Mistake::LoseLateLines => edit(&mut changes, "/late_lines", Value::Array(Vec::new())),
            Mistake::KeepAnEarlierTime => {
                for nth in 0..4 {
                    let place = format!("/saga/calls/{nth}/commit/leaves_before");
                    edit(&mut changes, &place, "2020-01-01T00:00:00Z".into());
                }
            }
            Mistake::OverwriteTheBill if word == "reversed" => overwrite(&mut changes),
            Mistake::RaiseTheShare => at_advance::raise_the_share(&mut changes),
            Mistake::TakeAdvanceForPaid => at_advance::take_for_paid(&mut changes),
            Mistake::CountTheAdvanceTwice => at_advance::count_it_twice(&mut changes),
            Mistake::BearInSilence => at_advance::bear_in_silence(&mut changes),
            Mistake::ForgetToTell => {
                let is_final = changes.bill.as_ref().is_some_and(|bill| bill.state == "settled");
                changes.outbox.retain(|_| !is_final);
            }
            _ => {}
        }
        Some(changes)
    }

    pub(crate) fn done(&self, done: Done) -> Done {
        let is_dropped = std::mem::take(&mut *self.is_dropped.lock().unwrap());
        if is_dropped && done == Done::Undecided { Done::Decided(Vec::new()) } else { done }
    }

    /// Remembers what was set aside first; gives that back, whatever was committed.
    fn reverse_the_quote(&self, changes: &mut Changes) {
        let Some(bill) = &changes.bill else { return };
        let mut quoted = self.quoted.lock().unwrap();
        for moved in &mut changes.accumulators {
            if moved.pot == Pot::Reserved && moved.admissions > 0 {
                quoted.entry(bill.settlement_id).or_insert_with(|| vec![moved.clone()]);
            }
            let first = quoted.get(&bill.settlement_id).and_then(|moves| moves.first());
            if let (Pot::Settled, true, Some(first)) = (moved.pot, moved.admissions < 0, first) {
                let paid = |payer: &PayerCode| first.payers.iter().find(|(code, _)| code == payer);
                for (payer, used) in &mut moved.payers {
                    used.paid = paid(payer).map_or(used.paid, |(_, quoted)| -quoted.paid);
                }
            }
        }
    }
}

fn posting(hospital: &Arc<str>, amount: Money) -> Posting {
    let credit = Account::Hospital(Arc::clone(hospital));
    Posting { kind: PostingKind::Settlement, debit: Account::Patient, credit, amount }
}

/// Another value at a place of the stay's document, where it has that place.
pub(super) fn edit(changes: &mut Changes, place: &str, value: Value) {
    let Some(stay) = &mut changes.stay else { return };
    let mut document: Value = serde_json::from_slice(&stay.document).unwrap();
    if let Some(found) = document.pointer_mut(place) {
        *found = value;
        stay.document = serde_json::to_vec(&document).unwrap();
    }
}

/// The bill of the end takes the place of the first.
fn overwrite(changes: &mut Changes) {
    let Some(bill) = &mut changes.bill else { return };
    let mut document: Value = serde_json::from_slice(&bill.document).unwrap();
    document["version"] = 1.into();
    bill.document = serde_json::to_vec(&document).unwrap();
    bill.version = 1;
    changes.outbox.iter_mut().for_each(|told| told.version = 1);
}

/// The second call of a new intent is given the id of the first.
fn one_id(changes: &mut Changes) {
    let Some(stay) = &mut changes.stay else { return };
    let mut document: Value = serde_json::from_slice(&stay.document).unwrap();
    let Some(calls) = document.pointer_mut("/saga/calls").and_then(Value::as_array_mut) else {
        return;
    };
    if calls.len() < 2 || calls[1]["commit"]["state"] != "intended" {
        return;
    }
    let id: Arc<str> = calls[0]["commit"]["id"].as_str().unwrap().into();
    let prepared: Prepared = serde_json::from_value(calls[1]["commit"]["prepared"].clone()).unwrap();
    calls[1]["commit"]["id"] = id.to_string().into();
    calls[1]["commit"]["prepared"] = serde_json::to_value(under(&prepared, &id)).unwrap();
    stay.document = serde_json::to_vec(&document).unwrap();
}
