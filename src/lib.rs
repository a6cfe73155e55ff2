//! yizhan (一站): one-stop settlement at hospital discharge.
pub mod catalogue;
pub mod refusal;
pub mod roster;
pub mod runtime;
pub mod sheet;
pub mod store;
