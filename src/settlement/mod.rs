//! From messages of a stay to one consolidated bill.
pub mod bill;
pub mod lifecycle;
pub mod meaning;
pub mod part;
pub mod record;
