//! What a roster file says of a person, on what counted before, sealed for a row.

use super::StoreError;
use super::person::{Person, RosterRow, name_place, name_row, write_entitlements};
use crate::roster::person::RosterPerson;
use crate::roster::{RosterMode, history};

pub(super) struct SealedEntry {
    pub(super) region: Option<String>,
    pub(super) entitlements: String,
    pub(super) name: Vec<u8>,
    /// The entry that counts until this file does.
    pub(super) before: Option<i64>,
}

/// A roster file that is being written.
#[derive(Clone)]
pub(super) struct RosterFile {
    pub(super) generation: i64,
    pub(super) mode: RosterMode,
}

impl RosterFile {
    pub(super) fn sealed(
        &self,
        known: Option<RosterRow>,
        holder: &Person,
        said: &RosterPerson,
    ) -> Result<SealedEntry, StoreError> {
        let before = known.as_ref().map(|row| row.generation);
        let entry = history::after(known.map(|row| row.entry), said.stated.clone(), self.mode);
        let place = name_row(holder.id, self.generation);
        Ok(SealedEntry {
            entitlements: write_entitlements(&entry.entitlements)?,
            region: entry.region,
            name: holder.data_key.seal(name_place(&place), said.name.reveal().as_bytes())?,
            before,
        })
    }
}
