//! The one formula of every rules payer (SETTLEMENT §3, steps 1 to 7), with the steps it leaves behind.

use yizhan_contract::step::StepItem;
use yizhan_contract::{ClaimLine, Exact, Money, NumberError, Reason, Step, StepKind, Used};

use crate::policy::{BaseKind, Figure, PayerRule, Standing, Terms};

/// What the payers so far have left to the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remainders {
    pub(crate) in_scope: Money,
    pub(crate) out_of_scope: Money,
}

impl Remainders {
    pub(crate) fn patient(self) -> Money {
        self.in_scope + self.out_of_scope
    }

    pub(crate) fn of(self, base: BaseKind) -> Money {
        match base {
            BaseKind::Scope => self.in_scope,
            BaseKind::OutOfScope => self.out_of_scope,
            BaseKind::Patient | BaseKind::Items => self.patient(),
        }
    }

    /// Step 7. Amounts that lie outside one remainder lower the in-scope one first.
    pub(crate) fn take_off(&mut self, base: BaseKind, paid: Money) {
        let in_scope = match base {
            BaseKind::OutOfScope => Money::ZERO,
            BaseKind::Scope | BaseKind::Patient | BaseKind::Items => paid.min(self.in_scope),
        };
        self.in_scope -= in_scope;
        self.out_of_scope -= paid - in_scope;
    }
}

/// Everything one payer's formula looks at.
pub(crate) struct Case<'a> {
    pub(crate) rule: &'a PayerRule,
    pub(crate) terms: &'a Terms,
    pub(crate) lines: &'a [ClaimLine],
    /// The stay's in-scope total.
    pub(crate) in_scope: Money,
    pub(crate) is_out_of_area: bool,
    pub(crate) left: Remainders,
    pub(crate) used: Used,
    pub(crate) min_patient_share: &'a Figure<Money>,
}

/// A cap that was the binding minimum.
#[derive(Debug, Clone)]
pub(crate) struct BindingCap {
    pub(crate) cap: Figure<Money>,
    pub(crate) is_annual: bool,
}

pub(crate) struct Computed {
    pub(crate) base: Exact,
    pub(crate) paid: Money,
    /// Exactly when `paid` is 0.00.
    pub(crate) reason: Option<Reason>,
    pub(crate) steps: Vec<Step>,
    pub(crate) binding_cap: Option<BindingCap>,
}

