//! The samples that are shipped: hospitals, roster and catalogue, for the demonstration and for tests.

use crate::intake::Profiles;
use crate::intake::profile::{Profile, ProfileError};

/// The sample hospitals: file name and text.
pub const HOSPITALS: &[(&str, &str)] = &[
    ("H37130001.toml", include_str!("../tests/samples/hospitals/H37130001.toml")),
    ("H37132301.toml", include_str!("../tests/samples/hospitals/H37132301.toml")),
    ("H37132302.toml", include_str!("../tests/samples/hospitals/H37132302.toml")),
];
pub const ROSTER: &str = include_str!("../tests/samples/roster.csv");
pub const CATALOGUE: &str = include_str!("../tests/samples/catalogue.csv");
/// The bearer token of every sample hospital.
pub const TOKEN: &str = "demo";

/// The sample hospitals, read.
pub fn profiles() -> Result<Profiles, ProfileError> {
    let read = |(_, text): &(&str, &str)| Profile::from_toml(text);
    Profiles::new(HOSPITALS.iter().map(read).collect::<Result<_, _>>()?)
}
