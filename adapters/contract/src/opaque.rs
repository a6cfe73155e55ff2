//! An adapter's own bytes, which nobody else reads: they may hold personal data, so they are not printed.

use std::fmt;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes whose `Debug` tells their number only; in documents one text in base64 (RFC 4648 §4).
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Opaque(Vec<u8>);

impl From<Vec<u8>> for Opaque {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Opaque {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Opaque;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes as base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Opaque, E> {
                // The text itself stays out of the message.
                STANDARD.decode(text).map(Opaque).map_err(|_| E::custom("is no base64"))
            }

            /// Stays kept by earlier gateways have one number for each byte.
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut numbers: A) -> Result<Opaque, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = numbers.next_element()? {
                    bytes.push(byte);
                }
                Ok(Opaque(bytes))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use crate::payer::{Memo, Prepared};

    #[test]
    fn an_adapters_bytes_are_counted_not_shown() {
        let bytes = "王小明 11010519491231002X".as_bytes().to_vec();
        let (memo, prepared) = (Memo::from(bytes.clone()), Prepared::from(bytes.clone()));
        assert_eq!(format!("{memo:?} {prepared:?}"), "Memo(28 bytes) Prepared(28 bytes)");
        let written = serde_json::to_string(&prepared).unwrap();
        assert_eq!(written, "\"546L5bCP5piOIDExMDEwNTE5NDkxMjMxMDAyWA==\"");
        assert_eq!(serde_json::from_str::<Prepared>(&written).unwrap(), prepared);
        let as_numbers = serde_json::to_string(&bytes).unwrap();
        assert_eq!(serde_json::from_str::<Prepared>(&as_numbers).unwrap(), prepared);
        let why = serde_json::from_str::<Prepared>("\"王小明\"").unwrap_err().to_string();
        assert!(why.contains("base64") && !why.contains('王'), "{why}");
    }
}
