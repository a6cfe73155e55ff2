//! The one integration binary.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

mod crash;
mod imports;
mod sealed;
mod sqlite;
mod stays;
mod store_contract;
