//! The load: stays as hospitals send them, the same for the same seed.
//!
//! Any stay can be made from its number alone, so clients take numbers and the gate makes a stay once more
//! to know what it should have cost. [`hospitals`] and [`people`] say who sends and who is ill, [`charges`]
//! what it costs, [`messages`] writes it down, [`client`] sends it.

mod chance;
mod charges;
pub(super) mod client;
mod hospitals;
mod messages;
mod people;

use jiff::civil::{Date, date};
use yizhan_contract::Money;

use crate::roster::RosterRow;
use crate::sheet::Problem;
use chance::Chance;
use charges::Charge;
pub(super) use hospitals::{SendingHospital, profiles};
pub(super) use messages::{Outgoing, Port, Saying};
use people::{Person, Population};

/// Admissions of the policy's year that end within it.
const FIRST_DAYS: [Date; 1] = [date(2020, 1, 2)];
/// Of the years in a row that a policy of the whole province is shipped for.
const FIRST_DAYS_OF_YEARS: [Date; 2] = [date(2019, 1, 2), date(2020, 1, 2)];
const ADMISSION_DAYS: u64 = 320;
/// Days in hospital, by tenths of all stays.
const NIGHTS: [u64; 10] = [2, 3, 4, 5, 6, 7, 9, 11, 15, 28];
const ACCIDENT_PERCENT: u64 = 8;
const ACCIDENTS: [&str; 3] = ["drowning", "fire", "electric_shock"];
const DEPOSIT_PERCENT: u64 = 30;

/// Makes stays.
#[derive(Debug)]
pub(super) struct Workload {
    seed: u64,
    /// Begins every visit number and message id, so that two runs against one gateway do not meet.
    tag: String,
    hospitals: Vec<SendingHospital>,
    weights: Vec<u64>,
    population: Population,
    /// How often a stay is told in each of the three forms.
    forms: [u64; 3],
    /// First admissions of the years that stays fall in.
    first_days: &'static [Date],
}

/// How a hospital tells of a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One document over HTTP.
    Json,
    Xml,
    /// Charges, then the discharge, over MLLP.
    Hl7,
}

/// One stay, whole.
#[derive(Debug)]
pub(super) struct Stay<'w> {
    pub(super) number: u64,
    pub(super) hospital: &'w SendingHospital,
    pub(super) person: Person,
    visit: String,
    admitted: Date,
    discharged: Date,
    accident: Option<&'static str>,
    /// Fen.
    deposit: u64,
    charges: Vec<Charge>,
    form: Form,
}

impl Workload {
    /// Over sample hospitals, `people` of them on the roster.
    pub(super) fn sample(seed: u64, people: u64) -> Self {
        Self::of(seed, hospitals::samples(), people)
    }

    /// For a running gateway: one hospital, and nobody we know on its roster.
    pub(super) fn of_hospital(seed: u64, hospital: SendingHospital) -> Self {
        Self::of(seed, vec![hospital], 0)
    }

    fn of(seed: u64, hospitals: Vec<SendingHospital>, people: u64) -> Self {
        let weights = hospitals::weights(&hospitals);
        let (tag, population) = (format!("B{seed:x}"), Population::new(seed, people));
        Self { seed, tag, hospitals, weights, population, forms: [40, 20, 40], first_days: &FIRST_DAYS }
    }

    /// One-shot documents only: their answer waits for outside payers, which an acknowledgement never does.
    pub(super) fn of_documents(self) -> Self {
        Self { forms: [60, 40, 0], ..self }
    }

    /// As a store holds them after years.
    pub(super) fn over_years(self) -> Self {
        Self { first_days: &FIRST_DAYS_OF_YEARS, ..self }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn hospitals(&self) -> &[SendingHospital] {
        &self.hospitals
    }

    pub(super) fn roster(&self) -> impl Iterator<Item = Result<RosterRow, Vec<Problem>>> + Send + 'static {
        self.population.roster()
    }

    pub(super) fn stay(&self, number: u64) -> Stay<'_> {
        let mut chance = Chance::new(self.seed, number);
        let (person, keeps_coming) = self.population.of_stay(number, &mut chance);
        let nights = *chance.pick(&NIGHTS);
        let first_day = match self.first_days {
            [only] => *only,
            // No number is drawn where there is no choice: a seed's stays are the same with it and without.
            many => *chance.pick(many),
        };
        let admitted = later(first_day, chance.below(ADMISSION_DAYS));
        let deposit = if chance.is_percent(DEPOSIT_PERCENT) { chance.within(1..=20) * 50_000 } else { 0 };
        Stay {
            number,
            hospital: &self.hospitals[chance.weighed(&self.weights)],
            person,
            visit: format!("{}-{number}", self.tag),
            admitted,
            discharged: later(admitted, nights),
            accident: chance.is_percent(ACCIDENT_PERCENT).then(|| *chance.pick(&ACCIDENTS)),
            deposit,
            form: [Form::Json, Form::Xml, Form::Hl7][chance.weighed(&self.forms)],
            charges: charges::charges(&mut chance, admitted, nights, keeps_coming),
        }
    }
}

fn later(day: Date, days: u64) -> Date {
    day.saturating_add(jiff::Span::new().days(i64::try_from(days).unwrap_or_default()))
}

impl Stay<'_> {
    /// What the bill's total has to be: everything that was acknowledged.
    pub(super) fn total(&self) -> Money {
        self.charges
            .iter()
            .map(|charge| {
                let amount = fen(charge.amount());
                if charge.credit_of.is_some() { -amount } else { amount }
            })
            .sum()
    }
}

fn fen(fen: u64) -> Money {
    Money::from_fen(i64::try_from(fen).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
