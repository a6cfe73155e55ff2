//! One step of one stay: claim, facts, decision, writes, all inside the writer's savepoint.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::super::seal::{DataKey, Place};
use super::super::{Changes, Done, Facts, MessageClaim, StayRef, Step, StoreError, StoredStay};
use super::person::{self, Hashed, Known, Named, Person};
use super::{Shared, documents, join, sums};

pub(super) fn run(connection: &Connection, shared: &Shared, step: Step) -> Result<Done, StoreError> {
    if let Some(claim) = &step.claim
        && let Some(done) = earlier(connection, shared, claim)?
    {
        return Ok(done);
    }
    let key = &shared.key;
    let stay = find_stay(connection, shared, &step.stay)?;
    let mut message_person = None;
    let mut unknown = Vec::new();
    let mut stay_person = match &stay {
        Some(found) => Some(Person::load(connection, key, found.person_id)?),
        None => None,
    };
    let mut known = None;
    let mut others = Vec::new();
    if step.persons.is_empty() {
        if let Some(person) = &stay_person {
            known = Some(person::known(connection, person, false)?);
        }
    } else {
        let named = person::named(connection, key, &step.persons)?;
        let Named { person, unknown: new, others: ids, is_ambiguous } = named;
        unknown = new;
        for id in ids {
            let other = Person::load(connection, key, id)?;
            others.push(person::known(connection, &other, false)?.facts);
        }
        let (person, facts) = match person {
            Some(person) => {
                let facts = person::known(connection, &person, is_ambiguous)?;
                (person, facts)
            }
            None => {
                let person = Person::new(key, shared.ids.next(step.at))?;
                let facts = person::nothing_known(person.id, is_ambiguous);
                (person, facts)
            }
        };
        message_person = Some(person);
        known = Some(facts);
    }
    let stored = match (&stay, &stay_person) {
        (Some(found), Some(person)) => Some(StoredStay {
            stay_id: found.stay_id,
            person_id: found.person_id,
            document: documents::open_stay(&person.data_key, found.stay_id, &found.sealed)?,
        }),
        _ => None,
    };
    let facts = Facts {
        stay: stored,
        person: known.as_ref().map(|known| known.facts.clone()),
        others,
        owner: match (&stay_person, &known) {
            (Some(owner), Some(known)) if owner.id != known.facts.person_id => {
                Some(person::known(connection, owner, false)?.facts)
            }
            _ => None,
        },
    };
    let Some(changes) = (step.decide)(facts) else { return Ok(Done::Undecided) };

    // Whose stay it is from now on.
    let owner = changes.stay.as_ref().map(|stay| stay.person_id).or(changes.person_id);
    let owner = owner.or(stay.as_ref().map(|stay| stay.person_id));
    let owner = owner.or(message_person.as_ref().map(|person| person.id));
    let is_owner = |person: &&mut Person| Some(person.id) == owner;
    let mut loaded;
    let owner = match message_person.as_mut().filter(is_owner) {
        Some(person) => {
            // A message that changes nothing leaves no trace of a person nobody knew.
            if changes.writes_of_a_person() {
                let links = changes.stay.is_some() || changes.person_id.is_some() || person.new_key.is_some();
                person.keep(connection, if links { &unknown } else { &[] })?;
            }
            Some(person)
        }
        None => match (stay_person.as_mut().filter(is_owner), owner) {
            (Some(person), _) => Some(person),
            (None, Some(id)) => {
                loaded = Person::load(connection, key, id)?;
                Some(&mut loaded)
            }
            (None, None) => None,
        },
    };
    match owner {
        Some(owner) if owner.new_key.is_none() => {
            write(connection, shared, owner, known, stay.as_ref(), &changes)?;
            if let Some(claim) = &step.claim {
                keep_message(connection, shared, step.at, owner.id, &owner.data_key, claim, &changes)?;
            }
        }
        _ => {
            if changes.writes_of_a_person() {
                return Err(StoreError::Defect("a step writes for nobody".to_owned()));
            }
            if let Some(claim) = &step.claim {
                keep_message(connection, shared, step.at, Uuid::nil(), &shared.own, claim, &changes)?;
            }
        }
    }
    Ok(Done::Decided(changes.answer))
}

