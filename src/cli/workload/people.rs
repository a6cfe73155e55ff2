//! Who is in hospital: people on the roster in several categories, a few of them again and again, and
//! people nobody knew.

use yizhan_contract::person::{Entitlement, EntitlementKind};
use yizhan_contract::{IdNumber, Personal};

use super::chance::Chance;
use crate::roster::RosterRow;
use crate::sheet::Problem;

/// Stays of a run among which the same few people come again and again.
const HOT_STAYS: u64 = 2_000;
/// How many of them there are before others take their place.
const HOT_PEOPLE: u64 = 24;
const HOT_PERCENT: u64 = 20;
const STRANGERS_PERCENT: u64 = 15;
/// Of these, how many show no identity card.
const WITHOUT_CARD_PERCENT: u64 = 20;
/// A person's numbers and traits belong to the person, not to the stay.
const TRAITS: u64 = 0x7065_6F70_6C65;
/// Birth dates of the generated people.
const DAYS: u64 = 28 * 12 * 60;

const CATEGORIES: [(&str, &[&str]); 6] = [
    ("entitled_out_of_poverty", &["supplementary", "accident"]),
    ("immediate_assistance", &["supplementary", "accident"]),
    ("low_income", &["supplementary"]),
    ("extreme_poverty", &[]),
    ("severe_disability", &["accident"]),
    ("resident", &["accident"]),
];
const CATEGORY_WEIGHTS: [u64; 6] = [25, 10, 10, 5, 5, 45];
const SURNAMES: [&str; 12] = ["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙"];
const GIVEN: [&str; 12] =
    ["建国", "桂兰", "秀英", "永强", "小满", "守田", "德顺", "玉芬", "长河", "晓燕", "志刚", "春梅"];

/// Somebody in hospital. Generated, so nothing of it is anybody's.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Person {
    /// The same number is the same person within a run.
    pub(in crate::cli) number: u64,
    pub(super) id_number: Option<String>,
    pub(super) name: String,
    pub(super) is_male: bool,
    pub(super) birth: String,
    category: usize,
}

/// Everybody a run may meet.
#[derive(Debug, Clone)]
pub(super) struct Population {
    seed: u64,
    on_roster: u64,
}

impl Population {
    pub(super) fn new(seed: u64, on_roster: u64) -> Self {
        Self { seed, on_roster }
    }

    /// Whose the stay is, and whether of somebody who keeps coming back.
    pub(super) fn of_stay(&self, stay: u64, chance: &mut Chance) -> (Person, bool) {
        if self.on_roster == 0 || chance.is_percent(STRANGERS_PERCENT) {
            return (self.stranger(stay, chance), false);
        }
        if chance.is_percent(HOT_PERCENT) {
            // The first of them twice as often as the middle.
            let rank = chance.below(HOT_PEOPLE).min(chance.below(HOT_PEOPLE));
            let number = (stay / HOT_STAYS * HOT_PEOPLE + rank) % self.on_roster;
            return (self.person(number), true);
        }
        (self.person(chance.below(self.on_roster)), false)
    }

    fn stranger(&self, stay: u64, chance: &mut Chance) -> Person {
        let person = self.person(self.on_roster + stay);
        let shows_card = !chance.is_percent(WITHOUT_CARD_PERCENT);
        Person { id_number: person.id_number.filter(|_| shows_card), ..person }
    }

    fn person(&self, number: u64) -> Person {
        let mut chance = Chance::new(self.seed ^ TRAITS, number);
        let (day, rest) = (number % DAYS, number / DAYS);
        let (year, month, date) = (1940 + day / 336, day / 28 % 12 + 1, day % 28 + 1);
        // Regions of the prefecture, then the sequence of those born there on one day.
        let seventeen = format!("{}{year}{month:02}{date:02}{:03}", 371_300 + rest % 90, (rest / 90) % 1_000);
        let is_male = seventeen.ends_with(['1', '3', '5', '7', '9']);
        Person {
            number,
            id_number: Some(format!("{seventeen}{}", check_character(&seventeen))),
            name: format!("{}{}", chance.pick(&SURNAMES), chance.pick(&GIVEN)),
            is_male,
            birth: format!("{year}-{month:02}-{date:02}"),
            category: chance.weighed(&CATEGORY_WEIGHTS),
        }
    }

    /// The roster as the bureau would send it.
    pub(super) fn roster(&self) -> impl Iterator<Item = Result<RosterRow, Vec<Problem>>> + Send + 'static {
        let population = self.clone();
        (0..self.on_roster).flat_map(move |number| rows(&population.person(number)))
    }
}

fn rows(person: &Person) -> Vec<Result<RosterRow, Vec<Problem>>> {
    let (category, covers) = CATEGORIES[person.category];
    let (from, to) = (jiff::civil::date(2020, 1, 1), jiff::civil::date(2020, 12, 31));
    let entitlements = std::iter::once((EntitlementKind::Category, category))
        .chain(covers.iter().map(|cover| (EntitlementKind::Cover, *cover)));
    let Some(id_number) = person.id_number.as_deref().and_then(|text| text.parse::<IdNumber>().ok()) else {
        return Vec::new();
    };
    entitlements
        .map(|(kind, code)| {
            Ok(RosterRow {
                line: person.number + 1,
                id_number: Personal::new(id_number.clone()),
                name: Personal::new(person.name.clone()),
                region: Some("371323".to_owned()),
                entitlement: Entitlement { kind, code: code.to_owned(), from, to: Some(to) },
            })
        })
        .collect()
}

/// GB 11643-1999 §4.
fn check_character(digits: &str) -> char {
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits.bytes().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    char::from(b"10X98765432"[(sum % 11) as usize])
}
