use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Problems collected of one file before it is given back.
pub const PROBLEMS_MAX: usize = 50;

/// What is wrong in one cell, row or file. Never quotes a person's name or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// 0: the file as a whole.
    pub line: u64,
    /// Empty: the row as a whole.
    pub column: &'static str,
    pub detail: Cow<'static, str>,
}

impl Problem {
    pub fn at(line: u64, column: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { line, column, detail: detail.into() }
    }

    pub fn file(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::at(0, "", detail)
    }
}

/// Why a file was refused as a whole: its first problems, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    pub file: Arc<str>,
    pub list: Vec<Problem>,
    /// There were more than [`PROBLEMS_MAX`].
    pub and_more: bool,
}

impl Problems {
    pub fn none(file: Arc<str>) -> Self {
        Self { file, list: Vec::new(), and_more: false }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether reading on would add nothing.
    pub fn is_full(&self) -> bool {
        self.and_more
    }

    pub fn add(&mut self, problems: impl IntoIterator<Item = Problem>) {
        for problem in problems {
            if self.list.len() == PROBLEMS_MAX {
                self.and_more = true;
                return;
            }
            self.list.push(problem);
        }
    }

    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.list.sort_by_key(|problem| problem.line);
        self
    }
}

impl fmt::Display for Problems {
    /// `roster.csv:17 id_number: has a wrong check character`, one per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.list.iter().enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", self.file)?;
            if problem.line > 0 {
                write!(f, ":{}", problem.line)?;
            }
            if !problem.column.is_empty() {
                write!(f, " {}", problem.column)?;
            }
            write!(f, ": {}", problem.detail)?;
        }
        if self.and_more {
            write!(f, "\n… and more: only the first {PROBLEMS_MAX} are listed")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
