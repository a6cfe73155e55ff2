//! A discharge in normal form: what every message format is translated into.
//!
//! The names are those of `schemas/discharge.schema.json` and `schemas/discharge.xsd`. Values are
//! already checked: a [`Discharge`] that exists can be settled.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

use crate::finding::Text;
use crate::money::{Money, Quantity, Ratio, UnitPrice};
use crate::person::{Health, IdNumber, Personal};
use crate::step::PayerCode;

/// Civil dates of policy and hospital are dates in Asia/Shanghai, UTC+8 all year.
pub const CIVIL_OFFSET: Offset = Offset::constant(8);

/// The civil date in Asia/Shanghai at an instant.
pub fn civil_date(at: Timestamp) -> Date {
    at.to_zoned_datetime(TimeZone::fixed(CIVIL_OFFSET)).date()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discharge {
    pub message_id: String,
    pub sent_at: Timestamp,
    /// The hospital's code on the 医保 platform (fixmedins_code), or the code its profile gives it.
    pub hospital: String,
    /// 统筹区, six digits; absent: roster, then the hospital's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insured_region: Option<String>,
    pub visit: Visit,
    pub patient: Patient,
    pub cause: Cause,
    pub third_party_liable: bool,
    pub referral: Referral,
    pub diagnoses: Vec<Diagnosis>,
    pub lines: Vec<Line>,
    pub settled_elsewhere: Vec<SettledElsewhere>,
    pub stated: Stated,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposit: Option<Money>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    pub number: String,
    pub admitted: Moment,
    pub discharged: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ward: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bed: Option<String>,
    pub class: VisitClass,
}

/// A civil date in Asia/Shanghai, with the time of day where the sender gave one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment {
    pub date: Date,
    pub time: Option<Time>,
}

impl Moment {
    pub fn on(date: Date) -> Self {
        Self { date, time: None }
    }

    /// An instant as the wall clock in Shanghai shows it.
    pub fn at(instant: Timestamp) -> Self {
        let civil = instant.to_zoned_datetime(TimeZone::fixed(CIVIL_OFFSET)).datetime();
        Self { date: civil.date(), time: Some(civil.time()) }
    }

    /// Whether `self` lies before `other`; where one has no time of day, days are compared.
    pub fn is_before(self, other: Self) -> bool {
        match (self.time, other.time) {
            (Some(a), Some(b)) => (self.date, a) < (other.date, b),
            _ => self.date < other.date,
        }
    }

    /// The earliest instant it can mean.
    pub fn earliest(self) -> Option<Timestamp> {
        let civil = DateTime::from_parts(self.date, self.time.unwrap_or(Time::midnight()));
        CIVIL_OFFSET.to_timestamp(civil).ok()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            Some(time) => write!(f, "{}T{time}", self.date),
            None => write!(f, "{}", self.date),
        }
    }
}

impl FromStr for Moment {
    type Err = jiff::Error;

    /// `2020-06-24`, `2020-06-24T10:30:00` (Shanghai), or with an offset, which is converted.
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(Self::at(instant));
        }
        if text.len() <= "2020-06-24".len() {
            return Ok(Self::on(text.parse()?));
        }
        let civil: DateTime = text.parse()?;
        Ok(Self { date: civil.date(), time: Some(civil.time()) })
    }
}

impl Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A word of a closed list, as it stands in JSON, XML and value maps.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every word of the list.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words!(
    /// HL7 PV1-2 in words.
    VisitClass { Inpatient = "inpatient", Outpatient = "outpatient", Emergency = "emergency" }
);
impl VisitClass {
    pub fn text(self) -> Text {
        match self {
            Self::Inpatient => Text::new("住院", "inpatient"),
            Self::Outpatient => Text::new("门诊", "outpatient"),
            Self::Emergency => Text::new("急诊", "emergency"),
        }
    }
}

