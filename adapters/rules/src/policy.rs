//! A checked policy: a type that cannot be wrong. Made by [`crate::check`] only.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use yizhan_contract::claim::HospitalLevel;
use yizhan_contract::stay::{CauseKind, Referral, VisitClass};
use yizhan_contract::{Money, PayerCode, Ratio, Text};

/// Where a figure comes from. A figure without any is printed as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// A stored public page or file; the key stands in the policy's `[sources]`.
    Source(Arc<str>),
    /// The provincial plan itself.
    Plan,
    /// From memory, unverified.
    Knowledge,
    /// A design default without authority.
    Assumed,
    /// Arithmetic on sourced figures.
    Derived,
}

impl Mark {
    /// In words, for who reads the policy without its file.
    pub fn text(&self) -> Text {
        match self {
            Self::Source(key) => Text::new(format!("出处 {key}"), format!("source {key}")),
            Self::Plan => Text::new("方案原文", "the plan itself"),
            Self::Knowledge => Text::new("据记忆，未核实", "from memory, unverified"),
            Self::Assumed => Text::new("设计假定，无依据", "assumed, no authority"),
            Self::Derived => Text::new("由有出处的数字推算", "derived from sourced figures"),
        }
    }
}

/// Something a policy states, with its mark and the clause behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure<T> {
    pub value: T,
    pub mark: Option<Mark>,
    pub clause: Arc<str>,
}

/// What a payer's formula starts from, and what its payment is taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseKind {
    /// The in-scope remainder.
    Scope,
    /// The out-of-scope remainder.
    OutOfScope,
    /// All that is left to the patient.
    Patient,
    /// A share of each line of the listed categories.
    Items,
}

impl BaseKind {
    pub const ALL: [Self; 4] = [Self::Scope, Self::OutOfScope, Self::Patient, Self::Items];

    pub fn word(self) -> &'static str {
        match self {
            Self::Scope => "scope",
            Self::OutOfScope => "out_of_scope",
            Self::Patient => "patient",
            Self::Items => "items",
        }
    }
}

/// Whether a payer gives way so that the patient pays something (杜绝零自付).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Statutory,
    Discretionary,
}

/// Whose book of yearly sums decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccumulatorKeeper {
    Gateway,
    /// The payer's own system counts; ours is a guard.
    Payer,
}

/// The day that decides entitlement, category and cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityOn {
    Discharge,
    Admission,
}

/// One band; it starts where the one before ends, the first at zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Band {
    pub from: Money,
    /// Absent on the last band, and only there.
    pub to: Option<Money>,
    pub ratio: Figure<Ratio>,
}

/// The figures of one payer for one kind of stay. An absent limit is no limit; 0 is a limit of zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub deductible: Option<Figure<Money>>,
    /// Never empty, edges rising, the last without end.
    pub bands: Vec<Band>,
    /// Of the in-scope total.
    pub target: Option<Figure<Ratio>>,
    pub stay_cap: Option<Figure<Money>>,
    pub annual_cap: Option<Figure<Money>>,
    /// Out of area only: withheld from the base.
    pub upfront_share: Option<Figure<Ratio>>,
    /// Out of area only: taken off every band's ratio.
    pub ratio_points: Option<Figure<Ratio>>,
}

/// When a variant applies; an empty list or absent bound asks nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    pub categories: Vec<Arc<str>>,
    pub levels: Vec<HospitalLevel>,
    pub admission_from: Option<u32>,
    pub admission_to: Option<u32>,
    pub out_of_area: Option<bool>,
    pub referral: Vec<Referral>,
    pub cause: Option<CauseKind>,
    pub mark: Option<Mark>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    pub when: When,
    pub clause: Arc<str>,
    /// The payer's terms with this variant's figures laid over them.
    pub terms: Terms,
}

/// What the contract of an insurance line promises beyond the bedside; checked against the floors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Insurance {
    /// Yuan per person and year.
    pub premium: Option<Figure<Money>>,
    pub death_benefit: Option<Figure<Money>>,
    pub disability_benefit: Option<Figure<Money>>,
    pub cover_from: Option<Date>,
    pub cover_to: Option<Date>,
}

/// One payer of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayerRule {
    pub code: PayerCode,
    pub name: Text,
    pub clause: Arc<str>,
    /// For people who read the policy; no effect.
    pub note: Option<Text>,
    /// The person must belong to one of these on the identity day; absent: anybody.
    pub categories: Option<Figure<Vec<Arc<str>>>>,
    /// The person must hold this cover on the identity day.
    pub cover: Option<Figure<Arc<str>>>,
    pub specified_accidents_only: Figure<bool>,
    /// By default `disaster` and `accident` only.
    pub pays_with_liable_third_party: Figure<bool>,
    pub standing: Figure<Standing>,
    pub accumulator: Figure<AccumulatorKeeper>,
    pub base: Figure<BaseKind>,
    /// Category and the share of its lines that counts; only for [`BaseKind::Items`].
    pub items: Vec<(Arc<str>, Figure<Ratio>)>,
    /// The bands run over the year's bases, not over this stay's alone.
    pub cumulative: Figure<bool>,
    pub insurance: Insurance,
    pub terms: Terms,
    pub variants: Vec<Variant>,
}

