//! Reading for a step, in two round trips and without a transaction.
//!
//! First the hashes: who is named, which stay is meant, whether the message was seen. Then what they lead
//! to, and after it the hashes and versions once more: where both are as before, everything read in between
//! stood together in the store at one moment. Else it is read again.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::documents::BillId;
use super::super::person::{Hashed, KEY_VERSION};
use super::super::seen::{Earlier, FoundStay, Seen};
use super::super::vault::Vault;
use super::super::{MessageClaim, PersonRef, StayRef, StoreError};
use super::pipeline::{Batch, given};
use super::values::Day;
use super::{Failed, books, lease, people};

/// Readings that somebody else's writing may disturb, one after the other.
const READINGS_MAX: usize = 8;

const CLAIM: &str = "SELECT person_id, message_id, digest FROM message_claim WHERE keyed_hash = $1";
const ANSWER: &str = "SELECT answer FROM message WHERE person_id = $1 AND message_id = $2";
const HOLDERS: &str = "SELECT keyed_hash, kind, person_id FROM person_key
    WHERE keyed_hash = ANY($1) AND key_version = $2 ORDER BY keyed_hash, kind";
const VERSIONS: &str = "SELECT person_id, version FROM person WHERE person_id = ANY($1)";

/// The claim of a visit (`$1`) under an admission (`$2`): a stay whose admission nobody has told yet is the one that is
/// open; else the date decides, and without one the newest.
macro_rules! claim_of_visit {
    ($columns:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM stay_claim
            WHERE keyed_hash = $1 AND ($2::date IS NULL OR admitted IN ($2, '-infinity'))
            ORDER BY coalesce(admitted = $2, false) DESC, admitted = '-infinity' DESC, admitted DESC LIMIT 1"
        )
    };
}
pub(super) use claim_of_visit;

const BY_VISIT: &str = claim_of_visit!("person_id, stay_id");
const BY_SETTLEMENT: &str = "SELECT person_id, stay_id FROM settlement WHERE settlement_id = $1";
const BY_STAY: &str = "SELECT person_id, stay_id FROM stay WHERE stay_id = $1";

const STAY: &str = "SELECT s.admitted, s.document, b.settlement_id, b.version, b.document,
      s.due_at, s.epoch, s.held_by FROM stay s
    LEFT JOIN settlement n ON n.person_id = s.person_id AND n.settlement_id = s.settlement_id
    LEFT JOIN bill b ON b.person_id = n.person_id AND b.settlement_id = n.settlement_id
      AND b.version = n.version
    WHERE s.person_id = $1 AND s.stay_id = $2";

/// What a step asks the store by.
pub(super) struct Question {
    claim: Option<[u8; 16]>,
    stay: Option<Asked>,
    references: Vec<Hashed>,
    hashes: Vec<Vec<u8>>,
}

enum Asked {
    Visit([u8; 16], Option<Day>),
    Settlement(Uuid),
    Stay(Uuid),
}

/// Whom and what the hashes lead to; the second reading must say the same.
#[derive(PartialEq)]
struct Led {
    claim: Option<(Uuid, Uuid, Vec<u8>)>,
    stay: Option<(Uuid, Uuid)>,
    holders: Vec<(Vec<u8>, i16, Uuid)>,
}

/// What the store holds for a step.
pub(super) struct Read {
    pub(super) earlier: Option<Earlier>,
    pub(super) seen: Seen,
}

impl Question {
    pub(super) fn new(
        vault: &Vault,
        claim: Option<&MessageClaim>,
        stay: Option<&StayRef>,
        persons: &[PersonRef],
    ) -> Self {
        let stay = stay.map(|stay| match stay {
            StayRef::Visit { hospital, number, admitted } => {
                Asked::Visit(vault.visit_hash(hospital, number), admitted.map(|day| Day(Some(day))))
            }
            StayRef::Settlement(id) => Asked::Settlement(*id),
            StayRef::Stay(id) => Asked::Stay(*id),
        });
        let references: Vec<Hashed> = persons.iter().map(|one| Hashed::new(&vault.key, one)).collect();
        let hashes = references.iter().map(|one| one.hash.to_vec()).collect();
        Self { claim: claim.map(|claim| vault.claim_hash(claim)), stay, references, hashes }
    }

    /// Reads until nothing moves meanwhile.
    pub(super) async fn read(&self, client: &ClientWrapper) -> Result<Read, Failed> {
        let mut led = self.ask(client).await?;
        for _ in 0..READINGS_MAX {
            match self.follow(client, led).await? {
                Followed::Whole(read) => return Ok(*read),
                Followed::Disturbed(now) => led = now,
            }
        }
        Err(Failed::conflict("读取期间该人员的数据不断变化", "the person kept changing while it was read"))
    }

    async fn ask(&self, client: &ClientWrapper) -> Result<Led, Failed> {
        let mut batch = Batch::default();
        self.add_questions(&mut batch);
        let answers = batch.rows(client).await?;
        Ok(self.led(&answers))
    }

