//! A roster file.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;
use yizhan_contract::IdNumber;

use super::super::StoreError;
use super::super::incoming::{Register, gather_roster};
use super::super::person::{Person, PersonRow};
use super::super::registers::{Import, ImportError, Imported};
use super::super::roster_entry::{RosterFile, SealedEntry};
use super::Failed;
use super::import::Writing;
use super::import_people::{Kind, Ready, copy, write_all};
use crate::roster::person::{RosterPerson, person_of};
use crate::roster::{RosterMode, RosterRow};

pub(super) fn run(
    writing: Writing,
    import: Import<RosterRow>,
    mode: RosterMode,
) -> Result<Imported, ImportError> {
    let Import { at, file, rows, progress } = import;
    let mut gathered = gather_roster(&writing.vault, file, rows, &progress)?;
    let generation = writing.begin(Register::Roster, at, mode.snapshot_of())?;
    let kind = RosterFile { generation: generation.number, mode };
    let said = |rows: Vec<RosterRow>| person_of(rows).ok().flatten();
    write_all(writing, &mut gathered, generation, kind, said, &progress, at)
}

impl Kind for RosterFile {
    type Said = RosterPerson;
    type Sealed = SealedEntry;

    fn id_number<'a>(&self, said: &'a RosterPerson) -> &'a IdNumber {
        said.id_number.reveal()
    }

    fn seal(
        &self,
        known: Option<PersonRow>,
        holder: &Person,
        said: &RosterPerson,
    ) -> Result<SealedEntry, StoreError> {
        self.sealed(known.and_then(|row| row.roster), holder, said)
    }

    async fn write(&self, client: &ClientWrapper, piece: &[Ready<Self>]) -> Result<(), Failed> {
        // Entries older than the one that counts are in it already.
        let replaced = || piece.iter().filter_map(|one| Some((one.holder, one.sealed.before?)));
        let (people, before): (Vec<Uuid>, Vec<i64>) = replaced().unzip();
        if !people.is_empty() {
            let sql = "DELETE FROM roster r USING unnest($1::uuid[], $2::bigint[]) AS one (person_id, before)
                       WHERE r.person_id = one.person_id AND r.generation < one.before";
            client.execute(sql, &[&people, &before]).await?;
        }
        let sql = "COPY roster (person_id, generation, region, entitlements, name) FROM STDIN BINARY";
        let types = [Type::UUID, Type::INT8, Type::TEXT, Type::TEXT, Type::BYTEA];
        let rows = piece.iter().map(|one| {
            let SealedEntry { region, entitlements, name, .. } = &one.sealed;
            [&one.holder as &(dyn ToSql + Sync), &self.generation, region, entitlements, name]
        });
        copy(client, sql, &types, rows).await
    }
}
