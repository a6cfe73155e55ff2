//! What templates may speak of: the names of the protocol, each with its kind, and whether it is a person's.

use yizhan_contract::payer::Need;

/// What kind of value stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    Money,
    /// A decimal number of any length.
    Exact,
    Integer,
    Flag,
    Date,
    Instant,
    Table(&'static [Name]),
    List(&'static [Name]),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Name {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// It may stand in a body alone: addresses are kept in many logs.
    pub(super) is_personal: bool,
    pub(super) need: Option<Need>,
}

const fn name(name: &'static str, kind: Kind) -> Name {
    Name { name, kind, is_personal: false, need: None }
}

const fn text(word: &'static str) -> Name {
    name(word, Kind::Text)
}

impl Name {
    const fn of_person(self, need: Need) -> Self {
        Self { is_personal: true, need: Some(need), ..self }
    }

    const fn needing(self, need: Need) -> Self {
        Self { need: Some(need), ..self }
    }
}

const PERSON: &[Name] = &[
    text("id_number").of_person(Need::IdNumber),
    text("name").of_person(Need::Name),
    name("birth", Kind::Date).of_person(Need::Birth),
    text("sex").of_person(Need::Sex),
    text("card").of_person(Need::Card),
];

const DIAGNOSES: Name = Name {
    name: "diagnoses",
    kind: Kind::List(&[text("code"), text("name"), name("principal", Kind::Flag)]),
    is_personal: true,
    need: Some(Need::Diagnoses),
};

const VISIT_NUMBER: Name = text("visit_number").of_person(Need::VisitNumber);

const CLAIM: &[Name] = &[
    name("hospital_level", Kind::Integer),
    text("hospital_region"),
    text("insured_region"),
    text("class"),
    name("admitted", Kind::Date),
    name("discharged", Kind::Date),
    name("cause", Kind::Table(&[text("kind"), text("accident_type")])),
    name("third_party_liable", Kind::Flag),
    text("referral"),
    name(
        "roster",
        Kind::Table(&[
            text("region"),
            name(
                "entitlements",
                Kind::List(&[text("kind"), text("code"), name("from", Kind::Date), name("to", Kind::Date)]),
            ),
        ]),
    )
    .of_person(Need::Standing),
    name(
        "buckets",
        Kind::Table(&[
            name("total", Kind::Money),
            name("self_funded", Kind::Money),
            name("over_limit", Kind::Money),
            name("upfront_copay", Kind::Money),
            name("in_scope", Kind::Money),
        ]),
    ),
    name(
        "lines",
        Kind::List(&[
            text("id"),
            text("code"),
            text("category"),
            text("class"),
            name("amount", Kind::Money),
            name("self_funded", Kind::Money),
            name("over_limit", Kind::Money),
            name("upfront_copay", Kind::Money),
            name("in_scope", Kind::Money),
        ]),
    )
    .needing(Need::Lines),
    name("settled_elsewhere", Kind::List(&[text("payer"), name("amount", Kind::Money), text("reference")])),
];

const LEG: &[Name] = &[
    text("payer"),
    name("base", Kind::Exact),
    name("in_scope_left", Kind::Money),
    name("out_of_scope_left", Kind::Money),
    name("pay_at_most", Kind::Money),
];

const PAYER_AMOUNT: &[Name] = &[text("payer"), name("amount", Kind::Money)];

/// The moment, in every template.
pub(super) const MOMENT: &[Name] = &[name("now", Kind::Instant), name("deadline", Kind::Instant)];

/// What a quote is asked with; [`LEG_ALONE`] beside it where one payer is served.
pub(super) const ASK: &[Name] = &[
    text("stay"),
    text("hospital"),
    VISIT_NUMBER,
    name("person", Kind::Table(PERSON)),
    name("claim", Kind::Table(CLAIM)),
    DIAGNOSES,
    name("legs", Kind::List(LEG)),
    name("paid_before", Kind::List(PAYER_AMOUNT)),
];

pub(super) const LEG_ALONE: &[Name] = &[name("leg", Kind::Table(LEG))];

/// An operation beside what its quote was asked with.
pub(super) const OPERATION: &[Name] = &[
    text("operation_id"),
    text("stay"),
    text("quote_id"),
    name("amounts", Kind::List(PAYER_AMOUNT)),
    name("total", Kind::Money),
];

/// What a reversal takes back.
pub(super) const ORIGINAL: &[Name] = &[text("original_operation_id")];

pub(super) const COVERAGE: &[Name] = &[name("person", Kind::Table(PERSON)), name("on", Kind::Date)];

pub(super) const VISIT: &[Name] = &[
    text("kind"),
    text("stay"),
    text("hospital"),
    VISIT_NUMBER,
    name("person", Kind::Table(PERSON)),
    name("admitted", Kind::Date),
    name("discharged", Kind::Date),
    DIAGNOSES,
    name(
        "lines",
        Kind::List(&[
            text("id"),
            name("date", Kind::Date),
            text("code"),
            text("name"),
            name("quantity", Kind::Exact),
            name("unit_price", Kind::Exact),
            name("amount", Kind::Money),
            text("class"),
            text("category"),
            text("credit_of"),
        ]),
    )
    .needing(Need::Lines),
];

pub(super) const STATEMENT: &[Name] = &[name("day", Kind::Date), text("after")];

/// Every name one template may use.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    names: Vec<Name>,
    /// What answers had kept, under `quoted` or `visited`.
    kept: Vec<(&'static str, Vec<String>)>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) is_personal: bool,
    pub(super) need: Option<Need>,
}

impl Scope {
    pub(super) fn of(tables: &[&[Name]]) -> Self {
        let mut names: Vec<Name> = Vec::new();
        for name in tables.iter().copied().flatten().chain(MOMENT) {
            if names.iter().all(|known| known.name != name.name) {
                names.push(*name);
            }
        }
        Self { names, kept: Vec::new() }
    }

    #[must_use]
    pub(super) fn with_kept(mut self, table: &'static str, names: impl IntoIterator<Item = String>) -> Self {
        self.kept.push((table, names.into_iter().collect()));
        self
    }

    pub(super) fn find(&self, path: &[String]) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        if let Some((_, names)) = self.kept.iter().find(|(table, _)| table == first) {
            let is_known = matches!(rest, [name] if names.contains(name));
            // Nobody knows what an insurer hands out: it stays in bodies.
            return is_known.then_some(Found { kind: Kind::Text, is_personal: true, need: None });
        }
        find(&self.names, path)
    }

    /// For the one who wrote a name that is not there.
    pub(super) fn known(&self) -> String {
        let names = self.names.iter().map(|name| name.name);
        let kept = self.kept.iter().filter(|(_, names)| !names.is_empty()).map(|(table, _)| *table);
        names.chain(kept).collect::<Vec<_>>().join(", ")
    }

    /// A value for every name; lists with so many items. Texts hold what every syntax has to escape.
    pub(super) fn sample(&self, items: usize) -> serde_json::Value {
        let mut root = sample(&self.names, items);
        for (table, names) in &self.kept {
            let values = names.iter().map(|name| (name.clone(), SAMPLE_TEXT.into()));
            root.insert((*table).to_owned(), serde_json::Value::Object(values.collect()));
        }
        serde_json::Value::Object(root)
    }
}

