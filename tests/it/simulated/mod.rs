//! `yizhan simulate` as a process.

mod payer;
