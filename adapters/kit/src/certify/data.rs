//! The test data: people the adapter knows, and what it should say of them. Without a file, the simulated payer's.

use jiff::civil::Date;
use serde::Deserialize;
use yizhan_contract::person::{Entitlement, EntitlementKind, RosterEntry};
use yizhan_contract::{IdNumber, Money, PayerCode, Personal};
use yizhan_rules::toml_file::Mistake;

use crate::simulate::Magic;

/// What stands in a file of test data, for whoever wrote one that cannot be read.
const EXAMPLE: &str = "schemas/certify.example.toml";

/// A file of test data. What it leaves out is as it suits the simulated payer; but where it names people, there are no others
/// than those it names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestData {
    /// The hospital the stays are of.
    pub hospital: String,
    /// Six digits.
    pub hospital_region: String,
    pub insured_region: String,
    /// Day of discharge; absent: today.
    pub discharged: Option<Date>,
    /// Of each stay; all of it in scope.
    pub total: Money,
    /// The payer limits nobody's year: trials of caps do not apply.
    pub no_annual_cap: bool,
    pub people: People,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// Covered, and paid for.
    #[serde(default = "covered")]
    pub covered: TestPerson,
    pub not_covered: Option<TestPerson>,
    /// Covered, and yet refused, by quote or by commit.
    pub refused: Option<TestPerson>,
    /// Nobody the payer knows.
    pub unknown: Option<TestPerson>,
    /// Covered, and near the end of the year's cap: `left` says how near.
    pub capped: Option<TestPerson>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestPerson {
    pub id_number: Personal<IdNumber>,
    pub name: Option<Personal<String>>,
    pub card: Option<Personal<String>>,
    /// Categories of the roster, such as `entitled_out_of_poverty`.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Whose cap; absent: the first payer's that the adapter serves.
    pub payer: Option<PayerCode>,
    /// What is left of the year's cap when the kit begins.
    pub left: Option<Money>,
}

impl Default for TestData {
    fn default() -> Self {
        Self {
            hospital: "H99990001".to_owned(),
            hospital_region: "999900".to_owned(),
            insured_region: "999900".to_owned(),
            discharged: None,
            total: Money::from_fen(1_200_000),
            no_annual_cap: false,
            people: People::default(),
        }
    }
}

impl Default for People {
    fn default() -> Self {
        Self {
            covered: covered(),
            not_covered: Some(magic(Magic::NotCovered)),
            refused: Some(magic(Magic::RefusesCommit)),
            unknown: Some(magic(Magic::UnknownPerson)),
            capped: Some(magic(Magic::Capped)),
        }
    }
}

fn covered() -> TestPerson {
    magic(Magic::Covered)
}

fn magic(magic: Magic) -> TestPerson {
    let name = Some(Personal::new("测试甲".to_owned()));
    let card = Some(Personal::new("TEST0001".to_owned()));
    let id_number = Personal::new(magic.number().clone());
    TestPerson { id_number, name, card, categories: Vec::new(), payer: None, left: magic.annual_cap() }
}

impl TestData {
    /// # Errors
    /// What is wrong in the file, with its place.
    pub fn read(text: &str) -> Result<Self, Mistake> {
        let read = toml::Deserializer::parse(text).map_err(|why| Mistake::no_toml(text, &why, EXAMPLE))?;
        let data: Result<Self, _> = serde_path_to_error::deserialize(read);
        data.map_err(|why| Mistake::no_such_value(&why).in_line_of(text, why.inner()))
    }
}

impl TestPerson {
    /// What a roster would say of the person: every payer's cover for the year of the stay.
    pub(super) fn roster(&self, region: &str, covers: &[PayerCode], day: Date) -> RosterEntry {
        let year = |month, last| Date::new(day.year(), month, last).unwrap_or(day);
        let entitled = |kind, code: &str| Entitlement {
            kind,
            code: code.to_owned(),
            from: year(1, 1),
            to: Some(year(12, 31)),
        };
        let covers = covers.iter().map(|payer| entitled(EntitlementKind::Cover, payer.as_str()));
        let categories = self.categories.iter().map(|code| entitled(EntitlementKind::Category, code));
        RosterEntry { region: Some(region.to_owned()), entitlements: covers.chain(categories).collect() }
    }
}
