//! What people see: the printable settlement sheet, the table in a terminal, the pages around them, and
//! how a refusal is said. Pure rendering: no I/O, no clock, nothing is computed that the bill does not hold.
//!
//! [`words`] is the one table of texts in both languages; [`figures`] writes numbers; [`explain`] puts
//! steps into a clerk's language; [`waterfall`] draws; [`sheet`] and [`pages`] are HTML, [`table`] is text,
//! [`xml`], [`problem`] and [`pending`] are for machines.

pub mod assets;
pub mod capital;
pub mod explain;
pub mod figures;
pub mod markup;
pub mod pages;
pub mod pending;
pub mod problem;
pub mod rows;
pub mod sheet;
pub mod spoken;
pub mod table;
pub mod values;
pub mod waterfall;
pub mod words;
pub mod xml;
