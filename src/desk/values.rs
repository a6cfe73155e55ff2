//! The words a clerk reads for the codes of a bill: states, reasons, categories.

use yizhan_contract::Reason;
use yizhan_contract::stay::CauseKind;
use yizhan_contract::step::PayerState;

use super::words::Lang;
use crate::refusal::Money;

/// The same words in both languages, fixed at compile time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Both {
    pub zh: &'static str,
    pub en: &'static str,
}

impl Both {
    const fn new(zh: &'static str, en: &'static str) -> Self {
        Self { zh, en }
    }

    pub fn of(self, lang: Lang) -> &'static str {
        match lang {
            Lang::Zh => self.zh,
            Lang::En => self.en,
        }
    }
}

pub fn payer_state(state: PayerState) -> Both {
    let (zh, en) = state.words();
    Both::new(zh, en)
}

/// Shape that goes with the state, for those who cannot tell its colour.
pub fn payer_state_mark(state: PayerState) -> &'static str {
    match state {
        PayerState::Committed | PayerState::SettledElsewhere => "●",
        PayerState::Quoted | PayerState::Deferred => "○",
        PayerState::Committing | PayerState::Unknown | PayerState::Reversing => "◐",
        PayerState::Refused | PayerState::Reversed => "×",
        PayerState::NotApplicable => "–",
    }
}

pub fn reason(reason: Reason) -> Both {
    let (zh, en) = reason.words();
    Both::new(zh, en)
}

/// Charge categories of the 结算清单 by word or by med_chrgitm_type; others are shown as sent.
pub fn charge_category(code: &str) -> Option<Both> {
    Some(match code {
        "01" | "bed" => Both::new("床位费", "Bed"),
        "02" | "consultation" => Both::new("诊察费", "Consultation"),
        "03" | "examination" => Both::new("检查费", "Examination"),
        "04" | "laboratory" => Both::new("化验费", "Laboratory"),
        "05" | "treatment" => Both::new("治疗费", "Treatment"),
        "06" | "surgery" => Both::new("手术费", "Surgery"),
        "07" | "nursing" => Both::new("护理费", "Nursing"),
        "08" | "materials" => Both::new("卫生材料费", "Materials"),
        "09" | "western_medicine" => Both::new("西药费", "Western medicine"),
        "10" | "herbal_pieces" => Both::new("中药饮片费", "Herbal pieces"),
        "11" | "chinese_patent_medicine" => Both::new("中成药费", "Chinese patent medicine"),
        "12" | "general_treatment" => Both::new("一般诊疗费", "General treatment"),
        "13" | "registration" => Both::new("挂号费", "Registration"),
        "14" | "other" => Both::new("其他费", "Other"),
        _ => return None,
    })
}

/// A code's words, or the code itself where no words are known.
pub fn or_code(words: Option<Both>, code: &str, lang: Lang) -> &str {
    words.map_or(code, |words| words.of(lang))
}

pub fn cause(cause: CauseKind) -> Both {
    match cause {
        CauseKind::Illness => Both::new("疾病", "Illness"),
        CauseKind::Accident => Both::new("意外伤害", "Accident"),
    }
}

pub fn money(money: Money) -> Both {
    let (zh, en) = money.words();
    Both::new(zh, en)
}
