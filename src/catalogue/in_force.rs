use jiff::civil::Date;

/// One stored condition of an item, as far as choosing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    pub scope: &'a str,
    /// Later files have higher numbers.
    pub generation: i64,
    pub from: Date,
    pub to: Option<Date>,
}

/// The scopes that may speak for a hospital in a region, the one that decides first.
pub fn scopes_of<'a>(hospital: &'a str, region: &'a str) -> Vec<&'a str> {
    let prefixes = (1..=region.len()).rev().filter_map(|length| region.get(..length));
    std::iter::once(hospital).chain(prefixes).collect()
}

/// Which of an item's conditions holds on a day: hospital before region, longest prefix first. Within a
/// scope a later file decides from the first day it names for the item; before that day, earlier files do.
pub fn in_force(scopes: &[&str], candidates: &[Candidate<'_>], day: Date) -> Option<usize> {
    scopes.iter().find_map(|scope| {
        let of_scope = candidates.iter().enumerate().filter(|(_, candidate)| candidate.scope == *scope);
        let begun: Vec<_> = of_scope.filter(|(_, candidate)| candidate.from <= day).collect();
        let newest = begun.iter().map(|(_, candidate)| candidate.generation).max()?;
        begun
            .into_iter()
            .filter(|(_, candidate)| candidate.generation == newest)
            .find(|(_, candidate)| candidate.to.is_none_or(|last| day <= last))
            .map(|(at, _)| at)
    })
}
