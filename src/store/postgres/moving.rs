//! Reading what other people had and is to become somebody else's; rare, and as many round trips as it takes.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::documents::BillId;
use super::super::person::damaged;
use super::super::writes::{Belongings, KeptReference, KeptStay, Moving};
use super::pipeline::{Batch, given};
use super::{Failed, people};

/// The person's version is read first: where it is not raised until the write, all of this is of one moment.
pub(super) async fn belongings(client: &ClientWrapper, moving: &[Moving]) -> Result<Vec<Belongings>, Failed> {
    let mut all = Vec::with_capacity(moving.len());
    for one in moving {
        all.push(match *one {
            Moving::Everything { of } => everything(client, of, None).await?,
            Moving::Stay { of, stay } => everything(client, of, Some(stay)).await?,
        });
    }
    Ok(all)
}

/// All of a person, or one of their stays.
async fn everything(client: &ClientWrapper, person: Uuid, only: Option<Uuid>) -> Result<Belongings, Failed> {
    let who = [person];
    let mut batch = Batch::default();
    people::read(&mut batch, &who);
    let references = "SELECT kind, keyed_hash, key_version, reference FROM person_key
                      WHERE person_id = $1 AND $2::uuid IS NULL";
    batch.add(references, given![person, only]);
    let stays = "SELECT stay_id, visit_hash, document FROM stay
                 WHERE person_id = $1 AND ($2::uuid IS NULL OR stay_id = $2)";
    batch.add(stays, given![person, only]);
    let settlements = "SELECT stay_id, settlement_id FROM settlement
                       WHERE person_id = $1 AND ($2::uuid IS NULL OR stay_id = $2)";
    batch.add(settlements, given![person, only]);
    let bills = "SELECT t.stay_id, b.settlement_id, b.version, b.document
                 FROM bill b JOIN settlement t ON t.person_id = b.person_id AND t.settlement_id = b.settlement_id
                 WHERE b.person_id = $1 AND ($2::uuid IS NULL OR t.stay_id = $2)";
    batch.add(bills, given![person, only]);
    let answers = batch.rows(client).await?;
    let (of_people, rest) = answers.split_at(people::STATEMENTS);
    let [references, stays, settlements, bills] = rest else { return Err(damaged("an answer").into()) };
    let of = people::rows(&who, of_people)?.pop().ok_or_else(|| damaged("a person without a key"))?;
    Ok(Belongings {
        of,
        is_everything: only.is_none(),
        references: references.iter().map(kept_reference).collect(),
        stays: stays.iter().map(|stay| kept_stay(stay, settlements, bills)).collect(),
    })
}

fn kept_reference(row: &Row) -> KeptReference {
    let hash: &[u8] = row.get(1);
    let mut kept = [0; 16];
    // The table's own check holds the length.
    kept.copy_from_slice(&hash[..16]);
    KeptReference {
        kind: row.get::<_, i16>(0).into(),
        hash: kept,
        key_version: row.get::<_, i16>(2).into(),
        sealed: row.get(3),
    }
}

fn kept_stay(row: &Row, settlements: &[Row], bills: &[Row]) -> KeptStay {
    let stay_id: Uuid = row.get(0);
    let hash: &[u8] = row.get(1);
    let of_it = |row: &&Row| row.get::<_, Uuid>(0) == stay_id;
    let bill = |row: &Row| {
        let version: i32 = row.get(2);
        (BillId { settlement: row.get(1), version: version.unsigned_abs() }, row.get(3))
    };
    KeptStay {
        stay_id,
        visit_hash: hash.try_into().ok(),
        document: row.get(2),
        settlements: settlements.iter().filter(of_it).map(|row| row.get(1)).collect(),
        bills: bills.iter().filter(of_it).map(bill).collect(),
    }
}
