//! Sample hospitals made for the run: a few big ones, many small ones, each with its own token.

use sha2::{Digest, Sha256};

use crate::intake::Profiles;
use crate::intake::profile::{Profile, ProfileError};

const HOSPITALS: usize = 24;
/// The biggest are third-level, the next second-level, the rest township hospitals.
const THIRD_LEVEL: usize = 3;
const SECOND_LEVEL: usize = 9;
/// Every so-many-th hospital's HL7 comes in GB18030.
const OLD_CHARSET_EVERY: usize = 5;
const REGIONS: [&str; 3] = ["371302", "371323", "371321"];

/// A hospital that sends.
#[derive(Debug, Clone)]
pub(in crate::cli) struct SendingHospital {
    pub(in crate::cli) code: String,
    pub(in crate::cli) token: String,
    pub(super) writes_gb18030: bool,
    level: u8,
    region: &'static str,
}

impl SendingHospital {
    /// The one whose token an operator named; it sends as its running gateway's profile expects by default.
    pub(in crate::cli) fn named(code: &str, token: &str) -> Self {
        let (code, token) = (code.to_owned(), token.to_owned());
        Self { code, token, writes_gb18030: false, level: 2, region: REGIONS[1] }
    }

    fn sample(at: usize) -> Self {
        let level = match at {
            0..THIRD_LEVEL => 3,
            THIRD_LEVEL..SECOND_LEVEL => 2,
            _ => 1,
        };
        let code = format!("H3713{:05}", 90_001 + at);
        Self {
            token: format!("bench-{code}"),
            code,
            writes_gb18030: at % OLD_CHARSET_EVERY == OLD_CHARSET_EVERY - 1,
            level,
            region: REGIONS[at % REGIONS.len()],
        }
    }

    fn profile(&self) -> Result<Profile, ProfileError> {
        let token: String =
            Sha256::digest(self.token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        Profile::from_toml(&format!(
            "code = \"{code}\"\nname = {{ zh = \"压测医院\", en = \"Bench hospital\" }}\nlevel = {level}\n\
             region = \"{region}\"\nagreements = [{{ from = \"2014-01-01\" }}]\ntoken_sha256 = \"{token}\"\n\
             bill_in_ack = \"ZBL\"\n",
            code = self.code,
            level = self.level,
            region = self.region,
        ))
    }
}

/// The samples, biggest first.
pub(super) fn samples() -> Vec<SendingHospital> {
    (0..HOSPITALS).map(SendingHospital::sample).collect()
}

pub(in crate::cli) fn profiles(of: &[SendingHospital]) -> Result<Profiles, ProfileError> {
    Profiles::new(of.iter().map(SendingHospital::profile).collect::<Result<_, _>>()?)
}

/// How often each sends: the second half as often as the first, the third a third as often, and so on.
pub(super) fn weights(of: &[SendingHospital]) -> Vec<u64> {
    (1..).zip(of).map(|(rank, _)| 1_000_000 / rank).collect()
}
