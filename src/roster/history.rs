//! How what was known of a person and a later file become what is known from then on.
//!
//! A day that has passed keeps its truth: a stay discharged before a snapshot sees what was known of that
//! day, whatever the snapshot leaves out.

use jiff::civil::Date;
use yizhan_contract::person::{Entitlement, RosterEntry};

use super::RosterMode;

/// The entry after a file that names the person.
pub fn after(known: Option<RosterEntry>, stated: RosterEntry, mode: RosterMode) -> RosterEntry {
    let known = known.unwrap_or_default();
    let region = stated.region.or(known.region);
    let kept = match mode {
        RosterMode::Snapshot { as_of } => ended_on(known.entitlements, as_of),
        RosterMode::Delta => before_restated(known.entitlements, &stated.entitlements),
    };
    RosterEntry { region, entitlements: joined(kept, stated.entitlements) }
}

/// The entry after a snapshot that does not name the person.
pub fn after_missing(known: RosterEntry, as_of: Date) -> RosterEntry {
    RosterEntry { region: known.region, entitlements: ended_on(known.entitlements, as_of) }
}

fn ended_on(entitlements: Vec<Entitlement>, last: Date) -> Vec<Entitlement> {
    let begun = entitlements.into_iter().filter(|entitlement| entitlement.from <= last);
    begun
        .map(|entitlement| Entitlement {
            to: Some(entitlement.to.map_or(last, |to| to.min(last))),
            ..entitlement
        })
        .collect()
}

/// A delta says all about a category or cover from the first day it names for it.
fn before_restated(known: Vec<Entitlement>, stated: &[Entitlement]) -> Vec<Entitlement> {
    let mut kept = Vec::with_capacity(known.len());
    for entitlement in known {
        let same = stated.iter().filter(|other| is_same(other, &entitlement));
        match same.map(|other| other.from).min() {
            None => kept.push(entitlement),
            Some(restated) => match restated.yesterday() {
                Ok(last) if entitlement.from <= last => kept.extend(ended_on(vec![entitlement], last)),
                _ => {}
            },
        }
    }
    kept
}

fn is_same(a: &Entitlement, b: &Entitlement) -> bool {
    a.kind == b.kind && a.code == b.code
}

/// Both lists in order, periods of one category or cover that touch made one.
fn joined(kept: Vec<Entitlement>, stated: Vec<Entitlement>) -> Vec<Entitlement> {
    let mut all = kept;
    all.extend(stated);
    all.sort_by(|a, b| (a.kind, &a.code, a.from).cmp(&(b.kind, &b.code, b.from)));
    let mut joined: Vec<Entitlement> = Vec::with_capacity(all.len());
    for entitlement in all {
        match joined.last_mut() {
            Some(before) if is_same(before, &entitlement) && touches(before, entitlement.from) => {
                before.to = before.to.zip(entitlement.to).map(|(a, b)| a.max(b));
            }
            _ => joined.push(entitlement),
        }
    }
    joined
}

fn touches(before: &Entitlement, from: Date) -> bool {
    before.to.is_none_or(|last| last.tomorrow().is_ok_and(|next| from <= next))
}
