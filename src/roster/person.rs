//! One person's rows of one file, made into one entry.

use std::collections::BTreeMap;

use yizhan_contract::person::{Entitlement, EntitlementKind, RosterEntry};
use yizhan_contract::{IdNumber, Personal, Text};

use super::{FROM, NAME, REGION, RosterRow};
use crate::sheet::Problem;
use crate::sheet::periods::{Period, overlaps};

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
    let mut by_code: BTreeMap<(EntitlementKind, &str), Vec<Period>> = BTreeMap::new();
    for RosterRow { line, entitlement: Entitlement { kind, code, from, to }, .. } in rows {
        let period = Period { line: *line, from: *from, to: *to };
        by_code.entry((*kind, code)).or_default().push(period);
    }
    problems.extend(by_code.into_values().flat_map(|periods| overlaps(periods, FROM)));
    problems
}
