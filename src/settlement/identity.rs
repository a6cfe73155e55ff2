//! Whose message it is, and whether that is the person the stay belongs to. Pure.
//!
//! Two identity cards are two people. A person known by a hospital's patient number alone may turn out to be
//! one with a card, or another number's (A40): then they are joined. Everything else contradicts.

use std::collections::BTreeMap;

use uuid::Uuid;
use yizhan_contract::{Accumulators, NumberError, Used};

use super::message::{Message, Trigger};
use super::names::Head;
use super::record::StayRecord;
use crate::refusal::{Code, Money, Refusal};
use crate::store::{Facts, PersonFacts, PersonRef};

/// The person a message is about, after what it says of people.
#[derive(Debug, Clone)]
pub struct Identity {
    pub person: PersonFacts,
    /// People who turn out to be this person; their sums are in `person` already.
    pub joined: Vec<Uuid>,
    /// References that name this person from now on, whomever they named before.
    pub aliases: Vec<PersonRef>,
}

impl Identity {
    fn of(person: &PersonFacts) -> Self {
        Self { person: person.clone(), joined: Vec::new(), aliases: Vec::new() }
    }
}

/// Decides from what the store knows of the message's references and of the stay's owner.
pub fn identify(
    facts: &Facts,
    message: &Message,
    record: Option<&StayRecord>,
    references: &[PersonRef],
) -> Result<Identity, Refusal> {
    let Some(named) = &facts.person else { return Err(nobody_named(message)) };
    if facts.others.is_empty() && facts.owner.is_none() {
        return Ok(Identity::of(named));
    }
    let question = Question { facts, named, message, record };
    match question.with_card().as_slice() {
        [] => question.join(named, references),
        [one] => question.join(one, references),
        _ if question.may_correct() && question.names_a_card() && question.others_own_the_stay() => {
            Ok(Identity { aliases: references.to_vec(), ..Identity::of(named) })
        }
        _ => Err(another_person(message, record)),
    }
}

struct Question<'a> {
    facts: &'a Facts,
    named: &'a PersonFacts,
    message: &'a Message,
    record: Option<&'a StayRecord>,
}

impl<'a> Question<'a> {
    /// Each person once: the one named first, others named, the stay's owner.
    fn everyone(&self) -> Vec<&'a PersonFacts> {
        let mut everyone = vec![self.named];
        for one in self.facts.others.iter().chain(&self.facts.owner) {
            if everyone.iter().all(|known| known.person_id != one.person_id) {
                everyone.push(one);
            }
        }
        everyone
    }

    fn with_card(&self) -> Vec<&'a PersonFacts> {
        let has_card = |one: &&PersonFacts| {
            one.has_id_number || (one.person_id == self.named.person_id && self.names_a_card())
        };
        self.everyone().into_iter().filter(has_card).collect()
    }

    fn names_a_card(&self) -> bool {
        self.message.part.id_number.value().is_some()
    }

    /// Before commit an update or a merge may correct whose stay it is.
    fn may_correct(&self) -> bool {
        matches!(self.message.trigger, Trigger::Update | Trigger::Merge)
            && self.record.is_some_and(|record| !record.phase.is_fixed())
    }

    fn others_own_the_stay(&self) -> bool {
        let Some(owner) = &self.facts.owner else { return false };
        self.facts.others.iter().all(|other| other.person_id == owner.person_id)
    }

    /// The stay was opened under another patient number than the message gives.
    fn number_differs(&self) -> bool {
        let known = self.record.and_then(|record| record.part.mrn.value());
        let sent = self.message.part.mrn.value();
        known.zip(sent).is_some_and(|(known, sent)| known != sent)
    }

    /// At most one of them has a card: whether the others are the same person.
    fn join(&self, survivor: &PersonFacts, references: &[PersonRef]) -> Result<Identity, Refusal> {
        let is_named = survivor.person_id == self.named.person_id;
        let is_owner_named = self
            .facts
            .owner
            .as_ref()
            .is_none_or(|owner| self.facts.others.iter().any(|other| other.person_id == owner.person_id));
        let is_merge = self.message.trigger == Trigger::Merge;
        if !is_named {
            // The message carries a patient number only, the stay or the prior number has a card.
            let is_new_number = !self.named.is_known && self.facts.others.is_empty();
            let fits = is_new_number && (!self.number_differs() || self.may_correct());
            if !is_merge && !fits {
                return Err(another_person(self.message, self.record));
            }
        } else if !is_owner_named && (!self.names_a_card() || self.number_differs()) {
            if !self.may_correct() {
                return Err(another_person(self.message, self.record));
            }
            return Ok(Identity { aliases: references.to_vec(), ..Identity::of(self.named) });
        }
        let mut identity = Identity::of(survivor);
        for one in self.everyone() {
            if one.is_known && one.person_id != survivor.person_id {
                let PersonFacts { years, reserved, .. } = &mut identity.person;
                add(years, &one.years).map_err(|why| beyond_numbers(&why))?;
                // What their stays in flight have set aside is not free for this one.
                add(reserved, &one.reserved).map_err(|why| beyond_numbers(&why))?;
                identity.joined.push(one.person_id);
            }
        }
        if !is_named || is_merge {
            identity.aliases = references.to_vec();
        }
        Ok(identity)
    }
}

fn add(
    sums: &mut BTreeMap<i16, Accumulators>,
    years: &BTreeMap<i16, Accumulators>,
) -> Result<(), NumberError> {
    for (year, used) in years {
        let sum = sums.entry(*year).or_default();
        sum.admissions = sum.admissions.saturating_add(used.admissions);
        for (payer, used) in &used.payers {
            let before = sum.of(payer);
            let both = Used { base: before.base.plus(used.base)?, paid: before.paid + used.paid };
            sum.payers.insert(payer.clone(), both);
        }
    }
    Ok(())
}

fn nobody_named(message: &Message) -> Refusal {
    Refusal::new(
        Code::MissingField,
        "缺少身份证号和院内病人号，无法确定患者",
        "neither an identity card number nor a patient number: nobody is named",
    )
    .at(message.hospital.place_of(message.dialect, Head::IdNumber))
}

fn another_person(message: &Message, record: Option<&StayRecord>) -> Refusal {
    let (zh, en) = if message.trigger == Trigger::Merge {
        ("两个病人号登记了不同的身份证", "the two patient numbers belong to different identity cards")
    } else if record.is_some() {
        (
            "报文中的身份与该次住院登记的患者不符",
            "the message names another person than the one this stay belongs to",
        )
    } else {
        (
            "身份证号与院内病人号指向不同的人",
            "identity card number and hospital patient number name different people",
        )
    };
    let place = if message.trigger == Trigger::Merge {
        message.hospital.hl7.prior_mrn.to_owned()
    } else {
        message.hospital.place_of(message.dialect, Head::IdNumber)
    };
    let money = record.map_or(Money::NotMoved, |record| record.phase.money());
    Refusal::new(Code::AnotherPerson, zh, en).at(place).money(money)
}

fn beyond_numbers(why: &NumberError) -> Refusal {
    Refusal::new(Code::Internal, "累计金额超出范围", format!("the sums of the two cannot be added: {why}"))
}
