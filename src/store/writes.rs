//! What a step writes: finished rows, sealed, and what must still be so when they are written.
//!
//! Made by [`super::finished`] on the caller's side; an implementation writes all of it in one transaction,
//! or, where anything that was read has changed, nothing.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;
use yizhan_contract::{Money, PayerCode};

use super::documents::{BillId, message_place};
use super::person::{Hashed, PersonRow};
use super::seal::DataKey;
use super::sums::SumRows;
use super::vault::Vault;
use super::{Hold, MessageClaim, OutboxWrite, Posting, StayRef, StoreError};

#[derive(Default)]
pub(super) struct Writes {
    /// Everybody who was looked at, with the version they had: it must be theirs still, and is raised.
    pub(super) people: Vec<(Uuid, i64)>,
    /// The stay that was looked for: the same must be found again.
    pub(super) sought: Option<Sought>,
    /// The message; its id must be free, where it claims one.
    pub(super) message: Option<MessageRow>,
    /// References that named nobody, and must name nobody still.
    pub(super) entered: Vec<ReferenceRow>,

    /// Whose step it is: the person all that follows belongs to.
    pub(super) owner: Uuid,
    /// The wrapped key of an owner who is new.
    pub(super) new_key: Option<Vec<u8>>,
    /// An identity card number names the owner from now on.
    pub(super) gains_id_number: bool,
    /// References that name the owner from now on, whomever they named before; that person was touched too.
    pub(super) taken_over: Vec<ReferenceRow>,
    pub(super) moved: Vec<Moved>,
    pub(super) stay: Option<StayRow>,
    pub(super) bill: Option<BillRow>,
    pub(super) sums: SumRows,
    /// Set aside after the step; a row of nothing goes.
    pub(super) reserved: SumRows,
    /// Of the bill.
    pub(super) postings: Vec<Posting>,
    pub(super) outbox: Vec<OutboxWrite>,
    /// The settlement that was taken back, and its year: later ones of that year are marked.
    pub(super) taken_back: Option<(Uuid, i16)>,

    /// The step's answer once it is durable.
    pub(super) answer: Vec<u8>,
}

impl Writes {
    /// A decision without a message that changes nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.message.is_none() && self.people.is_empty() && self.new_key.is_none()
    }
}

/// A visit that was looked for, and what was found.
pub(super) struct Sought {
    pub(super) visit_hash: [u8; 16],
    pub(super) admitted: Option<Date>,
    pub(super) found: Option<Uuid>,
}

impl Sought {
    /// Absent where the stay was named by an id: nobody else can make one under that.
    pub(super) fn of(vault: &Vault, stay: &StayRef, found: Option<Uuid>) -> Option<Self> {
        let StayRef::Visit { hospital, number, admitted } = stay else { return None };
        Some(Self { visit_hash: vault.visit_hash(hospital, number), admitted: *admitted, found })
    }
}

pub(super) struct ReferenceRow {
    pub(super) kind: i64,
    pub(super) hash: [u8; 16],
    pub(super) sealed: Vec<u8>,
}

impl ReferenceRow {
    pub(super) fn new(hashed: &Hashed, holder: &DataKey) -> Result<Self, StoreError> {
        Ok(Self { kind: hashed.kind, hash: hashed.hash, sealed: hashed.sealed(holder)? })
    }
}

pub(super) struct MessageRow {
    pub(super) person_id: Uuid,
    pub(super) message_id: Uuid,
    pub(super) received_at: Timestamp,
    pub(super) origin: Vec<u8>,
    pub(super) raw: Vec<u8>,
    pub(super) answer: Vec<u8>,
    /// Hashes of sender and id, and of the content; absent where the id stays free.
    pub(super) claim: Option<([u8; 16], [u8; 16])>,
}

impl MessageRow {
    /// A message kept without claiming its id.
    pub(super) fn unclaimed(
        vault: &Vault,
        at: Timestamp,
        person_id: Uuid,
        data_key: &DataKey,
        message: &MessageClaim,
        answer: &[u8],
    ) -> Result<Self, StoreError> {
        let message_id = vault.ids.next(at);
        let place = |column| message_place(column, message_id.as_bytes());
        let origin = format!("{}\u{1f}{}", message.sender, message.message_id);
        Ok(Self {
            person_id,
            message_id,
            received_at: at,
            origin: data_key.seal(place("origin"), origin.as_bytes())?,
            raw: data_key.seal(place("raw"), &message.raw)?,
            answer: data_key.seal(place("answer"), answer)?,
            claim: None,
        })
    }

    pub(super) fn claiming(self, vault: &Vault, message: &MessageClaim) -> Self {
        Self { claim: Some((vault.claim_hash(message), vault.digest_hash(message))), ..self }
    }
}

pub(super) struct StayRow {
    pub(super) stay_id: Uuid,
    pub(super) hospital: Arc<str>,
    pub(super) visit_hash: [u8; 16],
    /// Empty until it is known.
    pub(super) admitted: String,
    /// The date under which the stay was claimed before, where that was another one.
    pub(super) claimed_before: Option<String>,
    pub(super) hold: Hold,
    pub(super) needs_attention: bool,
    pub(super) settlement_id: Option<Uuid>,
    pub(super) document: Vec<u8>,
}

/// A bill version and the state of its settlement.
pub(super) struct BillRow {
    pub(super) id: BillId,
    pub(super) stay_id: Uuid,
    pub(super) hospital: Arc<str>,
    pub(super) state: &'static str,
    pub(super) day: Date,
    pub(super) total: Money,
    pub(super) patient_share: Money,
    pub(super) legs: Vec<LegRow>,
    /// The benefit year, and the settlement's number among those of the person, once it is settled.
    pub(super) settled: Option<(i16, u32)>,
    pub(super) document: Vec<u8>,
}

pub(super) struct LegRow {
    pub(super) payer: PayerCode,
    pub(super) state: String,
    pub(super) paid: Money,
}

/// Something that belonged to another person and is the owner's from now on.
pub(super) enum Moving {
    /// References, stays with their bills, and sums.
    Everything { of: Uuid },
    /// One stay with its bills.
    Stay { of: Uuid, stay: Uuid },
}

/// What is to be moved, as it lies in the store.
pub(super) struct Belongings {
    pub(super) of: PersonRow,
    /// Also the sums go, and whatever else names the person.
    pub(super) is_everything: bool,
    pub(super) references: Vec<KeptReference>,
    pub(super) stays: Vec<KeptStay>,
}

pub(super) struct KeptReference {
    pub(super) kind: i64,
    pub(super) hash: [u8; 16],
    pub(super) key_version: i64,
    pub(super) sealed: Vec<u8>,
}

pub(super) struct KeptStay {
    pub(super) stay_id: Uuid,
    /// The claim that leads to it; absent in stays of the first schema.
    pub(super) visit_hash: Option<[u8; 16]>,
    pub(super) document: Vec<u8>,
    pub(super) settlements: Vec<Uuid>,
    pub(super) bills: Vec<(BillId, Vec<u8>)>,
}

/// [`Belongings`] sealed anew for the owner.
pub(super) struct Moved {
    pub(super) from: Uuid,
    /// The sums of `from` are in the owner's now.
    pub(super) is_everything: bool,
    pub(super) references: Vec<KeptReference>,
    pub(super) stays: Vec<KeptStay>,
}

/// An epoch as tables hold it; nothing counts that far.
pub(super) fn stored_epoch(epoch: u64) -> i64 {
    i64::try_from(epoch).unwrap_or(i64::MAX)
}