impl Changes {
    fn writes_of_a_person(&self) -> bool {
        self.stay.is_some()
            || self.bill.is_some()
            || !self.accumulators.is_empty()
            || !self.person_aliases.is_empty()
            || !self.joined.is_empty()
            || self.person_id.is_some()
    }
}

/// What became of the same message before.
fn earlier(
    connection: &Connection,
    shared: &Shared,
    claim: &MessageClaim,
) -> Result<Option<Done>, StoreError> {
    let sql = "SELECT c.digest, c.person_id, c.message_id, m.answer FROM message_claim c
               JOIN message m ON m.person_id = c.person_id AND m.message_id = c.message_id
               WHERE c.keyed_hash = ?1";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([claim_hash(shared, claim)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let digest: Vec<u8> = row.get(0)?;
    if digest != shared.key.look_up("digest", &[&claim.digest]) {
        return Ok(Some(Done::OtherContent));
    }
    let (person, message): ([u8; 16], [u8; 16]) = (row.get(1)?, row.get(2)?);
    let sealed: Vec<u8> = row.get(3)?;
    let person = Uuid::from_bytes(person);
    let loaded;
    let data_key = if person.is_nil() {
        &shared.own
    } else {
        loaded = Person::load(connection, &shared.key, person)?;
        &loaded.data_key
    };
    Ok(Some(Done::Repeated(data_key.open(message_place("answer", &message), &sealed)?)))
}

fn claim_hash(shared: &Shared, claim: &MessageClaim) -> [u8; 16] {
    shared.key.look_up("message", &[claim.sender.as_bytes(), claim.message_id.as_bytes()])
}

fn message_place<'a>(column: &'static str, message: &'a [u8]) -> Place<'a> {
    Place { table: "message", column, row: message }
}

/// Writes the message and claims its id, unless it was refused.
fn keep_message(
    connection: &Connection,
    shared: &Shared,
    at: Timestamp,
    person: Uuid,
    data_key: &DataKey,
    claim: &MessageClaim,
    changes: &Changes,
) -> Result<(), StoreError> {
    let message = write_message(connection, shared, at, person, data_key, claim, &changes.answer)?;
    if changes.is_refused {
        return Ok(());
    }
    let sql = "INSERT INTO message_claim (keyed_hash, digest, person_id, message_id) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute(params![
        claim_hash(shared, claim),
        shared.key.look_up("digest", &[&claim.digest]),
        person.into_bytes(),
        message.into_bytes()
    ])?;
    Ok(())
}

/// Writes the message alone.
pub(super) fn write_message(
    connection: &Connection,
    shared: &Shared,
    at: Timestamp,
    person: Uuid,
    data_key: &DataKey,
    claim: &MessageClaim,
    answer: &[u8],
) -> Result<Uuid, StoreError> {
    let message = shared.ids.next(at);
    let row = message.as_bytes();
    let origin = format!("{}\u{1f}{}", claim.sender, claim.message_id);
    let sql = "INSERT INTO message (person_id, message_id, received_at, origin, raw, answer)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    connection.prepare_cached(sql)?.execute(params![
        person.into_bytes(),
        row,
        at.as_microsecond(),
        data_key.seal(message_place("origin", row), origin.as_bytes())?,
        data_key.seal(message_place("raw", row), &claim.raw)?,
        data_key.seal(message_place("answer", row), answer)?,
    ])?;
    Ok(message)
}

/// A stay as it lies in the store.
pub(super) struct FoundStay {
    pub(super) stay_id: Uuid,
    pub(super) person_id: Uuid,
    pub(super) admitted: String,
    sealed: Vec<u8>,
}

