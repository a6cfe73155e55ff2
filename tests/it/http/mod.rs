//! The HTTP interface from outside, over sockets.

mod client;
mod delivery;
mod description;
mod discharges;
mod forms;
mod patience;
mod refusals;
mod served;
mod settlements;
mod silence;
mod tls;
