//! Words of closed lists: the contract's own, the letters of HL7 tables, and the words every Chinese
//! hospital uses. A profile's value map comes first; what is in none of them is refused.

use yizhan_contract::stay::{CatalogueClass, CauseKind, Referral, Sex, VisitClass};

use crate::settlement::places::Dialect;

/// What a sender is told it can say, where a word is in no list: documents the contract's own words, HL7 the codes of
/// its table.
#[derive(Clone, Copy)]
pub struct Listed {
    own: &'static [&'static str],
    hl7: &'static [&'static str],
}

impl Listed {
    pub const SEX: Self = Self { own: Sex::WORDS, hl7: &["M", "F", "O", "U", "A", "N"] };
    pub const VISIT_CLASS: Self = Self { own: VisitClass::WORDS, hl7: &["I", "O", "E", "B", "P", "R"] };
    pub const YES_OR_NO: Self = Self { own: &["true", "false"], hl7: &["Y", "N"] };
    /// HL7 has no table of it.
    pub const CAUSE: Self = Self { own: CauseKind::WORDS, hl7: CauseKind::WORDS };
    pub const REFERRAL: Self = Self { own: Referral::WORDS, hl7: Referral::WORDS };
    pub const CATALOGUE_CLASS: Self = Self { own: CatalogueClass::WORDS, hl7: CatalogueClass::WORDS };

    pub fn in_dialect(self, dialect: Dialect) -> &'static [&'static str] {
        if dialect == Dialect::Hl7 { self.hl7 } else { self.own }
    }
}

/// HL7 table 0001; GB/T 2261.1.
pub fn sex(word: &str) -> Option<Sex> {
    match word {
        "M" | "m" | "男" | "男性" | "1" => Some(Sex::Male),
        "F" | "f" | "女" | "女性" | "2" => Some(Sex::Female),
        "O" | "A" | "N" | "X" => Some(Sex::Other),
        "U" | "未知" | "不详" | "0" | "9" => Some(Sex::Unknown),
        _ => Sex::from_word(word),
    }
}

/// HL7 table 0004: an obstetrics patient lies in a bed, a recurring one comes and goes.
pub fn visit_class(word: &str) -> Option<VisitClass> {
    match word {
        "I" | "B" | "P" | "住院" => Some(VisitClass::Inpatient),
        "O" | "R" | "门诊" => Some(VisitClass::Outpatient),
        "E" | "急诊" => Some(VisitClass::Emergency),
        _ => VisitClass::from_word(word),
    }
}

pub fn cause(word: &str) -> Option<CauseKind> {
    match word {
        "疾病" => Some(CauseKind::Illness),
        "意外" | "意外伤害" | "外伤" => Some(CauseKind::Accident),
        _ => CauseKind::from_word(word),
    }
}

pub fn referral(word: &str) -> Option<Referral> {
    match word {
        "无" => Some(Referral::None),
        "转诊" => Some(Referral::Referred),
        "未转诊" => Some(Referral::Unreferred),
        "急诊" => Some(Referral::Emergency),
        _ => Referral::from_word(word),
    }
}

/// chrgitm_lv 01/02/03.
pub fn catalogue_class(word: &str) -> Option<CatalogueClass> {
    match word {
        "甲" | "甲类" | "01" => Some(CatalogueClass::A),
        "乙" | "乙类" | "02" => Some(CatalogueClass::B),
        "丙" | "丙类" | "自费" | "03" => Some(CatalogueClass::C),
        _ => CatalogueClass::from_word(word),
    }
}

/// HL7 table 0136 and its relatives.
pub fn yes_or_no(word: &str) -> Option<bool> {
    match word {
        "true" | "Y" | "1" | "是" => Some(true),
        "false" | "N" | "0" | "否" => Some(false),
        _ => None,
    }
}

/// HL7 table 0017.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    Charge,
    Credit,
    Payment,
    /// Adds or takes away, by the sign of its amount.
    Adjustment,
    Copayment,
}

impl LineKind {
    pub const WORDS: &'static [&'static str] = &["CG", "CD", "PY", "AJ", "CO"];
}

pub fn line_kind(word: &str) -> Option<LineKind> {
    match word {
        "CG" => Some(LineKind::Charge),
        "CD" => Some(LineKind::Credit),
        "PY" => Some(LineKind::Payment),
        "AJ" => Some(LineKind::Adjustment),
        "CO" => Some(LineKind::Copayment),
        _ => None,
    }
}
