//! From what was said to a discharge that can be settled: what is missing is named, figures that bind
//! are compared.

use jiff::{Span, Timestamp};
use yizhan_contract::stay::{
    Cause, CauseKind, Discharge, Moment, Patient, Referral, Sex, Stated, Visit, VisitClass,
};
use yizhan_contract::{Finding, FindingCode, Personal, Text};
use yizhan_rules::total;

use super::findings;
use super::message::Hospital;
use super::names::Head;
use super::part::StayPart;
use super::places::Dialect;
use super::refusals::{self, LinePlaces};
use crate::refusal::{Code, Refusal};

/// A charge may be booked the day before the patient is admitted, or the day after they have left.
const LINE_DAYS_OUTSIDE_MAX: i32 = 1;

/// A discharge, and what a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    pub discharge: Discharge,
    pub findings: Vec<Finding>,
}

impl StayPart {
    /// The whole stay, or everything that keeps it from being settled.
    pub fn complete(
        &self,
        hospital: &Hospital,
        message_id: &str,
        sent_at: Timestamp,
        dialect: Dialect,
    ) -> Result<Completed, Vec<Refusal>> {
        let mut refusals = self.missing(hospital, dialect);
        refusals.extend(self.dates_in_disorder(hospital, dialect));
        refusals.extend(self.cause_in_contradiction(hospital, dialect));
        let mut findings = Vec::new();
        match self.check_totals(hospital, dialect) {
            Ok(finding) => findings.extend(finding),
            Err(refusal) => refusals.push(refusal),
        }
        refusals.extend(self.agreement_not_in_force(hospital, dialect));
        let (Some(admitted), Some(discharged), true) =
            (self.admitted.value(), self.discharged.value(), refusals.is_empty())
        else {
            return Err(refusals);
        };
        findings.extend(self.lines_outside(*admitted, *discharged, hospital, dialect));
        let discharge = self.discharge(message_id, sent_at, *admitted, *discharged);
        Ok(Completed { discharge, findings })
    }

    fn discharge(
        &self,
        message_id: &str,
        sent_at: Timestamp,
        admitted: Moment,
        discharged: Moment,
    ) -> Discharge {
        let personal =
            |value: Option<&Personal<String>>| value.cloned().unwrap_or_else(|| Personal::new(String::new()));
        Discharge {
            message_id: message_id.to_owned(),
            sent_at,
            hospital: self.hospital.clone(),
            insured_region: self.insured_region.value().cloned(),
            visit: Visit {
                number: self.visit_number.clone(),
                admitted,
                discharged,
                department: self.department.value().cloned(),
                ward: self.ward.value().cloned(),
                bed: self.bed.value().cloned(),
                class: self.class.value().copied().unwrap_or(VisitClass::Inpatient),
            },
            patient: Patient {
                id_number: self.id_number.value().cloned(),
                mrn: personal(self.mrn.value()),
                name: personal(self.name.value()),
                sex: self.sex.value().copied().unwrap_or(Sex::Unknown),
                birth: self.birth.value().cloned(),
                card: self.card.value().cloned(),
            },
            cause: Cause { kind: self.cause(), accident_type: self.accident_type.value().cloned() },
            third_party_liable: self.third_party_liable.value().copied().unwrap_or(false),
            referral: self.referral.value().copied().unwrap_or(Referral::None),
            diagnoses: self.diagnoses.value().cloned().unwrap_or_default(),
            lines: self.lines.clone(),
            settled_elsewhere: self.settled_elsewhere.value().cloned().unwrap_or_default(),
            stated: Stated {
                total: self.stated_total.value().copied(),
                patient_share: self.stated_patient_share.value().copied(),
            },
            deposit: self.deposit_or_payments(),
        }
    }

    /// A message without accident information is an illness; one that names the kind of accident is none.
    fn cause(&self) -> CauseKind {
        let unsaid =
            if self.accident_type.value().is_some() { CauseKind::Accident } else { CauseKind::Illness };
        self.cause_kind.value().copied().unwrap_or(unsaid)
    }

