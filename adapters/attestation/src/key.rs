//! Keys that sign: their private half a file for its owner alone, their public half a line of a trust list.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, KeyPair as _};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::signed::AttestationError;

/// Of a line of a PEM file.
const PEM_LINE_CHARS: usize = 64;

/// The public half of an Ed25519 key, written in base64; hexadecimal is read as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; ED25519_PUBLIC_KEY_LEN]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "须为 Ed25519 公钥（32 字节，base64 或十六进制） | must be an Ed25519 public key: 32 bytes in base64 or hexadecimal"
)]
pub struct NoPublicKey;

impl PublicKey {
    pub(crate) fn of(pair: &Ed25519KeyPair) -> Result<Self, NoPublicKey> {
        pair.public_key().as_ref().try_into().map(Self).map_err(|_| NoPublicKey)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl FromStr for PublicKey {
    type Err = NoPublicKey;

    fn from_str(text: &str) -> Result<Self, NoPublicKey> {
        let bytes = match of_hex(text) {
            Some(bytes) => bytes,
            None => BASE64.decode(text).map_err(|_| NoPublicKey)?,
        };
        bytes.try_into().map(Self).map_err(|_| NoPublicKey)
    }
}

/// Only of the right length: no base64 of a key is as long as its hexadecimal.
fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * ED25519_PUBLIC_KEY_LEN)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Makes a key that signs attestations and writes it for its owner alone; answers its public half.
///
/// # Errors
/// The file is there already, or cannot be written.
pub fn make_key(path: &Path) -> Result<PublicKey, AttestationError> {
    let made =
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| AttestationError::NoRandom)?;
    let pair = Ed25519KeyPair::from_pkcs8(made.as_ref()).map_err(|_| AttestationError::NoRandom)?;
    let public = PublicKey::of(&pair).map_err(|_| AttestationError::NoRandom)?;
    let base64 = BASE64.encode(made.as_ref());
    let lines: Vec<_> = (0..base64.len())
        .step_by(PEM_LINE_CHARS)
        .map(|begin| &base64[begin..base64.len().min(begin + PEM_LINE_CHARS)])
        .collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let file = |why: io::Error| match why.kind() {
        io::ErrorKind::AlreadyExists => AttestationError::Exists(path.to_owned()),
        _ => AttestationError::File { path: path.to_owned(), why },
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(path).map_err(file)?;
    written.write_all(pem.as_bytes()).and_then(|()| written.sync_all()).map_err(file)?;
    Ok(public)
}

/// The public half of a key file, as a trust list has it.
///
/// # Errors
/// The key file cannot be read, or is no key.
pub fn public_key(path: &Path) -> Result<PublicKey, AttestationError> {
    PublicKey::of(&read_key(path)?).map_err(|_| AttestationError::NoKey(path.to_owned()))
}

/// The key in a file.
pub(crate) fn read_key(path: &Path) -> Result<Ed25519KeyPair, AttestationError> {
    let no_key = || AttestationError::NoKey(path.to_owned());
    let der = PrivatePkcs8KeyDer::from_pem_file(path).map_err(|_| no_key())?;
    let der = der.secret_pkcs8_der();
    let pair = Ed25519KeyPair::from_pkcs8(der).or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der));
    pair.map_err(|_| no_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_is_read_as_it_is_written_and_in_hexadecimal() {
        let key = PublicKey([0xfe; ED25519_PUBLIC_KEY_LEN]);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!("fE".repeat(32).parse(), Ok(key));
        for wrong in ["", "fe", &"fe".repeat(31), &"fe".repeat(33), &"x".repeat(64), "…"] {
            assert_eq!(wrong.parse::<PublicKey>(), Err(NoPublicKey), "{wrong}");
        }
    }
}