/// A stay as it is now, opened.
pub(super) fn stay(
    connection: &Connection,
    shared: &Shared,
    reference: &StayRef,
) -> Result<Option<StoredStay>, StoreError> {
    let Some(found) = find_stay(connection, shared, reference)? else { return Ok(None) };
    let person = Person::load(connection, &shared.key, found.person_id)?;
    let document = documents::open_stay(&person.data_key, found.stay_id, &found.sealed)?;
    Ok(Some(StoredStay { stay_id: found.stay_id, person_id: found.person_id, document }))
}

pub(super) fn visit_hash(shared: &Shared, hospital: &str, number: &str) -> [u8; 16] {
    shared.key.look_up("visit", &[hospital.as_bytes(), number.as_bytes()])
}

fn find_stay(
    connection: &Connection,
    shared: &Shared,
    reference: &StayRef,
) -> Result<Option<FoundStay>, StoreError> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(FoundStay {
            person_id: Uuid::from_bytes(row.get(0)?),
            stay_id: Uuid::from_bytes(row.get(1)?),
            admitted: row.get(2)?,
            sealed: row.get(3)?,
        })
    };
    let found = match reference {
        StayRef::Visit { hospital, number, admitted } => {
            // A stay whose admission nobody has told yet is the one that is open; else the date decides,
            // and without one the newest.
            let sql = "SELECT s.person_id, s.stay_id, s.admitted, s.document FROM stay_claim c
                       JOIN stay s ON s.person_id = c.person_id AND s.stay_id = c.stay_id
                       WHERE c.keyed_hash = ?1 AND (?2 IS NULL OR c.admitted IN (?2, ''))
                       ORDER BY c.admitted = ?2 DESC, c.admitted = '' DESC, c.admitted DESC LIMIT 1";
            let admitted = admitted.map(|day| day.to_string());
            let hash = visit_hash(shared, hospital, number);
            connection.prepare_cached(sql)?.query_row(params![hash, admitted], read).optional()?
        }
        StayRef::Settlement(id) => {
            let sql = "SELECT s.person_id, s.stay_id, s.admitted, s.document FROM settlement t
                       JOIN stay s ON s.person_id = t.person_id AND s.stay_id = t.stay_id
                       WHERE t.settlement_id = ?1";
            connection.prepare_cached(sql)?.query_row([id.into_bytes()], read).optional()?
        }
        StayRef::Stay(id) => {
            let sql = "SELECT person_id, stay_id, admitted, document FROM stay WHERE stay_id = ?1";
            connection.prepare_cached(sql)?.query_row([id.into_bytes()], read).optional()?
        }
    };
    Ok(found)
}

fn write(
    connection: &Connection,
    shared: &Shared,
    owner: &Person,
    known: Option<Known>,
    before: Option<&FoundStay>,
    changes: &Changes,
) -> Result<(), StoreError> {
    for joined in changes.joined.iter().filter(|joined| **joined != owner.id) {
        join::join(connection, &Person::load(connection, &shared.key, *joined)?, owner)?;
    }
    for alias in &changes.person_aliases {
        owner.take_over(connection, &Hashed::new(&shared.key, alias))?;
    }
    if let Some(stay) = &changes.stay {
        documents::write_stay(connection, shared, owner, before, stay, &changes.joined)?;
    }
    if let Some(bill) = &changes.bill {
        documents::write_bill(connection, owner, bill)?;
    }
    if changes.accumulators.is_empty() {
        return Ok(());
    }
    let mut moved = match known {
        Some(known) if known.facts.person_id == owner.id && changes.joined.is_empty() => known.moved,
        _ => person::moved(connection, owner.id)?,
    };
    for one in &changes.accumulators {
        sums::accumulate(connection, owner.id, &mut moved, one)?;
        if let Some(bill) = &changes.bill {
            sums::number(connection, owner.id, bill.settlement_id, one)?;
        }
    }
    Ok(())
}
