//! The names of the normal form: every format, value map and path of a profile speaks of a field by its
//! name here (`visit.number`, `lines.amount`).

/// A closed list of field names, usable as an index.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub const COUNT: usize = Self::ALL.len();

            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }

            pub fn index(self) -> usize {
                self as usize
            }
        }
    };
}

names!(
    /// What a message says once.
    Head {
        MessageId = "message_id",
        SentAt = "sent_at",
        Hospital = "hospital",
        InsuredRegion = "insured_region",
        VisitNumber = "visit.number",
        Admitted = "visit.admitted",
        Discharged = "visit.discharged",
        Department = "visit.department",
        Ward = "visit.ward",
        Bed = "visit.bed",
        VisitClass = "visit.class",
        IdNumber = "patient.id_number",
        Mrn = "patient.mrn",
        PatientName = "patient.name",
        Sex = "patient.sex",
        Birth = "patient.birth",
        Card = "patient.card",
        CauseKind = "cause.kind",
        AccidentType = "cause.accident_type",
        ThirdPartyLiable = "third_party_liable",
        Referral = "referral",
        StatedTotal = "stated.total",
        StatedPatientShare = "stated.patient_share",
        Deposit = "deposit",
    }
);

names!(
    /// What it says of each charge line. `kind` is HL7 table 0017 and known to HL7 only.
    LineField {
        Id = "id",
        Date = "date",
        Code = "code",
        Name = "name",
        Quantity = "quantity",
        UnitPrice = "unit_price",
        Amount = "amount",
        Class = "class",
        Category = "category",
        UpfrontRatio = "upfront_ratio",
        Ceiling = "ceiling",
        CreditOf = "credit_of",
        Credit = "credit",
        Kind = "kind",
    }
);

impl LineField {
    /// As a clerk calls it, in Chinese and English.
    pub fn called(self) -> (&'static str, &'static str) {
        match self {
            Self::Id => ("明细号", "line id"),
            Self::Date => ("费用日期", "date"),
            Self::Code => ("项目编码", "item code"),
            Self::Name => ("项目名称", "item name"),
            Self::Quantity => ("数量", "quantity"),
            Self::UnitPrice => ("单价", "unit price"),
            Self::Amount => ("金额", "amount"),
            Self::Class => ("目录类别", "catalogue class"),
            Self::Category => ("费用类别", "charge category"),
            Self::UpfrontRatio => ("先行自付比例", "upfront ratio"),
            Self::Ceiling => ("限价", "price ceiling"),
            Self::CreditOf => ("所冲减的明细号", "id of the credited line"),
            Self::Credit => ("退费标志", "credit mark"),
            Self::Kind => ("交易类型", "transaction type"),
        }
    }
}

names!(
    DiagnosisField { Code = "code", Name = "name", Principal = "principal" }
);

names!(
    /// What a payer has settled through another system.
    PayerField { Payer = "payer", Amount = "amount", Reference = "reference" }
);

impl PayerField {
    /// As a clerk calls it, in Chinese and English.
    pub fn called(self) -> (&'static str, &'static str) {
        match self {
            Self::Payer => ("支付方", "payer"),
            Self::Amount => ("金额", "amount"),
            Self::Reference => ("凭证号", "reference"),
        }
    }
}

/// The three lists of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    Lines,
    Diagnoses,
    SettledElsewhere,
}

impl List {
    pub const ALL: &'static [Self] = &[Self::Lines, Self::Diagnoses, Self::SettledElsewhere];

    pub fn word(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Diagnoses => "diagnoses",
            Self::SettledElsewhere => "settled_elsewhere",
        }
    }

    /// The name of one element of the list in XML.
    pub fn item(self) -> &'static str {
        match self {
            Self::Lines => "line",
            Self::Diagnoses => "diagnosis",
            Self::SettledElsewhere => "payer_settlement",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|list| list.word() == word)
    }
}

/// Objects that hold part of the [`Head`] names.
pub const SECTIONS: &[&str] = &["visit", "patient", "cause", "stated"];

/// Whether the normal form calls anything so: a section, a list, an entry of one, or a field without its section.
pub fn is_word(name: &str) -> bool {
    let is_list = |list: &List| [list.word(), list.item()].contains(&name);
    let is_head = |head: &Head| head.word().rsplit('.').next() == Some(name);
    SECTIONS.contains(&name)
        || List::ALL.iter().any(is_list)
        || Head::ALL.iter().any(is_head)
        || LineField::from_word(name).is_some()
        || DiagnosisField::from_word(name).is_some()
        || PayerField::from_word(name).is_some()
}

/// Leaves that hold a decimal number: text in every format, and in JSON also a number as it is written.
pub const NUMBERS: &[&str] = &[
    "quantity",
    "unit_price",
    "amount",
    "upfront_ratio",
    "ceiling",
    "stated.total",
    "stated.patient_share",
    "deposit",
];

/// Leaves that are true or false.
pub const YES_OR_NO: &[&str] = &["credit", "principal", "third_party_liable"];

/// Any field of the normal form, in the words a profile uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    Head(Head),
    Line(LineField),
    Diagnosis(DiagnosisField),
    Payer(PayerField),
}

impl Name {
    /// `visit.number`, `lines.amount`, `diagnoses.code`, `settled_elsewhere.payer`.
    pub fn from_word(word: &str) -> Option<Self> {
        let Some((list, leaf)) = word.split_once('.') else { return Head::from_word(word).map(Self::Head) };
        match List::from_word(list) {
            Some(List::Lines) => LineField::from_word(leaf).map(Self::Line),
            Some(List::Diagnoses) => DiagnosisField::from_word(leaf).map(Self::Diagnosis),
            Some(List::SettledElsewhere) => PayerField::from_word(leaf).map(Self::Payer),
            None => Head::from_word(word).map(Self::Head),
        }
    }
}
