//! One binary for all integration tests; each module is one door, its cases are data.
mod desk;
