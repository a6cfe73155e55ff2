//! Which adapter is asked for which payer at which hospital, as it is now. It may change at any time; a stay in flight
//! keeps those it began with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use yizhan_contract::payer::Payer;
use yizhan_contract::{PayerCode, Text};
use yizhan_rules::PolicyShelf;

use super::absent::Absent;
use super::payers::{Adapter, Assigned, PassedOver, Payers, PayersError};
use super::shadow::Shadowed;

/// At which hospitals an adapter decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Off,
    /// It is asked beside what stands in its place, and its answers are compared.
    Shadow,
    /// At these hospitals, by their codes.
    Canary(BTreeSet<Arc<str>>),
    Primary,
}

impl Mode {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Canary(_) => "canary",
            Self::Primary => "primary",
        }
    }

    /// Whether it is meant to decide, somewhere.
    pub fn decides(&self) -> bool {
        matches!(self, Self::Canary(_) | Self::Primary)
    }
}

/// What stands for an adapter's payers where it does not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// They are computed by the policy's own rules.
    Rules,
    /// They pay nothing, and the bill says so.
    LeftOut,
}

/// One adapter, and what it is asked for.
#[derive(Clone)]
pub struct Registered {
    pub adapter: Adapter,
    pub mode: Mode,
    pub otherwise: Otherwise,
    /// Why it is not asked for the time being, whatever its mode.
    pub fallen: Option<Text>,
    /// Why it is only compared where it would decide.
    pub unproven: Option<Text>,
}

/// Takes what shadows are to be asked; it never waits.
pub type Comparing = Arc<dyn Fn(Shadowed) + Send + Sync>;

/// Clones share one table.
#[derive(Clone)]
pub struct Directory {
    table: Arc<RwLock<Arc<Table>>>,
    comparing: Option<Comparing>,
}

#[derive(Default)]
struct Table {
    elsewhere: Arc<Payers>,
    /// Of hospitals that some adapter names.
    at: BTreeMap<Arc<str>, Arc<Payers>>,
    /// Every adapter, whether it decides or not: what it began it has to end.
    known: BTreeMap<Arc<str>, Arc<dyn Payer>>,
    /// What an operator should know of them.
    notes: Vec<Text>,
}

impl From<Arc<Payers>> for Directory {
    fn from(payers: Arc<Payers>) -> Self {
        let known = payers.adapters().map(|adapter| (Arc::clone(&adapter.name), Arc::clone(&adapter.payer)));
        let known = known.collect();
        let table = Table { elsewhere: payers, known, ..Table::default() };
        Self { table: Arc::new(RwLock::new(Arc::new(table))), comparing: None }
    }
}

impl From<Payers> for Directory {
    fn from(payers: Payers) -> Self {
        Self::from(Arc::new(payers))
    }
}

impl Default for Directory {
    /// Nobody is asked.
    fn default() -> Self {
        Self::from(Arc::<Payers>::default())
    }
}

impl Directory {
    /// Nobody is asked before [`put`](Self::put) says so; what shadows are to be asked goes to `comparing`.
    pub fn comparing(comparing: Comparing) -> Self {
        Self { comparing: Some(comparing), ..Self::default() }
    }

    /// Whether these adapters can be used together, at every hospital.
    ///
    /// # Errors
    /// Where a payer is served twice, or a chain could not be settled all or none.
    pub fn check(registered: &[Registered], policies: &PolicyShelf) -> Result<(), PayersError> {
        let hospitals = named_hospitals(registered);
        let mut everywhere = hospitals.iter().map(Some).chain([None]);
        everywhere.try_for_each(|hospital| payers_at(registered, hospital)?.check(policies))
    }

