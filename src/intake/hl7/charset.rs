//! Character sets of MSH-18 (HL7 table 0211), and the names seen in their stead.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, EncoderResult, Encoding};

/// How the bytes of a message become text. Only sets whose multi-byte characters hold neither CR
/// nor the bytes of MLLP: anything else could not have been framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    Utf8,
    Ascii,
    /// 8859/1: each byte is the character of that number.
    Latin1,
    /// Any other, by the tables of the WHATWG encoding standard.
    Table(&'static Encoding),
}

/// What a name in MSH-18 stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    Charset(Charset),
    /// UTF-16 and UTF-32 use the bytes that frame and separate.
    Unframable,
    Unknown,
}

impl Charset {
    pub const GBK: Self = Self::Table(encoding_rs::GBK);
    pub const GB18030: Self = Self::Table(encoding_rs::GB18030);
    pub const BIG5: Self = Self::Table(encoding_rs::BIG5);

    /// Reads one repetition of MSH-18, or what a hospital's profile says in its stead, whatever the case, spaces, hyphens and underscores in it.
    pub fn named(name: &str) -> Named {
        let plain: String = name
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '_' | '/'))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        Named::Charset(match plain.as_str() {
            "UTF8" | "UNICODE" | "UNICODEUTF8" => Self::Utf8,
            "ASCII" | "USASCII" | "ISOIR6" => Self::Ascii,
            "88591" | "ISO88591" | "LATIN1" => Self::Latin1,
            "GB18030" | "GB180302000" | "GB180302005" | "GB180302022" => Self::GB18030,
            // GBK holds all of GB 2312; senders who name the one mostly write the other.
            "GBK" | "CP936" | "GB2312" | "GB23121980" | "EUCCN" => Self::GBK,
            "BIG5" => Self::BIG5,
            "88592" | "ISO88592" => Self::Table(encoding_rs::ISO_8859_2),
            "88593" | "ISO88593" => Self::Table(encoding_rs::ISO_8859_3),
            "88594" | "ISO88594" => Self::Table(encoding_rs::ISO_8859_4),
            "88595" | "ISO88595" => Self::Table(encoding_rs::ISO_8859_5),
            "88596" | "ISO88596" => Self::Table(encoding_rs::ISO_8859_6),
            "88597" | "ISO88597" => Self::Table(encoding_rs::ISO_8859_7),
            "88598" | "ISO88598" => Self::Table(encoding_rs::ISO_8859_8),
            "88599" | "ISO88599" => Self::Table(encoding_rs::WINDOWS_1254),
            "885915" | "ISO885915" => Self::Table(encoding_rs::ISO_8859_15),
            "WINDOWS1252" | "CP1252" => Self::Table(encoding_rs::WINDOWS_1252),
            "KSX1001" | "EUCKR" => Self::Table(encoding_rs::EUC_KR),
            "UNICODEUTF16" | "UTF16" | "UNICODEUTF32" | "UTF32" => return Named::Unframable,
            _ => return Named::Unknown,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Ascii => "ASCII",
            Self::Latin1 => "ISO-8859-1",
            Self::Table(encoding) => encoding.name(),
        }
    }

    /// The name of table 0211, or the usual one where the table has none.
    pub fn table_0211(self) -> &'static str {
        match self {
            Self::Utf8 => "UNICODE UTF-8",
            Self::Ascii => "ASCII",
            Self::Latin1 => "8859/1",
            _ if self == Self::GB18030 => "GB 18030-2000",
            _ if self == Self::BIG5 => "BIG-5",
            Self::Table(encoding) => encoding.name(),
        }
    }

    /// Decodes strictly: nothing is replaced.
    ///
    /// # Errors
    /// The offset of the first byte that has no meaning in this set, or plainly another one: a set of single bytes
    /// makes letters of anything, and a name in UTF-8 would be settled as a row of them.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>, usize> {
        if self.is_of_single_bytes()
            && let Some(offset) = bytes.iter().position(|byte| !byte.is_ascii())
            && std::str::from_utf8(bytes).is_ok()
        {
            return Err(offset);
        }
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| error.valid_up_to()),
            Self::Ascii => match std::str::from_utf8(bytes) {
                Ok(text) if text.is_ascii() => Ok(Cow::Borrowed(text)),
                _ => Err(bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(0)),
            },
            Self::Latin1 => Ok(encoding_rs::mem::decode_latin1(bytes)),
            Self::Table(encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(bytes)
                .ok_or_else(|| first_malformed(encoding, bytes)),
        }
    }

    fn is_of_single_bytes(self) -> bool {
        match self {
            Self::Utf8 | Self::Ascii => false,
            Self::Latin1 => true,
            Self::Table(encoding) => encoding.is_single_byte(),
        }
    }

    /// Decodes what can be decoded, for an answer to a message that was refused.
    pub fn decode_lossily(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Utf8 | Self::Ascii => String::from_utf8_lossy(bytes),
            Self::Latin1 => encoding_rs::mem::decode_latin1(bytes),
            Self::Table(encoding) => encoding.decode_without_bom_handling(bytes).0,
        }
    }

    /// Whether every character of `text` can be written.
    pub fn holds(self, text: &str) -> bool {
        match self {
            Self::Utf8 => true,
            Self::Ascii => text.is_ascii(),
            Self::Latin1 => encoding_rs::mem::is_str_latin1(text),
            Self::Table(encoding) => !encoding.encode(text).2,
        }
    }

    /// Encodes; a character the set does not hold becomes `?`, as a message must not grow others.
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Ascii => single_bytes(text, 0x7F),
            Self::Latin1 => single_bytes(text, 0xFF),
            Self::Table(encoding) => encode_by_table(encoding, text),
        }
    }
}

