//! What an adapter was certified for, signed: so that a gateway can tell who says so, of which adapter, and until when.
//!
//! Reading order: [`Level`] (what there is to reach), [`Attestation`] and its [`signed`] file, [`key`] (who signs),
//! [`Trust`] (whose word a gateway takes, and for what). The conformance kit writes such files, a gateway reads them;
//! neither knows the other. No clock: whoever asks says what time it is.
//!
//! Whoever ran the kit signs with a key of their own. Signed by the insurer itself it is a preview; to decide at a
//! gateway takes a key of that gateway's trust list, such as the bureau's.

pub mod key;
mod level;
pub mod signed;
mod trust;

pub use key::{PublicKey, make_key, public_key};
pub use level::{Level, NoSuchLevel};
pub use signed::{Attestation, AttestationError, VALID, Verified, manifest_sha256, sign, verify};
pub use trust::{LEVEL_NEEDED, Trust, Untrusted};
