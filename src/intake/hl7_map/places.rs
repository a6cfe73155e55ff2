//! Where HL7 messages have the fields of the normal form, unless a hospital's profile names another path: the one table
//! by which they are read and by which a sender is told of them.

use super::super::hl7::SegmentId;
use crate::settlement::names::{Head, LineField, Name};
use crate::settlement::places::Hl7Places;

/// A component of a field, counted from 1.
pub(super) struct Standing {
    pub(super) segment: SegmentId,
    pub(super) field: u16,
    pub(super) component: u16,
}

/// Absent: HL7 has no settled place for it; a profile names one, or it is not said.
pub(super) fn head(name: Head) -> Option<Standing> {
    let (segment, field, component) = match name {
        Head::MessageId => (b"MSH", 10, 1),
        Head::SentAt => (b"MSH", 7, 1),
        Head::Hospital => (b"MSH", 4, 1),
        Head::VisitNumber => (b"PV1", 19, 1),
        Head::Admitted => (b"PV1", 44, 1),
        Head::Discharged => (b"PV1", 45, 1),
        Head::Department => (b"PV1", 10, 1),
        Head::Ward => (b"PV1", 3, 1),
        Head::Bed => (b"PV1", 3, 3),
        Head::VisitClass => (b"PV1", 2, 1),
        Head::IdNumber | Head::Mrn | Head::Card => (b"PID", 3, 1),
        Head::PatientName => (b"PID", 5, 1),
        Head::Birth => (b"PID", 7, 1),
        Head::Sex => (b"PID", 8, 1),
        Head::CauseKind | Head::AccidentType => (b"ACC", 2, 1),
        Head::StatedTotal => (b"PV1", 47, 1),
        Head::InsuredRegion
        | Head::ThirdPartyLiable
        | Head::Referral
        | Head::StatedPatientShare
        | Head::Deposit => return None,
    };
    Some(Standing { segment: SegmentId::of(segment), field, component })
}

/// The field of FT1. Absent: from the catalogue, unless the profile names a path.
pub(super) fn line(name: LineField) -> Option<u16> {
    Some(match name {
        LineField::Id => 2,
        LineField::Date => 4,
        LineField::Kind => 6,
        LineField::Code => 7,
        LineField::Name => 8,
        LineField::Quantity => 10,
        LineField::Amount => 11,
        LineField::UnitPrice => 12,
        LineField::Category => 18,
        LineField::Class
        | LineField::UpfrontRatio
        | LineField::Ceiling
        | LineField::CreditOf
        | LineField::Credit => return None,
    })
}

/// Where a hospital has them; `named` is the first path its profile gives a field.
pub(in crate::intake) fn of<'t>(named: impl Fn(Name) -> Option<&'t str>) -> Hl7Places {
    let head = |name: &Head| {
        let usual = || head(*name).map(|at| format!("{}-{}", at.segment.as_str(), at.field));
        named(Name::Head(*name)).map(str::to_owned).or_else(usual).map(|place| (*name, place))
    };
    let line = |name: &LineField| {
        let own = named(Name::Line(*name)).and_then(|path| path.strip_prefix("FT1")).map(str::to_owned);
        own.or_else(|| line(*name).map(|field| format!("-{field}"))).map(|behind| (*name, behind))
    };
    Hl7Places {
        head: Head::ALL.iter().filter_map(head).collect(),
        line: LineField::ALL.iter().filter_map(line).collect(),
        lines: "FT1",
        diagnoses: "DG1",
        prior_mrn: "MRG-1",
    }
}
