//! A roster file.

use rusqlite::{Connection, params};
use uuid::Uuid;
use yizhan_contract::IdNumber;

use super::super::StoreError;
use super::super::incoming::gather;
use super::super::person::{Person, name_place, name_row, write_entitlements};
use super::super::registers::{Import, ImportError, Imported};
use super::import::{Register, Writing};
use super::import_people::{Kind, write_all};
use super::person::roster_row;
use crate::roster::person::{RosterPerson, person_of};
use crate::roster::{RosterMode, RosterRow, history};

pub(super) fn run(
    writing: &Writing,
    import: Import<RosterRow>,
    mode: RosterMode,
) -> Result<Imported, ImportError> {
    let Import { at, file, rows, progress } = import;
    let mut gathered = gather(&writing.vault, file, rows, &progress, |rows: Vec<RosterRow>| {
        person_of(rows).err().unwrap_or_default()
    })?;
    let snapshot = match mode {
        RosterMode::Snapshot { as_of } => Some(as_of),
        RosterMode::Delta => None,
    };
    let generation = writing.begin(Register::Roster, at, snapshot)?;
    let kind = Roster { generation: generation.number, mode };
    let said = |rows: Vec<RosterRow>| person_of(rows).ok().flatten();
    write_all(writing, &mut gathered, generation, kind, said, &progress, at)
}

#[derive(Clone)]
struct Roster {
    generation: i64,
    mode: RosterMode,
}

struct SealedEntry {
    region: Option<String>,
    entitlements: String,
    name: Vec<u8>,
    /// The entry that counts until this file does.
    before: Option<i64>,
}

impl Kind for Roster {
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
        let known = roster_row(connection, holder.id)?;
        let before = known.as_ref().map(|row| row.generation);
        let entry = history::after(known.map(|row| row.entry), said.stated.clone(), self.mode);
        let place = name_row(holder.id, self.generation);
        Ok(SealedEntry {
            entitlements: write_entitlements(&entry.entitlements)?,
            region: entry.region,
            name: holder.data_key.seal(name_place(&place), said.name.reveal().as_bytes())?,
            before,
        })
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
