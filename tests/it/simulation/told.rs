//! What hospitals are to be told, what their receivers were told, and what must hold between the two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;
use yizhan::outbox::{Form, Letter};
use yizhan::settlement::bill::{Bill, BillState};
use yizhan::store::OutboxWrite;

use super::look::{Look, StayLook};
use super::workload::CITY;

/// A bill, or with the stay's own id why there is none.
type About = (Uuid, u32);

/// One entry of the outbox, durable.
#[derive(Debug, Clone)]
struct Entry {
    id: Uuid,
    visit: Arc<str>,
    hospital: Arc<str>,
    about: About,
    is_of_bill: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Telling {
    /// In the order in which they were written.
    entries: Vec<Entry>,
    /// Every document that ever stood in the store under a version.
    bills: BTreeMap<About, Vec<Vec<u8>>>,
    /// Ids that receivers have had at least once.
    had: BTreeSet<Uuid>,
    /// The newest thing each receiver was told of a stay: the state of its bill, and the share.
    last: BTreeMap<Arc<str>, String>,
}

impl Telling {
    pub(crate) fn wrote(
        &mut self,
        visit: &Arc<str>,
        bill: Option<(About, Vec<u8>)>,
        outbox: Vec<OutboxWrite>,
    ) {
        if let Some((about, document)) = bill {
            self.bills.entry(about).or_default().push(document);
        }
        self.entries.extend(outbox.into_iter().map(|told| Entry {
            id: told.outbox_id,
            visit: Arc::clone(visit),
            hospital: Arc::clone(&told.hospital),
            about: (told.settlement_id, told.version),
            is_of_bill: told.settlement_id != told.stay_id,
        }));
    }

    /// A letter comes to its receiver, which knows by its id what it has had.
    ///
    /// # Errors
    /// What must not be told, or not yet.
    pub(crate) fn arrives(&mut self, letter: &Letter) -> Result<(), String> {
        let id = letter.id;
        let Some(at) = self.entries.iter().position(|entry| entry.id == id) else {
            return Err(format!("told: {id} is told and not in the store"));
        };
        let entry = self.entries[at].clone();
        let visit = &entry.visit;
        if entry.is_of_bill {
            self.is_as_stored(&entry, letter)?;
        }
        if !self.had.insert(id) {
            return Ok(());
        }
        // Why there is no bill is passed over once there is one.
        let before = self.entries[..at].iter().filter(|before| before.visit == *visit && before.is_of_bill);
        if let Some(skipped) = before.into_iter().find(|before| !self.had.contains(&before.id)) {
            return Err(format!("told: {id} of {visit} comes before {}", skipped.id));
        }
        if let (true, Form::Document { .. }) = (entry.is_of_bill, &letter.form) {
            let bill: Bill = serde_json::from_slice(&letter.bytes).map_err(|why| format!("told: {why}"))?;
            self.last.insert(Arc::clone(visit), said(&bill));
        }
        Ok(())
    }

    /// The bill told is one that stood in the store under this version.
    fn is_as_stored(&self, entry: &Entry, letter: &Letter) -> Result<(), String> {
        let (settlement, version) = entry.about;
        let is_so = match letter.form {
            Form::Document { .. } => {
                self.bills.get(&entry.about).is_some_and(|bills| bills.contains(&letter.bytes))
            }
            Form::Message { .. } => {
                let text = String::from_utf8_lossy(&letter.bytes);
                text.contains("EHC^E10") && text.contains(&settlement.to_string())
            }
        };
        let visit = &entry.visit;
        if is_so { Ok(()) } else { Err(format!("told: {visit} v{version} was never what is told of it")) }
    }

    /// When all is quiet, hospitals whose receivers are there have been told everything, and know their stays as the
    /// store has them.
    ///
    /// # Errors
    /// The first one that was not.
    pub(crate) fn is_complete(&self, look: &Look, dead: Option<&str>) -> Result<(), String> {
        let is_there = |hospital: &str| Some(hospital) != dead;
        for entry in self.entries.iter().filter(|entry| entry.is_of_bill && is_there(&entry.hospital)) {
            if !self.had.contains(&entry.id) {
                return Err(format!("told: {} of {} never came", entry.id, entry.visit));
            }
        }
        let is_posted_to = |hospital: &str| is_there(hospital) && hospital != CITY;
        look.stays
            .values()
            .filter(|stay| is_posted_to(&stay.record.part.hospital))
            .try_for_each(|stay| knows(stay, self.last.get(&stay.visit).cloned()))
    }
}

/// Whether the newest that its hospital was told of a stay is how it stands.
///
/// # Errors
/// Where it is not.
pub(crate) fn knows(stay: &StayLook, last: Option<String>) -> Result<(), String> {
    let Some(bill) = stay.record.settlement.as_ref().map(|settlement| &settlement.bill) else {
        return Ok(());
    };
    if !matches!(bill.state, BillState::Settled | BillState::Reversed | BillState::Refused) {
        return Ok(());
    }
    let (stands, told) = (said(bill), last.unwrap_or_else(|| "nothing".to_owned()));
    if stands == told {
        return Ok(());
    }
    Err(format!("told: {} is {stands}, its hospital knows of {told}", stay.visit))
}

/// What a hospital knows of a bill.
pub(crate) fn said(bill: &Bill) -> String {
    format!("{} v{} {} {}", bill.settlement_id, bill.version, bill.state.word(), bill.patient_share)
}