impl PayerRule {
    /// Whether an annual cap rests on the gateway's own count alone.
    pub fn is_capped_by_gateway(&self) -> bool {
        let all_terms =
            || std::iter::once(&self.terms).chain(self.variants.iter().map(|variant| &variant.terms));
        self.accumulator.value == AccumulatorKeeper::Gateway
            && all_terms().any(|terms| terms.annual_cap.is_some())
    }
}

/// A code of a list with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub code: Arc<str>,
    pub name: Text,
    pub mark: Option<Mark>,
    pub clause: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub identity_on: Figure<IdentityOn>,
    /// Whether a person who is not on the roster is settled as an ordinary resident.
    pub covers_residents: Figure<bool>,
    /// At least 0.01.
    pub min_patient_share: Figure<Money>,
    /// How far the patient's share may rise between quote and commit.
    pub share_tolerance: Figure<Money>,
    pub target_tolerance: Figure<Ratio>,
    /// Of self-funded cost in the total.
    pub out_of_catalogue_limit: Option<Figure<Ratio>>,
    /// Visits of other classes are not settled.
    pub visit_classes: Figure<Vec<VisitClass>>,
    pub specified_accidents: Vec<Named>,
}

/// A dated policy of one region. Read one with [`crate::PolicyShelf`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) label: Arc<str>,
    pub(crate) file: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) title: Text,
    pub(crate) region: Arc<str>,
    pub(crate) from: Date,
    pub(crate) to: Option<Date>,
    pub(crate) extends: Option<Arc<str>>,
    pub(crate) attested_by: Arc<str>,
    pub(crate) texts: Vec<(Arc<str>, Arc<str>)>,
    pub(crate) clause: Arc<str>,
    pub(crate) sources: BTreeMap<Arc<str>, Arc<str>>,
    pub(crate) categories: Vec<Named>,
    pub(crate) settings: Settings,
    pub(crate) illness: Figure<Vec<Arc<PayerRule>>>,
    pub(crate) accident: Figure<Vec<Arc<PayerRule>>>,
}

impl Policy {
    /// `name@date#` and the first 12 hex digits of the SHA-256 of the file's text. Where a policy extends
    /// another, the texts of its parents follow its own, nearest first: their figures are its figures.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn title(&self) -> &Text {
        &self.title
    }

    /// The file it was read from, as the caller named it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What it was read from, files and their texts, its own first and then those it extends: read again they make
    /// the same policy under the same label.
    pub fn texts(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.texts
    }

    /// Prefix of the insured regions it is for: province (2 digits), prefecture (4) or county (6).
    pub fn region(&self) -> &str {
        &self.region
    }

    /// First day.
    pub fn from(&self) -> Date {
        self.from
    }

    /// Last day, itself included.
    pub fn to(&self) -> Option<Date> {
        self.to
    }

    /// Who vouches for the figures; empty: a sample (示例参数，非官方标准).
    pub fn attested_by(&self) -> &str {
        &self.attested_by
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Person categories by precedence: of several, a bill prints the first.
    pub fn categories(&self) -> &[Named] {
        &self.categories
    }

    pub fn category(&self, code: &str) -> Option<&Named> {
        self.categories.iter().find(|category| *category.code == *code)
    }

    /// A category in words; its code where the policy does not list it.
    pub(crate) fn category_name(&self, code: &str) -> Text {
        self.category(code).map_or_else(|| Text::new(code, code), |category| category.name.clone())
    }

    /// Whether the kind of accident is one of the specified ones; a hospital may write its code or its Chinese word.
    pub fn lists_accident(&self, kind: &str) -> bool {
        let listed = &self.settings.specified_accidents;
        listed.iter().any(|accident| *accident.code == *kind || *accident.name.zh == *kind)
    }

    /// The payers in their order.
    pub fn order(&self, cause: CauseKind) -> &[Arc<PayerRule>] {
        match cause {
            CauseKind::Illness => &self.illness.value,
            CauseKind::Accident => &self.accident.value,
        }
    }

    /// Every payer of either order, once.
    pub fn payers(&self) -> impl Iterator<Item = &Arc<PayerRule>> {
        let [illness, accident] = [&self.illness.value, &self.accident.value];
        let illness_has = |code: &PayerCode| illness.iter().any(|rule| rule.code == *code);
        illness.iter().chain(accident.iter().filter(move |rule| !illness_has(&rule.code)))
    }

    pub fn payer(&self, code: &PayerCode) -> Option<&Arc<PayerRule>> {
        self.payers().find(|rule| rule.code == *code)
    }

    pub fn holds_on(&self, day: Date) -> bool {
        self.from <= day && self.to.is_none_or(|last| day <= last)
    }

    pub(crate) fn shares_a_day_with(&self, other: &Policy) -> bool {
        self.to.is_none_or(|last| other.from <= last) && other.to.is_none_or(|last| self.from <= last)
    }
}
