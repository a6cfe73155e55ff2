//! The one integration binary.

mod crash;
mod imports;
mod sealed;
mod sqlite;
mod stays;
mod store_contract;
