//! From a gathered stay to a bill: assess the lines, walk the chain, write the document. No I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use yizhan_contract::claim::Claim;
use yizhan_contract::payer::AskedLeg;
use yizhan_contract::person::RosterEntry;
use yizhan_contract::stay::Discharge;
use yizhan_contract::step::PayerState;
use yizhan_contract::{Accumulators, Finding, Money, PayerCode, Text, Used};
use yizhan_rules::{AdjudicateError, Adjudication, Assessment, Item, PayerLine, Policy, PolicyShelf, assess};

use super::bill::{Bill, BillState, BilledPatient, BilledPayer, ComputedBy};
use super::complete::Completed;
use super::delivery::Deferred;
use super::findings;
use super::given::{Given, Walked, said_by, valid_until};
use super::message::{Hospital, Mode};
use super::names::Head;
use super::payers::Payers;
use super::record::{Moved, Settlement, StayRecord};
use super::refusals::{self, LinePlaces};
use super::reserved::YearUsed;
use super::shadow;
use crate::refusal::Refusal;

/// How long a quote may be committed as it stands.
pub const QUOTE_VALID_S: i64 = 30 * 60;

/// What a stay is priced against.
pub struct Ground<'a> {
    pub hospital: &'a Hospital,
    pub policies: &'a PolicyShelf,
    /// Catalogue items by code, as on the discharge date.
    pub items: &'a BTreeMap<String, Item>,
    pub roster: Option<&'a RosterEntry>,
    pub years: &'a BTreeMap<i16, Accumulators>,
    /// Set aside by other stays in flight.
    pub reserved: BTreeMap<i16, Accumulators>,
    pub at: Timestamp,
    /// Used where the stay has no open quote.
    pub new_id: Uuid,
    pub payers: &'a Payers,
    /// What outside payers have said so far.
    pub given: &'a Given,
}

/// A priced stay, or whom to ask first.
pub enum Priced {
    Bill(Box<Settlement>),
    Ask(Box<ToAsk>),
    Breach(Breach),
}

/// What an outside payer answered and may not.
#[derive(Debug)]
pub enum Breach {
    /// More than it may pay.
    Above { payer: PayerCode, amount: Money, pay_at_most: Money },
    /// What its quote says others behind it have paid cannot be: more than is left for them, or said of one who does
    /// not follow or has paid already.
    AlsoPaid { by: PayerCode },
}

/// What an outside payer has to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToAsk {
    pub claim: Claim,
    /// The first payer's, for people.
    pub name: Text,
    /// Of the adapter that serves the first, each in its turn.
    pub legs: Vec<AskedLeg>,
    pub paid_before: Vec<(PayerCode, Money)>,
    /// Payers after these that could be asked in their turn, and those that are computed.
    pub after: Vec<PayerCode>,
}

