//! Looking items up in the catalogue.

use std::collections::BTreeMap;

use jiff::civil::Date;
use tokio_postgres::Row;
use yizhan_contract::stay::CatalogueClass;

use super::super::person::damaged;
use super::super::{CatalogueItem, StoreError};
use super::Postgres;
use super::values::Day;
use crate::catalogue::{Candidate, in_force, scopes_of};

struct StoredItem {
    scope: String,
    generation: i64,
    from: Date,
    to: Option<Date>,
    item: CatalogueItem,
}

impl Postgres {
    pub(super) async fn read_items(
        &self,
        hospital: &str,
        region: &str,
        on: Date,
        codes: Vec<String>,
    ) -> Result<Vec<Option<CatalogueItem>>, StoreError> {
        let scopes = scopes_of(hospital, region);
        // Of the scopes that may speak for the hospital two or three are known.
        let sql = "WITH known AS (
                     SELECT DISTINCT s.scope FROM catalogue_scope s JOIN generation g ON g.generation = s.generation
                     WHERE s.scope = ANY($2) AND g.visible_at IS NOT NULL
                   )
                   SELECT c.code, c.scope, c.generation, c.first_day, c.last_day, c.name, c.class, c.category,
                     c.upfront_ratio, c.ceiling
                   FROM known CROSS JOIN unnest($1::text[]) AS asked (code)
                   JOIN catalogue c ON c.code = asked.code AND c.scope = known.scope
                   JOIN generation g ON g.generation = c.generation
                   WHERE g.visible_at IS NOT NULL";
        let mut by_code: BTreeMap<String, Vec<StoredItem>> = BTreeMap::new();
        for row in self.rows(sql, &[&codes, &scopes]).await? {
            let stored = stored_item(&row)?;
            by_code.entry(stored.item.code.clone()).or_default().push(stored);
        }
        Ok(codes
            .iter()
            .map(|code| {
                let stored = by_code.get(code)?;
                let candidates: Vec<_> = stored
                    .iter()
                    .map(|one| Candidate {
                        scope: &one.scope,
                        generation: one.generation,
                        from: one.from,
                        to: one.to,
                    })
                    .collect();
                in_force(&scopes, &candidates, on).map(|at| stored[at].item.clone())
            })
            .collect())
    }
}

fn stored_item(row: &Row) -> Result<StoredItem, StoreError> {
    fn read<T: std::str::FromStr>(row: &Row, column: usize) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = row.get(column);
        text.map(|text| text.parse().map_err(|_| damaged("a catalogue item"))).transpose()
    }
    let class: Option<&str> = row.get(6);
    let class = class.map(|word| CatalogueClass::from_word(word).ok_or_else(|| damaged("a class")));
    let (Day(from), to) = (row.get(3), row.get::<_, Option<Day>>(4));
    Ok(StoredItem {
        scope: row.get(1),
        generation: row.get(2),
        from: from.ok_or_else(|| damaged("a date"))?,
        to: to.and_then(|Day(to)| to),
        item: CatalogueItem {
            code: row.get(0),
            name: row.get(5),
            class: class.transpose()?,
            category: row.get(7),
            upfront_ratio: read(row, 8)?,
            ceiling: read(row, 9)?,
        },
    })
}
