//! Signing a request with HMAC-SHA256 under a key both sides hold.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::forms::InstantForm;
use crate::wire::keyed::{hex, hmac_sha256};

/// Shortest key that is worth its name: 128 bits.
pub(super) const KEY_BYTES_MIN: usize = 16;

/// A part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    Method,
    /// Path and query, as they are sent.
    Path,
    Timestamp,
    Nonce,
    Body,
    /// The body's SHA-256, in hexadecimal.
    BodySha256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Encoding {
    #[default]
    Hex,
    Base64,
}

/// Never shown.
pub(super) struct Key(pub(super) Zeroizing<Vec<u8>>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[derive(Debug)]
pub(super) struct Signing {
    pub(super) key: Key,
    pub(super) over: Vec<Part>,
    pub(super) join: String,
    pub(super) header: HeaderName,
    pub(super) prefix: String,
    pub(super) encoding: Encoding,
    pub(super) timestamp: Option<HeaderName>,
    pub(super) timestamp_form: InstantForm,
    pub(super) nonce: Option<HeaderName>,
}

/// What is signed of one request.
pub(super) struct Signed<'s> {
    pub(super) method: &'s str,
    pub(super) path: &'s str,
    pub(super) body: &'s [u8],
    pub(super) at: Timestamp,
    pub(super) nonce: &'s str,
}

impl Signing {
    /// Adds signature, timestamp and nonce; false where one of them is no header's value.
    pub(super) fn sign(&self, request: &Signed<'_>, headers: &mut HeaderMap) -> bool {
        let timestamp = self.timestamp_form.written(request.at);
        let body_sha256 = hex(&Sha256::digest(request.body));
        let part = |part: &Part| match part {
            Part::Method => request.method.as_bytes(),
            Part::Path => request.path.as_bytes(),
            Part::Timestamp => timestamp.as_bytes(),
            Part::Nonce => request.nonce.as_bytes(),
            Part::Body => request.body,
            Part::BodySha256 => body_sha256.as_bytes(),
        };
        let joint = |nth: usize| if nth == 0 { &[][..] } else { self.join.as_bytes() };
        let parts = self.over.iter().enumerate().flat_map(|(nth, over)| [joint(nth), part(over)]);
        let mac = hmac_sha256(&self.key.0, parts);
        let mac = match self.encoding {
            Encoding::Hex => hex(&mac),
            Encoding::Base64 => STANDARD.encode(mac),
        };
        let signature = format!("{}{mac}", self.prefix);
        let values = [
            (Some(&self.header), signature.as_str()),
            (self.timestamp.as_ref(), &timestamp),
            (self.nonce.as_ref(), request.nonce),
        ];
        values.into_iter().all(|(name, value)| match (name, HeaderValue::from_str(value)) {
            (None, _) => true,
            (Some(name), Ok(value)) => {
                headers.insert(name.clone(), value);
                true
            }
            (Some(_), Err(_)) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_with(over: Vec<Part>, join: &str, encoding: Encoding) -> HeaderMap {
        let signing = Signing {
            key: Key(Zeroizing::new(b"0123456789abcdef".to_vec())),
            over,
            join: join.to_owned(),
            header: HeaderName::from_static("x-signature"),
            prefix: "HMAC ".to_owned(),
            encoding,
            timestamp: Some(HeaderName::from_static("x-timestamp")),
            timestamp_form: InstantForm::UnixS,
            nonce: Some(HeaderName::from_static("x-nonce")),
        };
        assert_eq!(format!("{:?}", signing.key), "16 bytes");
        let mut headers = HeaderMap::new();
        let at = "2020-07-02T02:15:05Z".parse().unwrap();
        let request = Signed { method: "POST", path: "/quote?x=1", body: b"{}", at, nonce: "n1" };
        assert!(signing.sign(&request, &mut headers));
        headers
    }

    fn signature(headers: &HeaderMap) -> &str {
        headers["x-signature"].to_str().unwrap()
    }

    /// Computed with `openssl dgst -sha256 -hmac 0123456789abcdef`.
    #[test]
    fn what_is_signed_is_what_was_agreed() {
        use Part::{Body, BodySha256, Method, Nonce, Path, Timestamp};
        let headers = signed_with(vec![Method, Path, Timestamp, Nonce, Body], "\n", Encoding::Hex);
        let mac = "40f6336f23180f3e2c2fa835db53f26fc73f2981cb14d2c51500fc5b2cb9e663";
        assert_eq!(signature(&headers), format!("HMAC {mac}"));
        assert_eq!(
            (&headers["x-timestamp"], &headers["x-nonce"]),
            (&HeaderValue::from_static("1593656105"), &HeaderValue::from_static("n1"))
        );
        let headers = signed_with(vec![BodySha256], "", Encoding::Base64);
        assert_eq!(signature(&headers), "HMAC vhZocU6CyML6KEnGgCqyYCwlyU6hTxg1u6skk53QrlY=");
    }
}
