//! The walk along the payers of a policy (SETTLEMENT §3), one turn at a time, so that outside payers can
//! be asked in between without this crate knowing how.

use std::sync::Arc;

use yizhan_contract::payer::AskedLeg;
use yizhan_contract::stay::SettledElsewhere;
use yizhan_contract::step::PayerState;
use yizhan_contract::{
    Accumulators, Buckets, Claim, Exact, Finding, FindingCode, Money, NumberError, PayerCode, Reason, Step,
    Text, Used,
};

use crate::adjudication::{AdjudicateError, Adjudication, Coverage, ElsewhereError, PayerLine};
use crate::eligibility::Person;
use crate::findings;
use crate::formula::{BindingCap, Case, Computed, Remainders};
use crate::policy::{BaseKind, PayerRule, Policy};

/// Adjudicates a claim as if every payer were computed here.
///
/// Pure: the same arguments give the same answer. `accumulators` are those of the person in the benefit
/// year of the discharge date.
///
/// # Errors
/// See [`AdjudicateError`].
pub fn adjudicate(
    policy: &Policy,
    claim: &Claim,
    accumulators: &Accumulators,
) -> Result<Adjudication, AdjudicateError> {
    let mut chain = Chain::start(policy, claim, accumulators, &[])?;
    while let Turn::Computed(_) = chain.turn()? {}
    chain.finish()
}

/// Whose turn it was, or is.
#[derive(Debug)]
pub enum Turn<'c> {
    /// The payer's line stands; take the next turn.
    Computed(&'c PayerLine),
    /// An outside payer is to be asked, and [`Chain::answer`] given. Asking again changes nothing.
    Ask(AskedLeg),
    /// Every payer had its turn; [`Chain::finish`] gives the outcome.
    Done,
}

/// What an outside payer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    Paid {
        amount: Money,
        reference: Option<Arc<str>>,
        state: PayerState,
        steps: Vec<Step>,
    },
    /// Counts as 0.00 and moves nothing; state `refused`.
    Refused,
    /// It says that the person is not covered: 0.00 with the reason, as if the roster had said so.
    NotCovered,
    /// Counts as 0.00 for now and moves nothing; state `deferred`.
    Deferred,
    /// It is not asked at all: 0.00, and moves nothing; state `not_applicable` without a reason of the policy's.
    LeftOut,
}

/// A chain under way. Borrowed facts only; it may be held across an await.
#[derive(Debug)]
pub struct Chain<'a> {
    policy: &'a Policy,
    claim: &'a Claim,
    accumulators: &'a Accumulators,
    outside: &'a [PayerCode],
    order: &'a [Arc<PayerRule>],
    person: Person<'a>,
    left: Remainders,
    elsewhere: Vec<SettledElsewhere>,
    asked: Option<Asked>,
    payers: Vec<PayerLine>,
    moves: Vec<(PayerCode, Used)>,
    findings: Vec<Finding>,
}

#[derive(Debug)]
struct Asked {
    base: Exact,
    pay_at_most: Money,
    binding_cap: Option<BindingCap>,
}

impl<'a> Chain<'a> {
    /// Starts a chain. The payers in `outside` are asked, the others computed.
    ///
    /// # Errors
    /// Buckets that do not add up, and amounts settled elsewhere that no turn could make right.
    pub fn start(
        policy: &'a Policy,
        claim: &'a Claim,
        accumulators: &'a Accumulators,
        outside: &'a [PayerCode],
    ) -> Result<Self, AdjudicateError> {
        check_buckets(&claim.buckets)?;
        let person = Person::read(policy, claim, accumulators).map_err(AdjudicateError::Admissions)?;
        let order = policy.order(claim.cause.kind);
        let left = Remainders {
            in_scope: claim.buckets.in_scope,
            out_of_scope: claim.buckets.total - claim.buckets.in_scope,
        };
        let mut chain = Self {
            policy,
            claim,
            accumulators,
            outside,
            order,
            person,
            left,
            elsewhere: Vec::with_capacity(claim.settled_elsewhere.len()),
            asked: None,
            payers: Vec::with_capacity(order.len()),
            moves: Vec::with_capacity(order.len()),
            findings: Vec::new(),
        };
        for leg in &claim.settled_elsewhere {
            chain.settled_elsewhere(leg.clone())?;
        }
        Ok(chain)
    }

