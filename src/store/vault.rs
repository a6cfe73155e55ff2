//! The keys of an open store, and where its ids come from: what every implementation needs.

use std::sync::Arc;

use uuid::Uuid;

use super::seal::{DataKey, Key, key_id_of};
use super::{MessageClaim, StoreError};
use crate::runtime::Ids;

pub(super) struct Vault {
    pub(super) key: Key,
    /// Seals what belongs to nobody.
    pub(super) own: DataKey,
    pub(super) ids: Arc<dyn Ids>,
}

impl Vault {
    /// The data key of a person's row, or the store's own for what belongs to nobody.
    pub(super) fn data_key(&self, person: Uuid, wrapped: &[u8]) -> Result<DataKey, StoreError> {
        if person.is_nil() { Ok(self.own.clone()) } else { Ok(self.key.unwrap_data_key(person, wrapped)?) }
    }

    pub(super) fn claim_hash(&self, claim: &MessageClaim) -> [u8; 16] {
        self.key.look_up("message", &[claim.sender.as_bytes(), claim.message_id.as_bytes()])
    }

    /// A digest in clear would tell who guesses the message.
    pub(super) fn digest_hash(&self, claim: &MessageClaim) -> [u8; 16] {
        self.key.look_up("digest", &[&claim.digest])
    }

    pub(super) fn visit_hash(&self, hospital: &str, number: &str) -> [u8; 16] {
        self.key.look_up("visit", &[hospital.as_bytes(), number.as_bytes()])
    }
}

/// The store's own data key, from how it lies in the store: it opens under the right key file only.
pub(super) fn proven(wrapped: &[u8], key: Option<&Key>) -> Result<DataKey, StoreError> {
    let expected = key_id_of(wrapped).map(|id| id.to_string()).unwrap_or_default();
    let key = key.ok_or_else(|| StoreError::NoKey(Some(expected.clone())))?;
    if expected != key.id().to_string() {
        return Err(StoreError::WrongKey { expected, given: key.id().to_string() });
    }
    key.unwrap_data_key(Uuid::nil(), wrapped).map_err(|_| StoreError::WrongKey {
        expected,
        given: format!("{}（同号异钥 another key of this id）", key.id()),
    })
}