/// Prices the stay as gathered: a quote, or the settlement itself.
pub fn price(
    record: &StayRecord,
    ground: &Ground<'_>,
    mode: Mode,
    places: &LinePlaces<'_>,
) -> Result<Priced, Vec<Refusal>> {
    let Completed { discharge, findings: noticed } = record.complete(ground.hospital)?;
    let dialect = record.last.dialect;
    let day = discharge.visit.discharged.date;
    let region = insured_region(&discharge, ground);
    let place_of = |name| ground.hospital.place_of(dialect, name);
    let policy = policy(&discharge, &region, ground, place_of)?;
    let item = |code: &str| ground.items.get(code).cloned();
    let assessment = assess(&discharge.lines, item)
        .map_err(|error| vec![refusals::assess(&error, places, ground.hospital, dialect)])?;
    let claim = claim(&discharge, region, &assessment, ground);
    let year = YearUsed::of(ground.years, &ground.reserved, day.year());
    let given = &*ground.payers.completed(ground.given);
    let refused = |error| {
        let refusal = |error| vec![refusals::adjudicate(&error, policy, ground.hospital, dialect)];
        breach(error, given).map_err(refusal)
    };
    let adjudication = match year.walk(policy, &claim, &ground.payers.served(), given) {
        Ok(Walked::Done(adjudication)) => *adjudication,
        Err(error) => return refused(error).map(Priced::Breach),
        Ok(Walked::Ask { leg, paid_before }) => {
            let to_ask = to_ask((policy, given), claim, &year, ground, leg, paid_before);
            return to_ask
                .map(|to_ask| Priced::Ask(Box::new(to_ask)))
                .or_else(|error| refused(error).map(Priced::Breach));
        }
    };
    adjudication
        .agrees_with(discharge.stated.patient_share)
        .map_err(|error| vec![refusals::adjudicate(&error, policy, ground.hospital, dialect)])?;
    let mut bill = bill(record, &discharge, policy, &assessment, &adjudication, ground, mode);
    bill.findings.extend(noticed);
    bill.findings.extend(unknown_accident(&discharge, policy, ground, place_of(Head::AccidentType)));
    bill.findings.extend(record.findings.iter().cloned());
    if record.repeated > 0 {
        bill.findings.push(findings::repeated_lines(record.repeated));
    }
    let left_out: Vec<Finding> = bill.deferred().map(|line| findings::deferred_payer(&line.name)).collect();
    bill.findings.extend(left_out);
    bill.findings.extend(record.waits_for().map(findings::quote_came_late));
    let unusable: Vec<Finding> = unusable(&bill, given).collect();
    bill.findings.extend(unusable);
    bill.findings.extend(not_asked(policy, &claim, ground.payers));
    bill.check().map_err(|unbalanced| vec![refusals::unbalanced(&unbalanced)])?;
    let compared = match mode {
        Mode::Settle => shadow::to_compare(policy, &claim, &year, ground.payers, given),
        Mode::Quote => Vec::new(),
    };
    Ok(Priced::Bill(Box::new(Settlement {
        id: bill.settlement_id,
        moves: moves(&adjudication),
        agreed: None,
        insured_region: claim.insured_region.clone(),
        deferred: deferred(&bill, claim, policy, &year, ground),
        borne: None,
        assigned: ground.payers.assigned(),
        compared,
        bill,
        discharge,
    })))
}

/// The one the stay falls under.
fn policy<'a>(
    discharge: &Discharge,
    region: &str,
    ground: &Ground<'a>,
    place_of: impl Fn(Head) -> String,
) -> Result<&'a Policy, Vec<Refusal>> {
    let day = discharge.visit.discharged.date;
    let Some(policy) = ground.policies.find(region, day) else {
        return Err(vec![refusals::no_policy(region, day, place_of(Head::InsuredRegion))]);
    };
    if !policy.settings().visit_classes.value.contains(&discharge.visit.class) {
        return Err(vec![refusals::class_not_covered(policy, place_of(Head::VisitClass))]);
    }
    Ok(policy)
}

/// What payers said that could not be used.
pub(super) fn unusable<'b>(bill: &'b Bill, given: &'b Given) -> impl Iterator<Item = Finding> + 'b {
    bill.payers.iter().filter_map(|line| Some((&line.name, given.get(&line.payer)?))).flat_map(
        |(name, answer)| {
            let cover = answer.cover_unsaid.as_ref().map(|why| findings::unusable_cover(name, why));
            let quote = answer.unusable.as_ref().map(|why| findings::unusable_quote(name, why));
            cover.into_iter().chain(quote)
        },
    )
}

/// An outside payer's breach of contract; what is the sender's comes back.
fn breach(error: AdjudicateError, given: &Given) -> Result<Breach, AdjudicateError> {
    let said_by = match &error {
        AdjudicateError::Elsewhere { payer, .. } => said_by(given, payer).cloned(),
        _ => None,
    };
    match (error, said_by) {
        (_, Some(by)) => Ok(Breach::AlsoPaid { by }),
        (AdjudicateError::AnswerOutOfBounds { payer, amount, pay_at_most }, None) => {
            Ok(Breach::Above { payer, amount, pay_at_most })
        }
        (error, None) => Err(error),
    }
}

