//! yizhan (一站): one-stop settlement at hospital discharge.
pub mod desk;
pub mod refusal;
pub mod runtime;
pub mod settlement;
pub mod store;
