//! From messages of a stay to one consolidated bill.
//!
//! Reading order: [`part`] (what one message says), [`record`] (what is known of a stay), [`lifecycle`]
//! (what a message does to it), [`price`] (from a gathered stay to a bill), [`bill`], [`decide`] (all of it
//! inside one transaction, pure), [`gateway`] (the driver: the only place here that waits for anything).

pub mod bill;
pub mod decide;
pub mod findings;
pub mod gateway;
pub mod lifecycle;
pub mod meaning;
pub mod outcome;
pub mod part;
pub mod price;
pub mod record;
pub mod refusals;