/// What payers that could not be asked will be asked by, once the stay is settled.
fn deferred(
    bill: &Bill,
    claim: Claim,
    policy: &Policy,
    year: &YearUsed,
    ground: &Ground<'_>,
) -> Option<Deferred> {
    let is_deferred = bill.state == BillState::Settled && bill.deferred().next().is_some();
    let used = is_deferred.then(|| year.both().ok()).flatten()?;
    Some(Deferred::new(claim, used, &ground.payers.served(), policy, ground.at))
}

/// Payers of the stay whose adapter is not asked now, each with what stands in its place.
fn not_asked<'g>(
    policy: &'g Policy,
    claim: &'g Claim,
    payers: &'g Payers,
) -> impl Iterator<Item = Finding> + 'g {
    let order = policy.order(claim.cause.kind);
    payers.passed_over().iter().filter_map(move |passed_over| {
        let rule = order.iter().find(|rule| rule.code == passed_over.payer)?;
        Some(findings::payer_not_asked(&rule.name, passed_over))
    })
}

/// How much the patient's share may rise between quote and settlement, by the policy it was priced under.
pub fn share_tolerance(policies: &PolicyShelf, settlement: &Settlement) -> Money {
    policies
        .labelled(&settlement.bill.policy)
        .map_or(Money::ZERO, |policy| policy.settings().share_tolerance.value)
}

/// A kind of accident that no policy in force lists may be mistyped; whoever pays for listed ones alone pays nothing.
fn unknown_accident(
    discharge: &Discharge,
    policy: &Policy,
    ground: &Ground<'_>,
    place: String,
) -> Option<Finding> {
    let listed = &policy.settings().specified_accidents;
    let kind = discharge.cause.accident_type.as_deref().filter(|_| !listed.is_empty())?;
    let is_known = ground.policies.lists_accident(discharge.visit.discharged.date, kind);
    (!is_known).then(|| findings::unknown_accident_type(&place, listed))
}

fn to_ask(
    (policy, given): (&Policy, &Given),
    claim: Claim,
    year: &YearUsed,
    ground: &Ground<'_>,
    leg: AskedLeg,
    paid_before: Vec<(PayerCode, Money)>,
) -> Result<ToAsk, AdjudicateError> {
    let order = policy.order(claim.cause.kind);
    let at = order.iter().position(|rule| rule.code == leg.payer).unwrap_or_default();
    let name = order.get(at).map(|rule| rule.name.clone());
    let name = name.unwrap_or_else(|| Text::new(leg.payer.as_str(), leg.payer.as_str()));
    let legs = match ground.payers.of(&leg.payer) {
        Some(adapter) => year.legs(policy, &claim, &ground.payers.served(), given, (adapter, leg))?,
        None => vec![leg],
    };
    let after = order.iter().skip(at + legs.len()).map(|rule| rule.code.clone()).collect();
    Ok(ToAsk { claim, name, legs, paid_before, after })
}

/// Message, else roster, else the hospital's own.
fn insured_region(discharge: &Discharge, ground: &Ground<'_>) -> String {
    let roster = || ground.roster.and_then(|entry| entry.region.clone());
    discharge.insured_region.clone().or_else(roster).unwrap_or_else(|| ground.hospital.region.to_string())
}

fn claim(
    discharge: &Discharge,
    insured_region: String,
    assessment: &Assessment,
    ground: &Ground<'_>,
) -> Claim {
    Claim {
        hospital_level: ground.hospital.level,
        hospital_region: ground.hospital.region.to_string(),
        insured_region,
        class: discharge.visit.class,
        admitted: discharge.visit.admitted.date,
        discharged: discharge.visit.discharged.date,
        cause: discharge.cause.clone(),
        third_party_liable: discharge.third_party_liable,
        referral: discharge.referral,
        roster: ground.roster.cloned(),
        buckets: assessment.buckets,
        lines: assessment.lines.clone(),
        settled_elsewhere: discharge.settled_elsewhere.clone(),
    }
}

