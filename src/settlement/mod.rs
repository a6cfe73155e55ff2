//! From messages of a stay to one consolidated bill.
//!
//! Reading order: [`names`] (of the normal form), [`message`] and [`part`] (what one message says), [`places`] (where it
//! says it),
//! [`complete`] (parts adding up to a discharge), [`record`] (what is known of a stay) and [`document`] (its
//! stored form), [`identity`] (whose message it is), [`lifecycle`] (what a message does to a stay), [`unpriced`]
//! (what stands in its way once its charges are quiet), [`reserved`]
//! and [`given`] (what it is priced against), [`price`] (from a gathered stay to a bill), [`bill`], `effect` and
//! [`ledger`] (what a settlement moves), [`decide`] (all of it inside one transaction, pure), [`gateway`] (the
//! driver).
//!
//! With outside payers: [`payers`] (who they are), [`directory`] (which of them are asked where, as it is now),
//! [`absent`], [`told`] (what they hear) and [`visits`] (what they have heard of a visit), [`shadow`] (answers that are only compared), [`saga`] (what is remembered of them, and the function that
//! moves it), [`carried`] (what is written), [`delivery`] (payers that were left out, and what they are asked later) and
//! `delivered` (what becomes of it), [`advanced`] (payers whose part the hospital advances). [`audit`] holds the books against each other.

pub mod absent;
pub mod advanced;
pub mod audit;
pub mod bill;
pub mod carried;
pub mod complete;
pub mod decide;
mod delivered;
pub mod delivery;
pub mod directory;
pub mod document;
mod effect;
pub mod findings;
pub mod gateway;
pub mod given;
pub mod identity;
pub mod ledger;
pub mod lifecycle;
pub mod meaning;
pub mod message;
pub mod names;
pub mod outcome;
pub mod part;
pub mod payers;
pub mod places;
pub mod price;
pub mod record;
pub mod refusals;
pub mod reserved;
pub mod saga;
pub mod shadow;
pub mod told;
pub mod unpriced;
pub mod visits;
mod written;
