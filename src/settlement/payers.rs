//! The outside payers of this gateway: adapters by name, and which payer each serves.
//!
//! [`Payers`] is who is asked at one hospital at one time; [`super::directory`] knows it for every hospital and lets it
//! change while stays are settled.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use yizhan_contract::payer::{Manifest, Payer};
use yizhan_contract::stay::CauseKind;
use yizhan_contract::{PayerCode, Text};
use yizhan_rules::PolicyShelf;

use super::given::{Answer, Given};
use super::saga::plan::{self, Impossible};

/// One adapter under the name the configuration gives it.
#[derive(Clone)]
pub struct Adapter {
    pub name: Arc<str>,
    pub payer: Arc<dyn Payer>,
    /// The payers it is asked about here.
    pub serves: Vec<PayerCode>,
}

/// Who is asked, who is left out, and whose answers are only compared; everybody else is computed by rules.
#[derive(Clone, Default)]
pub struct Payers {
    adapters: Vec<Adapter>,
    shadows: Vec<Adapter>,
    passed_over: Vec<PassedOver>,
    served: Arc<[PayerCode]>,
}

/// A payer whose adapter is not asked now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    pub payer: PayerCode,
    pub adapter: Arc<str>,
    /// It pays nothing; else it is computed by rules.
    pub is_left_out: bool,
    pub why: Text,
}

/// Who was asked when a stay was priced. A stay in flight keeps it until it is over, whatever is configured meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Assigned {
    pub by: BTreeMap<PayerCode, Arc<str>>,
    pub passed_over: Vec<PassedOver>,
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
        let adapter = |(name, payer): (Arc<str>, Arc<dyn Payer>)| {
            let serves = payer.manifest().serves.clone();
            Adapter { name, payer, serves }
        };
        Self::of_adapters(adapters.into_iter().map(adapter).collect(), Vec::new(), Vec::new())
    }

    /// # Errors
    /// Where two adapters serve one payer.
    pub(super) fn of_adapters(
        adapters: Vec<Adapter>,
        shadows: Vec<Adapter>,
        passed_over: Vec<PassedOver>,
    ) -> Result<Self, PayersError> {
        let mut served: Vec<(PayerCode, Arc<str>)> = Vec::new();
        for Adapter { name, serves, .. } in &adapters {
            for code in serves {
                if let Some((_, first)) = served.iter().find(|(other, _)| other == code) {
                    let (first, second) = (Arc::clone(first), Arc::clone(name));
                    return Err(PayersError::ServedTwice { payer: code.clone(), first, second });
                }
                served.push((code.clone(), Arc::clone(name)));
            }
        }
        let left_out = passed_over.iter().filter(|payer| payer.is_left_out);
        let left_out = left_out.map(|payer| (payer.payer.clone(), Arc::clone(&payer.adapter)));
        served.extend(left_out);
        let served = served.into_iter().map(|(code, _)| code).collect();
        Ok(Self { adapters, shadows, passed_over, served })
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

    /// The payers that are not computed: they are asked, or left out.
    pub fn served(&self) -> Arc<[PayerCode]> {
        Arc::clone(&self.served)
    }

    /// Those that decide.
    pub fn adapters(&self) -> impl Iterator<Item = &Adapter> {
        self.adapters.iter()
    }

    pub fn of(&self, code: &PayerCode) -> Option<&Adapter> {
        self.adapters.iter().find(|adapter| adapter.serves(code))
    }

    /// Adapters that are asked beside the rules, so that their answers can be compared.
    pub fn shadows(&self) -> &[Adapter] {
        &self.shadows
    }

    /// Payers of adapters that are not asked.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// What has been said, and that those who are left out pay nothing.
    pub(super) fn completed<'g>(&self, given: &'g Given) -> Cow<'g, Given> {
        let left_out = || self.passed_over.iter().filter(|payer| payer.is_left_out);
        if left_out().next().is_none() {
            return Cow::Borrowed(given);
        }
        let mut completed = given.clone();
        completed.extend(left_out().map(|payer| (payer.payer.clone(), Answer::left_out())));
        Cow::Owned(completed)
    }

    pub(super) fn assigned(&self) -> Assigned {
        let of = |adapter: &Adapter| {
            let name = Arc::clone(&adapter.name);
            adapter.serves.clone().into_iter().map(move |payer| (payer, Arc::clone(&name)))
        };
        let by = self.adapters.iter().flat_map(of).collect();
        Assigned { by, passed_over: self.passed_over.clone() }
    }
}

impl Assigned {
    pub fn is_empty(&self) -> bool {
        self.by.is_empty() && self.passed_over.is_empty()
    }
}

impl Adapter {
    pub fn manifest(&self) -> &Manifest {
        self.payer.manifest()
    }

    pub fn serves(&self, code: &PayerCode) -> bool {
        self.serves.contains(code)
    }

    /// Whether it is asked, before its quote, if it covers the person.
    pub fn says_cover(&self) -> bool {
        self.manifest().coverage_valid_s.is_some()
    }
}
