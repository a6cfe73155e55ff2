//! What is wrong with a policy file, all of it at once, with the place and the clause.

use std::fmt;
use std::sync::Arc;

use yizhan_contract::Text;

/// One thing wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: Arc<str>,
    /// Path of the key, such as `payers.basic.variants[2].deductible`; empty: the file as a whole.
    pub key: Arc<str>,
    pub message: Text,
    /// The rule that is broken, where the rule is somebody's text.
    pub clause: Option<Arc<str>>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {} | {}", self.message.zh, self.message.en)?;
        match &self.clause {
            Some(clause) => write!(f, " [{clause}]"),
            None => Ok(()),
        }
    }
}

/// Policies that cannot be used; the operator's side, trying again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

/// Collects the problems of one file while it is read, so that its author sees all of them.
pub(crate) struct Problems {
    pub(crate) file: Arc<str>,
    pub(crate) found: Vec<Problem>,
}

impl Problems {
    pub(crate) fn of(file: &str) -> Self {
        Self { file: file.into(), found: Vec::new() }
    }

    pub(crate) fn add(&mut self, key: &str, zh: impl Into<Arc<str>>, en: impl Into<Arc<str>>) {
        self.push(key, Text::new(zh, en), None);
    }

    pub(crate) fn breaks(&mut self, key: &str, message: Text, clause: &str) {
        self.push(key, message, Some(clause.into()));
    }

    /// Whether something is wrong at this key, or at what it holds.
    pub(crate) fn is_told(&self, key: &str) -> bool {
        let is_below = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
        self.found.iter().any(|problem| problem.key.strip_prefix(key).is_some_and(is_below))
    }

    fn push(&mut self, key: &str, message: Text, clause: Option<Arc<str>>) {
        self.found.push(Problem { file: self.file.clone(), key: key.into(), message, clause });
    }
}