    fn add_questions<'a>(&'a self, batch: &mut Batch<'a>) {
        if let Some(hash) = &self.claim {
            batch.add(CLAIM, given![&hash[..]]);
        }
        match &self.stay {
            Some(Asked::Visit(hash, admitted)) => batch.add(BY_VISIT, given![&hash[..], *admitted]),
            Some(Asked::Settlement(id)) => batch.add(BY_SETTLEMENT, given![*id]),
            Some(Asked::Stay(id)) => batch.add(BY_STAY, given![*id]),
            None => {}
        }
        if !self.hashes.is_empty() {
            batch.add(HOLDERS, given![&self.hashes, KEY_VERSION as i16]);
        }
    }

    /// From the answers to [`Self::add_questions`].
    fn led(&self, answers: &[Vec<Row>]) -> Led {
        let mut answers = answers.iter();
        let claim = self.claim.and_then(|_| answers.next()).and_then(|rows| rows.first());
        let stay = self.stay.as_ref().and_then(|_| answers.next()).and_then(|rows| rows.first());
        let holders = answers.next().into_iter().flatten();
        Led {
            claim: claim.map(|row| (row.get(0), row.get(1), row.get(2))),
            stay: stay.map(|row| (row.get(0), row.get(1))),
            holders: holders.map(|row| (row.get(0), row.get(1), row.get(2))).collect(),
        }
    }

    /// Reads what the hashes lead to.
    async fn follow(&self, client: &ClientWrapper, led: Led) -> Result<Followed, Failed> {
        let people = led.people();
        let mut batch = Batch::default();
        people::read(&mut batch, &people);
        if let Some((person, message, _)) = led.claim {
            batch.add(ANSWER, given![person, message]);
        }
        if let Some((person, stay)) = led.stay {
            batch.add(STAY, given![person, stay]);
            batch.add(books::POSTED, given![person, stay]);
        }
        batch.add(VERSIONS, given![&people]);
        self.add_questions(&mut batch);
        let answers = batch.rows(client).await?;

        let (of_people, rest) = answers.split_at(people::STATEMENTS);
        let mut rest = rest.iter();
        let answer = led.claim.as_ref().and_then(|_| rest.next()).and_then(|rows| rows.first());
        let stay = led.stay.and_then(|_| rest.next()).and_then(|rows| rows.first());
        let posted = led.stay.and_then(|_| rest.next()).into_iter().flatten();
        let versions = rest.next().into_iter().flatten();
        let now = self.led(&rest.as_slice().iter().map(|rows| rows.to_vec()).collect::<Vec<_>>());
        let rows = people::rows(&people, of_people)?;
        let mut is_whole = now == led && led.claim.is_some() == answer.is_some();
        is_whole &= led.stay.is_some() == stay.is_some();
        for row in versions {
            let (person, version): (Uuid, i64) = (row.get(0), row.get(1));
            is_whole &= rows.iter().any(|row| row.person_id == person && row.version == version);
        }
        if !is_whole {
            return Ok(Followed::Disturbed(now));
        }
        let earlier = led.claim.as_ref().zip(answer).map(|((person, message, digest), answer)| {
            let wrapped = rows.iter().find(|row| row.person_id == *person);
            Earlier {
                digest: digest.clone(),
                person_id: *person,
                wrapped_key: wrapped.map(|row| row.wrapped_key.clone()).unwrap_or_default(),
                message_id: *message,
                answer: answer.get(0),
            }
        });
        let stay =
            led.stay.zip(stay).map(|((person, stay), row)| found_stay(person, stay, row)).transpose()?;
        let references = self.references.iter().map(|one| (one.clone(), led.holder(one))).collect();
        let posted = posted.map(books::posted).collect::<Result<_, _>>()?;
        let seen = Seen { stay, references, people: rows, posted };
        Ok(Followed::Whole(Box::new(Read { earlier, seen })))
    }
}

enum Followed {
    Whole(Box<Read>),
    /// Somebody wrote meanwhile: what the hashes lead to by now.
    Disturbed(Led),
}

impl Led {
    fn holder(&self, reference: &Hashed) -> Option<Uuid> {
        let is = |(hash, kind, _): &&(Vec<u8>, i16, Uuid)| {
            hash[..] == reference.hash && i64::from(*kind) == reference.kind
        };
        self.holders.iter().find(is).map(|(_, _, person)| *person)
    }

    /// Everybody to be read, each once.
    fn people(&self) -> Vec<Uuid> {
        let claimed = self.claim.iter().map(|(person, ..)| *person);
        let stay = self.stay.iter().map(|(person, _)| *person);
        let mut people: Vec<Uuid> = Vec::new();
        for person in self.holders.iter().map(|(.., person)| *person).chain(stay).chain(claimed) {
            if !people.contains(&person) {
                people.push(person);
            }
        }
        people
    }
}

fn found_stay(person_id: Uuid, stay_id: Uuid, row: &Row) -> Result<FoundStay, StoreError> {
    let Day(admitted) = row.get(0);
    let bill = match (row.get::<_, Option<Uuid>>(2), row.get::<_, Option<i32>>(3)) {
        (Some(settlement), Some(version)) => {
            Some((BillId { settlement, version: version.unsigned_abs() }, row.get(4)))
        }
        _ => None,
    };
    Ok(FoundStay {
        stay_id,
        person_id,
        admitted: admitted.map(|day| day.to_string()).unwrap_or_default(),
        document: row.get(1),
        bill,
        hold: lease::hold(row, 5),
    })
}
