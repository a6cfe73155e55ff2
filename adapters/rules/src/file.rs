//! A policy file as it is written: every key, nothing checked but its shape.
//!
//! Whatever settles money may say where it comes from ([`Marked`]); `"none"` takes an inherited figure away.
//! [`crate::inherit`] lays a city's file over its province's, [`crate::check`] turns it into a
//! [`crate::Policy`].

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::marked::{Marked, RawFigure};

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
    pub(crate) identity_on: Option<RawFigure>,
    pub(crate) covers_residents: Option<Marked<bool>>,
    pub(crate) benefit_year: Option<String>,
    pub(crate) min_patient_share: Option<RawFigure>,
    pub(crate) share_tolerance: Option<RawFigure>,
    pub(crate) target_tolerance: Option<RawFigure>,
    pub(crate) out_of_catalogue_limit: Option<RawFigure>,
    pub(crate) visit_classes: Option<Marked<Vec<String>>>,
    pub(crate) specified_accidents: Option<Vec<RawNamed>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawOrders {
    pub(crate) illness: Option<Marked<Vec<String>>>,
    pub(crate) accident: Option<Marked<Vec<String>>>,
    /// Of both orders, where they state none themselves.
    pub(crate) mark: Option<String>,
    pub(crate) clause: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPayer {
    pub(crate) zh: Option<String>,
    pub(crate) en: Option<String>,
    pub(crate) clause: Option<String>,
    pub(crate) note: Option<RawText>,
    pub(crate) categories: Option<Marked<Vec<String>>>,
    pub(crate) cover: Option<RawFigure>,
    pub(crate) specified_accidents_only: Option<Marked<bool>>,
    pub(crate) pays_with_liable_third_party: Option<Marked<bool>>,
    pub(crate) standing: Option<RawFigure>,
    pub(crate) accumulator: Option<RawFigure>,
    pub(crate) base: Option<RawFigure>,
    pub(crate) items: Option<BTreeMap<String, RawFigure>>,
    pub(crate) cumulative: Option<Marked<bool>>,
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
    /// That these stays and no others are meant.
    pub(crate) mark: Option<String>,
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
