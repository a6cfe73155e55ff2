//! What a payer adapter compiles against.
//!
//! Reading order: [`money`] (the only arithmetic), [`stay`] (a discharge in normal form), [`charge`] (what
//! one of its lines charges), [`person`] (who the patient is, and what covers them), [`claim`] (what is asked
//! of payers), [`step`] (why an amount is what it is), [`finding`] (what a person should look at), [`payer`]
//! (the port an insurer implements), [`protocol`] (the same in JSON, for other languages), [`opaque`] (bytes
//! that only their adapter reads). No I/O, no clock, no ids made here.

pub mod charge;
pub mod claim;
pub mod finding;
pub mod instant;
pub mod money;
pub mod opaque;
pub mod payer;
pub mod person;
pub mod protocol;
pub mod stay;
pub mod step;

pub use charge::ChargeError;
pub use claim::{Accumulators, Buckets, Claim, ClaimLine, Used};
pub use finding::{Finding, FindingCode, Text, counted};
pub use money::{Exact, Money, NumberError, Quantity, Ratio, UnitPrice};
pub use person::{IdNumber, Personal, revealing};
pub use stay::Discharge;
pub use step::{PayerCode, Reason, Step, StepKind};
