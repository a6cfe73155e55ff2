//! One person's rows of one file, made into one entry.

use std::collections::BTreeMap;

use yizhan_contract::person::{Entitlement, EntitlementKind, RosterEntry};
use yizhan_contract::{IdNumber, Personal, Text};

use super::{FROM, NAME, REGION, RosterRow};
use crate::sheet::Problem;

/// What a file says of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterPerson {
    pub id_number: Personal<IdNumber>,
    pub name: Personal<String>,
    pub stated: RosterEntry,
}

/// Joins the rows of one person, in the order of their lines: one name, one region, and no category or
/// cover twice on one day.
pub fn person_of(rows: Vec<RosterRow>) -> Result<Option<RosterPerson>, Vec<Problem>> {
    let problems = problems_of(&rows);
    if !problems.is_empty() {
        return Err(problems);
    }
    let region = rows.iter().find_map(|row| row.region.clone());
    let mut rows = rows.into_iter();
    let Some(first) = rows.next() else { return Ok(None) };
    let entitlements = std::iter::once(first.entitlement).chain(rows.map(|row| row.entitlement)).collect();
    let stated = RosterEntry { region, entitlements };
    Ok(Some(RosterPerson { id_number: first.id_number, name: first.name, stated }))
}

fn problems_of(rows: &[RosterRow]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some((first, later)) = rows.split_first() else { return problems };
    let mut region = first.region.as_ref();
    for row in later {
        if row.name != first.name {
            let text = Text::new(
                format!("与第 {} 行同一证件号的姓名不同", first.line),
                format!("is another name than on line {} for the same person", first.line),
            );
            problems.push(Problem::at(row.line, NAME, text));
        }
        match (region, &row.region) {
            (None, stated) => region = stated.as_ref(),
            (Some(known), Some(stated)) if known != stated => {
                let text = Text::new(
                    format!("与第 {} 行同一人的统筹区不同", first.line),
                    format!("is another region than on line {} for the same person", first.line),
                );
                problems.push(Problem::at(row.line, REGION, text));
            }
            _ => {}
        }
    }
    for (line, other) in overlaps(rows.iter().map(|row| (row.line, &row.entitlement))) {
        let text = Text::new(
            format!("有效期与第 {other} 行重叠，请改为前后相接"),
            format!("the period overlaps line {other}; let one end before the other begins"),
        );
        problems.push(Problem::at(line, FROM, text));
    }
    problems
}

/// Lines whose period shares a day with that of another line of the same kind and code.
fn overlaps<'a>(lines: impl Iterator<Item = (u64, &'a Entitlement)>) -> Vec<(u64, u64)> {
    let mut by_code: BTreeMap<(EntitlementKind, &str), Vec<(u64, &Entitlement)>> = BTreeMap::new();
    for (line, entitlement) in lines {
        by_code.entry((entitlement.kind, &entitlement.code)).or_default().push((line, entitlement));
    }
    let mut found = Vec::new();
    for periods in by_code.values_mut() {
        periods.sort_by_key(|(line, period)| (period.from, *line));
        // The period that reaches furthest so far: one without an end outlasts all.
        let mut furthest = periods.first().copied();
        for &(line, period) in periods.iter().skip(1) {
            if let Some((other, before)) = furthest {
                if before.to.is_none_or(|last| period.from <= last) {
                    found.push((line.max(other), line.min(other)));
                }
                if before.to.is_some_and(|last| period.to.is_none_or(|to| to > last)) {
                    furthest = Some((line, period));
                }
            }
        }
    }
    found
}
