//! What every message must hold before anybody asks what it means.
//!
//! Order is not enforced: segments are taken by name. Only the header and the segments without which
//! a message of its kind says nothing are required (HL7 v2.5 ch. 2.14.9, 3.3, 6.4).

use super::super::limits::MESSAGE_ID_CHARS_MAX;
use super::error::{Fault, Quoted, SyntaxError, Warning, WarningKind};
use super::header::Version;
use super::message::Message;
use super::place::{Place, SegmentId};

macro_rules! triggers {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $event:literal needs $segments:expr),+ $(,)?) => {
        /// A kind of message that is taken: MSH-9.1 and MSH-9.2.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Trigger { $($(#[$doc])* $variant),+ }

        impl Trigger {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// MSH-9.1.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// MSH-9.2.
            pub fn event(self) -> &'static str {
                match self { $(Self::$variant => $event),+ }
            }

            fn required(self) -> &'static [&'static [u8; 3]] {
                match self { $(Self::$variant => $segments),+ }
            }
        }
    };
}

triggers! {
    /// Admission.
    AdtA01 = "ADT" "A01" needs &[b"PID", b"PV1"],
    /// Discharge.
    AdtA03 = "ADT" "A03" needs &[b"PID", b"PV1"],
    /// Changed data of patient or visit.
    AdtA08 = "ADT" "A08" needs &[b"PID", b"PV1"],
    /// Admission cancelled.
    AdtA11 = "ADT" "A11" needs &[b"PID", b"PV1"],
    /// Discharge cancelled.
    AdtA13 = "ADT" "A13" needs &[b"PID", b"PV1"],
    /// Patients merged; a visit is not part of it.
    AdtA40 = "ADT" "A40" needs &[b"PID", b"MRG"],
    /// Charges.
    DftP03 = "DFT" "P03" needs &[b"PID", b"FT1"],
    /// Charges with their own coverage.
    DftP11 = "DFT" "P11" needs &[b"PID", b"FT1"],
    /// Account opened.
    BarP01 = "BAR" "P01" needs &[b"PID"],
    /// Account changed.
    BarP05 = "BAR" "P05" needs &[b"PID"],
    /// Account closed.
    BarP06 = "BAR" "P06" needs &[b"PID"],
}

/// A message that passed [`check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub trigger: Trigger,
    /// What was missing and could be borne, besides the message's own warnings.
    pub warnings: Vec<Warning>,
}

/// Looks at the header, then at the segments its kind of message cannot do without. `processing_ids` are the values
/// of MSH-11 that are taken.
///
/// # Errors
/// In this order: MSH-10 empty (101) or too long (104), MSH-9 empty (101), type (200), event (201),
/// processing id (202), version (203), a segment missing (101 at that segment).
/// MSH-11 empty is read as production and MSH-12 empty as the oldest form of everything, with warnings.
pub fn check(message: &Message<'_>, processing_ids: &[impl AsRef<str>]) -> Result<Checked, SyntaxError> {
    let Some(header) = message.segment(0) else {
        return Err(SyntaxError::new(Place::MESSAGE, Fault::NoHeader));
    };
    let text = |field, component| header.field(field).component(component).text();
    let refused = |field, fault| Err(SyntaxError::new(Place::header(field), fault));

    let control_id = text(10, 1);
    if control_id.is_empty() {
        return refused(10, Fault::FieldMissing);
    }
    let chars = control_id.chars().count();
    if chars > MESSAGE_ID_CHARS_MAX {
        return refused(10, Fault::ValueTooLong { chars, chars_max: MESSAGE_ID_CHARS_MAX });
    }
    let trigger = trigger_of(&text(9, 1), &text(9, 2))?;

    let mut warnings = Vec::new();
    let mut defaulted =
        |field| warnings.push(Warning { place: Place::header(field), kind: WarningKind::Defaulted });
    match text(11, 1).as_ref() {
        "" => defaulted(11),
        stated if !processing_ids.iter().any(|taken| taken.as_ref() == stated) => {
            let taken: Vec<&str> = processing_ids.iter().map(AsRef::as_ref).collect();
            let (name, taken) = (Quoted::new(stated), taken.join(", "));
            return refused(11, Fault::UnsupportedProcessingId { name, taken });
        }
        _ => {}
    }
    match text(12, 1).as_ref() {
        "" => defaulted(12),
        stated if Version::read(stated).is_none() => {
            return refused(12, Fault::UnsupportedVersion { name: Quoted::new(stated) });
        }
        _ => {}
    }
    check_segments(message, trigger, &mut warnings)?;
    Ok(Checked { trigger, warnings })
}

fn trigger_of(code: &str, event: &str) -> Result<Trigger, SyntaxError> {
    let refused = |place, fault| Err(SyntaxError::new(place, fault));
    let type_place = Place::header(9);
    let event_place = Place { repetition: 1, component: 2, ..type_place };
    if code.is_empty() {
        return refused(type_place, Fault::FieldMissing);
    }
    let mut of_type = Trigger::ALL.iter().filter(|trigger| trigger.code() == code).peekable();
    if of_type.peek().is_none() {
        return refused(type_place, Fault::UnsupportedType { name: Quoted::new(code) });
    }
    if event.is_empty() {
        return refused(event_place, Fault::FieldMissing);
    }
    match of_type.find(|trigger| trigger.event() == event) {
        Some(trigger) => Ok(*trigger),
        None => refused(event_place, Fault::UnsupportedEvent { name: Quoted::new(event) }),
    }
}

fn check_segments(
    message: &Message<'_>,
    trigger: Trigger,
    warnings: &mut Vec<Warning>,
) -> Result<(), SyntaxError> {
    for name in trigger.required() {
        let id = SegmentId::of(name);
        if message.first(id.as_str()).is_none() {
            return Err(SyntaxError::new(Place::segment(id, 1), Fault::SegmentMissing));
        }
    }
    // Required by every version, left out by many senders, and MSH-9 says the same.
    if message.first("EVN").is_none() {
        let place = Place::segment(SegmentId::of(b"EVN"), 1);
        warnings.push(Warning { place, kind: WarningKind::SegmentMissing });
    }
    Ok(())
}
