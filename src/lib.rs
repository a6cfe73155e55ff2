//! One-stop settlement at hospital discharge.

pub mod intake;
