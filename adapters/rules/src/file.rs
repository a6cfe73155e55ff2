//! A policy file as it is written: every key, nothing checked but its shape.
//!
//! Figures are text (`"300.00"`) or a table `{ value, mark, clause }`; `"none"` takes an inherited figure
//! away. [`crate::check`] turns this into a [`crate::Policy`].

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, de};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyFile {
    pub(crate) name: String,
    pub(crate) title: RawText,
    pub(crate) region: String,
    pub(crate) from: String,
    pub(crate) to: Option<String>,
    pub(crate) extends: Option<String>,
    #[serde(default)]
    pub(crate) attested_by: String,
    pub(crate) clause: Option<String>,
    #[serde(default)]
    pub(crate) sources: BTreeMap<String, String>,
    pub(crate) categories: Option<Vec<RawNamed>>,
    #[serde(default)]
    pub(crate) settings: RawSettings,
    #[serde(default)]
    pub(crate) orders: RawOrders,
    #[serde(default)]
    pub(crate) payers: BTreeMap<String, RawPayer>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawText {
    pub(crate) zh: String,
    pub(crate) en: String,
}

/// A code of a list with its name in both languages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawNamed {
    pub(crate) code: String,
    pub(crate) zh: String,
    pub(crate) en: String,
    pub(crate) mark: Option<String>,
    pub(crate) clause: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSettings {
    pub(crate) identity_on: Option<String>,
    pub(crate) covers_residents: Option<bool>,
    pub(crate) benefit_year: Option<String>,
    pub(crate) min_patient_share: Option<RawFigure>,
    pub(crate) share_tolerance: Option<RawFigure>,
    pub(crate) target_tolerance: Option<RawFigure>,
    pub(crate) out_of_catalogue_limit: Option<RawFigure>,
    pub(crate) visit_classes: Option<Vec<String>>,
    pub(crate) specified_accidents: Option<Vec<RawNamed>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawOrders {
    pub(crate) illness: Option<Vec<String>>,
    pub(crate) accident: Option<Vec<String>>,
    pub(crate) clause: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPayer {
    pub(crate) zh: Option<String>,
    pub(crate) en: Option<String>,
    pub(crate) clause: Option<String>,
    pub(crate) note: Option<RawText>,
    pub(crate) categories: Option<Vec<String>>,
    pub(crate) cover: Option<String>,
    pub(crate) specified_accidents_only: Option<bool>,
    pub(crate) pays_with_liable_third_party: Option<bool>,
    pub(crate) standing: Option<String>,
    pub(crate) accumulator: Option<String>,
    pub(crate) base: Option<String>,
    pub(crate) items: Option<BTreeMap<String, RawFigure>>,
    pub(crate) cumulative: Option<bool>,
    pub(crate) premium: Option<RawFigure>,
    pub(crate) death_benefit: Option<RawFigure>,
    pub(crate) disability_benefit: Option<RawFigure>,
    pub(crate) cover_from: Option<String>,
    pub(crate) cover_to: Option<String>,
    pub(crate) deductible: Option<RawFigure>,
    pub(crate) ratio: Option<RawFigure>,
    pub(crate) bands: Option<Vec<RawBand>>,
    pub(crate) target: Option<RawFigure>,
    pub(crate) stay_cap: Option<RawFigure>,
    pub(crate) annual_cap: Option<RawFigure>,
    pub(crate) upfront_share: Option<RawFigure>,
    pub(crate) ratio_points: Option<RawFigure>,
    pub(crate) variants: Option<Vec<RawVariant>>,
}

/// `cumulative` is no key here: it cannot vary.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawVariant {
    pub(crate) when: RawWhen,
    pub(crate) clause: Option<String>,
    pub(crate) deductible: Option<RawFigure>,
    pub(crate) ratio: Option<RawFigure>,
    pub(crate) bands: Option<Vec<RawBand>>,
    pub(crate) target: Option<RawFigure>,
    pub(crate) stay_cap: Option<RawFigure>,
    pub(crate) annual_cap: Option<RawFigure>,
    pub(crate) upfront_share: Option<RawFigure>,
    pub(crate) ratio_points: Option<RawFigure>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawWhen {
    pub(crate) categories: Option<Vec<String>>,
    pub(crate) levels: Option<Vec<u8>>,
    pub(crate) admission_from: Option<u32>,
    pub(crate) admission_to: Option<u32>,
    pub(crate) out_of_area: Option<bool>,
    pub(crate) referral: Option<Vec<String>>,
    pub(crate) cause: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawBand {
    /// Upper edge, counted from zero; absent on the last band only.
    pub(crate) to: Option<String>,
    pub(crate) ratio: String,
    pub(crate) mark: Option<String>,
    pub(crate) clause: Option<String>,
}

/// A number as text, with where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct RawFigure {
    pub(crate) value: String,
    pub(crate) mark: Option<String>,
    pub(crate) clause: Option<String>,
}

impl<'de> Deserialize<'de> for RawFigure {
    /// An untagged enum would answer "did not match any variant"; this names what is expected.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            value: String,
            mark: Option<String>,
            clause: Option<String>,
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = RawFigure;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a figure as text such as \"300.00\", or { value = \"300.00\", mark, clause }")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawFigure, E> {
                Ok(RawFigure { value: text.to_owned(), mark: None, clause: None })
            }
            fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<RawFigure, M::Error> {
                let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(RawFigure { value: table.value, mark: table.mark, clause: table.clause })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The figures a payer entry and each of its variants may state.
#[derive(Clone, Copy)]
pub(crate) struct RawTerms<'a> {
    pub(crate) deductible: Option<&'a RawFigure>,
    pub(crate) ratio: Option<&'a RawFigure>,
    pub(crate) bands: Option<&'a [RawBand]>,
    pub(crate) target: Option<&'a RawFigure>,
    pub(crate) stay_cap: Option<&'a RawFigure>,
    pub(crate) annual_cap: Option<&'a RawFigure>,
    pub(crate) upfront_share: Option<&'a RawFigure>,
    pub(crate) ratio_points: Option<&'a RawFigure>,
}

macro_rules! terms_of {
    ($type:ident) => {
        impl $type {
            pub(crate) fn terms(&self) -> RawTerms<'_> {
                RawTerms {
                    deductible: self.deductible.as_ref(),
                    ratio: self.ratio.as_ref(),
                    bands: self.bands.as_deref(),
                    target: self.target.as_ref(),
                    stay_cap: self.stay_cap.as_ref(),
                    annual_cap: self.annual_cap.as_ref(),
                    upfront_share: self.upfront_share.as_ref(),
                    ratio_points: self.ratio_points.as_ref(),
                }
            }
        }
    };
}

terms_of!(RawPayer);
terms_of!(RawVariant);

/// Fields `$own` leaves out are taken from `$parent`.
macro_rules! inherit {
    ($own:expr, $parent:expr; $($field:ident),+) => {
        $(if $own.$field.is_none() { $own.$field.clone_from(&$parent.$field); })+
    };
}

impl PolicyFile {
    /// A city over its province: what this file does not state, `parent` does; payers field by field.
    /// Who it is, its period and its attestation are never inherited.
    pub(crate) fn inherit_from(&mut self, parent: &PolicyFile) {
        inherit!(self, parent; clause, categories);
        inherit!(self.orders, parent.orders; illness, accident, clause);
        inherit!(self.settings, parent.settings; identity_on, covers_residents, benefit_year, min_patient_share,
            share_tolerance, target_tolerance, out_of_catalogue_limit, visit_classes, specified_accidents);
        for (key, source) in &parent.sources {
            self.sources.entry(key.clone()).or_insert_with(|| source.clone());
        }
        for (code, payer) in &parent.payers {
            self.payers.entry(code.clone()).or_default().inherit_from(payer);
        }
    }
}

impl RawPayer {
    fn inherit_from(&mut self, parent: &RawPayer) {
        // Ratio and bands are one field: stating either replaces both.
        if self.ratio.is_none() && self.bands.is_none() {
            inherit!(self, parent; ratio, bands);
        }
        inherit!(self, parent; zh, en, clause, note, categories, cover, specified_accidents_only,
            pays_with_liable_third_party, standing, accumulator, base, items, cumulative, premium,
            death_benefit, disability_benefit, cover_from, cover_to, deductible, target, stay_cap,
            annual_cap, upfront_share, ratio_points, variants);
    }
}