impl Case<'_> {
    /// The base b: what later steps, the bill and the accumulators go by.
    pub(crate) fn base(&self) -> Result<Exact, NumberError> {
        self.net(self.gross()?.0)
    }

    /// Steps 1 to 6.
    pub(crate) fn compute(&self) -> Result<Computed, NumberError> {
        let (gross, items) = self.gross()?;
        let base = self.net(gross)?;
        let mut walk = Walk::from(gross);
        walk.note(StepKind::Base, |step| {
            step.items = items;
            step.already = self.rule.cumulative.value.then_some(self.used.base);
        });
        if let (true, Some(share)) = (self.is_out_of_area, &self.terms.upfront_share) {
            walk.amount = base;
            walk.note(StepKind::UpfrontShare, |step| {
                step.ratio = Some(share.value);
                step.clause = Some(share.clause.clone());
            });
        }
        walk.zero_because(Reason::NothingLeft);
        self.graduate(&mut walk, base)?;
        walk.zero_because(Reason::BelowDeductible);
        self.limit(&mut walk)?;
        Ok(Computed {
            base,
            paid: walk.amount.round(),
            reason: walk.reason,
            steps: walk.steps,
            binding_cap: walk.binding_cap,
        })
    }

    /// The most an outside payer may pay: what is left, under steps 3, 4 and 6.
    pub(crate) fn pay_at_most(&self) -> Result<Computed, NumberError> {
        let base = self.base()?;
        let left = if base.is_zero() { Money::ZERO } else { self.left.of(self.rule.base.value) };
        let mut walk = Walk::from(left.exact());
        walk.zero_because(Reason::NothingLeft);
        self.limit(&mut walk)?;
        Ok(Computed {
            base,
            paid: walk.amount.round(),
            reason: walk.reason,
            steps: Vec::new(),
            binding_cap: walk.binding_cap,
        })
    }

    /// Step 1 before the share withheld out of area.
    fn gross(&self) -> Result<(Exact, Vec<StepItem>), NumberError> {
        if self.rule.base.value != BaseKind::Items {
            return Ok((self.left.of(self.rule.base.value).exact(), Vec::new()));
        }
        let mut sum = Exact::ZERO;
        let mut items = Vec::new();
        for (category, ratio) in &self.rule.items {
            let mut lines =
                self.lines.iter().filter(|line| line.category.as_ref() == Some(category)).peekable();
            if lines.peek().is_none() {
                continue;
            }
            let amount: Money = lines.map(|line| line.amount).sum();
            sum = sum.plus(amount.exact().times(ratio.value)?)?;
            items.push(StepItem { category: category.clone(), amount, ratio: ratio.value });
        }
        Ok((sum.or_zero().min(self.left.patient().exact()), items))
    }

    fn net(&self, gross: Exact) -> Result<Exact, NumberError> {
        match &self.terms.upfront_share {
            Some(share) if self.is_out_of_area => gross.times(share.value.complement()),
            _ => Ok(gross),
        }
    }

    /// Step 2: marginal bands whose edges count from zero, the deductible inside them. Cumulative payers
    /// look at the stretch from the year's bases before this stay to those after it.
    fn graduate(&self, walk: &mut Walk, base: Exact) -> Result<(), NumberError> {
        let start = if self.rule.cumulative.value { self.used.base } else { Exact::ZERO };
        let end = start.plus(base)?;
        let mut deductible = Exact::ZERO;
        if let Some(figure) = self.terms.deductible.as_ref().filter(|figure| figure.value.is_positive()) {
            deductible = figure.value.exact();
            walk.amount = end.minus(deductible)?.or_zero().minus(start.minus(deductible)?.or_zero())?;
            walk.note(StepKind::Deductible, |step| {
                step.amount = Some(deductible);
                step.already = self.rule.cumulative.value.then_some(start);
                step.clause = Some(figure.clause.clone());
            });
        }
        let points = self.terms.ratio_points.as_ref().filter(|_| self.is_out_of_area);
        let first = deductible.max(start);
        let mut amount = Exact::ZERO;
        for band in &self.terms.bands {
            let low = band.from.exact().max(first);
            let high = band.to.map_or(end, |edge| edge.exact().min(end));
            if high <= low {
                continue;
            }
            let part = high.minus(low)?;
            let ratio = points.map_or(band.ratio.value, |points| band.ratio.value.less_points(points.value));
            amount = amount.plus(part.times(ratio)?)?;
            walk.amount = amount;
            walk.note(StepKind::Band, |step| {
                step.from = band.from.is_positive().then(|| band.from.exact());
                step.to = band.to.map(Money::exact);
                step.part = Some(part);
                step.ratio = Some(ratio);
                step.points = points.map(|points| points.value);
                step.clause = Some(band.ratio.clause.clone());
            });
        }
        walk.amount = amount;
        Ok(())
    }

    /// Steps 3 to 6.
    fn limit(&self, walk: &mut Walk) -> Result<(), NumberError> {
        self.target(walk)?;
        walk.zero_because(Reason::TargetReached);
        self.caps(walk)?;
        walk.zero_because(Reason::CapReached);
        let rounded = walk.amount.round().exact();
        if walk.becomes(rounded) {
            walk.note(StepKind::Rounding, |_| ());
        }
        let left = self.left.of(self.rule.base.value).exact();
        if left < walk.amount {
            walk.amount = left;
            walk.note(StepKind::Remainder, |step| step.amount = Some(left));
        }
        self.min_share(walk);
        walk.zero_because(Reason::MinShare);
        Ok(())
    }

    fn target(&self, walk: &mut Walk) -> Result<(), NumberError> {
        let Some(target) = &self.terms.target else { return Ok(()) };
        let reached = self.in_scope - self.left.in_scope;
        let open = self.in_scope.exact().times(target.value)?.minus(reached.exact())?.or_zero();
        walk.amount = walk.amount.min(open);
        walk.note(StepKind::Target, |step| {
            step.ratio = Some(target.value);
            step.of = Some(self.in_scope.exact());
            step.already = Some(reached.exact());
            step.amount = Some(open);
            step.clause = Some(target.clause.clone());
        });
        Ok(())
    }

    fn caps(&self, walk: &mut Walk) -> Result<(), NumberError> {
        if let Some(cap) = &self.terms.stay_cap {
            walk.cap(cap, cap.value.exact(), false);
            walk.note(StepKind::StayCap, |step| {
                step.amount = Some(cap.value.exact());
                step.clause = Some(cap.clause.clone());
            });
        }
        if let Some(cap) = &self.terms.annual_cap {
            walk.cap(cap, (cap.value - self.used.paid).or_zero().exact(), true);
            walk.note(StepKind::AnnualCap, |step| {
                step.amount = Some(cap.value.exact());
                step.already = Some(self.used.paid.exact());
                step.clause = Some(cap.clause.clone());
            });
        }
        Ok(())
    }

    /// Step 6, for payers that give way.
    fn min_share(&self, walk: &mut Walk) {
        let keep = self.min_patient_share;
        let most = (self.left.patient() - keep.value).or_zero().exact();
        if self.rule.standing.value == Standing::Discretionary && most < walk.amount {
            walk.amount = most;
            // Whatever cap had lowered the amount before, it is not what binds now.
            walk.binding_cap = None;
            walk.note(StepKind::MinShare, |step| {
                step.amount = Some(keep.value.exact());
                step.of = Some(self.left.patient().exact());
                step.clause = Some(keep.clause.clone());
            });
        }
    }
}

/// The amount on its way from base to payment.
struct Walk {
    amount: Exact,
    steps: Vec<Step>,
    reason: Option<Reason>,
    binding_cap: Option<BindingCap>,
}

impl Walk {
    fn from(amount: Exact) -> Self {
        Self { amount, steps: Vec::with_capacity(8), reason: None, binding_cap: None }
    }

    fn note(&mut self, what: StepKind, figures: impl FnOnce(&mut Step)) {
        let mut step = Step::new(what, self.amount);
        figures(&mut step);
        self.steps.push(step);
    }

    /// Blames the stage after which nothing payable is left: an amount that rounds to 0.00 counts as none,
    /// and so does a graduated amount that is 0 for its ratio alone ([`Reason::BelowDeductible`]).
    fn zero_because(&mut self, reason: Reason) {
        if self.reason.is_none() && self.amount.round().is_zero() {
            self.reason = Some(reason);
        }
    }

    fn cap(&mut self, cap: &Figure<Money>, open: Exact, is_annual: bool) {
        if open < self.amount {
            self.amount = open;
            self.binding_cap = Some(BindingCap { cap: cap.clone(), is_annual });
        }
    }

    fn becomes(&mut self, amount: Exact) -> bool {
        let changes = self.amount != amount;
        self.amount = amount;
        changes
    }
}
