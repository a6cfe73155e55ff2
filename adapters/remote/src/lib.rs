//! Outside payers over HTTPS.
//!
//! Two ways in, one way out. [`Remote`] is the client of the adapter protocol (`schemas/adapter.openapi.json`), for
//! insurers that run a service of their own; [`Mapped`] speaks an insurer's existing JSON or XML interface as a TOML
//! file describes it (`schemas/mapping.example.toml`). Both implement the contract's `Payer` over the same wire: one
//! deadline, limits, a breaker, the payer's own pace, certificates, and a record of every call.
//!
//! A payer that is part of the program ([`BuiltIn`]) is recorded and held to its word as they are.
//!
//! Whatever an answer holds that cannot be is named and counts as no answer: unavailable for a question, unknown for
//! an operation. Clocks and random numbers are the [`Host`]'s.

mod answers;
mod built_in;
mod host;
mod kinds;
mod known;
mod mapped;
#[cfg(test)]
mod paused;
mod remote;
mod wire;

pub use built_in::BuiltIn;
pub use host::Host;
pub use mapped::{Mapped, MappingError, Mistake};
pub use remote::{ConnectError, Remote};
pub use wire::{
    CallRecord, Class, Connection, Digest, Ended, Journal, RECORDS_WAITING_MAX, REST_FIRST, REST_MAX,
    Standing, TROUBLES_MAX, Target, TargetError, TlsFiles, Trouble, Unreachable, Verb,
};
