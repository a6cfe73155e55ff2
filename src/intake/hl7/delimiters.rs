//! The characters that separate (HL7 v2.5 ch. 2.5.4; the truncation character v2.7 ch. 2.5.5.2).

use super::error::{Fault, Quoted, SyntaxError, WarningKind};
use super::place::Place;

/// MSH-1 and MSH-2. A character that MSH-2 leaves out is `None`: that feature is not used.
/// All are ASCII and none is a letter, a digit, CR or LF, so they can be searched for as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    pub field: u8,
    pub component: Option<u8>,
    pub repetition: Option<u8>,
    pub escape: Option<u8>,
    pub subcomponent: Option<u8>,
    pub truncation: Option<u8>,
}

/// Most characters MSH-2 can have.
const ENCODING_CHARACTERS_MAX: usize = 5;

impl Delimiters {
    /// `|^~\&`, recommended by every version.
    pub const STANDARD: Self = Self {
        field: b'|',
        component: Some(b'^'),
        repetition: Some(b'~'),
        escape: Some(b'\\'),
        subcomponent: Some(b'&'),
        truncation: None,
    };

    /// For text that is not divided any further, as MSH-1 and MSH-2 themselves.
    pub const NONE: Self = Self {
        field: b'|',
        component: None,
        repetition: None,
        escape: None,
        subcomponent: None,
        truncation: None,
    };

    /// Reads MSH-1 and MSH-2. What is odd but clear is a warning.
    ///
    /// # Errors
    /// Places MSH-1 or MSH-2 where a character cannot separate, or is used twice.
    pub fn read(field: u8, encoding: &[u8]) -> Result<(Self, Option<WarningKind>), SyntaxError> {
        if !may_separate(field) {
            return Err(SyntaxError::new(
                Place::header(1),
                Fault::FieldSeparator { character: char::from(field) },
            ));
        }
        if encoding.is_empty() {
            return Err(SyntaxError::new(Place::header(2), Fault::EncodingCharactersMissing));
        }
        let (characters, warning) = repaired(encoding);
        let at = |index: usize| characters.get(index).copied().flatten();
        let read = Self {
            field,
            component: at(0),
            repetition: at(1),
            escape: at(2),
            subcomponent: at(3),
            truncation: at(4),
        };
        if characters.len() > ENCODING_CHARACTERS_MAX || !read.are_legal() {
            let characters = Quoted::new(&String::from_utf8_lossy(encoding));
            return Err(SyntaxError::new(Place::header(2), Fault::EncodingCharacters { characters }));
        }
        Ok((read, warning))
    }

    fn are_legal(&self) -> bool {
        let used: Vec<u8> = self.all().collect();
        let distinct = used.iter().enumerate().all(|(index, byte)| !used[..index].contains(byte));
        distinct && used.iter().all(|byte| may_separate(*byte))
    }

    /// Every character in use, the field separator first.
    pub fn all(&self) -> impl Iterator<Item = u8> + use<> {
        let encoding = [self.component, self.repetition, self.escape, self.subcomponent, self.truncation];
        std::iter::once(self.field).chain(encoding.into_iter().flatten())
    }

    /// These if a whole message can be written with them, else the standard ones.
    #[must_use]
    pub fn for_writing(self) -> Self {
        let whole = [self.component, self.repetition, self.escape, self.subcomponent];
        if whole.iter().all(Option::is_some) { self } else { Self::STANDARD }
    }

    /// MSH-2 of a message written with these.
    pub fn encoding_characters(&self) -> String {
        self.all().skip(1).map(char::from).collect()
    }
}

fn may_separate(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'\r' | b'\n' | 0)
}

/// MSH-2 by position, after mending what senders' programming languages did to the backslash:
/// doubled (`^~\\&`), lost (`^~&`), or swallowed so that a character of the data stands in its place.
fn repaired(encoding: &[u8]) -> (Vec<Option<u8>>, Option<WarningKind>) {
    let by_position = || encoding.iter().copied().map(Some).collect::<Vec<_>>();
    match *encoding {
        [component, repetition, escape, again, subcomponent] if escape == again => {
            let read = vec![Some(component), Some(repetition), Some(escape), Some(subcomponent)];
            (read, Some(WarningKind::DoubledEscape))
        }
        // By position `&` would be the escape character; nobody means that.
        [b'^', b'~', b'&'] => (vec![Some(b'^'), Some(b'~'), None, Some(b'&')], Some(WarningKind::NoEscaping)),
        [_, _, escape, ..] if escape.is_ascii_alphanumeric() || escape == b'.' => {
            let mut read = by_position();
            read[2] = None;
            (read, Some(WarningKind::NoEscaping))
        }
        _ => (by_position(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_characters_of_one_to_five_are_read() {
        for (encoding, written, warning) in [
            ("^~\\&", "^~\\&", None),
            ("^~\\&#", "^~\\&#", None),
            ("^~\\\\&", "^~\\&", Some(WarningKind::DoubledEscape)),
            ("^~&", "^~&", Some(WarningKind::NoEscaping)),
            ("^~.&", "^~&", Some(WarningKind::NoEscaping)),
            ("^~}", "^~}", None),
            ("^", "^", None),
        ] {
            let (read, warned) = Delimiters::read(b'|', encoding.as_bytes()).unwrap();
            assert_eq!((read.encoding_characters().as_str(), warned), (written, warning), "{encoding}");
        }
        let lost = Delimiters::read(b'|', b"^~&").unwrap().0;
        assert_eq!((lost.escape, lost.subcomponent), (None, Some(b'&')));
    }

    #[test]
    fn characters_that_cannot_separate_are_refused() {
        for (field, encoding, place) in [
            (b'A', "^~\\&", 1),
            (b'7', "^~\\&", 1),
            (0xE4, "^~\\&", 1),
            (b'|', "", 2),
            (b'|', "^^\\&", 2),
            (b'^', "^~\\&", 2),
            (b'|', "A~\\&", 2),
            (b'|', "^~\\&#%", 2),
            (b'|', "^~\\9", 2),
            (b'|', "^~\\\u{4e2d}", 2),
        ] {
            let error = Delimiters::read(field, encoding.as_bytes()).unwrap_err();
            assert_eq!(error.place, Place::header(place), "{encoding}");
        }
    }
}
