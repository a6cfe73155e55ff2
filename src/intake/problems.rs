//! What is wrong with one message: all of it at once, so that a sender corrects it once.

use std::fmt;

use yizhan_contract::{Finding, FindingCode, Text};

use super::limits::{PROBLEMS_MAX, WARNINGS_MAX};
use crate::refusal::{Code, Refusal};

/// Something odd that was accepted; for the message log and the hospital's engineers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    pub place: String,
    pub message: Text,
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

    pub fn warn(&mut self, place: impl fmt::Display, zh: &str, en: &str) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(Warning { place: place.to_string(), message: Text::new(zh, en) });
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
