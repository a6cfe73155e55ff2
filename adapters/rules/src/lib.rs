//! Settlement policies as data, and the pure function that turns a claim into amounts with their steps.
//!
//! Reading order: [`assess`](mod@assess) (charge lines to buckets), [`policy`] (what a policy says),
//! [`shelf`] (which policy is in force), [`chain`] (the walk along the payers), [`adjudication`] (its
//! outcome), [`explain`](mod@explain) (a policy in sentences). `formula` holds the arithmetic of one payer;
//! `file`, `marked`, `inherit`, `check` with its parts, and `floors` turn a TOML text into a policy
//! that cannot be wrong; [`toml_file`] says what is wrong in one that somebody wrote by hand. No I/O, no clock, no floats; every overflow is an error.

pub mod adjudication;
pub mod assess;
pub mod chain;
pub mod explain;
pub mod policy;
pub mod problem;
pub mod shelf;
pub mod toml_file;

mod check;
mod check_payer;
mod check_settings;
mod check_terms;
mod check_value;
mod eligibility;
mod file;
mod findings;
mod floors;
mod formula;
mod inherit;
mod marked;

pub use adjudication::{AdjudicateError, Adjudication, Category, Coverage, ElsewhereError, PayerLine};
pub use assess::{AssessError, Assessment, Bucket, CategoryTotal, Item, LineError, LineField, assess, total};
pub use chain::{Answered, Chain, Turn, adjudicate};
pub use explain::{Language, explain};
pub use policy::{BaseKind, Named, Policy};
pub use problem::{PolicyError, Problem};
pub use shelf::{PolicyShelf, SHIPPED, problems};