/// What a path leads to below a table or one item of a list.
pub(super) fn find(names: &[Name], path: &[String]) -> Option<Found> {
    let (first, rest) = path.split_first()?;
    let name = names.iter().find(|name| name.name == first)?;
    let own = Found { kind: name.kind, is_personal: name.is_personal, need: name.need };
    match name.kind {
        _ if rest.is_empty() => Some(own),
        Kind::Table(names) => {
            let below = find(names, rest)?;
            let is_personal = own.is_personal || below.is_personal;
            Some(Found { kind: below.kind, is_personal, need: own.need.or(below.need) })
        }
        _ => None,
    }
}

pub(super) const SAMPLE_TEXT: &str = "文'\"<&>]]>\\\n{{ %}";

fn sample(names: &[Name], items: usize) -> serde_json::Map<String, serde_json::Value> {
    use serde_json::Value;
    let value = |kind: Kind| match kind {
        Kind::Text => SAMPLE_TEXT.into(),
        Kind::Money | Kind::Exact => "1234.50".into(),
        Kind::Integer => 2.into(),
        Kind::Flag => true.into(),
        Kind::Date => "2020-07-02".into(),
        Kind::Instant => "2020-07-02T02:15:05.25Z".into(),
        Kind::Table(names) => Value::Object(sample(names, items)),
        Kind::List(names) => vec![Value::Object(sample(names, items)); items].into(),
    };
    names.iter().map(|name| (name.name.to_owned(), value(name.kind))).collect()
}

/// What is missing, for the desk.
pub(super) fn in_words(name: &str) -> String {
    let words = match name {
        "person.id_number" => "身份证号 | identity card number",
        "person.name" => "姓名 | name",
        "person.birth" => "出生日期 | birth date",
        "person.sex" => "性别 | sex",
        "person.card" => "医保卡号 | insurance card number",
        "visit_number" => "住院号 | visit number",
        "claim.roster.region" => "参保地 | insured region",
        "claim.cause.accident_type" => "意外类型 | kind of accident",
        other => other,
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use yizhan_contract::payer::{Ask, VisitEvent};

    use super::*;

    fn every_path(names: &[Name], value: &serde_json::Value, path: &str) {
        for name in names {
            let path = format!("{path}.{}", name.name);
            let Some(value) = value.get(name.name) else { panic!("{path} is no name of the contract") };
            match name.kind {
                Kind::Table(names) => every_path(names, value, &path),
                Kind::List(names) => every_path(names, &value[0], &path),
                _ => {}
            }
        }
    }

    /// Read into the contract's types and written again, every name is still there.
    #[test]
    fn names_are_the_contracts() {
        let id_number = "11010519491231002X";
        let mut ask = Scope::of(&[ASK]).sample(1);
        for (place, word) in [
            ("/person/id_number", id_number),
            ("/person/sex", "male"),
            ("/claim/class", "inpatient"),
            ("/claim/referral", "none"),
            ("/claim/cause/kind", "accident"),
            ("/claim/roster/entitlements/0/kind", "cover"),
            ("/claim/lines/0/class", "A"),
            ("/claim/settled_elsewhere/0/payer", "basic"),
            ("/legs/0/payer", "supplementary"),
            ("/paid_before/0/payer", "basic"),
        ] {
            *ask.pointer_mut(place).unwrap() = word.into();
        }
        let read: Ask = serde_json::from_value(ask).unwrap();
        every_path(ASK, &yizhan_contract::revealing(|| serde_json::to_value(&read)).unwrap(), "ask");

        let mut event = Scope::of(&[VISIT]).sample(1);
        for (place, word) in [
            ("/kind", "admitted"),
            ("/person/id_number", id_number),
            ("/person/sex", "male"),
            ("/lines/0/class", "A"),
        ] {
            *event.pointer_mut(place).unwrap() = word.into();
        }
        let read: VisitEvent = serde_json::from_value(event).unwrap();
        every_path(VISIT, &yizhan_contract::revealing(|| serde_json::to_value(&read)).unwrap(), "event");
    }
}
