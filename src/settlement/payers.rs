//! The outside payers of this gateway: adapters by name, and which payer each serves.

use std::sync::Arc;

use yizhan_contract::payer::{Manifest, Payer};
use yizhan_contract::stay::CauseKind;
use yizhan_contract::{PayerCode, Text};
use yizhan_rules::PolicyShelf;

use super::saga::plan::{self, Impossible};

/// One adapter under the name the configuration gives it.
#[derive(Clone)]
pub struct Adapter {
    pub name: Arc<str>,
    pub payer: Arc<dyn Payer>,
}

/// Every adapter; the payers none of them serves are computed by rules.
#[derive(Clone, Default)]
pub struct Payers {
    adapters: Vec<Adapter>,
    served: Arc<[PayerCode]>,
}

/// Why adapters cannot be used together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayersError {
    #[error("{payer} is served by {first} and by {second}: name one adapter for it")]
    ServedTwice { payer: PayerCode, first: Arc<str>, second: Arc<str> },
    #[error("policy {policy}: {why}")]
    Chain { policy: Arc<str>, why: Impossible },
}

impl PayersError {
    /// The same for the operator, in both languages.
    pub fn text(&self) -> Text {
        let zh = match self {
            Self::ServedTwice { payer, first, second } => {
                format!("{payer} 同时由 {first} 与 {second} 承办：请只指定一个适配器")
            }
            Self::Chain { policy, why } => format!("政策 {policy}：{}", why.text().zh),
        };
        Text::new(zh, self.to_string())
    }
}

impl Payers {
    pub fn none() -> Self {
        Self::default()
    }

    /// # Errors
    /// Where two adapters serve one payer.
    pub fn new(adapters: Vec<(Arc<str>, Arc<dyn Payer>)>) -> Result<Self, PayersError> {
        let mut served: Vec<(PayerCode, Arc<str>)> = Vec::new();
        for (name, payer) in &adapters {
            for code in &payer.manifest().serves {
                if let Some((_, first)) = served.iter().find(|(other, _)| other == code) {
                    let (first, second) = (Arc::clone(first), Arc::clone(name));
                    return Err(PayersError::ServedTwice { payer: code.clone(), first, second });
                }
                served.push((code.clone(), Arc::clone(name)));
            }
        }
        let adapters = adapters.into_iter().map(|(name, payer)| Adapter { name, payer }).collect();
        Ok(Self { adapters, served: served.into_iter().map(|(code, _)| code).collect() })
    }

    /// Whether every chain of every policy can be committed all or none.
    ///
    /// # Errors
    /// The first policy and chain that cannot.
    pub fn check(&self, policies: &PolicyShelf) -> Result<(), PayersError> {
        for policy in policies.policies() {
            for kind in [CauseKind::Illness, CauseKind::Accident] {
                let order: Vec<PayerCode> = policy.order(kind).iter().map(|rule| rule.code.clone()).collect();
                let adapters = self.adapters.iter().map(|adapter| (&adapter.name, adapter.payer.manifest()));
                plan::check(&order, adapters)
                    .map_err(|why| PayersError::Chain { policy: Arc::clone(policy.label()), why })?;
            }
        }
        Ok(())
    }

    /// The payers that are asked and not computed.
    pub fn served(&self) -> Arc<[PayerCode]> {
        Arc::clone(&self.served)
    }

    pub fn of(&self, code: &PayerCode) -> Option<&Adapter> {
        self.adapters.iter().find(|adapter| adapter.serves(code))
    }

    pub fn named(&self, name: &str) -> Option<&Adapter> {
        self.adapters.iter().find(|adapter| &*adapter.name == name)
    }
}

impl Adapter {
    pub fn manifest(&self) -> &Manifest {
        self.payer.manifest()
    }

    pub fn serves(&self, code: &PayerCode) -> bool {
        self.manifest().serves.contains(code)
    }
}
