//! Where sealed documents stand, and how they are sealed and opened there.

use uuid::Uuid;

use super::StoreError;
use super::seal::{DataKey, Place};

fn stay_place(row: &[u8]) -> Place<'_> {
    Place { table: "stay", column: "document", row }
}

pub(super) fn seal_stay(data_key: &DataKey, stay: Uuid, document: &[u8]) -> Result<Vec<u8>, StoreError> {
    Ok(data_key.seal(stay_place(stay.as_bytes()), document)?)
}

pub(super) fn open_stay(data_key: &DataKey, stay: Uuid, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    Ok(data_key.open(stay_place(stay.as_bytes()), sealed)?)
}

/// One version of a settlement's bill, as issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BillId {
    pub(super) settlement: Uuid,
    pub(super) version: u32,
}

impl BillId {
    fn row(self) -> [u8; 20] {
        let mut row = [0; 20];
        row[..16].copy_from_slice(self.settlement.as_bytes());
        row[16..].copy_from_slice(&self.version.to_be_bytes());
        row
    }

    pub(super) fn seal(self, data_key: &DataKey, document: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(data_key.seal(bill_place(&self.row()), document)?)
    }

    pub(super) fn open(self, data_key: &DataKey, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(data_key.open(bill_place(&self.row()), sealed)?)
    }
}

fn bill_place(row: &[u8]) -> Place<'_> {
    Place { table: "bill", column: "document", row }
}

/// A sealed part of a message: `origin`, `raw`, `answer`.
pub(super) fn message_place<'a>(column: &'static str, message: &'a [u8]) -> Place<'a> {
    Place { table: "message", column, row: message }
}
