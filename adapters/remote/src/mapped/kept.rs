//! What a mapped adapter keeps between a quote, its commit and its reversal: what their requests speak of, no more.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use yizhan_contract::payer::{
    Operation, OperationKind, PREPARED_BYTES_MAX, PrepareError, Prepared, by_payer,
};
use yizhan_contract::{Money, PayerCode, Text};

use crate::answers::Ordered;
use crate::wire::Trouble;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    #[serde(rename = "mapped-1")]
    One,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    form: Form,
    pub(super) operation_id: Arc<str>,
    stay: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) original_operation_id: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quote_id: Option<String>,
    #[serde(with = "by_payer")]
    pub(super) amounts: Vec<(PayerCode, Money)>,
    /// Of what the quote was asked with and answered: the values requests about it name.
    asked: Map<String, Value>,
}

pub(super) fn no_prepare(text: &Text) -> PrepareError {
    PrepareError(format!("{} | {}", text.zh, text.en))
}

impl Kept {
    pub(super) fn of(operation: &Operation) -> Result<Self, PrepareError> {
        let original_operation_id = match &operation.kind {
            OperationKind::Commit => None,
            OperationKind::Reverse { original, .. } => Some(Arc::clone(original)),
        };
        let kept = &operation.kept;
        let asked = if kept.is_empty() { Ok(Map::new()) } else { serde_json::from_slice(kept) };
        let asked = asked.map_err(|_| no_prepare(&Trouble::Foreign.text()))?;
        let quote_id = operation.quote_id.clone();
        Ok(Self {
            form: Form::One,
            operation_id: Arc::clone(&operation.id),
            stay: Arc::clone(&operation.stay),
            original_operation_id,
            quote_id,
            amounts: operation.amounts.clone(),
            asked,
        })
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

    pub(super) fn ordered(&self, is_firm: bool) -> Ordered<'_> {
        Ordered { amounts: &self.amounts, is_reversal: self.original_operation_id.is_some(), is_firm }
    }

    /// What its requests may speak of.
    pub(super) fn values(&self) -> Map<String, Value> {
        let mut values = self.asked.clone();
        let amount = |(payer, amount): &(PayerCode, Money)| serde_json::json!({"payer": payer.as_str(), "amount": amount.to_string()});
        let total: Money = self.amounts.iter().map(|(_, amount)| *amount).sum();
        let own = [
            ("operation_id", Value::from(&*self.operation_id)),
            ("original_operation_id", self.original_operation_id.as_deref().into()),
            ("stay", Value::from(&*self.stay)),
            ("quote_id", self.quote_id.as_deref().into()),
            ("amounts", self.amounts.iter().map(amount).collect()),
            ("total", total.to_string().into()),
        ];
        values.extend(own.map(|(name, value)| (name.to_owned(), value)));
        values
    }
}

/// Of `value`, what lies at the paths; `*` stands for the items of a list.
pub(super) fn prune(value: &Value, paths: &[Vec<String>]) -> Map<String, Value> {
    let mut kept = Map::new();
    for path in paths {
        if let Some((first, rest)) = path.split_first() {
            let into = kept.entry(first.clone()).or_insert(Value::Null);
            copy(value.get(first).unwrap_or(&Value::Null), rest, into);
        }
    }
    kept.retain(|_, value| !value.is_null());
    kept
}

fn copy(from: &Value, path: &[String], into: &mut Value) {
    match path.split_first() {
        None => into.clone_from(from),
        Some((step, rest)) if step == "*" => {
            let Some(items) = from.as_array() else { return };
            if !into.is_array() {
                *into = vec![Value::Object(Map::new()); items.len()].into();
            }
            if !rest.is_empty() {
                let kept = into.as_array_mut().into_iter().flatten();
                items.iter().zip(kept).for_each(|(item, kept)| copy(item, rest, kept));
            }
        }
        Some((step, rest)) => {
            let Some(below) = from.get(step) else { return };
            if !into.is_object() {
                *into = Value::Object(Map::new());
            }
            if let Some(table) = into.as_object_mut() {
                copy(below, rest, table.entry(step.clone()).or_insert(Value::Null));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_no_request_speaks_of_is_not_kept() {
        let asked = json!({
            "stay": "s", "person": {"name": "王小明", "id_number": "1"}, "card": null,
            "diagnoses": [{"code": "A", "name": "x"}, {"code": "B", "name": "y"}], "legs": [{}, {}],
        });
        let paths = |paths: &[&str]| -> Vec<Vec<String>> {
            paths.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect()
        };
        let used =
            ["person.id_number", "diagnoses.*", "diagnoses.*.code", "legs.*", "card", "none", "none.x"];
        assert_eq!(
            Value::Object(prune(&asked, &paths(&used))),
            json!({
                "person": {"id_number": "1"}, "diagnoses": [{"code": "A"}, {"code": "B"}], "legs": [{}, {}],
            })
        );
        assert!(prune(&asked, &[]).is_empty());
    }
}
