//! The load: stays as hospitals send them, the same for the same seed.
//!
//! Any stay can be made from its number alone, so clients take numbers and the gate makes a stay once more
//! to know what it should have cost. [`hospitals`] and [`people`] say who sends and who is ill, [`charges`]
//! what it costs, [`messages`] writes it down in one of the [`dialect`]s, [`client`] sends it
//! and [`read`]s the answer.

mod chance;
mod charges;
pub(super) mod client;
mod dialect;
mod hl7;
mod hl7_xml;
mod hospitals;
mod messages;
mod own_places;
mod own_xml;
mod people;
mod read;
mod said;

use jiff::civil::{Date, date};
use yizhan_contract::Money;

use crate::roster::RosterRow;
use crate::sheet::Problem;
use chance::Chance;
use charges::Charge;
pub(super) use dialect::Dialect;
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
    told: Told,
    /// Documents name the line that a credit takes back; HL7 has no place for that.
    names_credits: bool,
    /// First admissions of the years that stays fall in.
    first_days: &'static [Date],
}

/// In which dialects stays are told.
#[derive(Debug)]
enum Told {
    /// How often in each.
    Often([(Dialect, u64); 3]),
    /// One after the other; no number is drawn, so that a stay is the same in whichever.
    InTurn(Vec<Dialect>),
}

impl Told {
    fn dialect(&self, stay: u64, chance: &mut Chance) -> Dialect {
        match self {
            Self::Often(dialects) => dialects[chance.weighed(&dialects.map(|(_, often)| often))].0,
            Self::InTurn(dialects) => dialects[(stay % dialects.len() as u64) as usize],
        }
    }
}

/// One stay, whole.
#[derive(Debug)]
pub(super) struct Stay<'w> {
    pub(super) number: u64,
    pub(super) hospital: &'w SendingHospital,
    pub(super) person: Person,
    pub(super) visit: String,
    admitted: Date,
    discharged: Date,
    accident: Option<&'static str>,
    /// Fen.
    deposit: u64,
    charges: Vec<Charge>,
    pub(super) dialect: Dialect,
    names_credits: bool,
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
        let told = Told::Often([(Dialect::Json, 40), (Dialect::Xml, 20), (Dialect::Hl7, 40)]);
        let first_days = &FIRST_DAYS;
        Self { seed, tag, hospitals, weights, population, told, names_credits: true, first_days }
    }

    /// One-shot documents only: their answer waits for outside payers, which an acknowledgement never does.
    pub(super) fn of_documents(self) -> Self {
        Self { told: Told::Often([(Dialect::Json, 60), (Dialect::Xml, 40), (Dialect::Hl7, 0)]), ..self }
    }

    /// Sent by these hospitals in these dialects, one after the other; a stay means the same in every one of them.
    /// There must be one of each.
    pub(super) fn in_dialects(
        seed: u64,
        hospitals: Vec<SendingHospital>,
        people: u64,
        dialects: Vec<Dialect>,
    ) -> Self {
        let (tag, told) = (format!("S{seed:x}"), Told::InTurn(dialects));
        Self { tag, told, names_credits: false, ..Self::of(seed, hospitals, people) }
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
        let hospital = &self.hospitals[chance.weighed(&self.weights)];
        let accident = chance.is_percent(ACCIDENT_PERCENT).then(|| *chance.pick(&ACCIDENTS));
        let dialect = match self.told.dialect(number, &mut chance) {
            Dialect::Hl7 if hospital.writes_gb18030 => Dialect::Hl7Gb18030,
            dialect => dialect,
        };
        let charges = charges::charges(&mut chance, admitted, nights, keeps_coming);
        Stay {
            number,
            hospital,
            person,
            visit: format!("{}-{number}", self.tag),
            admitted,
            discharged: later(admitted, nights),
            accident,
            deposit,
            dialect,
            names_credits: self.names_credits,
            charges,
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
