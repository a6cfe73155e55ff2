//! One binary for all integration tests; each module is one door, its cases are data.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so by panicking")]

mod desk;
