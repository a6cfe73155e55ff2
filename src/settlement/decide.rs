//! What happens inside the store's transaction: from what is known to what is written. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;
use yizhan_contract::stay::civil_date;
use yizhan_contract::{Money, Used};
use yizhan_rules::{Item, PolicyShelf};

use super::bill::{BillState, Reversal};
use super::complete::signed_amount;
use super::findings;
use super::lifecycle::{Received, Todo, receive};
use super::message::{Hospital, Message, Mode, Trigger};
use super::outcome::{Beneficiary, Noted, Outcome, Refused};
use super::price::{Ground, price};
use super::record::{Phase, Settlement, StayRecord};
use super::refusals::LinePlaces;
use crate::refusal::{self, Code, Refusal};
use crate::store::{
    AccumulatorMove, BillWrite, Changes, Facts, LegWrite, PersonFacts, StayRef, StayWrite, StoredStay,
};

/// What is asked of a stay.
#[derive(Debug, Clone)]
pub enum Asked {
    Message {
        message: Arc<Message>,
        mode: Mode,
    },
    Commit {
        expected_patient_share: Money,
    },
    Reverse {
        reason: String,
        operator: String,
    },
    /// No charge has come for as long as the profile asks.
    ChargesQuiet {
        mode: Mode,
    },
}

/// Looked up before the transaction; the decision refuses to go on where it does not fit any more.
pub struct Lookups {
    pub on: Date,
    pub codes: Vec<String>,
    pub items: BTreeMap<String, Item>,
}

impl Lookups {
    /// Whether the stay, as it is now, is covered by what was looked up.
    fn fit(&self, record: &StayRecord) -> bool {
        let discharged = record.part.discharged.value().map(|moment| moment.date);
        discharged.is_none_or(|day| day == self.on)
            && record.part.lines.iter().all(|line| self.codes.binary_search(&line.code).is_ok())
    }
}

/// Everything one decision needs beside the stored facts.
pub struct Decision {
    pub asked: Asked,
    pub hospital: Arc<Hospital>,
    pub policies: Arc<PolicyShelf>,
    pub lookups: Lookups,
    pub at: Timestamp,
    pub stay_ref: StayRef,
    pub new_stay_id: Uuid,
    pub new_settlement_id: Uuid,
}

/// Looked-up data no longer fits: nothing is written, the caller looks again.
struct LookAgain;

impl Decision {
    /// `None`: look up again and come back.
    pub fn decide(self, facts: Facts) -> Option<Changes> {
        let stored = match facts.stay.as_ref().map(|stay| StayRecord::read(&stay.document)) {
            Some(Ok(record)) => Some(record),
            None => None,
            Some(Err(_)) => return None,
        };
        let person = facts.person.unwrap_or_else(|| nobody(facts.stay.as_ref()));
        let decided = match &self.asked {
            Asked::Message { message, mode } => self.message(message, *mode, stored, &person),
            Asked::Commit { expected_patient_share } => self.commit(stored, *expected_patient_share, &person),
            Asked::Reverse { reason, operator } => self.reverse(stored, reason, operator, &person),
            Asked::ChargesQuiet { mode } => self.charges_quiet(stored, *mode, &person),
        };
        decided.ok()
    }

    fn message(
        &self,
        message: &Message,
        mode: Mode,
        stored: Option<StayRecord>,
        person: &PersonFacts,
    ) -> Result<Changes, LookAgain> {
        if person.is_ambiguous {
            return Ok(answer(&refused(another_person_by_number())));
        }
        let record = match stored {
            Some(record) => record,
            None if may_open(message) => StayRecord::open(self.new_stay_id, message),
            None => return Ok(answer(&refused(no_such_stay()))),
        };
        let received = match receive(record, message, mode, self.at) {
            Ok(received) => received,
            Err(refusals) => return Ok(answer(&refusals.into())),
        };
        let places = LinePlaces::of(message);
        self.carry_out(received, person, &places)
    }

