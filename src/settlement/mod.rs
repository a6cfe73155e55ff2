//! From messages of a stay to one consolidated bill.
//!
//! Reading order: [`names`] (of the normal form), [`message`] and [`part`] (what one message says),
//! [`complete`] (parts adding up to a discharge), [`record`] (what is known of a stay) and its stored
//! [`document`], [`identity`] (whose message it is), [`lifecycle`] (what a message does to a stay), [`price`]
//! (from a gathered stay to a bill), [`bill`], [`decide`] (all of it from what is known to what is written,
//! a [`verdict`], pure), [`gateway`] (the driver: the only place here that waits for anything).

pub mod asked;
pub mod bill;
pub mod complete;
pub mod decide;
pub mod document;
pub mod findings;
pub mod gateway;
pub mod identity;
pub mod lifecycle;
pub mod meaning;
pub mod message;
pub mod names;
pub mod outcome;
pub mod part;
pub mod price;
pub mod record;
pub mod refusals;
pub mod verdict;