    /// From now on these are the adapters; `notes` is what an operator should know of them.
    ///
    /// # Errors
    /// Where a payer is served twice; nothing changed then.
    pub fn put(&self, registered: &[Registered], notes: Vec<Text>) -> Result<(), PayersError> {
        let at = |hospital: Arc<str>| {
            let payers = payers_at(registered, Some(&hospital))?;
            Ok((hospital, Arc::new(payers)))
        };
        let adapters = registered.iter().map(|one| &one.adapter);
        let table = Table {
            elsewhere: Arc::new(payers_at(registered, None)?),
            at: named_hospitals(registered).into_iter().map(at).collect::<Result<_, PayersError>>()?,
            known: adapters.map(|one| (Arc::clone(&one.name), Arc::clone(&one.payer))).collect(),
            notes,
        };
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        Ok(())
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who is asked at a hospital now.
    pub fn at(&self, hospital: &str) -> Arc<Payers> {
        let table = self.table();
        Arc::clone(table.at.get(hospital).unwrap_or(&table.elsewhere))
    }

    /// Those a stay began with. One that is not configured any more answers that it is not.
    pub fn under(&self, assigned: &Assigned) -> Arc<Payers> {
        let table = self.table();
        let mut adapters: Vec<Adapter> = Vec::new();
        for (payer, name) in &assigned.by {
            match adapters.iter_mut().find(|adapter| adapter.name == *name) {
                Some(adapter) => adapter.serves.push(payer.clone()),
                None => {
                    let (name, serves) = (Arc::clone(name), vec![payer.clone()]);
                    adapters.push(Adapter { payer: table.named(&name), name, serves });
                }
            }
        }
        // A payer stands once in what was assigned.
        let payers = Payers::of_adapters(adapters, Vec::new(), assigned.passed_over.clone());
        payers.map(Arc::new).unwrap_or_default()
    }

    /// The adapter of this name; one that is not configured answers that it is not.
    pub fn named(&self, name: &Arc<str>) -> Arc<dyn Payer> {
        self.table().named(name)
    }

    /// The same, where it is configured.
    pub fn known(&self, name: &Arc<str>) -> Option<Arc<dyn Payer>> {
        self.table().known.get(name).cloned()
    }

    /// What an operator should know of the adapters.
    pub fn notes(&self) -> Vec<Text> {
        self.table().notes.clone()
    }

    /// Shadows are asked some time; what was settled does not wait for them.
    pub(super) fn compare(&self, shadowed: Vec<Shadowed>) {
        if let Some(comparing) = &self.comparing {
            shadowed.into_iter().for_each(|one| comparing(one));
        }
    }
}

impl Table {
    fn named(&self, name: &Arc<str>) -> Arc<dyn Payer> {
        let known = self.known.get(name).cloned();
        known.unwrap_or_else(|| Arc::new(Absent::not_configured(name, Vec::new())))
    }
}

fn named_hospitals(registered: &[Registered]) -> BTreeSet<Arc<str>> {
    let named = registered.iter().filter_map(|one| match &one.mode {
        Mode::Canary(hospitals) => Some(hospitals),
        Mode::Off | Mode::Shadow | Mode::Primary => None,
    });
    named.flatten().cloned().collect()
}

/// Absent hospital: one that no adapter names.
fn payers_at(registered: &[Registered], hospital: Option<&Arc<str>>) -> Result<Payers, PayersError> {
    let (mut adapters, mut shadows, mut passed_over) = (Vec::new(), Vec::new(), Vec::new());
    for one in registered {
        let is_chosen = match &one.mode {
            Mode::Primary => true,
            Mode::Canary(hospitals) => hospital.is_some_and(|hospital| hospitals.contains(hospital)),
            Mode::Off | Mode::Shadow => false,
        };
        match (&one.fallen, &one.unproven) {
            (None, None) if is_chosen => {
                adapters.push(one.adapter.clone());
                continue;
            }
            (None, Some(_)) if is_chosen => shadows.push(one.adapter.clone()),
            (None, _) if one.mode == Mode::Shadow => shadows.push(one.adapter.clone()),
            (None | Some(_), _) => {}
        }
        passed_over.extend(one.passed_over(is_chosen));
    }
    Payers::of_adapters(adapters, shadows, passed_over)
}

impl Registered {
    /// Rules that stand in for an adapter as they are meant to are worth no word; all else is.
    fn passed_over(&self, is_chosen: bool) -> Vec<PassedOver> {
        let why = match (self.fallen.as_ref().or(self.unproven.as_ref()), self.otherwise) {
            (Some(why), _) if is_chosen => why.clone(),
            (_, Otherwise::Rules) => return Vec::new(),
            (_, Otherwise::LeftOut) => Text::new("尚未启用", "it is not in use yet"),
        };
        let passed_over = |payer: &PayerCode| PassedOver {
            payer: payer.clone(),
            adapter: Arc::clone(&self.adapter.name),
            is_left_out: self.otherwise == Otherwise::LeftOut,
            why: why.clone(),
        };
        self.adapter.serves.iter().map(passed_over).collect()
    }
}
