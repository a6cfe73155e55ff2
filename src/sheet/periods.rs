//! Periods that rows give to one thing: none may share a day with another.

use jiff::civil::Date;
use yizhan_contract::Text;

use super::Problem;

/// What a row says of the time it speaks of; absent `to`: no end.
#[derive(Debug, Clone, Copy)]
pub struct Period {
    pub line: u64,
    pub from: Date,
    pub to: Option<Date>,
}

/// The rows among those of one thing whose period shares a day with that of another row, at the later line.
pub fn overlaps(mut periods: Vec<Period>, column: &'static str) -> Vec<Problem> {
    periods.sort_by_key(|period| (period.from, period.line));
    // The period that reaches furthest so far: one without an end outlasts all.
    let mut furthest: Option<Period> = None;
    let mut problems = Vec::new();
    for period in periods {
        if let Some(before) = furthest
            && before.to.is_none_or(|last| period.from <= last)
        {
            let (line, other) = (period.line.max(before.line), period.line.min(before.line));
            let text = Text::new(
                format!("有效期与第 {other} 行重叠，请改为前后相接"),
                format!("the period overlaps line {other}; let one end before the other begins"),
            );
            problems.push(Problem::at(line, column, text));
        }
        let reaches_further =
            |before: Period| before.to.is_some_and(|last| period.to.is_none_or(|to| to > last));
        if furthest.is_none_or(reaches_further) {
            furthest = Some(period);
        }
    }
    problems
}