    /// Notes that a payer still to come has settled elsewhere (a message says so, or another payer's quote).
    ///
    /// # Errors
    /// [`AdjudicateError::Elsewhere`]: negative, without reference, twice, or no payer still to come.
    pub fn settled_elsewhere(&mut self, leg: SettledElsewhere) -> Result<(), AdjudicateError> {
        let to_come = self.order.get(self.payers.len()..).unwrap_or_default();
        let why = if self.elsewhere.iter().any(|other| other.payer == leg.payer) {
            ElsewhereError::Twice
        } else if !to_come.iter().any(|rule| rule.code == leg.payer) {
            ElsewhereError::OutsideOrder
        } else if leg.amount.is_negative() {
            ElsewhereError::Negative(leg.amount)
        } else if leg.reference.trim().is_empty() {
            ElsewhereError::NoReference
        } else {
            self.elsewhere.push(leg);
            return Ok(());
        };
        Err(AdjudicateError::Elsewhere { payer: leg.payer, why })
    }

    /// Takes the next payer's turn.
    ///
    /// # Errors
    /// An amount settled elsewhere that is more than what is left, and numbers beyond 28 digits.
    pub fn turn(&mut self) -> Result<Turn<'_>, AdjudicateError> {
        let order = self.order;
        let Some(rule) = order.get(self.payers.len()) else { return Ok(Turn::Done) };
        let number = |why| AdjudicateError::Number { payer: rule.code.clone(), why };
        if let Some(index) = self.elsewhere.iter().position(|leg| leg.payer == rule.code) {
            self.take_elsewhere(rule, index)?;
        } else if let Some(reason) = self.person.barred_from(rule) {
            self.payers.push(line(rule, PayerState::NotApplicable, Exact::ZERO, Money::ZERO, Some(reason)));
        } else if self.outside.contains(&rule.code) {
            if let Some(leg) = self.ask(rule).map_err(number)? {
                return Ok(Turn::Ask(leg));
            }
        } else {
            let computed = self.case(rule).compute().map_err(number)?;
            self.take_computed(rule, computed);
        }
        Ok(self.payers.last().map_or(Turn::Done, Turn::Computed))
    }

    /// Gives the answer of the payer that was asked last, and ends its turn.
    ///
    /// # Errors
    /// [`AdjudicateError::AnswerOutOfBounds`] leaves the turn open: the payer may still be answered for as
    /// refused. [`AdjudicateError::OutOfTurn`] where nobody was asked.
    pub fn answer(&mut self, answered: Answered) -> Result<&PayerLine, AdjudicateError> {
        let order = self.order;
        let (Some(rule), Some(asked)) = (order.get(self.payers.len()), &self.asked) else {
            return Err(AdjudicateError::OutOfTurn);
        };
        let base = asked.base;
        let answer = match answered {
            Answered::Refused => line(rule, PayerState::Refused, base, Money::ZERO, None),
            Answered::Deferred => line(rule, PayerState::Deferred, base, Money::ZERO, None),
            Answered::LeftOut => line(rule, PayerState::NotApplicable, base, Money::ZERO, None),
            Answered::NotCovered => {
                let reason = Some(Reason::CoverNotInForce);
                line(rule, PayerState::NotApplicable, base, Money::ZERO, reason)
            }
            Answered::Paid { amount, reference, state, steps } => {
                if amount.is_negative() || asked.pay_at_most < amount {
                    let pay_at_most = asked.pay_at_most;
                    return Err(AdjudicateError::AnswerOutOfBounds {
                        payer: rule.code.clone(),
                        amount,
                        pay_at_most,
                    });
                }
                let binding = asked.binding_cap.clone().filter(|_| amount == asked.pay_at_most);
                self.note_cap(rule, binding.as_ref(), amount);
                self.left.take_off(rule.base.value, amount);
                self.note_move(rule, base, amount);
                PayerLine { reference, steps, ..line(rule, state, base, amount, None) }
            }
        };
        self.asked = None;
        self.payers.push(answer);
        self.payers.last().ok_or(AdjudicateError::OutOfTurn)
    }

    /// What a payer may pay this person in a year, by its policy; absent: no limit, or no payer of this chain.
    pub fn annual_cap(&self, payer: &PayerCode) -> Option<Money> {
        let rule = self.order.iter().find(|rule| rule.code == *payer)?;
        self.person.terms(rule).annual_cap.as_ref().map(|cap| cap.value)
    }

    /// The outcome, once every payer had its turn.
    ///
    /// # Errors
    /// [`AdjudicateError::OutOfTurn`] where payers are still to come.
    pub fn finish(mut self) -> Result<Adjudication, AdjudicateError> {
        if self.payers.len() < self.order.len() {
            return Err(AdjudicateError::OutOfTurn);
        }
        let buckets = self.claim.buckets;
        let paid_by_payers: Money = self.payers.iter().map(|payer| payer.paid).sum();
        let patient_share = buckets.total - paid_by_payers;
        if patient_share != self.left.patient() || patient_share.is_negative() {
            let left = self.left.patient();
            return Err(AdjudicateError::Unbalanced { total: buckets.total, paid: paid_by_payers, left });
        }
        let coverage = Coverage {
            in_scope: (buckets.in_scope - self.left.in_scope).exact().share_of(buckets.in_scope.exact()),
            total: paid_by_payers.exact().share_of(buckets.total.exact()).unwrap_or_default(),
        };
        self.note_outcome(patient_share, coverage)?;
        Ok(Adjudication {
            policy: self.policy.label.clone(),
            buckets,
            payers: self.payers,
            paid_by_payers,
            patient_share,
            in_scope_left: self.left.in_scope,
            out_of_scope_left: self.left.out_of_scope,
            coverage,
            category: self.person.category(),
            category_on: self.person.on,
            benefit_year: self.claim.discharged.year(),
            admission_ordinal: self.person.ordinal,
            findings: self.findings,
            moves: self.moves,
        })
    }

    fn case<'r>(&'r self, rule: &'r PayerRule) -> Case<'r> {
        Case {
            rule,
            terms: self.person.terms(rule),
            lines: &self.claim.lines,
            in_scope: self.claim.buckets.in_scope,
            is_out_of_area: self.person.is_out_of_area,
            left: self.left,
            used: self.accumulators.of(&rule.code),
            min_patient_share: &self.policy.settings.min_patient_share,
        }
    }

    fn take_computed(&mut self, rule: &PayerRule, computed: Computed) {
        let Computed { base, paid, reason, steps, binding_cap } = computed;
        let state = if paid.is_zero() { PayerState::NotApplicable } else { PayerState::Quoted };
        self.note_cap(rule, binding_cap.as_ref(), paid);
        self.left.take_off(rule.base.value, paid);
        self.note_move(rule, base, paid);
        self.payers.push(PayerLine { steps, ..line(rule, state, base, paid, reason) });
    }

    /// An outside payer that may pay nothing is not asked: its line stands at once.
    fn ask(&mut self, rule: &PayerRule) -> Result<Option<AskedLeg>, NumberError> {
        let most = self.case(rule).pay_at_most()?;
        if most.paid.is_zero() {
            self.take_computed(rule, most);
            return Ok(None);
        }
        let leg = AskedLeg {
            payer: rule.code.clone(),
            base: most.base,
            in_scope_left: self.left.in_scope,
            out_of_scope_left: self.left.out_of_scope,
            pay_at_most: most.paid,
        };
        self.asked = Some(Asked { base: most.base, pay_at_most: most.paid, binding_cap: most.binding_cap });
        Ok(Some(leg))
    }

    /// A fact is never limited by our view; where it differs, a finding says so.
    fn take_elsewhere(&mut self, rule: &PayerRule, index: usize) -> Result<(), AdjudicateError> {
        let leg = self.elsewhere.swap_remove(index);
        let amount = leg.amount;
        let left = self.left.patient();
        if left < amount {
            let why = ElsewhereError::MoreThanLeft { amount, left };
            return Err(AdjudicateError::Elsewhere { payer: leg.payer, why });
        }
        let barred = self.person.barred_from(rule);
        let used = self.accumulators.of(&rule.code);
        let case = self.case(rule);
        let number = |why| AdjudicateError::Number { payer: rule.code.clone(), why };
        let base = case.base().map_err(number)?;
        let reason = match barred {
            _ if !amount.is_zero() => None,
            Some(reason) => Some(reason),
            None => case.compute().map_err(number)?.reason,
        };
        let stay_cap = case.terms.stay_cap.as_ref().filter(|cap| cap.value < amount);
        let annual_cap = case.terms.annual_cap.as_ref().filter(|cap| cap.value < used.paid + amount);
        let passed = match (annual_cap, stay_cap) {
            (Some(cap), _) => Some(findings::cap_passed_elsewhere(rule, cap, Some(used.paid), amount)),
            (None, Some(cap)) => Some(findings::cap_passed_elsewhere(rule, cap, None, amount)),
            (None, None) => None,
        };
        self.findings.extend(passed.filter(|_| amount.is_positive()));
        if let Some(barred) = barred.filter(|_| amount.is_positive()) {
            self.findings.push(findings::settled_elsewhere_differs(rule, amount, barred));
        }
        // In scope first, whatever base the policy gives the payer.
        self.left.take_off(BaseKind::Patient, amount);
        // With a liable third party its own 0.00 would have been one without the formula.
        if amount.is_positive() || !self.person.stands_aside(rule) {
            self.note_move(rule, base, amount);
        }
        let reference = Some(leg.reference.into());
        let line = line(rule, PayerState::SettledElsewhere, base, amount, reason);
        self.payers.push(PayerLine { reference, ..line });
        Ok(())
    }

    fn note_move(&mut self, rule: &PayerRule, base: Exact, paid: Money) {
        let gained = Used { base: if rule.cumulative.value { base } else { Exact::ZERO }, paid };
        if gained != Used::default() {
            self.moves.push((rule.code.clone(), gained));
        }
    }

    fn note_cap(&mut self, rule: &PayerRule, binding: Option<&BindingCap>, paid: Money) {
        if let Some(binding) = binding {
            let already = self.accumulators.of(&rule.code).paid;
            self.findings.push(findings::cap_reached(rule, binding, already, paid));
        }
    }

    /// What can only be said of the whole.
    fn note_outcome(&mut self, patient_share: Money, coverage: Coverage) -> Result<(), AdjudicateError> {
        let (policy, buckets) = (self.policy, &self.claim.buckets);
        let settings = &policy.settings;
        if !self.person.is_on_roster {
            self.findings.push(findings::not_on_roster(&settings.covers_residents));
        }
        if let Some((before, after)) = self.person.category_change() {
            self.findings.push(findings::category_changed(
                &before,
                &after,
                self.person.on,
                &settings.identity_on,
            ));
        }
        if self.claim.third_party_liable {
            let stood_aside = |line: &&PayerLine| line.reason == Some(Reason::ThirdPartyLiable);
            let aside: Vec<&Text> = self.payers.iter().filter(stood_aside).map(|line| &line.name).collect();
            self.findings.push(findings::third_party_liable(&aside));
        }
        self.note_target(coverage)?;
        if let Some(limit) = &settings.out_of_catalogue_limit {
            let most = buckets.total.exact().times(limit.value);
            if most.is_ok_and(|most| most < buckets.self_funded.exact()) {
                let finding = findings::out_of_catalogue_share(buckets.self_funded, buckets.total, limit);
                self.findings.push(finding);
            }
        }
        if patient_share.is_zero() {
            self.findings.push(findings::zero_patient_share(&settings.min_patient_share));
        }
        if policy.attested_by.trim().is_empty() {
            self.findings.push(findings::sample_policy(&policy.label));
        }
        Ok(())
    }

    /// Of holders of the supplementary cover alone: nobody else was promised the target. Compared exactly, not by the
    /// four decimals that are printed.
    fn note_target(&mut self, coverage: Coverage) -> Result<(), AdjudicateError> {
        if !self.person.holds_supplementary_cover() {
            return Ok(());
        }
        let in_scope = self.claim.buckets.in_scope;
        let covered = (in_scope - self.left.in_scope).exact();
        let tolerance = self.policy.settings.target_tolerance.value;
        let Some(share) = coverage.in_scope else { return Ok(()) };
        for rule in self.order.iter().filter(|rule| self.person.holds(rule)) {
            let Some(target) = &self.person.terms(rule).target else { continue };
            let compare = || {
                let goal = in_scope.exact().times(target.value)?;
                let slack = in_scope.exact().times(tolerance)?;
                Ok((goal.plus(slack)? < covered, covered < goal.minus(slack)?))
            };
            let number = |why| AdjudicateError::Number { payer: rule.code.clone(), why };
            let code = match compare().map_err(number)? {
                (true, _) => FindingCode::OverTarget,
                (_, true) => FindingCode::BelowTarget,
                _ => continue,
            };
            self.findings.push(findings::target_missed(code, share, target, tolerance));
        }
        Ok(())
    }
}

fn line(rule: &PayerRule, state: PayerState, base: Exact, paid: Money, reason: Option<Reason>) -> PayerLine {
    PayerLine {
        payer: rule.code.clone(),
        name: rule.name.clone(),
        state,
        base_kind: rule.base.value,
        base,
        paid,
        reference: None,
        reason,
        steps: Vec::new(),
        clause: rule.clause.clone(),
    }
}

/// A claim may come from anywhere; nothing below is right unless its parts make the whole.
fn check_buckets(buckets: &Buckets) -> Result<(), AdjudicateError> {
    let parts = [buckets.self_funded, buckets.over_limit, buckets.upfront_copay, buckets.in_scope];
    let sum: Money = parts.into_iter().sum();
    let is_sound = buckets.total.is_positive()
        && buckets.total.within_limit().is_ok()
        && sum == buckets.total
        && !parts.into_iter().any(Money::is_negative);
    if is_sound { Ok(()) } else { Err(AdjudicateError::Buckets { total: buckets.total, parts: sum }) }
}
