//! Items of the catalogue as stores hold them, and which of them holds.

use std::collections::HashMap;

use jiff::civil::Date;
use yizhan_contract::stay::CatalogueClass;

use super::person::damaged;
use super::{CatalogueItem, StoreError};
use crate::catalogue::{Candidate, in_force};

/// One condition of an item, in the words of its row.
pub(super) struct ItemRow<'r> {
    pub(super) code: &'r str,
    pub(super) scope: &'r str,
    pub(super) generation: i64,
    pub(super) from: Date,
    pub(super) to: Option<Date>,
    pub(super) name: &'r str,
    pub(super) class: Option<&'r str>,
    pub(super) category: Option<&'r str>,
    pub(super) upfront_ratio: Option<&'r str>,
    pub(super) ceiling: Option<&'r str>,
}

/// One condition of an item, read.
struct StoredItem {
    scope: String,
    generation: i64,
    from: Date,
    to: Option<Date>,
    item: CatalogueItem,
}

impl StoredItem {
    fn candidate(&self) -> Candidate<'_> {
        Candidate { scope: &self.scope, generation: self.generation, from: self.from, to: self.to }
    }
}

/// All that visible files say of the codes that were asked for.
#[derive(Default)]
pub(super) struct StoredItems(HashMap<String, Vec<StoredItem>>);

impl StoredItems {
    pub(super) fn add(&mut self, row: &ItemRow<'_>) -> Result<(), StoreError> {
        fn read<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>, StoreError> {
            text.map(|text| text.parse().map_err(|_| damaged("a catalogue item"))).transpose()
        }
        let class = row.class.map(|word| CatalogueClass::from_word(word).ok_or_else(|| damaged("a class")));
        let item = CatalogueItem {
            code: row.code.to_owned(),
            name: row.name.to_owned(),
            class: class.transpose()?,
            category: row.category.map(str::to_owned),
            upfront_ratio: read(row.upfront_ratio)?,
            ceiling: read(row.ceiling)?,
        };
        let ItemRow { generation, from, to, .. } = *row;
        let stored = StoredItem { scope: row.scope.to_owned(), generation, from, to, item };
        self.0.entry(row.code.to_owned()).or_default().push(stored);
        Ok(())
    }

    /// What holds on a day, in the order of the codes; absent where unknown.
    pub(super) fn chosen(&self, codes: &[String], scopes: &[&str], on: Date) -> Vec<Option<CatalogueItem>> {
        let chosen = |code: &String| {
            let of_code = self.0.get(code)?;
            let candidates: Vec<_> = of_code.iter().map(StoredItem::candidate).collect();
            in_force(scopes, &candidates, on).map(|at| of_code[at].item.clone())
        };
        codes.iter().map(chosen).collect()
    }
}
