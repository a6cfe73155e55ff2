//! The authority: made once, read back, and never written again.
//!
//! Its certificate follows from its key but for the days, so that who issues need not be read out of it.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::civil::{Date, date};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan as _};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use sha2::{Digest as _, Sha256};

use super::{Side, Wanted, fitting};
use crate::cli::house;

pub(super) const CERTIFICATE: &str = "ca.pem";
pub(super) const KEY: &str = "ca-key.pem";
const YEARS: i32 = 10;
/// What has expired was good from the one day until the other.
const EXPIRED: [Date; 2] = [date(2019, 1, 1), date(2020, 1, 1)];
const ONLY_OWNER: u32 = 0o600;
const EVERYBODY: u32 = 0o644;

/// Why certificates are not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertsError {
    #[error("{0:#}")]
    File(anyhow::Error),
    #[error(
        "{there} 存在而 {gone} 不存在：请恢复缺少的文件，或换一个文件夹；已有的 CA 不会被覆盖 | {there} is there and {gone} is not: put the missing one back, or take another folder; a CA is never overwritten"
    )]
    Half { there: PathBuf, gone: PathBuf },
    #[error(
        "{0} 不是私钥（PEM）；请恢复它，或换一个文件夹 | {0} is no private key as PEM; put it back, or take another folder"
    )]
    NoKey(PathBuf),
    #[error(
        "{path} 不能再用于签发（{why}）；请换一个文件夹重新开始 | nothing can be made under {path} any more ({why}); begin again in another folder"
    )]
    Unusable { path: PathBuf, why: String },
    #[error("无法生成证书（{0}）| no certificate can be made: {0}")]
    NotMade(#[from] rcgen::Error),
}

/// Whether the authority was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Now,
    Before,
}

/// Signs what is asked for.
pub(super) struct Authority {
    certificate: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority of a folder; made where neither of its files is there.
    pub(super) fn in_folder(folder: &Path, now: Timestamp) -> Result<(Self, Made), CertsError> {
        std::fs::create_dir_all(folder).map_err(|why| CertsError::File(house::unusable(folder, &why)))?;
        let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
        let (signs, made) = match (certificate.exists(), key.exists()) {
            (true, true) => (read_key(&key)?, Made::Before),
            (false, false) => (make(&certificate, &key, now)?, Made::Now),
            (true, false) => return Err(CertsError::Half { there: certificate, gone: key }),
            (false, true) => return Err(CertsError::Half { there: key, gone: certificate }),
        };
        let issuer = Issuer::new(params(&signs, now)?, signs);
        Ok((Self { certificate, issuer }, made))
    }

    /// Makes a certificate and its key, good from yesterday (for clocks that are behind) until so many days from now;
    /// or one that has expired.
    /// Written once it is known that whoever trusts this authority takes it.
    pub(super) fn issue(
        &self,
        wanted: &Wanted,
        [certificate, key]: &[PathBuf; 2],
        (now, days): (Timestamp, u16),
    ) -> Result<Timestamp, CertsError> {
        let own = KeyPair::generate()?;
        let today = day_of(now);
        let [first, last] = match wanted.has_expired {
            true => EXPIRED,
            // Whole days: what is left of today comes on top.
            false => [today.saturating_sub(1.day()), today.saturating_add(i64::from(days + 1).days())],
        };
        let mut params = CertificateParams::new(wanted.hosts.clone())?;
        params.distinguished_name = named(&wanted.holder);
        valid(&mut params, first, last);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match wanted.side {
            Side::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Side::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&own, &self.issuer)?;
        let (signed, own) = (signed.pem(), own.serialize_pem());
        fitting::check(&self.certificate, wanted, (signed.as_bytes(), own.as_bytes()), good_at(wanted, now))
            .map_err(|why| CertsError::Unusable { path: self.certificate.clone(), why })?;
        put(key, &own, ONLY_OWNER, Over::Existing)?;
        put(certificate, &signed, EVERYBODY, Over::Existing)?;
        Ok(Offset::UTC.to_timestamp(last.at(0, 0, 0, 0)).unwrap_or(now))
    }

    /// # Errors
    /// Why whoever trusts this authority would not take the certificate.
    pub(super) fn check(
        &self,
        wanted: &Wanted,
        [certificate, key]: &[PathBuf; 2],
        now: Timestamp,
    ) -> Result<(), String> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|why| format!("{}: {why}", path.display()));
        fitting::check(&self.certificate, wanted, (&read(certificate)?, &read(key)?), good_at(wanted, now))
    }
}

/// When a certificate has to be good: now, or before it expired.
fn good_at(wanted: &Wanted, now: Timestamp) -> Timestamp {
    let [first, _] = EXPIRED;
    let then = wanted.has_expired.then(|| Offset::UTC.to_timestamp(first.at(12, 0, 0, 0)).ok());
    then.flatten().unwrap_or(now)
}

fn make(certificate: &Path, key: &Path, now: Timestamp) -> Result<KeyPair, CertsError> {
    let signs = KeyPair::generate()?;
    let own = params(&signs, now)?.self_signed(&signs)?;
    put(key, &signs.serialize_pem(), ONLY_OWNER, Over::Nothing)?;
    put(certificate, &own.pem(), EVERYBODY, Over::Nothing)?;
    Ok(signs)
}

fn params(signs: &KeyPair, now: Timestamp) -> Result<CertificateParams, CertsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    // Two authorities never have one name: whoever is given both would try one for the other.
    let digest = Sha256::digest(signs.public_key_raw());
    let short: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = named(&format!("yizhan development CA {short}"));
    let today = day_of(now);
    valid(&mut params, today.saturating_sub(1.day()), today.saturating_add(YEARS.years()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn named(holder: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "yizhan development, never production");
    name.push(DnType::CommonName, holder);
    name
}

fn day_of(now: Timestamp) -> Date {
    Offset::UTC.to_datetime(now).date()
}

/// Good from the beginning of a day until that of another, in UTC.
fn valid(params: &mut CertificateParams, from: Date, until: Date) {
    let midnight =
        |day: Date| date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs());
    (params.not_before, params.not_after) = (midnight(from), midnight(until));
}

fn read_key(path: &Path) -> Result<KeyPair, CertsError> {
    let text = house::text_of(path).map_err(CertsError::File)?;
    KeyPair::from_pem(&text).map_err(|_| CertsError::NoKey(path.to_owned()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Nothing,
    Existing,
}

/// Writes a file whole: whoever reads it meanwhile finds the old one or the new one.
fn put(path: &Path, text: &str, mode: u32, over: Over) -> Result<(), CertsError> {
    let write = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let permissions = std::fs::Permissions::from_mode(mode);
        let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        match over {
            Over::Nothing => file.persist_noclobber(path)?,
            Over::Existing => file.persist(path)?,
        };
        Ok(())
    };
    write().map_err(|why| CertsError::File(house::unusable(path, &why)))
}
