//! MLLP, the minimal lower layer protocol: `VT message FS CR` over TCP.
//!
//! [`frames`] is the protocol without any I/O; [`listener`] serves it.

pub mod frames;
pub mod listener;

pub use frames::{Commit, Event, FRAME_BYTES_MAX, Frames, Release, commit_block, frame};
pub use listener::{Answers, Handle, Peer, Settings, serve};