fn bill(
    record: &StayRecord,
    discharge: &Discharge,
    policy: &Policy,
    assessment: &Assessment,
    adjudication: &Adjudication,
    ground: &Ground<'_>,
    mode: Mode,
) -> Bill {
    let before = record.settlement.as_ref();
    let open_quote = before.filter(|settlement| settlement.bill.state == BillState::Quoted);
    let ours = ground.at.checked_add(SignedDuration::from_secs(QUOTE_VALID_S)).ok();
    // No longer than the quotes it rests on.
    let valid_until = ours.into_iter().chain(valid_until(ground.given)).min();
    let mut findings = assessment.findings.clone();
    findings.extend(adjudication.findings.iter().cloned());
    Bill {
        settlement_id: open_quote.map_or(ground.new_id, |quote| quote.id),
        version: before.map_or(0, |settlement| settlement.bill.version) + 1,
        state: match mode {
            Mode::Quote => BillState::Quoted,
            Mode::Settle => BillState::Settled,
        },
        policy: Arc::clone(policy.label()),
        hospital: Arc::clone(&ground.hospital.code),
        visit_number: discharge.visit.number.clone(),
        patient: BilledPatient::masked(discharge, &adjudication.category, adjudication.category_on),
        admitted: discharge.visit.admitted.date,
        discharged: discharge.visit.discharged.date,
        cause: discharge.cause.kind,
        amounts: assessment.buckets,
        payers: payers(adjudication, ground.payers, mode),
        paid_by_payers: adjudication.paid_by_payers,
        patient_share: adjudication.patient_share,
        deposit: Money::ZERO,
        to_collect: Money::ZERO,
        to_refund: Money::ZERO,
        coverage: adjudication.coverage,
        lines_by_category: assessment.by_category.clone(),
        benefit_year: adjudication.benefit_year,
        admission_ordinal: adjudication.admission_ordinal,
        issued_at: ground.at,
        // One that was quoted or given up takes nobody's place: what it was to replace is replaced now.
        replaces: before.and_then(|settlement| match settlement.bill.state {
            BillState::Reversed => Some(settlement.id),
            _ => settlement.bill.replaces,
        }),
        valid_until: valid_until.filter(|_| mode == Mode::Quote),
        reversal: None,
        findings,
    }
    .with_deposit(discharge.deposit.unwrap_or_default())
}

fn payers(adjudication: &Adjudication, outside: &Payers, mode: Mode) -> Vec<BilledPayer> {
    let paying = match mode {
        Mode::Quote => PayerState::Quoted,
        Mode::Settle => PayerState::Committed,
    };
    let billed = |line: &PayerLine| BilledPayer {
        state: if line.state == PayerState::Quoted { paying } else { line.state },
        ..billed(line, outside.of(&line.payer).is_some())
    };
    adjudication.payers.iter().map(billed).collect()
}

/// A payer's line as the chain left it.
pub(super) fn billed(line: &PayerLine, is_outside: bool) -> BilledPayer {
    BilledPayer {
        payer: line.payer.clone(),
        name: line.name.clone(),
        state: line.state,
        base_kind: line.base_kind,
        base: line.base,
        paid: line.paid,
        payer_reference: line.reference.clone(),
        reason: line.reason,
        computed_by: match line.state {
            PayerState::SettledElsewhere => ComputedBy::Payer,
            PayerState::NotApplicable => ComputedBy::Gateway,
            _ if is_outside => ComputedBy::Payer,
            _ => ComputedBy::Gateway,
        },
        steps: line.steps.clone(),
    }
}

/// Everything the chain moves in the year.
pub(super) fn moves(adjudication: &Adjudication) -> Vec<Moved> {
    let moved =
        |(payer, used): &(PayerCode, Used)| Moved { payer: payer.clone(), base: used.base, paid: used.paid };
    adjudication.moves.iter().map(moved).collect()
}
