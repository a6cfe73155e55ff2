//! HMAC-SHA256 (RFC 2104), for signatures and for digests nobody can guess their way back from.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub type Digest = [u8; 32];

/// Of the parts one after the other, under a key of any length.
pub(crate) fn hmac_sha256<'p>(key: &[u8], parts: impl IntoIterator<Item = &'p [u8]>) -> Digest {
    // HMAC takes keys of every length; the error type is there for other MACs.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Digest::default() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 §4.2–4.8; case 5 truncates its output and is compared as far as it goes.
    #[test]
    fn test_vectors_of_rfc_4231() {
        let counted: Vec<u8> = (0x01..=0x19).collect();
        let cases: [(&[u8], &[u8], &str); 7] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (&counted, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (&[0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &[0xaa; 131],
                b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (nth, (key, data, expected)) in cases.into_iter().enumerate() {
            let whole = hex(&hmac_sha256(key, [data]));
            assert_eq!(&whole[..expected.len()], expected, "case {}", nth + 1);
            let (head, tail) = data.split_at(data.len() / 3);
            assert_eq!(hex(&hmac_sha256(key, [head, tail])), whole, "case {} in two parts", nth + 1);
        }
    }
}
