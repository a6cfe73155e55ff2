//! Whether a text names somebody, however it is written there; told by its place and never by what stands there.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Read as _};

use yizhan_contract::Text;
use yizhan_contract::payer::Person;

/// What is held in memory of a line; one that is longer is looked at in pieces.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// What of a person is sought, in the order of its columns everywhere here: number, name, card.
const WHAT: [(&str, &str); 3] =
    [("身份证号", "an identity card number"), ("姓名", "a name"), ("卡号", "a card number")];

/// What people are known by: each in every spelling it may have. It is never printed.
#[derive(Default)]
pub(super) struct Named([BTreeSet<String>; 3]);

/// The first line that has each of them.
type First = [Option<u64>; 3];

/// Where a text names somebody.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) lines: u64,
    first: First,
}

impl Named {
    /// By what these people are told of. What is not told cannot be found.
    pub(super) fn of(people: impl Iterator<Item = Person>) -> Self {
        let mut named = Self::default();
        for person in people {
            let told = [
                person.id_number.map(|number| number.reveal().as_str().to_owned()),
                person.name.map(|name| name.reveal().clone()),
                person.card.map(|card| card.reveal().clone()),
            ];
            for (spellings, told) in named.0.iter_mut().zip(told) {
                spellings.extend(told.iter().filter(|told| !told.is_empty()).flat_map(|told| spelled(told)));
            }
        }
        named
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(BTreeSet::is_empty)
    }
}

/// As it is, as JSON escapes it, as bytes are escaped, and as in an address; all in lower case.
fn spelled(told: &str) -> [String; 4] {
    let bytes = |before: &str| {
        let byte = |byte: &u8| match *byte {
            ascii @ 0..0x80 => char::from(ascii).to_string(),
            other => format!("{before}{other:02x}"),
        };
        told.as_bytes().iter().map(byte).collect::<String>()
    };
    let escaped = |unit: u16| match u8::try_from(unit) {
        Ok(ascii @ 0..0x80) => char::from(ascii).to_string(),
        _ => format!("\\u{unit:04x}"),
    };
    let escaped: String = told.encode_utf16().map(escaped).collect();
    [told.to_owned(), escaped, bytes("\\x"), bytes("%")].map(|spelling| spelling.to_ascii_lowercase())
}

/// Reads a text to its end.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn named_in(mut text: impl BufRead, people: &Named) -> io::Result<Found> {
    let (mut found, mut line) = (Found::default(), Vec::new());
    let mut begins = true;
    while text.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? != 0 {
        found.lines += u64::from(begins);
        begins = line.ends_with(b"\n");
        let read = as_compared(&line);
        for (first, spellings) in found.first.iter_mut().zip(&people.0) {
            if first.is_none() && spellings.iter().any(|spelling| read.contains(spelling)) {
                *first = Some(found.lines);
            }
        }
        line.clear();
    }
    Ok(found)
}

/// In lower case, and without the marks that an escape gets when it is escaped in turn.
fn as_compared(line: &[u8]) -> String {
    let mut read = String::from_utf8_lossy(line).to_ascii_lowercase();
    while read.contains(r"\\") {
        read = read.replace(r"\\", r"\");
    }
    read
}

impl Found {
    /// Which lines have what. Absent: none.
    pub(super) fn told(&self) -> Option<Text> {
        let there = self.first.iter().zip(WHAT).filter_map(|(first, what)| Some(((*first)?, what)));
        let there: Vec<_> = there.collect();
        if there.is_empty() {
            return None;
        }
        let zh: Vec<_> = there.iter().map(|(line, (zh, _))| format!("第 {line} 行有{zh}")).collect();
        let en: Vec<_> = there.iter().map(|(line, (_, en))| format!("line {line} has {en}")).collect();
        let lines = self.lines;
        Some(Text::new(
            format!("stdout 与 stderr 共 {lines} 行，{}", zh.join("，")),
            format!("of {lines} lines of stdout and stderr, {}", en.join(", ")),
        ))
    }
}

#[cfg(test)]
mod tests {
    use yizhan_contract::{IdNumber, Personal};

    use super::*;

    const NOBODY: First = [None; 3];

    /// A log, and the first lines that have number, name and card.
    const CASES: &[(&str, &[u8], First)] = &[
        ("nothing", b"", NOBODY),
        ("of nobody", b"POST /v1/quote 200\nPOST /v1/commit 200\n", NOBODY),
        ("as they are", "ready\n99990019560101001X\n测试甲 TEST0001".as_bytes(), [Some(2), Some(3), Some(3)]),
        ("in lower case", b"99990019560101001x test0001", [Some(1), None, Some(1)]),
        ("as JSON", br#"{"name":"\u6d4B\u8bd5\u7532"}"#, [None, Some(1), None]),
        ("as JSON in JSON", br#"{"detail":"{\"name\":\"\\u6d4b\\u8bd5\\u7532\"}"}"#, [None, Some(1), None]),
        ("as bytes", br"\n\xe6\xb5\x8b\xe8\xaf\x95\xe7\x94\xb2", [None, Some(1), None]),
        ("in an address", b"GET /?name=%E6%B5%8B%E8%AF%95%E7%94%B2&n=1", [None, Some(1), None]),
        ("beside what is no text", b"\xff\xfe\n\xff TEST0001 \xff\n", [None, None, Some(2)]),
        ("a part of it", "9999001956010100 测试 TEST000".as_bytes(), NOBODY),
    ];

    fn person() -> Person {
        let personal = |text: &str| Some(Personal::new(text.to_owned()));
        let id_number = "99990019560101001X".parse::<IdNumber>().unwrap();
        Person {
            id_number: Some(Personal::new(id_number)),
            name: personal("测试甲"),
            birth: None,
            sex: None,
            card: personal("TEST0001"),
        }
    }

    #[test]
    fn whoever_is_named_is_found_by_line() {
        let people = Named::of([person()].into_iter());
        for (name, log, first) in CASES {
            let found = named_in(*log, &people).unwrap();
            assert_eq!(found.first, *first, "{name}");
            let told = found.told().map(|told| format!("{}{}", told.zh, told.en));
            assert_eq!(told.is_some(), *first != NOBODY, "{name}");
            let told = told.unwrap_or_default();
            assert!(
                !told.contains("TEST0001") && !told.contains("测试甲") && !told.contains("9999"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_line_is_one_however_long_it_is() {
        let long = "x".repeat(3 * 1024 * 1024 + 17) + "\nTEST0001\n";
        let found = named_in(long.as_bytes(), &Named::of([person()].into_iter())).unwrap();
        assert_eq!(found, Found { lines: 2, first: [None, None, Some(2)] });
    }

    #[test]
    fn nobody_is_sought_of_whom_nothing_is_told() {
        let nothing = Person { id_number: None, name: None, birth: None, sex: None, card: None };
        assert!(Named::of([nothing].into_iter()).is_empty());
    }
}
