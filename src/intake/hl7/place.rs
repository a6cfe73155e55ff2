//! Where something stands in a message.

use std::fmt;

/// The three characters a segment begins with (HL7 v2.5 ch. 2.5.1): an upper-case letter, then
/// upper-case letters or digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId([u8; 3]);

impl SegmentId {
    pub const MSH: Self = Self(*b"MSH");

    /// The id of a segment that is known when the code is written.
    pub const fn of(name: &[u8; 3]) -> Self {
        Self(*name)
    }

    pub fn read(name: &[u8]) -> Option<Self> {
        let name: [u8; 3] = name.try_into().ok()?;
        let legal = name[0].is_ascii_uppercase()
            && name[1..].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        legal.then_some(Self(name))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether its first two fields are delimiters.
    pub fn is_header(self) -> bool {
        matches!(&self.0, b"MSH" | b"FHS" | b"BHS")
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where something stands. All numbers count from 1; 0 means "the whole of what is named before".
///
/// `Display` writes `FT1[3]-11.1`; [`Place::erl`] writes the data type ERL of ERR-2, `FT1^3^11^1^1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub segment: SegmentId,
    /// The how-manieth segment of this name in the message.
    pub sequence: u16,
    pub field: u16,
    pub repetition: u16,
    pub component: u16,
    pub subcomponent: u16,
}

impl Place {
    pub const fn segment(segment: SegmentId, sequence: u16) -> Self {
        Self { segment, sequence, field: 0, repetition: 0, component: 0, subcomponent: 0 }
    }

    /// The message as a whole, which an answer can only name by its header.
    pub const MESSAGE: Self = Self::segment(SegmentId::MSH, 1);

    /// Reads what `Display` writes, as `FT1[3]-11.1` or `PV1`; absent where a text names another kind of place.
    pub fn named(text: &str) -> Option<Self> {
        let (head, inside) = text.split_once('-').map_or((text, None), |(head, inside)| (head, Some(inside)));
        let (name, sequence) = numbered(head);
        let segment = SegmentId::read(name.as_bytes())?;
        let place = Self::segment(segment, sequence.map_or(Some(1), number)?);
        let Some(inside) = inside else { return Some(place) };
        let mut parts = inside.split('.');
        let (field, repetition) = numbered(parts.next()?);
        let mut next = || parts.next().map_or(Some(0), number);
        let (component, subcomponent) = (next()?, next()?);
        if parts.next().is_some() {
            return None;
        }
        let (field, repetition) = (number(field)?, repetition.map_or(Some(0), number)?);
        Some(Self { field, repetition, component, subcomponent, ..place })
    }

    pub const fn header(field: u16) -> Self {
        Self::MESSAGE.at_field(field)
    }

    #[must_use]
    pub const fn at_field(self, field: u16) -> Self {
        Self { field, repetition: 0, component: 0, subcomponent: 0, ..self }
    }

    /// The numbers of ERL (HL7 v2.5 ch. 2A), most general first, cut after the last one known.
    /// A repetition that was not named is the first one as soon as something inside it is named.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + use<> {
        let repetition = if self.component > 0 { self.repetition.max(1) } else { self.repetition };
        [self.sequence, self.field, repetition, self.component, self.subcomponent]
            .into_iter()
            .take_while(|number| *number > 0)
    }

    /// `FT1^3^11^1^1`, with the component separator of the answer.
    pub fn erl(&self, component: char) -> String {
        let mut text = self.segment.to_string();
        for number in self.numbers() {
            text.push(component);
            text.push_str(&number.to_string());
        }
        text
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, sequence, field, repetition, component, subcomponent } = *self;
        write!(f, "{segment}")?;
        if sequence > 1 {
            write!(f, "[{sequence}]")?;
        }
        write_inside(f, [field, repetition, component, subcomponent])
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_inside(
    f: &mut fmt::Formatter<'_>,
    [field, repetition, component, subcomponent]: [u16; 4],
) -> fmt::Result {
    if field == 0 {
        return Ok(());
    }
    write!(f, "-{field}")?;
    if repetition > 1 {
        write!(f, "[{repetition}]")?;
    }
    if component > 0 {
        write!(f, ".{component}")?;
    }
    if subcomponent > 0 {
        write!(f, ".{subcomponent}")?;
    }
    Ok(())
}

/// `FT1[3]` as `FT1` and `3`.
fn numbered(text: &str) -> (&str, Option<&str>) {
    let inside = text.strip_suffix(']').and_then(|open| open.split_once('['));
    inside.map_or((text, None), |(name, number)| (name, Some(number)))
}

/// A number from 1 to 9999.
fn number(text: &str) -> Option<u16> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["PV1-19", "PID-3[2].1.2", "FT1[3]-11.1", "ZBL-1.2.3", "PV1", "FT1[3]"] {
            assert_eq!(Place::named(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "PID-",
            "PID-0",
            "pid-3",
            "PID-3.",
            "PID-3[].1",
            "PID-3.1.2.3",
            "PID[0]-1",
            "PID-99999",
            "PID-+1",
        ] {
            assert_eq!(Place::named(text), None, "{text:?}");
        }
    }

    #[test]
    fn places_are_named_for_people_and_for_err_2() {
        let line = Place::segment(SegmentId::of(b"FT1"), 3);
        let amount = Place { component: 1, ..line.at_field(11) };
        for (place, text, erl) in [
            (amount, "FT1[3]-11.1", "FT1^3^11^1^1"),
            (line, "FT1[3]", "FT1^3"),
            (Place::header(18), "MSH-18", "MSH^1^18"),
            (Place { repetition: 2, ..Place::header(18) }, "MSH-18[2]", "MSH^1^18^2"),
        ] {
            assert_eq!((place.to_string().as_str(), place.erl('^').as_str()), (text, erl));
        }
    }
}
