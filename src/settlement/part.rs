//! What the messages of one stay have said so far, typed: a message carries a part, parts add up.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use yizhan_contract::stay::{
    CauseKind, Diagnosis, Line, Moment, Referral, SettledElsewhere, Sex, VisitClass,
};
use yizhan_contract::{ChargeError, IdNumber, Money, Personal};

use super::message::RepeatedLine;
use super::names::LineField;
use super::refusals::LinePlaces;
use crate::refusal::{Code, Refusal};

/// Charge lines of one stay, over all its messages.
pub const LINES_MAX: usize = 5_000;

/// What a message says of one field: nothing, "delete what you had" (HL7 `""`), or a value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Patch<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Patch<T> {
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    pub fn set(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::Set)
    }

    fn absorb(&mut self, later: Self) {
        if !later.is_keep() {
            *self = later;
        }
    }
}

/// A payment of the patient (FT1-6 `PY`), below zero where it is paid back; the deposit is their sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub id: String,
    pub amount: Money,
}

/// Declares [`StayPart`] and how a later part is laid over it, field by field.
macro_rules! stay_part {
    ($($(#[$doc:meta])* $field:ident: $type:ty),+ $(,)?) => {
        /// Part of a stay, every field optional.
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub struct StayPart {
            /// The hospital's code in its profile.
            pub hospital: String,
            pub visit_number: String,
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Patch::is_keep")] pub $field: Patch<$type>,)+
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub lines: Vec<Line>,
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub payments: Vec<Payment>,
        }

        impl StayPart {
            fn absorb_fields(&mut self, later: &mut Self) {
                $(self.$field.absorb(std::mem::take(&mut later.$field));)+
            }
        }
    };
}

stay_part! {
    insured_region: String,
    admitted: Moment,
    discharged: Moment,
    department: String,
    ward: String,
    bed: String,
    class: VisitClass,
    id_number: Personal<IdNumber>,
    mrn: Personal<String>,
    name: Personal<String>,
    sex: Sex,
    birth: Personal<Date>,
    card: Personal<String>,
    cause_kind: CauseKind,
    accident_type: String,
    third_party_liable: bool,
    referral: Referral,
    diagnoses: Vec<Diagnosis>,
    settled_elsewhere: Vec<SettledElsewhere>,
    /// Binding: ours must equal it.
    stated_total: Money,
    stated_patient_share: Money,
    /// PV1-47 where the profile does not bind the hospital to it: a difference is a finding.
    reported_total: Money,
    deposit: Money,
}

/// What absorbing a part did with its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Absorbed {
    pub added: usize,
    /// Sent before with equal content: counted once.
    pub repeated: usize,
    /// Sent before with other content, and the profile says that the later one counts.
    pub replaced: usize,
}

impl StayPart {
    /// Lays a later message's part over this one. Lines add up; one sent again with equal content
    /// counts once, with other content it is refused or replaces the first (profile).
    ///
    /// On an error `self` is unchanged.
    pub fn absorb(
        &mut self,
        mut later: Self,
        repeated: RepeatedLine,
        places: &LinePlaces<'_>,
    ) -> Result<Absorbed, Refusal> {
        let (lines, absorbed) = self.with_lines(std::mem::take(&mut later.lines), repeated, places)?;
        let payments = self.with_payments(std::mem::take(&mut later.payments), places)?;
        self.lines = lines;
        self.payments = payments;
        if self.visit_number.is_empty() {
            self.hospital = std::mem::take(&mut later.hospital);
            self.visit_number = std::mem::take(&mut later.visit_number);
        }
        self.absorb_fields(&mut later);
        Ok(absorbed)
    }

    fn with_lines(
        &self,
        later: Vec<Line>,
        repeated: RepeatedLine,
        places: &LinePlaces<'_>,
    ) -> Result<(Vec<Line>, Absorbed), Refusal> {
        let mut absorbed = Absorbed::default();
        let mut lines = self.lines.clone();
        let mut known: std::collections::HashMap<String, usize> =
            lines.iter().enumerate().map(|(at, line)| (line.id.clone(), at)).collect();
        for line in later {
            match known.get(&line.id).copied() {
                None => {
                    known.insert(line.id.clone(), lines.len());
                    lines.push(line);
                    absorbed.added += 1;
                }
                Some(at) if lines[at] == line => absorbed.repeated += 1,
                Some(at) if repeated == RepeatedLine::Replace => {
                    lines[at] = line;
                    absorbed.replaced += 1;
                }
                Some(_) => return Err(repeated_line_differs(&line.id, places)),
            }
        }
        if lines.len() > LINES_MAX {
            return Err(too_many_lines());
        }
        Ok((lines, absorbed))
    }

    fn with_payments(&self, later: Vec<Payment>, places: &LinePlaces<'_>) -> Result<Vec<Payment>, Refusal> {
        let mut payments = self.payments.clone();
        for payment in later {
            match payments.iter().find(|known| known.id == payment.id) {
                None => payments.push(payment),
                Some(known) if *known == payment => {}
                Some(_) => return Err(repeated_payment_differs(&payment, places)),
            }
        }
        if payments.len() > LINES_MAX {
            return Err(too_many_lines());
        }
        Ok(payments)
    }

    /// The deposit as stated, else the sum of the payments, else none.
    pub fn deposit_or_payments(&self) -> Option<Money> {
        match self.deposit.value() {
            Some(deposit) => Some(*deposit),
            None if self.payments.is_empty() => None,
            None => Some(self.payments.iter().map(|payment| payment.amount).sum()),
        }
    }
}

/// What lines that were taken in add up to.
///
/// # Errors
/// Where one of them has no exact amount, which reading it refuses: a total that leaves it out would be wrong.
pub fn charged(lines: &[Line]) -> Result<Money, ChargeError> {
    let mut total = Money::ZERO;
    for line in lines {
        total += line.signed_amount()?;
    }
    Ok(total)
}

pub(super) fn repeated_line_differs(id: &str, places: &LinePlaces<'_>) -> Refusal {
    let refusal = Refusal::new(
        Code::RepeatedLineDiffers,
        format!("费用行 {id} 此前已收到，内容不同"),
        format!("line {id} was sent before with other content"),
    );
    match places.field(id, LineField::Id.word()) {
        Some(place) => refusal.at(place),
        None => refusal,
    }
}

pub(super) fn repeated_payment_differs(payment: &Payment, places: &LinePlaces<'_>) -> Refusal {
    let id = &payment.id;
    let refusal = Refusal::new(
        Code::RepeatedLineDiffers,
        format!("预交款 {id} 此前已收到，金额不同"),
        format!("payment {id} was sent before with another amount"),
    );
    match places.payment(payment) {
        Some(place) => refusal.at(place),
        None => refusal,
    }
}

/// Refuses what pays back more than had been paid, late payments counted, at the place of the last repayment.
pub(super) fn check_paid_back(
    payments: &[Payment],
    late: &[Payment],
    places: &LinePlaces<'_>,
) -> Result<(), Refusal> {
    let sum: Money = payments.iter().chain(late).map(|payment| payment.amount).sum();
    if !sum.is_negative() {
        return Ok(());
    }
    let refusal = Refusal::new(
        Code::BadCharges,
        format!("预交款合计为 {sum}，退款不得多于已交"),
        format!("the payments add up to {sum}; no more can be paid back than was paid"),
    );
    Err(match places.paid_back() {
        Some(place) => refusal.at(place),
        None => refusal,
    })
}

fn too_many_lines() -> Refusal {
    Refusal::new(
        Code::TooLarge,
        format!("一次住院的费用行超过 {LINES_MAX} 条"),
        format!("a stay may have at most {LINES_MAX} charge lines"),
    )
}
