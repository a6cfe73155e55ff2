//! The HTTP interface: messages in, bills out, and what people and machines ask about them.
//!
//! Reading order: [`routes`] (every address), [`asked`] (who asks, and every refusal), then one file per
//! subject: [`discharges`], [`settlements`], [`beneficiaries`], [`house`]. [`work`] lets what was begun
//! end whether anybody waits for it or not; [`accept`] and [`answer`] put it into the form that was asked
//! for. `schemas/yizhan.openapi.json` describes the same from outside.

mod accept;
mod answer;
mod asked;
mod beneficiaries;
mod body;
mod caller;
mod discharges;
mod house;
mod pass;
mod recent;
pub mod routes;
mod server;
mod settlements;
mod work;

pub use pass::Passes;
pub use recent::Recent;
pub use server::{Reading, State, Waits, serve};
