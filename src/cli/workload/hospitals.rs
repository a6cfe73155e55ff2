//! Who sends: sample hospitals made for the run (a few big ones, many small ones, each with its own token), or those
//! that a running gateway knows.

use std::fmt::Write as _;
use std::net::SocketAddr;

use encoding_rs::Encoding;
use sha2::{Digest, Sha256};
use yizhan_contract::Text;

use super::own_places::OwnPlaces;
use super::own_xml::OwnXml;
use crate::intake::Profiles;
use crate::intake::hl7::Charset;
use crate::intake::profile::{EVERYBODY, Profile, ProfileError};
use crate::settlement::message::SettleOn;

const HOSPITALS: usize = 24;
/// The biggest are third-level, the next second-level, the rest township hospitals.
const THIRD_LEVEL: usize = 3;
const SECOND_LEVEL: usize = 9;
/// Every so-many-th hospital's HL7 comes in GB18030.
const OLD_CHARSET_EVERY: usize = 5;
const APPLICATION: &str = "HIS";
const REGIONS: [&str; 3] = ["371302", "371323", "371321"];

/// A hospital that sends.
#[derive(Debug, Clone)]
pub(in crate::cli) struct SendingHospital {
    pub(in crate::cli) code: String,
    pub(in crate::cli) token: String,
    /// MSH-3 and MSH-4.
    pub(super) application: String,
    pub(super) facility: String,
    pub(super) writes_gb18030: bool,
    /// Of HL7 with bars that does not say what it is written in: its gateway knows.
    pub(super) unnamed_charset: Option<&'static Encoding>,
    /// Its visits end with BAR^P06.
    pub(super) closes_accounts: bool,
    /// Documents of its own making.
    pub(super) own_xml: Option<OwnXml>,
    pub(super) own_places: Option<OwnPlaces>,
    level: u8,
    region: &'static str,
}

impl SendingHospital {
    /// The one whose token an operator named; it sends as its running gateway's profile expects by default.
    pub(in crate::cli) fn named(code: &str, token: &str) -> Self {
        Self {
            code: code.to_owned(),
            token: token.to_owned(),
            application: APPLICATION.to_owned(),
            facility: code.to_owned(),
            writes_gb18030: false,
            unnamed_charset: None,
            closes_accounts: false,
            own_xml: None,
            own_places: None,
            level: 2,
            region: REGIONS[1],
        }
    }

    /// The one that a gateway has this profile of: its first sender, its character set, and what closes its visits.
    ///
    /// # Errors
    /// Where its character set has no Chinese, in words.
    pub(in crate::cli) fn of_profile(profile: &Profile, token: &str) -> Result<Self, Text> {
        let unnamed_charset = match profile.charset {
            Charset::Utf8 => None,
            Charset::Table(encoding) => Some(encoding),
            Charset::Ascii | Charset::Latin1 => {
                return Err(Text::new(
                    "charset：该字符集不能写汉字，请改用 UTF-8、GBK 或 GB18030",
                    "charset: nobody writes Chinese in it; use UTF-8, GBK or GB18030",
                ));
            }
        };
        let named = Self::named(profile.code(), token);
        let sender = profile.senders.first().filter(|sender| sender.facility != EVERYBODY);
        let facility = sender.map_or_else(|| named.facility.clone(), |sender| sender.facility.clone());
        let application = sender.and_then(|sender| sender.application.clone());
        Ok(Self {
            application: application.unwrap_or_else(|| named.application.clone()),
            facility,
            unnamed_charset,
            closes_accounts: profile.hospital.settle_on == SettleOn::BarP06,
            own_xml: OwnXml::of(profile),
            own_places: Some(OwnPlaces::of(profile)),
            ..named
        })
    }

    pub(in crate::cli) fn has_own_xml(&self) -> bool {
        self.own_xml.is_some()
    }

    fn sample(at: usize) -> Self {
        let level = match at {
            0..THIRD_LEVEL => 3,
            THIRD_LEVEL..SECOND_LEVEL => 2,
            _ => 1,
        };
        let code = format!("H3713{:05}", 90_001 + at);
        Self {
            writes_gb18030: at % OLD_CHARSET_EVERY == OLD_CHARSET_EVERY - 1,
            level,
            region: REGIONS[at % REGIONS.len()],
            ..Self::named(&code, &format!("bench-{code}"))
        }
    }

    fn profile(&self, told_at: Option<SocketAddr>) -> Result<Profile, ProfileError> {
        let token: String =
            Sha256::digest(self.token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut profile = format!(
            "code = \"{code}\"\nname = {{ zh = \"压测医院\", en = \"Bench hospital\" }}\nlevel = {level}\n\
             region = \"{region}\"\nagreements = [{{ from = \"2014-01-01\" }}]\ntoken_sha256 = \"{token}\"\n\
             bill_in_ack = \"ZBL\"\n",
            code = self.code,
            level = self.level,
            region = self.region,
        );
        if let Some(address) = told_at {
            let _ = writeln!(profile, "return_address = \"{address}\"");
        }
        Profile::from_toml(&profile)
    }
}

/// The samples, biggest first.
pub(super) fn samples() -> Vec<SendingHospital> {
    (0..HOSPITALS).map(SendingHospital::sample).collect()
}

/// As a gateway knows them; `told_at`: where each takes its bills, nowhere where there is none for it.
pub(in crate::cli) fn profiles(
    of: &[SendingHospital],
    told_at: &[SocketAddr],
) -> Result<Profiles, ProfileError> {
    let told_at = told_at.iter().copied().map(Some).chain(std::iter::repeat(None));
    let profiles = of.iter().zip(told_at).map(|(hospital, told_at)| hospital.profile(told_at));
    Profiles::new(profiles.collect::<Result<_, _>>()?)
}

/// How often each sends: the second half as often as the first, the third a third as often, and so on.
pub(super) fn weights(of: &[SendingHospital]) -> Vec<u64> {
    (1..).zip(of).map(|(rank, _)| 1_000_000 / rank).collect()
}
