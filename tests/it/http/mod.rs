//! The HTTP interface from outside, over sockets.

pub(crate) mod client;
mod delivery;
mod description;
mod discharges;
mod forms;
mod patience;
mod refusals;
pub(crate) mod served;
mod settlements;
mod silence;
mod tls;
mod unheard;
