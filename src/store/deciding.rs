//! From what was read to a decision: names the people, opens what is sealed, runs it. No SQL, no waiting.
//!
//! An implementation reads a [`Seen`], calls [`decide`], reads what [`Decided::moving`] names, and writes
//! [`Decided::writes`]. It may do so again as often as what it read has changed by then.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use uuid::Uuid;

use super::person::{Hashed, Person, damaged, nothing_known};
use super::seen::{FoundStay, Named, Seen};
use super::vault::Vault;
use super::{Changes, Done, Facts, Step, StoreError, StoredStay};

/// A step that knows what it wants written.
pub(super) struct Decided {
    pub(super) changes: Changes,
    pub(super) seen: Seen,
    /// Whose step it is; absent: nobody's.
    pub(super) owner: Option<Person>,
    /// References that name the owner from now on and nobody before.
    pub(super) unknown: Vec<Hashed>,
}

/// Lets the step decide; or says why nothing is to be written: somebody else has its lease, or it wants to look
/// something up first.
pub(super) fn decide(vault: &Vault, step: &Step, seen: Seen) -> Result<Result<Decided, Done>, StoreError> {
    if !seen.is_under(step.lease) {
        return Ok(Err(Done::LeaseLost));
    }
    let open = |row| Person::open(&vault.key, row);
    let mut people = seen.people.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut named = (!step.persons.is_empty()).then(|| seen.named());
    let of_message = match &named {
        None => None,
        Some(Named { person: Some(known), .. }) => Some(*known),
        Some(Named { person: None, .. }) => {
            people.push(Person::new(&vault.key, vault.ids.next(step.at))?);
            people.last().map(|new| new.id)
        }
    };
    let facts = facts(&seen, &people, named.as_ref(), of_message)?;
    let Some(changes) = run(step, facts)? else { return Ok(Err(Done::Undecided)) };

    let owner = changes.stay.as_ref().map(|stay| stay.person_id).or(changes.person_id);
    let owner = owner.or(seen.stay.as_ref().map(|stay| stay.person_id)).or(of_message);
    let owner = people.into_iter().find(|person| Some(person.id) == owner);
    let unknown = match (&owner, named.take()) {
        (Some(owner), Some(named)) if Some(owner.id) == of_message && links(&changes, owner) => named.unknown,
        _ => Vec::new(),
    };
    // A message that changes nothing leaves no trace of a person nobody knew.
    let writes = changes.writes_of_a_person();
    let owner = owner.filter(|owner| writes || owner.new_key.is_none());
    if writes && owner.is_none() {
        return Err(StoreError::Defect("a step writes for nobody it named".to_owned()));
    }
    Ok(Ok(Decided { changes, seen, owner, unknown }))
}

/// Whether the message's references name the person from now on.
fn links(changes: &Changes, person: &Person) -> bool {
    person.new_key.is_some() || changes.stay.is_some() || changes.person_id.is_some()
}

fn facts(
    seen: &Seen,
    people: &[Person],
    named: Option<&Named>,
    of_message: Option<Uuid>,
) -> Result<Facts, StoreError> {
    let of = |id: Uuid, is_ambiguous| match (seen.row(id), people.iter().find(|person| person.id == id)) {
        (Some(row), Some(person)) => row.facts(&person.data_key, is_ambiguous),
        _ => Ok(nothing_known(id, is_ambiguous)),
    };
    let owner = seen.stay.as_ref().map(|stay| stay.person_id);
    let is_ambiguous = named.is_some_and(|named| named.is_ambiguous);
    let person = of_message.or(owner);
    let others = named.map_or(&[][..], |named| &named.others);
    Ok(Facts {
        stay: seen.stay.as_ref().map(|stay| open_found(stay, people)).transpose()?,
        person: person.map(|id| of(id, is_ambiguous)).transpose()?,
        others: others.iter().map(|id| of(*id, false)).collect::<Result<_, _>>()?,
        owner: owner.filter(|owner| person != Some(*owner)).map(|id| of(id, false)).transpose()?,
    })
}

fn open_found(stay: &FoundStay, people: &[Person]) -> Result<StoredStay, StoreError> {
    let owner = people.iter().find(|person| person.id == stay.person_id);
    stay.open(&owner.ok_or_else(|| damaged("a stay of nobody"))?.data_key)
}

/// A decision that panics takes only its own step with it.
fn run(step: &Step, facts: Facts) -> Result<Option<Changes>, StoreError> {
    catch_unwind(AssertUnwindSafe(|| (step.decide)(facts)))
        .map_err(|panic| StoreError::Defect(said(panic.as_ref())))
}

pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panicked").to_owned()
}

impl Changes {
    pub(super) fn writes_of_a_person(&self) -> bool {
        self.stay.is_some()
            || self.bill.is_some()
            || !self.accumulators.is_empty()
            || !self.postings.is_empty()
            || !self.outbox.is_empty()
            || !self.person_aliases.is_empty()
            || !self.joined.is_empty()
            || self.person_id.is_some()
    }
}
