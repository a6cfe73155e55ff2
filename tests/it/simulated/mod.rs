//! `yizhan simulate` as a process.

mod hospital;
mod payer;
