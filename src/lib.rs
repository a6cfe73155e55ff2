//! yizhan (一站): one-stop settlement at hospital discharge.

pub mod catalogue;
pub mod cli;
pub mod config;
pub mod desk;
pub mod http;
pub mod intake;
pub mod outbox;
pub mod refusal;
pub mod roster;
pub mod runtime;
pub mod samples;
pub mod settlement;
pub mod sheet;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod tls;
