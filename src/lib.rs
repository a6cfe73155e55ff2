//! One-stop settlement at hospital discharge (一站).

pub mod intake;
pub mod refusal;
pub mod runtime;
pub mod store;