    fn carry_out(
        &self,
        received: Received,
        person: &PersonFacts,
        places: &LinePlaces<'_>,
    ) -> Result<Changes, LookAgain> {
        let Received { mut record, todo, absorbed } = received;
        match todo {
            Todo::Price(mode) => {
                if absorbed.repeated > 0 {
                    record.findings.push(findings::repeated_lines(absorbed.repeated));
                }
                self.price(record, mode, person, places)
            }
            Todo::SameBill => {
                let bill = record.settlement.as_ref().map(|settlement| settlement.bill.clone());
                let outcome =
                    bill.map_or_else(|| refused(no_such_stay()), |bill| Outcome::Bill(Box::new(bill)));
                Ok(answer(&outcome))
            }
            Todo::Reverse => Ok(self.take_back(record, person, "ADT^A13".to_owned(), "HL7".to_owned())),
            Todo::Keep => Ok(self.note(&record, None, absorbed.repeated, person)),
            Todo::Wait { until } => Ok(self.note(&record, until, absorbed.repeated, person)),
            Todo::Late => Ok(self.note(&record, None, absorbed.repeated, person)),
        }
    }

    fn charges_quiet(
        &self,
        stored: Option<StayRecord>,
        mode: Mode,
        person: &PersonFacts,
    ) -> Result<Changes, LookAgain> {
        let Some(record) = stored.filter(|record| record.phase == Phase::AwaitingCharges) else {
            return Ok(answer(&refused(no_such_stay())));
        };
        if record.part.lines.is_empty() {
            return Ok(self.note(&record, None, 0, person));
        }
        self.price(record, mode, person, &LinePlaces::none())
    }

    fn price(
        &self,
        mut record: StayRecord,
        mode: Mode,
        person: &PersonFacts,
        places: &LinePlaces<'_>,
    ) -> Result<Changes, LookAgain> {
        if !self.lookups.fit(&record) {
            return Err(LookAgain);
        }
        let settlement = match price(&record, &self.ground(person), mode, places) {
            Ok(settlement) => settlement,
            Err(refusals) => return Ok(answer(&refusals.into())),
        };
        let moves = (mode == Mode::Settle).then(|| moves(&settlement, 1));
        record.phase = match mode {
            Mode::Quote => Phase::Quoted,
            Mode::Settle => Phase::Settled,
        };
        let outcome = Outcome::Bill(Box::new(settlement.bill.clone()));
        record.settlement = Some(settlement);
        Ok(self.write(&record, person, None, moves, &outcome))
    }

    /// Priced again inside the transaction: what was quoted may have moved.
    fn commit(
        &self,
        stored: Option<StayRecord>,
        expected: Money,
        person: &PersonFacts,
    ) -> Result<Changes, LookAgain> {
        let Some(mut record) = stored else { return Ok(answer(&refused(no_such_stay()))) };
        let Some(quote) = record.settlement.clone() else { return Ok(answer(&refused(no_such_stay()))) };
        if record.phase == Phase::Settled {
            return Ok(answer(&Outcome::Bill(Box::new(quote.bill))));
        }
        if record.phase != Phase::Quoted {
            return Ok(answer(&refused(not_quoted(quote.bill.state))));
        }
        if !self.lookups.fit(&record) {
            return Err(LookAgain);
        }
        let none = LinePlaces::none();
        let ground = self.ground(person);
        let settled = match price(&record, &ground, Mode::Settle, &none) {
            Ok(settled) => settled,
            Err(refusals) => return Ok(answer(&refusals.into())),
        };
        let is_expired = quote.bill.valid_until.is_some_and(|until| until < self.at);
        if is_expired || settled.bill.patient_share > expected + self.tolerance(&settled) {
            let Ok(again) = price(&record, &ground, Mode::Quote, &none) else {
                return Ok(answer(&refused(no_such_stay())));
            };
            let outcome = Outcome::Refused(Refused {
                refusals: vec![quote_moved(is_expired, expected, again.bill.patient_share)],
                quote: Some(Box::new(again.bill.clone())),
            });
            record.settlement = Some(again);
            return Ok(self.write(&record, person, None, None, &outcome));
        }
        let moves = moves(&settled, 1);
        let outcome = Outcome::Bill(Box::new(settled.bill.clone()));
        record.phase = Phase::Settled;
        record.settlement = Some(settled);
        Ok(self.write(&record, person, None, Some(moves), &outcome))
    }

