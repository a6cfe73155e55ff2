//! The keys of an open store, and where its ids come from: what every implementation needs.

use std::sync::Arc;

use uuid::Uuid;
use yizhan_contract::Text;
use zeroize::Zeroizing;

use super::person::damaged;
use super::seal::{DataKey, KEY_BYTES, Key, LookUp, Place, key_id_of, random};
use super::{MessageClaim, StoreError};
use crate::runtime::Ids;

pub(super) struct Vault {
    pub(super) key: Key,
    /// Seals what belongs to nobody.
    pub(super) own: DataKey,
    /// Finds messages and visits. What was hashed stands nowhere in one piece, so a change of the key file must leave
    /// these hashes as they are: their key is the store's own.
    pub(super) claims: LookUp,
    pub(super) ids: Arc<dyn Ids>,
}

impl Vault {
    /// The data key of a person's row, or the store's own for what belongs to nobody.
    pub(super) fn data_key(&self, person: Uuid, wrapped: &[u8]) -> Result<DataKey, StoreError> {
        if person.is_nil() { Ok(self.own.clone()) } else { Ok(self.key.unwrap_data_key(person, wrapped)?) }
    }

    pub(super) fn claim_hash(&self, claim: &MessageClaim) -> [u8; 16] {
        self.claims.hash("message", &[claim.sender.as_bytes(), claim.message_id.as_bytes()])
    }

    /// A digest in clear would tell who guesses the message.
    pub(super) fn digest_hash(&self, claim: &MessageClaim) -> [u8; 16] {
        self.claims.hash("digest", &[&claim.digest])
    }

    pub(super) fn visit_hash(&self, hospital: &str, number: &str) -> [u8; 16] {
        self.claims.hash("visit", &[hospital.as_bytes(), number.as_bytes()])
    }
}

/// The store's own data key, from how it lies in the store: it opens under the right key file only.
pub(super) fn proven(wrapped: &[u8], key: Option<&Key>) -> Result<DataKey, StoreError> {
    let expected = key_id_of(wrapped).map(|id| id.to_string()).unwrap_or_default();
    let key = key.ok_or_else(|| StoreError::NoKey(Some(expected.clone())))?;
    if expected != key.id().to_string() {
        let id = key.id().to_string();
        return Err(StoreError::WrongKey { expected, given: Text::new(id.clone(), id) });
    }
    key.unwrap_data_key(Uuid::nil(), wrapped).map_err(|_| {
        let id = key.id();
        let given = Text::new(format!("编号同为 {id} 的另一密钥"), format!("another key of the id {id}"));
        StoreError::WrongKey { expected, given }
    })
}

/// Name of the claims' key among the store's secrets.
pub(super) const CLAIMS: &str = "claims";

fn claims_place() -> Place<'static> {
    Place { table: "secret", column: "sealed", row: CLAIMS.as_bytes() }
}

/// A key for the claims of a store that has none yet, sealed. Earlier programs made claims under the key file's own
/// look-up key: a store they made goes on with that.
pub(super) fn new_claims(own: &DataKey, key: &Key, is_new: bool) -> Result<Vec<u8>, StoreError> {
    let mut secret = Zeroizing::new(*key.look_up_key());
    if is_new {
        random(secret.as_mut_slice())?;
    }
    Ok(own.seal(claims_place(), secret.as_slice())?)
}

pub(super) fn open_claims(own: &DataKey, sealed: &[u8]) -> Result<LookUp, StoreError> {
    let secret = Zeroizing::new(own.open(claims_place(), sealed)?);
    let secret =
        <&[u8; KEY_BYTES]>::try_from(secret.as_slice()).map_err(|_| damaged("the key of the claims"))?;
    Ok(LookUp::under(secret))
}
