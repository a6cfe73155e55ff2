//! The samples that are shipped: hospitals, roster and catalogue, for the demonstration and for tests.

use crate::intake::Profiles;
use crate::intake::profile::{Profile, ProfileError};

/// A sample hospital.
pub struct SampleHospital {
    /// As it stands in its file.
    pub profile: &'static str,
    /// The bearer token whose hash the profile holds.
    pub token: &'static str,
}

macro_rules! hospital {
    ($code:literal, $token:literal) => {
        SampleHospital {
            profile: include_str!(concat!("../tests/samples/hospitals/", $code, ".toml")),
            token: $token,
        }
    };
}

/// 临沂市中心医院
pub const LINYI: SampleHospital = hospital!("H37130001", "demo-linyi");
/// 沂水县人民医院, the hospital of the README's examples.
pub const YISHUI: SampleHospital = hospital!("H37132301", "demo");
/// 王庄镇卫生院
pub const WANGZHUANG: SampleHospital = hospital!("H37132302", "demo-wangzhuang");

pub const HOSPITALS: &[SampleHospital] = &[LINYI, YISHUI, WANGZHUANG];
pub const ROSTER: &str = include_str!("../tests/samples/roster.csv");
pub const CATALOGUE: &str = include_str!("../tests/samples/catalogue.csv");

/// The sample hospitals, read.
pub fn profiles() -> Result<Profiles, ProfileError> {
    let read = |hospital: &SampleHospital| Profile::from_toml(hospital.profile);
    Profiles::new(HOSPITALS.iter().map(read).collect::<Result<_, _>>()?)
}
