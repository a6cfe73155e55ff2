//! MLLP, the minimal lower layer protocol: `VT message FS CR` over TCP.
//!
//! [`frames`] is the protocol without any I/O; [`listener`] serves it within [`bounds`], [`service`] says what a frame's
//! content means, and [`client`] is the sending side.

mod bounds;
pub mod client;
pub mod frames;
pub mod listener;
pub mod service;

pub use bounds::room;
pub use frames::{Commit, Event, Frames, Release, commit_block, frame};
pub use listener::{Answers, Handle, Peer, Settings, serve};
pub use service::Service;
