//! What is wrong with one message: all of it at once, so that a sender corrects it once.

use std::fmt;

use yizhan_contract::{Finding, FindingCode, Text};

use super::limits::{PROBLEMS_MAX, WARNINGS_MAX};
use crate::refusal::{Code, Refusal};

/// Something odd that was accepted; for the log, and for the hospital's engineers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub place: String,
    /// Stable, as `lf_separator`.
    pub word: &'static str,
    pub message: Text,
}

/// Kinds of oddities with: word, Chinese, English.
macro_rules! oddities {
    ($($variant:ident $word:literal $zh:literal $en:literal;)+) => {
        /// What can be odd and is borne.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Oddity {
            $($variant,)+
            /// In the writing of an HL7 message.
            Syntax { word: &'static str, zh: String, en: String },
        }

        impl Oddity {
            pub fn at(self, place: String) -> Warning {
                match self {
                    $(Self::$variant => Warning { place, word: $word, message: Text::new($zh, $en) },)+
                    Self::Syntax { word, zh, en } => Warning { place, word, message: Text::new(zh, en) },
                }
            }
        }
    };
}

oddities! {
    SentAtUnread "sent_at_unread" "不是有效时间，未采用" "is no time and was not used";
    DischargeOfAdmission "discharge_of_admission"
        "入院消息中的出院时间未采用" "an admission tells no discharge; it was not used";
    NoIdentityCard "no_identity_card"
        "不是身份证号，未采用" "is no identity card number and was not used";
    BirthImprecise "birth_imprecise"
        "出生日期不完整，未采用" "the birth date gives no day and was not used";
    ReportedTotalUnread "reported_total_unread" "不是有效金额，未与明细核对" "is no amount and was not compared";
    SecondPatientLeftOut "second_patient_left_out"
        "报文中第二名患者或第二次住院未采用" "a second patient or visit in the same message was not used";
    CodeOfProcedure "code_of_procedure" "FT1-7 为空，取 FT1-25" "FT1-7 is empty, FT1-25 was taken";
    OddLineKind "odd_line_kind"
        "FT1-6 不在 0017 表内，按金额正负计入" "FT1-6 is not in table 0017; taken by its sign";
    LineUncoded "line_uncoded" "费用行没有项目编码" "a charge line without an item code";
    ChargeAfterDischarge "charge_after_discharge"
        "费用日期晚于出院日期" "a charge is dated after the discharge";
    NamespaceMissing "namespace_missing"
        "缺少命名空间" "the namespace urn:yizhan:discharge:1 is missing";
    ControlCharacters "control_characters"
        "文本中的换行或控制字符已改为空格" "line breaks or control characters in the text were read as blanks";
}

/// Collects refusals, warnings and findings while a message is read.
#[derive(Debug, Default)]
pub struct Problems {
    refusals: Vec<Refusal>,
    pub warnings: Vec<Warning>,
    pub findings: Vec<Finding>,
}

impl Problems {
    pub fn refuse(&mut self, code: Code, place: impl fmt::Display, zh: &str, en: &str) {
        if self.refusals.len() < PROBLEMS_MAX {
            self.refusals.push(Refusal::new(code, zh, en).at(place));
        }
    }

    pub fn push(&mut self, refusal: Refusal) {
        if self.refusals.len() < PROBLEMS_MAX {
            self.refusals.push(refusal);
        }
    }

    pub fn warn(&mut self, place: impl fmt::Display, oddity: Oddity) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(oddity.at(place.to_string()));
        }
    }

    /// Each code once: the same finding on every line says no more than on one.
    pub fn find(&mut self, code: FindingCode, zh: &str, en: &str) {
        if self.findings.iter().all(|finding| finding.code != code) {
            self.findings.push(Finding { code, message: Text::new(zh, en), clause: None });
        }
    }

    pub fn is_refused(&self) -> bool {
        !self.refusals.is_empty()
    }

    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refusals)
    }
}

/// A document whose bytes are not in its character set; `offset` counts from its first byte.
pub fn not_in_charset(offset: usize, name: &str) -> Refusal {
    let (zh, en) = (format!("内容不符合 {name}"), format!("the document is no {name}"));
    Refusal::new(Code::WrongCharset, zh, en).at(format_args!("byte {offset}"))
}
