//! Looking items up in the catalogue.

use jiff::civil::Date;

use super::super::items::{ItemRow, StoredItems};
use super::super::person::damaged;
use super::super::{CatalogueItem, StoreError};
use super::Postgres;
use super::values::Day;
use crate::catalogue::scopes_of;

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
        let mut stored = StoredItems::default();
        for row in self.rows(sql, &[&codes, &scopes]).await? {
            let (Day(from), to) = (row.get(3), row.get::<_, Option<Day>>(4));
            stored.add(&ItemRow {
                code: row.get(0),
                scope: row.get(1),
                generation: row.get(2),
                from: from.ok_or_else(|| damaged("a date"))?,
                to: to.and_then(|Day(to)| to),
                name: row.get(5),
                class: row.get(6),
                category: row.get(7),
                upfront_ratio: row.get(8),
                ceiling: row.get(9),
            })?;
        }
        Ok(stored.chosen(&codes, &scopes, on))
    }
}
