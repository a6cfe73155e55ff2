//! A roster file.

use rusqlite::{Connection, params};
use uuid::Uuid;
use yizhan_contract::IdNumber;

use super::super::StoreError;
use super::super::incoming::{Register, gather_roster};
use super::super::person::Person;
use super::super::registers::{Import, ImportError, Imported};
use super::super::roster_entry::{RosterFile, SealedEntry};
use super::import::Writing;
use super::import_people::{Kind, write_all};
use super::person::roster_row;
use crate::roster::person::{RosterPerson, person_of};
use crate::roster::{RosterMode, RosterRow};

pub(super) fn run(
    writing: &Writing,
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
        connection: &Connection,
        holder: &Person,
        said: &RosterPerson,
    ) -> Result<SealedEntry, StoreError> {
        self.sealed(roster_row(connection, holder.id)?, holder, said)
    }

    fn write(
        &self,
        connection: &Connection,
        holder: Uuid,
        _: &RosterPerson,
        sealed: &SealedEntry,
    ) -> Result<(), StoreError> {
        if let Some(before) = sealed.before {
            // Entries older than the one that counts are in it already.
            let sql = "DELETE FROM roster WHERE person_id = ?1 AND generation < ?2";
            connection.prepare_cached(sql)?.execute(params![holder.into_bytes(), before])?;
        }
        let sql = "INSERT INTO roster (person_id, generation, region, entitlements, name)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        connection.prepare_cached(sql)?.execute(params![
            holder.into_bytes(),
            self.generation,
            sealed.region,
            sealed.entitlements,
            sealed.name
        ])?;
        Ok(())
    }
}
