//! Who asks: a bearer token stands for its hospital, and a hospital asks so often and no oftener.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::intake::Profiles;

/// The hospital a token was given to; profiles that share one are refused when they are loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub hospital: Arc<str>,
}

impl Caller {
    /// Compares with every hospital's, whether or not one fitted before: the time it takes tells nothing.
    pub(super) fn of_token(token: &str, profiles: &Profiles) -> Option<Self> {
        let hash = Sha256::digest(token.as_bytes());
        let fits = |own: &[u8; 32]| bool::from(own.as_slice().ct_eq(hash.as_slice()));
        let fitting = profiles.iter().filter(|profile| profile.token_sha256.as_ref().is_some_and(fits));
        fitting.last().map(|profile| Self { hospital: Arc::clone(&profile.hospital.code) })
    }
}

/// The token of an `Authorization` header.
pub(super) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Requests per second of each hospital.
///
/// Runs on the machine's steady clock, not on the gateway's: when somebody sets that one back, no
/// hospital is to be kept waiting for it to catch up.
pub(super) struct Limiter(DefaultKeyedRateLimiter<Arc<str>>);

impl Limiter {
    pub(super) fn new(requests_per_second_max: u32) -> Self {
        let per_second = NonZeroU32::new(requests_per_second_max).unwrap_or(NonZeroU32::MIN);
        Self(RateLimiter::keyed(Quota::per_second(per_second)))
    }

    pub(super) fn admits(&self, hospital: &Arc<str>) -> bool {
        self.0.check_key(hospital).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_as_rfc_6750_writes_it() {
        for (header, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Basic abc", None),
        ] {
            assert_eq!(bearer(header), token, "{header:?}");
        }
    }

    #[test]
    fn each_hospital_has_its_own_measure() {
        let limiter = Limiter::new(1);
        let (one, other) = (Arc::from("H1"), Arc::from("H2"));
        assert!(limiter.admits(&one));
        assert!(limiter.admits(&other));
        assert!(!limiter.admits(&one));
    }
}
