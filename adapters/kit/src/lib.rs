//! For insurers and for those who test them.
//!
//! Reading order: [`service`] (any [`Payer`](yizhan_contract::payer::Payer) as a service that speaks the adapter
//! protocol), [`book`] (the file that makes answers survive), [`simulate`] (a payer that answers by a policy file),
//! [`certify`] (the conformance kit). Nothing here knows the gateway: the kit speaks to whatever answers the
//! protocol, as the gateway does.

pub mod book;
pub mod certify;
pub mod service;
pub mod simulate;

mod given;

pub use given::stop_signal;
pub use service::{ServeError, Service, serve};
