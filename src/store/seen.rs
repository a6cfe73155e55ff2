//! What a store reads for a step, still sealed, and whom its references name.

use uuid::Uuid;

use super::documents::{BillId, message_place, open_stay};
use super::person::{BY_ID_NUMBER, Hashed, PersonRow};
use super::seal::DataKey;
use super::vault::Vault;
use super::{Done, Hold, Lease, MessageClaim, Posting, StoreError, StoredStay};

/// Everything a step may look at, as of one moment.
pub(super) struct Seen {
    pub(super) stay: Option<FoundStay>,
    /// The references of the step and whom each names.
    pub(super) references: Vec<(Hashed, Option<Uuid>)>,
    /// Everybody named and the stay's owner, each once.
    pub(super) people: Vec<PersonRow>,
    /// What was posted so far for the settlements of the stay.
    pub(super) posted: Vec<(Uuid, Posting)>,
}

/// A stay as it lies in the store.
pub(super) struct FoundStay {
    pub(super) stay_id: Uuid,
    pub(super) person_id: Uuid,
    /// As written; empty until it is known.
    pub(super) admitted: String,
    pub(super) document: Vec<u8>,
    pub(super) hold: Hold,
    /// Its newest bill; absent before one was issued, and in stays of the first two schemas.
    pub(super) bill: Option<(BillId, Vec<u8>)>,
}

impl FoundStay {
    pub(super) fn open(&self, owner: &DataKey) -> Result<StoredStay, StoreError> {
        let bill = self.bill.as_ref().map(|(id, sealed)| id.open(owner, sealed)).transpose()?;
        Ok(StoredStay {
            stay_id: self.stay_id,
            person_id: self.person_id,
            document: open_stay(owner, self.stay_id, &self.document)?,
            hold: self.hold.clone(),
            bill,
        })
    }
}

/// The message that claimed an id before.
pub(super) struct Earlier {
    pub(super) digest: Vec<u8>,
    pub(super) person_id: Uuid,
    pub(super) wrapped_key: Vec<u8>,
    pub(super) message_id: Uuid,
    pub(super) answer: Vec<u8>,
}

impl Earlier {
    /// What a message under the same id is answered with.
    pub(super) fn done(&self, vault: &Vault, claim: &MessageClaim) -> Result<Done, StoreError> {
        if self.digest != vault.digest_hash(claim) {
            return Ok(Done::OtherContent);
        }
        let data_key = vault.data_key(self.person_id, &self.wrapped_key)?;
        let place = message_place("answer", self.message_id.as_bytes());
        Ok(Done::Repeated(data_key.open(place, &self.answer)?))
    }
}

/// Whom a message's references name.
pub(super) struct Named {
    /// Absent: a person nobody has seen yet.
    pub(super) person: Option<Uuid>,
    /// References that name nobody, each once.
    pub(super) unknown: Vec<Hashed>,
    /// Whom the references name beside that person, each once.
    pub(super) others: Vec<Uuid>,
    pub(super) is_ambiguous: bool,
}

impl Seen {
    /// Whether the stay is still the lease's to act for, where a step is under one.
    pub(super) fn is_under(&self, lease: Option<Lease>) -> bool {
        let holds = |lease: Lease| {
            let stay = self.stay.as_ref().filter(|stay| stay.stay_id == lease.stay_id);
            stay.is_some_and(|stay| stay.hold.epoch == lease.epoch)
        };
        lease.is_none_or(holds)
    }

    pub(super) fn row(&self, person: Uuid) -> Option<&PersonRow> {
        self.people.iter().find(|row| row.person_id == person)
    }

    /// The strongest reference that names somebody decides. A weaker one may not lend its holder to an
    /// identity card number that is new: a hospital may give a patient number twice, a card number is one
    /// person's for good.
    pub(super) fn named(&self) -> Named {
        let mut unknown: Vec<Hashed> = Vec::new();
        let mut holders: Vec<Uuid> = Vec::new();
        for (hashed, holder) in &self.references {
            match holder {
                Some(holder) if holders.contains(holder) => {}
                Some(holder) => holders.push(*holder),
                None if unknown.iter().any(|one| one.names_the_same(hashed)) => {}
                None => unknown.push(hashed.clone()),
            }
        }
        let has_new_number = unknown.iter().any(|one| one.kind == BY_ID_NUMBER);
        let has_number = |id: &Uuid| self.row(*id).is_some_and(|row| row.has_id_number);
        if has_new_number && holders.first().is_some_and(has_number) {
            return Named { person: None, unknown, others: holders, is_ambiguous: true };
        }
        let is_ambiguous = holders.len() > 1;
        let mut holders = holders.into_iter();
        Named { person: holders.next(), unknown, others: holders.collect(), is_ambiguous }
    }
}
