//! What is kept of an operation so that it can be sent, asked about and undone: its request, without the moment.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use yizhan_contract::payer::{
    Operation, OperationKind, PREPARED_BYTES_MAX, PrepareError, Prepared, by_payer,
};
use yizhan_contract::protocol::{CommitRequest, Head, ReverseRequest, StatusRequest};
use yizhan_contract::{Money, PayerCode};

use crate::answers::Ordered;
use crate::wire::{Trouble, Verb};

/// Its form; a later one is told apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    #[serde(rename = "1")]
    One,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    form: Form,
    pub(super) operation_id: Arc<str>,
    stay: Arc<str>,
    /// Of a reversal: the commit it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    original_operation_id: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quote_id: Option<String>,
    #[serde(with = "by_payer")]
    amounts: Vec<(PayerCode, Money)>,
}

impl Kept {
    pub(super) fn of(operation: &Operation) -> Self {
        let (original_operation_id, quote_id) = match &operation.kind {
            OperationKind::Commit => (None, operation.quote_id.clone()),
            OperationKind::Reverse { original, .. } => (Some(Arc::clone(original)), None),
        };
        Self {
            form: Form::One,
            operation_id: Arc::clone(&operation.id),
            stay: Arc::clone(&operation.stay),
            original_operation_id,
            quote_id,
            amounts: operation.amounts.clone(),
        }
    }

    pub(super) fn written(&self) -> Result<Prepared, PrepareError> {
        let bytes = serde_json::to_vec(self).map_err(|why| PrepareError(why.to_string()))?;
        if bytes.len() > PREPARED_BYTES_MAX {
            return Err(PrepareError(format!(
                "超过 {PREPARED_BYTES_MAX} 字节 | it would be longer than {PREPARED_BYTES_MAX} bytes"
            )));
        }
        Ok(Prepared::from(bytes))
    }

    pub(super) fn read(prepared: &Prepared) -> Result<Self, Trouble> {
        serde_json::from_slice(&prepared.0).map_err(|_| Trouble::Foreign)
    }

    pub(super) fn verb(&self) -> Verb {
        if self.original_operation_id.is_some() { Verb::Reverse } else { Verb::Commit }
    }

    pub(super) fn ordered(&self, is_firm: bool) -> Ordered<'_> {
        Ordered { amounts: &self.amounts, is_reversal: self.original_operation_id.is_some(), is_firm }
    }

    /// The body of its request.
    pub(super) fn request(&self, head: Head) -> serde_json::Result<Vec<u8>> {
        let (operation_id, stay) = (Arc::clone(&self.operation_id), Arc::clone(&self.stay));
        let amounts = self.amounts.clone();
        match &self.original_operation_id {
            None => {
                let quote_id = self.quote_id.clone();
                serde_json::to_vec(&CommitRequest { head, operation_id, stay, quote_id, amounts })
            }
            Some(original) => {
                let original_operation_id = Arc::clone(original);
                serde_json::to_vec(&ReverseRequest {
                    head,
                    operation_id,
                    original_operation_id,
                    stay,
                    amounts,
                })
            }
        }
    }

    pub(super) fn status_request(&self, head: Head) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&StatusRequest { head, operation_id: Arc::clone(&self.operation_id) })
    }
}
