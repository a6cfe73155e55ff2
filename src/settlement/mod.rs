//! From messages of a stay to one consolidated bill.
//!
//! Reading order: [`names`] (of the normal form), [`message`] and [`part`] (what one message says),
//! [`complete`] (parts adding up to a discharge), [`record`] (what is stored of a stay), [`identity`]
//! (whose message it is), [`lifecycle`] (what a message does to a stay), [`price`] and [`reserved`] (from a gathered stay to a bill), [`bill`],
//! [`ledger`] (what a bill posts) and [`audit`] (whether the books agree), [`decide`] (all of it inside one transaction, pure), [`gateway`] (the driver: the only place here that waits for anything).

pub mod audit;
pub mod bill;
pub mod complete;
pub mod decide;
mod effect;
pub mod findings;
pub mod gateway;
pub mod identity;
pub mod ledger;
pub mod lifecycle;
pub mod meaning;
pub mod message;
pub mod names;
pub mod outcome;
pub mod part;
pub mod price;
pub mod record;
pub mod refusals;
pub mod reserved;