fn single_bytes(text: &str, last: u8) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).ok().filter(|byte| *byte <= last).unwrap_or(b'?')).collect()
}

fn encode_by_table(encoding: &'static Encoding, text: &str) -> Vec<u8> {
    let mut encoder = encoding.new_encoder();
    let mut bytes = Vec::with_capacity(text.len() + text.len() / 2 + 16);
    let mut rest = text;
    loop {
        let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut bytes, true);
        rest = &rest[read..];
        match result {
            EncoderResult::InputEmpty => return bytes,
            EncoderResult::OutputFull => bytes.reserve(rest.len() * 2 + 16),
            EncoderResult::Unmappable(_) => bytes.push(b'?'),
        }
    }
}

/// Runs only after a decode failed, so its cost does not matter.
fn first_malformed(encoding: &'static Encoding, bytes: &[u8]) -> usize {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut sink = String::with_capacity(bytes.len() * 3 + 16);
    let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut sink, true);
    match result {
        DecoderResult::Malformed(length, after) => {
            read.saturating_sub(usize::from(length) + usize::from(after))
        }
        _ => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_table_0211_and_their_variants_are_known() {
        for (name, charset) in [
            ("UNICODE UTF-8", Charset::Utf8),
            ("utf8", Charset::Utf8),
            ("UNICODE", Charset::Utf8),
            ("GB 18030-2000", Charset::GB18030),
            ("gb2312", Charset::GBK),
            ("GBK", Charset::GBK),
            ("8859/1", Charset::Latin1),
            ("8859-1", Charset::Latin1),
            ("BIG-5", Charset::BIG5),
            ("ASCII", Charset::Ascii),
        ] {
            assert_eq!(Charset::named(name), Named::Charset(charset), "{name}");
        }
        assert_eq!(Charset::named("UNICODE UTF-16"), Named::Unframable);
        assert_eq!(Charset::named("CHN"), Named::Unknown);
    }

    #[test]
    fn text_survives_its_character_set() {
        for (charset, text) in [
            (Charset::Utf8, "𠮷田 médecin"),
            (Charset::GB18030, "𠮷田億镕㐂 médecin"),
            (Charset::GBK, "億元李镕"),
            (Charset::BIG5, "許功蓋"),
            (Charset::Latin1, "médecin"),
            (Charset::Table(encoding_rs::KOI8_R), "врач"),
            (Charset::Ascii, "plain"),
        ] {
            let bytes = charset.encode(text);
            assert_eq!(charset.decode(&bytes).unwrap(), text, "{}", charset.name());
        }
        assert_eq!(Charset::Ascii.encode("a中b"), b"a?b");
        assert_eq!(Charset::GBK.encode("a𠮷b"), b"a?b");
    }

    #[test]
    fn the_first_bad_byte_is_named() {
        for (charset, bytes, offset) in [
            (Charset::Utf8, &b"ab\xC4\xE3"[..], 2),
            (Charset::Ascii, b"abc\xE4", 3),
            (Charset::GBK, b"ab\xC4\xE3\xFF|", 4),
            (Charset::GB18030, b"ab\x81", 2),
            (Charset::BIG5, b"\xFFab", 0),
            (Charset::Latin1, "ab中".as_bytes(), 2),
            (Charset::Table(encoding_rs::KOI8_R), "a中b".as_bytes(), 1),
            (Charset::Table(encoding_rs::WINDOWS_1252), "é".as_bytes(), 0),
        ] {
            assert_eq!(charset.decode(bytes), Err(offset), "{}", charset.name());
        }
    }
}
