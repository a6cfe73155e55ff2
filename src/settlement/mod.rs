//! From messages of a stay to one consolidated bill.
pub mod part;
