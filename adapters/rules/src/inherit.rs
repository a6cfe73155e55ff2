//! A city's file over its province's: what a file does not state, the one it extends does.
//!
//! Before files are laid over each other everything each of them states is given the clause it states it
//! under: a figure keeps the authority of its own text wherever it ends up.

use crate::file::{PolicyFile, RawNamed, RawPayer, RawVariant};
use crate::marked::Marked;
use crate::problem::Problems;

/// Fields `$own` leaves out are taken from `$parent`.
macro_rules! inherit {
    ($own:expr, $parent:expr; $($field:ident),+) => {
        $(if $own.$field.is_none() { $own.$field.clone_from(&$parent.$field); })+
    };
}

/// Whatever `$from` states without a clause gets `$clause`.
macro_rules! stamp {
    ($from:expr, $clause:expr; $($field:ident),+) => {
        $(if let Some(stated) = &mut $from.$field { stated.stamp($clause); })+
    };
}

impl<T> Marked<T> {
    fn stamp(&mut self, clause: &str) {
        self.clause.get_or_insert_with(|| clause.to_owned());
    }
}

impl PolicyFile {
    /// The same file with its own clause beside everything it states. Without a clause of its own its title
    /// says whose text it is.
    pub(crate) fn stamped(mut self) -> Self {
        let clause = self.clause.clone().unwrap_or_else(|| self.title.zh.clone());
        let lists = self.categories.iter_mut().chain(&mut self.settings.specified_accidents);
        for named in lists.flatten() {
            named.stamp(&clause);
        }
        stamp!(self.settings, &clause; identity_on, covers_residents, min_patient_share, share_tolerance,
            target_tolerance, out_of_catalogue_limit, visit_classes);
        let orders = &mut self.orders;
        for order in [&mut orders.illness, &mut orders.accident].into_iter().flatten() {
            order.stamp(orders.clause.as_ref().unwrap_or(&clause));
            order.mark = order.mark.take().or_else(|| orders.mark.clone());
        }
        for payer in self.payers.values_mut() {
            payer.stamp(&clause);
        }
        self
    }

    /// Payers field by field. Who it is, its period and its attestation are never inherited. Both files are
    /// [`PolicyFile::stamped`].
    pub(crate) fn inherit_from(&mut self, parent: &PolicyFile, problems: &mut Problems) {
        inherit!(self, parent; clause, categories);
        inherit!(self.orders, parent.orders; illness, accident);
        inherit!(self.settings, parent.settings; identity_on, covers_residents, benefit_year, min_patient_share,
            share_tolerance, target_tolerance, out_of_catalogue_limit, visit_classes, specified_accidents);
        for (key, source) in &parent.sources {
            let own = self.sources.entry(key.clone()).or_insert_with(|| source.clone());
            if own != source {
                problems.add(
                    &format!("sources.{key}"),
                    format!("与 {} 的同名来源不同，请另取一个键", parent.name),
                    format!("is another source than in {}; choose another key", parent.name),
                );
            }
        }
        for (code, payer) in &parent.payers {
            self.payers.entry(code.clone()).or_default().inherit_from(payer);
        }
    }
}

impl RawNamed {
    fn stamp(&mut self, clause: &str) {
        self.clause.get_or_insert_with(|| clause.to_owned());
    }
}

impl RawPayer {
    fn stamp(&mut self, of_file: &str) {
        let clause = self.clause.as_deref().unwrap_or(of_file).to_owned();
        stamp!(self, &clause; categories, cover, specified_accidents_only, pays_with_liable_third_party,
            standing, accumulator, base, cumulative, premium, death_benefit, disability_benefit, deductible,
            ratio, target, stay_cap, annual_cap, upfront_share, ratio_points);
        for item in self.items.iter_mut().flat_map(|items| items.values_mut()) {
            item.stamp(&clause);
        }
        for band in self.bands.iter_mut().flatten() {
            band.clause.get_or_insert_with(|| clause.clone());
        }
        for variant in self.variants.iter_mut().flatten() {
            variant.stamp(&clause);
        }
        // Whoever names the payer describes it; a file that only changes a figure of it does not.
        if self.zh.is_some() || self.en.is_some() {
            self.clause = Some(clause);
        }
    }

    fn inherit_from(&mut self, parent: &RawPayer) {
        // Ratio and bands are one field: stating either replaces both.
        if self.ratio.is_none() && self.bands.is_none() {
            inherit!(self, parent; ratio, bands);
        }
        inherit!(self, parent; zh, en, clause, note, categories, cover, specified_accidents_only,
            pays_with_liable_third_party, standing, accumulator, base, items, cumulative, premium,
            death_benefit, disability_benefit, cover_from, cover_to, deductible, target, stay_cap,
            annual_cap, upfront_share, ratio_points, variants);
    }
}

impl RawVariant {
    fn stamp(&mut self, of_payer: &str) {
        let clause = self.clause.get_or_insert_with(|| of_payer.to_owned()).clone();
        stamp!(self, &clause; deductible, ratio, target, stay_cap, annual_cap, upfront_share, ratio_points);
        for band in self.bands.iter_mut().flatten() {
            band.clause.get_or_insert_with(|| clause.clone());
        }
    }
}
