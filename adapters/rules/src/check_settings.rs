//! The settings of a policy, with what holds where it says nothing.

use yizhan_contract::stay::VisitClass;
use yizhan_contract::{Money, Ratio};

use crate::check_value::{Checking, text};
use crate::file::PolicyFile;
use crate::marked::Marked;
use crate::policy::{Figure, IdentityOn, Settings};

/// Who asks that nobody pays nothing.
const CLAUSE_MIN_PATIENT_SHARE: &str = "鲁扶贫办字〔2020〕2号 四（一）杜绝个人零缴费或零自付";
const DEFAULT_MIN_PATIENT_SHARE: &str = "0.01";
const DEFAULT_SHARE_TOLERANCE: &str = "0.00";
const DEFAULT_TARGET_TOLERANCE: &str = "0.02";
const IDENTITY_ON: [(&str, IdentityOn); 2] =
    [("discharge", IdentityOn::Discharge), ("admission", IdentityOn::Admission)];

impl Checking {
    pub(crate) fn settings(&mut self, raw: &PolicyFile) -> Settings {
        let settings = &raw.settings;
        if let Some(other) = settings.benefit_year.as_deref().filter(|year| *year != "calendar") {
            self.unknown_word("settings.benefit_year", other, &["calendar"]);
        }
        let key = |name: &str| format!("settings.{name}");
        let listed = settings.specified_accidents.as_deref().unwrap_or_default();
        Settings {
            identity_on: self.word(
                &key("identity_on"),
                settings.identity_on.as_ref(),
                (IdentityOn::Discharge, &IDENTITY_ON),
            ),
            covers_residents: self.flag(&key("covers_residents"), settings.covers_residents.as_ref(), true),
            min_patient_share: self.min_patient_share(raw),
            share_tolerance: self.required(
                &key("share_tolerance"),
                settings.share_tolerance.as_ref(),
                DEFAULT_SHARE_TOLERANCE,
            ),
            target_tolerance: self.required(
                &key("target_tolerance"),
                settings.target_tolerance.as_ref(),
                DEFAULT_TARGET_TOLERANCE,
            ),
            out_of_catalogue_limit: self.stated::<Ratio>(
                &key("out_of_catalogue_limit"),
                settings.out_of_catalogue_limit.as_ref(),
                None,
            ),
            visit_classes: self.visit_classes(settings.visit_classes.as_ref()),
            specified_accidents: self.named(&key("specified_accidents"), listed),
        }
    }

    fn min_patient_share(&mut self, raw: &PolicyFile) -> Figure<Money> {
        let key = "settings.min_patient_share";
        let stated = raw.settings.min_patient_share.as_ref();
        let least = self.required(key, stated, DEFAULT_MIN_PATIENT_SHARE);
        if least.value < Money::FEN {
            let message = text("个人最低自付额须不少于 0.01 元", "must be at least 0.01");
            self.problems.breaks(key, message, CLAUSE_MIN_PATIENT_SHARE);
        }
        least
    }

    /// Hospital stays, unless the policy says more.
    fn visit_classes(&mut self, stated: Option<&Marked<Vec<String>>>) -> Figure<Vec<VisitClass>> {
        let key = "settings.visit_classes";
        let Some(stated) = stated else { return self.assumed(vec![VisitClass::Inpatient]) };
        if stated.value.is_empty() {
            self.problems.add(key, "至少列出一类就诊", "names no class of visits");
        }
        let mut classes = Vec::new();
        for word in &stated.value {
            match VisitClass::from_word(word) {
                Some(class) => classes.push(class),
                None => self.unknown_word(key, word, VisitClass::WORDS),
            }
        }
        self.marked(key, stated, |_| classes)
    }
}