words!(
    /// HL7 table 0001 in words.
    Sex { Male = "male", Female = "female", Other = "other", Unknown = "unknown" }
);
words!(CauseKind { Illness = "illness", Accident = "accident" });
impl CauseKind {
    pub fn text(self) -> Text {
        match self {
            Self::Illness => Text::new("疾病", "illness"),
            Self::Accident => Text::new("意外伤害", "accident"),
        }
    }
}

words!(
    /// How the patient came to a hospital outside the insured region.
    Referral { None = "none", Referred = "referred", Unreferred = "unreferred", Emergency = "emergency" }
);
impl Referral {
    pub fn text(self) -> Text {
        match self {
            Self::None => Text::new("未说明", "not stated"),
            Self::Referred => Text::new("经转诊", "referred"),
            Self::Unreferred => Text::new("未经转诊", "unreferred"),
            Self::Emergency => Text::new("急诊", "emergency"),
        }
    }
}

words!(
    /// 甲/乙/丙 of the catalogue (chrgitm_lv 01/02/03).
    CatalogueClass { A = "A", B = "B", C = "C" }
);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patient {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_number: Option<Personal<IdNumber>>,
    /// The hospital's own patient number; identifies a patient without an identity card.
    pub mrn: Personal<String>,
    pub name: Personal<String>,
    pub sex: Sex,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<Personal<Date>>,
    /// Insurance card number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Personal<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub kind: CauseKind,
    /// Such as `drowning`, `electric_shock`; the policy lists which of them disaster insurance pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accident_type: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    pub code: Personal<Health>,
    #[serde(default)]
    pub name: Personal<Health>,
    #[serde(default)]
    pub principal: bool,
}

/// One charge or credit. `amount` is as the sender wrote it; a charge with a negative amount is a credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub id: String,
    pub date: Date,
    pub code: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub quantity: Quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<UnitPrice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<CatalogueClass>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upfront_ratio: Option<Ratio>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<UnitPrice>,
    /// The line this one takes back (退费), whole or in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_of: Option<String>,
    /// Marked as a credit by the sender (FT1-6 `CD`), whatever its sign.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub credit: bool,
}

/// What a payer has already settled through another system.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SettledElsewhere {
    pub payer: PayerCode,
    pub amount: Money,
    pub reference: String,
}

/// Figures the sender binds itself to; ours must equal them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stated {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_share: Option<Money>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_civil_in_shanghai() {
        for (text, written) in [
            ("2020-06-24", "2020-06-24"),
            ("2020-06-24T10:30:00", "2020-06-24T10:30:00"),
            ("2020-06-24T20:30:00Z", "2020-06-25T04:30:00"),
            ("2020-06-24T10:30:00+08:00", "2020-06-24T10:30:00"),
        ] {
            assert_eq!(text.parse::<Moment>().unwrap().to_string(), written);
        }
        assert!("2020-02-30".parse::<Moment>().is_err());
        assert!("20200624T103".parse::<Moment>().is_err());
    }

    #[test]
    fn a_diagnosis_shows_nothing_of_itself() {
        let sent = r#"{"code":"F20.000","name":"精神分裂症","principal":true}"#;
        let diagnosis: Diagnosis = serde_json::from_str(sent).unwrap();
        let shown = format!("{diagnosis:?} {}", serde_json::to_string(&diagnosis).unwrap());
        assert!(shown.contains("principal") && !shown.contains('F') && !shown.contains('精'), "{shown}");
        assert_eq!(crate::revealing(|| serde_json::to_string(&diagnosis).unwrap()), sent);
    }

    #[test]
    fn days_decide_where_a_time_is_missing() {
        let moment = |text: &str| text.parse::<Moment>().unwrap();
        assert!(!moment("2020-06-24").is_before(moment("2020-06-24T08:00:00")));
        assert!(moment("2020-06-24T08:00:00").is_before(moment("2020-06-24T09:00:00")));
        assert!(moment("2020-06-23T23:00:00").is_before(moment("2020-06-24")));
    }
}
