//! What people and machines see of a bill.
mod bills;
mod capital;
mod documents;
mod golden;
mod sheet;
mod table;