    fn tolerance(&self, settlement: &Settlement) -> Money {
        let policies = self.policies.policies();
        let policy = policies.iter().find(|policy| *policy.label() == settlement.bill.policy);
        policy.map_or(Money::ZERO, |policy| policy.settings().share_tolerance.value)
    }

    fn reverse(
        &self,
        stored: Option<StayRecord>,
        reason: &str,
        operator: &str,
        person: &PersonFacts,
    ) -> Result<Changes, LookAgain> {
        let Some(mut record) = stored else { return Ok(answer(&refused(no_such_stay()))) };
        let state = record.settlement.as_ref().map(|settlement| settlement.bill.state);
        match (state, record.phase) {
            (Some(BillState::Reversed), _) => {
                let bill = record.settlement.map(|settlement| settlement.bill);
                Ok(answer(
                    &bill.map_or_else(|| refused(no_such_stay()), |bill| Outcome::Bill(Box::new(bill))),
                ))
            }
            (Some(_), Phase::Settled) => {
                record.phase = Phase::Reversed;
                Ok(self.take_back(record, person, reason.to_owned(), operator.to_owned()))
            }
            (Some(state), _) => Ok(answer(&refused(not_settled(state)))),
            (None, _) => Ok(answer(&refused(no_such_stay()))),
        }
    }

    /// Gives back exactly what the settlement moved; later stays are not priced again.
    fn take_back(
        &self,
        mut record: StayRecord,
        person: &PersonFacts,
        reason: String,
        operator: String,
    ) -> Changes {
        let Some(mut settlement) = record.settlement.take() else {
            return answer(&refused(no_such_stay()));
        };
        let moves = moves(&settlement, -1);
        settlement.bill = settlement.bill.reversed(Reversal { reason, operator, at: self.at });
        let outcome = Outcome::Bill(Box::new(settlement.bill.clone()));
        record.settlement = Some(settlement);
        self.write(&record, person, None, Some(moves), &outcome)
    }

    fn note(
        &self,
        record: &StayRecord,
        due_at: Option<Timestamp>,
        repeated: usize,
        person: &PersonFacts,
    ) -> Changes {
        let on = record.part.discharged.value().or(record.part.admitted.value()).copied();
        let on = on.map_or_else(|| civil_date(self.at), |moment| moment.date);
        let mut noted = Noted {
            state: if record.phase == Phase::Settled {
                BillState::Settled
            } else {
                BillState::AwaitingCharges
            },
            hospital: Arc::clone(&self.hospital.code),
            visit_number: record.part.visit_number.clone(),
            lines: record.part.lines.len(),
            total: record.part.lines.iter().filter_map(|line| signed_amount(line).ok()).sum(),
            beneficiary: Beneficiary::of(person.roster.as_ref(), on),
            findings: record.findings.clone(),
        };
        if repeated > 0 {
            noted.findings.push(findings::repeated_lines(repeated));
        }
        if record.phase == Phase::Settled && !record.late_lines.is_empty() {
            let total = record.late_lines.iter().filter_map(|line| signed_amount(line).ok()).sum();
            noted.findings.push(findings::late_charges(record.late_lines.len(), total));
        }
        self.write(record, person, due_at, None, &Outcome::Noted(Box::new(noted)))
    }

    fn write(
        &self,
        record: &StayRecord,
        person: &PersonFacts,
        due_at: Option<Timestamp>,
        moves: Option<AccumulatorMove>,
        outcome: &Outcome,
    ) -> Changes {
        let is_new_bill = matches!(outcome, Outcome::Bill(_)) || matches!(outcome, Outcome::Refused(_));
        let bill = record
            .settlement
            .as_ref()
            .filter(|_| is_new_bill)
            .map(|settlement| self.bill(record, settlement));
        Changes {
            stay: Some(StayWrite {
                stay_id: record.stay_id,
                person_id: person.person_id,
                hospital: Arc::clone(&self.hospital.code),
                visit_number: Arc::from(record.part.visit_number.as_str()),
                admitted: record.part.admitted.value().map(|moment| moment.date),
                document: record.document(),
                due_at,
            }),
            bill,
            accumulators: moves.into_iter().collect(),
            person_aliases: Vec::new(),
            answer: serialise(outcome),
        }
    }

