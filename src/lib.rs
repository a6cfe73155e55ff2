//! yizhan (一站): one-stop settlement at hospital discharge.

pub mod config;
pub mod intake;
pub mod refusal;
pub mod runtime;
pub mod settlement;
pub mod store;
pub mod telemetry;
