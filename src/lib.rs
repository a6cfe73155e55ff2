//! yizhan (一站): one-stop settlement at hospital discharge.
//!
//! The map of the house, from the street to the cellar; nothing knows what stands above it (`tests/it/tidy`):
//!
//! - [`cli`]: one file per subcommand; [`config`]: what the operator decides; [`samples`]: what is shipped to try it.
//! - [`http`] and [`desk`]: requests, and what people see; [`outbox`]: telling hospitals what became of their stays.
//! - [`registry`]: the folder of adapters, as it is now: who is asked, compared, or left alone.
//! - [`intake`]: hospital messages of every format, by one door, into parts of a stay.
//! - [`settlement`]: what a stay comes to. Pure but for its `gateway`, which waits for the store and for payers.
//! - [`store`]: its port, and SQLite and PostgreSQL behind it; everything personal is sealed.
//! - [`roster`], [`catalogue`] and [`sheet`]: files that are imported.
//! - [`refusal`]: every way to be refused, and how each channel says it.
//! - [`runtime`] (clock, ids, the signal to stop), [`telemetry`] (events), [`system`] and [`tls`]: the ground.
//!
//! Below all of it lie crates of their own: `yizhan_contract`, what an insurer compiles against, `yizhan_rules`, policies,
//! `yizhan_remote`, payers over HTTPS, and `yizhan_attestation`, what they were certified for.
//! `ARCHITECTURE.md` walks through a discharge and through an unknown outcome.

pub mod catalogue;
pub mod cli;
pub mod config;
pub mod desk;
pub mod http;
pub mod intake;
pub mod outbox;
pub mod refusal;
pub mod registry;
pub mod roster;
pub mod runtime;
pub mod samples;
pub mod settlement;
pub mod sheet;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod tls;

pub use cli::main_with;
pub use registry::built_in::BuiltIn;