    fn bill(&self, record: &StayRecord, settlement: &Settlement) -> BillWrite {
        let bill = &settlement.bill;
        let leg = |payer: &super::bill::BilledPayer| LegWrite {
            payer: payer.payer.clone(),
            state: payer.state,
            paid: payer.paid,
        };
        BillWrite {
            settlement_id: settlement.id,
            stay_id: record.stay_id,
            version: bill.version,
            hospital: Arc::clone(&self.hospital.code),
            state: bill.state.word(),
            day: civil_date(self.at),
            total: bill.amounts.total,
            patient_share: bill.patient_share,
            legs: bill.payers.iter().map(leg).collect(),
            document: serde_json::to_vec(bill).unwrap_or_default(),
        }
    }

    fn ground<'a>(&'a self, person: &'a PersonFacts) -> Ground<'a> {
        Ground {
            hospital: &self.hospital,
            policies: &self.policies,
            items: &self.lookups.items,
            roster: person.roster.as_ref(),
            years: &person.years,
            at: self.at,
            new_id: self.new_settlement_id,
        }
    }
}

/// Only what speaks of a stay by itself opens one.
fn may_open(message: &Message) -> bool {
    match message.trigger {
        Trigger::Admit | Trigger::Discharge | Trigger::Charges | Trigger::Account | Trigger::Complete => true,
        Trigger::Update => true,
        Trigger::CancelAdmit | Trigger::CancelDischarge | Trigger::CloseAccount | Trigger::Merge => false,
    }
}

fn nobody(stay: Option<&StoredStay>) -> PersonFacts {
    PersonFacts {
        person_id: stay.map_or(Uuid::nil(), |stay| stay.person_id),
        is_ambiguous: false,
        roster_name: None,
        roster: None,
        years: BTreeMap::new(),
    }
}

/// What the settlement adds to its year, or with `-1` takes back.
fn moves(settlement: &Settlement, sign: i32) -> AccumulatorMove {
    let signed = |used: Used| {
        if sign < 0 { Used { base: used.base.negated(), paid: -used.paid } } else { used }
    };
    AccumulatorMove {
        year: settlement.bill.benefit_year,
        admissions: sign,
        payers: settlement
            .moves
            .iter()
            .map(|moved| (moved.payer.clone(), signed(Used { base: moved.base, paid: moved.paid })))
            .collect(),
    }
}

fn serialise(outcome: &Outcome) -> Vec<u8> {
    serde_json::to_vec(outcome).unwrap_or_default()
}

/// Answered and remembered, nothing else written.
fn answer(outcome: &Outcome) -> Changes {
    Changes { answer: serialise(outcome), ..Changes::default() }
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome::from(refusal)
}

fn no_such_stay() -> Refusal {
    Refusal::new(
        Code::NoSuchStay,
        "尚未收到该次住院的入院或费用消息",
        "no admission or charges of this stay have come yet",
    )
}

fn another_person_by_number() -> Refusal {
    Refusal::new(
        Code::AnotherPerson,
        "身份证号与院内病人号指向不同的人",
        "identity card number and hospital patient number name different people",
    )
}

fn not_quoted(state: BillState) -> Refusal {
    let text = state.text();
    Refusal::new(
        Code::NotOpen,
        format!("当前状态为“{}”，没有可确认的试算", text.zh),
        format!("the stay is {}; there is no quote to commit", text.en),
    )
}

fn not_settled(state: BillState) -> Refusal {
    let text = state.text();
    Refusal::new(
        Code::NotOpen,
        format!("当前状态为“{}”，没有可撤销的结算", text.zh),
        format!("the stay is {}; there is no settlement to reverse", text.en),
    )
}

fn quote_moved(is_expired: bool, expected: Money, now: Money) -> Refusal {
    let (zh, en) = if is_expired {
        ("报价已过期", "the quote has expired")
    } else {
        ("报价已变化", "the quote has moved")
    };
    Refusal::new(
        Code::QuoteMoved,
        format!("{zh}：个人自付原为 {expected}，现为 {now}"),
        format!("{en}: the patient's share was {expected} and is now {now}"),
    )
    .money(refusal::Money::NotMoved)
}
