//! What is wrong with a sheet, said to whoever made it.

use std::fmt;
use std::sync::Arc;

use yizhan_contract::Text;

/// Problems collected of one file before it is given back.
pub const PROBLEMS_MAX: usize = 50;

/// What is wrong in one cell, row or file. Never quotes a person's name or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// 0: the file as a whole.
    pub line: u64,
    /// Empty: the row as a whole.
    pub column: &'static str,
    /// What is so, and what it should be.
    pub detail: Text,
}

impl Problem {
    pub fn at(line: u64, column: &'static str, detail: Text) -> Self {
        Self { line, column, detail }
    }

    pub fn file(detail: Text) -> Self {
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
    /// `roster.csv:17 name: 不能为空 | must not be empty`, one per line, and what to do last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            write!(f, "{}", self.file)?;
            if problem.line > 0 {
                write!(f, ":{}", problem.line)?;
            }
            if !problem.column.is_empty() {
                write!(f, " {}", problem.column)?;
            }
            writeln!(f, ": {} | {}", problem.detail.zh, problem.detail.en)?;
        }
        if self.and_more {
            writeln!(
                f,
                "… 问题不止这些，只列出前 {PROBLEMS_MAX} 处 | … and more: only the first {PROBLEMS_MAX} are listed"
            )?;
        }
        f.write_str(
            "文件未导入，原有数据不变；请更正后重新导入整个文件 | \
             nothing was imported and what was known stays; correct the file and import all of it again",
        )
    }
}

impl std::error::Error for Problems {}