    /// An illness with a kind of accident: one of the two is wrong, and they are paid differently.
    pub fn cause_in_contradiction(&self, hospital: &Hospital, dialect: Dialect) -> Option<Refusal> {
        let contradicts = self.accident_type.value().is_some() && self.cause() == CauseKind::Illness;
        contradicts.then(|| {
            Refusal::new(
                Code::BadValue,
                "既注明疾病，又给出意外类型",
                "an illness is stated together with a kind of accident",
            )
            .at(hospital.place_of(dialect, Head::CauseKind))
        })
    }

    /// What settling needs and no message has said.
    pub fn missing(&self, hospital: &Hospital, dialect: Dialect) -> Vec<Refusal> {
        let mut missing = Vec::new();
        let mut need = |is_there: bool, name: Head| {
            if !is_there {
                let place = hospital.place_of(dialect, name);
                missing.push(
                    Refusal::new(Code::MissingField, "结算需要该项", "settling needs this field").at(place),
                );
            }
        };
        need(!self.visit_number.is_empty(), Head::VisitNumber);
        need(self.admitted.value().is_some(), Head::Admitted);
        need(self.discharged.value().is_some(), Head::Discharged);
        need(self.name.value().is_some(), Head::PatientName);
        need(self.id_number.value().is_some() || self.mrn.value().is_some(), Head::IdNumber);
        if self.lines.is_empty() {
            let place = hospital.place_of_lines(dialect);
            missing.push(
                Refusal::new(Code::MissingField, "没有任何费用明细", "there is no charge line").at(place),
            );
        }
        missing
    }

    /// Discharge before admission.
    pub fn dates_in_disorder(&self, hospital: &Hospital, dialect: Dialect) -> Option<Refusal> {
        let (admitted, discharged) = (self.admitted.value()?, self.discharged.value()?);
        discharged.is_before(*admitted).then(|| {
            Refusal::new(
                Code::BadDates,
                format!("出院 {discharged} 早于入院 {admitted}"),
                format!("discharged {discharged}, before being admitted {admitted}"),
            )
            .at(hospital.place_of(dialect, Head::Discharged))
        })
    }

    /// The hospital must be designated (定点) on the discharge date.
    pub fn agreement_not_in_force(&self, hospital: &Hospital, dialect: Dialect) -> Option<Refusal> {
        let day = self.discharged.value()?.date;
        (!hospital.has_agreement_on(day)).then(|| {
            Refusal::new(
                Code::AgreementNotInForce,
                format!("{day} 无有效的定点协议"),
                format!("no agreement is in force on {day}"),
            )
            .at(hospital.place_of(dialect, Head::Discharged))
        })
    }

    /// Charges dated before or after the stay: settled all the same, for a person to look at.
    fn lines_outside(
        &self,
        admitted: Moment,
        discharged: Moment,
        hospital: &Hospital,
        dialect: Dialect,
    ) -> Option<Finding> {
        let slack = Span::new().days(LINE_DAYS_OUTSIDE_MAX);
        let first = admitted.date.saturating_sub(slack);
        let last = discharged.date.saturating_add(slack);
        let outside = self.lines.iter().filter(|line| line.date < first || last < line.date);
        let places: Vec<String> = outside.map(|line| hospital.place_of_line(dialect, &line.id)).collect();
        let stay = (admitted.date, discharged.date);
        (!places.is_empty()).then(|| findings::lines_outside_stay(&places, stay))
    }

    /// Compares the sum of the lines with what the sender stated; a figure that does not bind becomes
    /// a finding.
    pub fn check_totals(&self, hospital: &Hospital, dialect: Dialect) -> Result<Option<Finding>, Refusal> {
        if self.lines.is_empty() {
            return Ok(None);
        }
        let sum = total(&self.lines, self.stated_total.value().copied())
            .map_err(|why| refusals::assess(&why, &LinePlaces::none(), hospital, dialect))?;
        Ok(self.reported_total.value().filter(|reported| **reported != sum).map(|reported| Finding {
            code: FindingCode::StatedTotalDiffers,
            message: Text::new(
                format!("报文所列总额 {reported}，明细合计 {sum}，以明细为准"),
                format!("the message reports {reported}, the lines add up to {sum} and count"),
            ),
            clause: None,
        }))
    }
}
