//! Diagnoses, and what was settled elsewhere.

use yizhan_contract::stay::{Diagnosis, SettledElsewhere};
use yizhan_contract::{Money, PayerCode};

use super::super::limits::{
    CODE_CHARS_MAX, DIAGNOSES_MAX, NAME_CHARS_MAX, SETTLED_ELSEWHERE_MAX, TEXT_CHARS_MAX,
};
use super::super::raw::{DiagnosisRow, PayerRow, Place};
use super::words::Listed;
use super::{Reader, Wrong, words};
use crate::refusal::Code;
use crate::settlement::names::{DiagnosisField, Name, PayerField};
use crate::settlement::part::Patch;

impl<'a> Reader<'_, 'a> {
    pub fn diagnoses(&mut self, rows: &[(Place<'a>, DiagnosisRow<'a>)]) {
        if let Some((place, _)) = rows.get(DIAGNOSES_MAX) {
            self.problems.refuse(Code::TooLarge, place, "诊断过多", "there are too many diagnoses");
        }
        let mut diagnoses = Vec::new();
        for (place, row) in rows.iter().take(DIAGNOSES_MAX) {
            let code = &row[DiagnosisField::Code.index()];
            if code.as_text().is_none() {
                self.problems.refuse(Code::MissingField, place, "诊断缺少编码", "the diagnosis has no code");
                continue;
            }
            let code = self.code(Name::Diagnosis(DiagnosisField::Code), code, CODE_CHARS_MAX);
            let name = &row[DiagnosisField::Name.index()];
            let name = self.text(Name::Diagnosis(DiagnosisField::Name), name, TEXT_CHARS_MAX);
            let principal = &row[DiagnosisField::Principal.index()];
            let yes_no = Listed::YES_OR_NO;
            let principal =
                self.word(Name::Diagnosis(DiagnosisField::Principal), principal, words::yes_or_no, yes_no);
            if let Patch::Set(code) = code {
                let name = name.value().cloned().unwrap_or_default();
                let principal = principal.value().copied().unwrap_or(false);
                diagnoses.push(Diagnosis { code: code.into(), name: name.into(), principal });
            }
        }
        self.part.diagnoses = Patch::Set(diagnoses);
    }

    pub fn settled_elsewhere(&mut self, rows: &[(Place<'a>, PayerRow<'a>)]) {
        if let Some((place, _)) = rows.get(SETTLED_ELSEWHERE_MAX) {
            self.problems.refuse(Code::TooLarge, place, "支付方过多", "there are too many payers");
        }
        let mut settled: Vec<SettledElsewhere> = Vec::new();
        for (place, row) in rows.iter().take(SETTLED_ELSEWHERE_MAX) {
            let Some(entry) = self.payer_settlement(place, row) else { continue };
            if settled.iter().any(|other| other.payer == entry.payer) {
                let en = "this payer is named twice";
                self.problems.refuse(Code::BadSettledElsewhere, place, "支付方重复", en);
            }
            settled.push(entry);
        }
        self.part.settled_elsewhere = Patch::Set(settled);
    }

    fn payer_settlement(&mut self, place: &Place<'a>, row: &PayerRow<'a>) -> Option<SettledElsewhere> {
        for name in PayerField::ALL {
            if row[name.index()].as_text().is_none() {
                let (zh, en) = name.called();
                let (zh, en) = (format!("缺少{zh}"), format!("has no {en}"));
                self.problems.refuse(Code::BadSettledElsewhere, place, &zh, &en);
            }
        }
        let payer = &row[PayerField::Payer.index()];
        let payer = self.typed(Name::Payer(PayerField::Payer), payer, |text| {
            let wrong = |_| Wrong::new(Code::BadSettledElsewhere, "不是支付方代码", "is no payer code");
            text.parse::<PayerCode>().map_err(wrong)
        });
        let amount = &row[PayerField::Amount.index()];
        let amount = self.typed(Name::Payer(PayerField::Amount), amount, |text| {
            let amount: Money = text.parse()?;
            let wrong = Wrong { code: Code::BadSettledElsewhere, ..Wrong::negative() };
            if amount.is_negative() { Err(wrong) } else { Ok(amount) }
        });
        let reference = &row[PayerField::Reference.index()];
        let reference = self.code(Name::Payer(PayerField::Reference), reference, NAME_CHARS_MAX);
        match (payer, amount, reference) {
            (Patch::Set(payer), Patch::Set(amount), Patch::Set(reference)) => {
                Some(SettledElsewhere { payer, amount, reference })
            }
            _ => None,
        }
    }
}
