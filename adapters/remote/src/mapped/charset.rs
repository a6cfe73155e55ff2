//! The two character sets of insurers' interfaces.

use std::borrow::Cow;

use encoding_rs::GB18030;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    Gb18030,
}

impl Charset {
    pub(super) fn of(label: &str) -> Option<Self> {
        match label.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Some(Self::Utf8),
            "gb18030" | "gbk" | "gb2312" => Some(Self::Gb18030),
            _ => None,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Gb18030 => "GB18030",
        }
    }

    /// Absent where a character has no place in the set.
    pub(super) fn encode(self, text: String) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(text.into_bytes()),
            Self::Gb18030 => {
                let (bytes, _, is_lossy) = GB18030.encode(&text);
                (!is_lossy).then(|| bytes.into_owned())
            }
        }
    }

    /// Absent where the bytes are not of the set.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::Utf8 => {
                let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
                std::str::from_utf8(bytes).ok().map(Cow::Borrowed)
            }
            Self::Gb18030 => GB18030.decode_without_bom_handling_and_without_replacement(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rare_names_survive_gb18030() {
        for text in ["王小明", "㐂", "𠮷野", "䶮", "·•€", "\"<&>\\"] {
            let bytes = Charset::Gb18030.encode(text.to_owned()).unwrap();
            assert_eq!(bytes.is_ascii(), text.is_ascii(), "{text}");
            assert_eq!(Charset::Gb18030.decode(&bytes).as_deref(), Some(text));
        }
        assert_eq!(Charset::Gb18030.encode("保".to_owned()).unwrap(), [0xB1, 0xA3]);
        assert_eq!(Charset::Gb18030.decode(b"\xFF\xFF"), None);
        assert_eq!(Charset::Utf8.decode(b"\xB1\xA3"), None);
        assert_eq!(Charset::Utf8.decode("\u{feff}保".as_bytes()).as_deref(), Some("保"));
    }

    proptest! {
        #[test]
        fn every_text_comes_back_from_gb18030(text in "\\PC*") {
            // U+E5E5 is the one character the encoder of the web standard leaves out.
            if let Some(bytes) = Charset::Gb18030.encode(text.clone()) {
                let back = Charset::Gb18030.decode(&bytes);
                prop_assert_eq!(back.as_deref(), Some(text.as_str()));
            } else {
                let is_left_out = text.contains('\u{e5e5}');
                prop_assert!(is_left_out);
            }
        }
    }
}
