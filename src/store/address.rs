//! Where a store is: a file, or a PostgreSQL database.
//!
//! An address of a database may hold a password, so it is masked wherever it is printed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use tokio_postgres::config::{Config, Host, SslMode};
use yizhan_contract::Text;

/// `store` of the configuration, `--store` of a command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Address {
    /// A SQLite file.
    File(PathBuf),
    Postgres(PostgresAddress),
}

/// Why an address is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error(
        "{0}:// 不是可用的存储；请填写 SQLite 文件路径或 postgres:// 地址 | \
         {0}:// is no store this gateway knows; give a SQLite file's path or a postgres:// address"
    )]
    UnknownKind(String),
    #[error("postgres:// 地址无法识别：{zh} | the postgres:// address does not read: {en}", zh = .0.zh, en = .0.en)]
    Malformed(Text),
    #[error(
        "sslmode={0} 不能保证安全；请用 require（加密并验证证书）或 disable | sslmode={0} protects \
         against nobody; say require (encrypted, certificate checked) or disable"
    )]
    SslMode(String),
}

/// A database, and how its connections are protected.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresAddress {
    config: Box<Config>,
    /// Certificates of the authorities that may vouch for the server; absent: the system's.
    root_certificates: Option<PathBuf>,
}

/// `host.example/database` and whether it is encrypted: all of an address that may be shown.
impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://")?;
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                #[cfg(unix)]
                Host::Unix(folder) => write!(f, "{comma}{}", folder.display())?,
            }
            if let Some(port) = self.config.get_ports().get(at).or(self.config.get_ports().first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

impl PostgresAddress {
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The same for PostgreSQL's own programs, which protect the connection as the gateway does.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(folder) => folder.display().to_string(),
        };
        let hosts: Vec<String> = self.config.get_hosts().iter().map(host).collect();
        let ports: Vec<String> = self.config.get_ports().iter().map(u16::to_string).collect();
        let is_plain = self.config.get_ssl_mode() == SslMode::Disable;
        let certificates = self.root_certificates.as_ref();
        let certificates =
            certificates.map_or_else(|| "system".to_owned(), |file| file.display().to_string());
        let password = self.config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let given = [
            ("PGHOST", Some(hosts.join(","))),
            ("PGPORT", Some(ports.join(",")).filter(|ports| !ports.is_empty())),
            ("PGUSER", self.config.get_user().map(str::to_owned)),
            ("PGPASSWORD", password),
            ("PGDATABASE", self.config.get_dbname().map(str::to_owned)),
            ("PGSSLMODE", Some(if is_plain { "disable" } else { "verify-full" }.to_owned())),
            ("PGSSLROOTCERT", (!is_plain).then_some(certificates)),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    pub(super) fn root_certificates(&self) -> Option<&std::path::Path> {
        self.root_certificates.as_deref()
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => text.parse().map(Self::Postgres),
            Some((kind, _)) => Err(AddressError::UnknownKind(kind.to_owned())),
            None => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl FromStr for PostgresAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut kept, mut mode, mut root_certificates) = (Vec::new(), None, None);
        // `sslrootcert` and `verify-full` are libpq's words, which the driver does not know.
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", word)) => mode = Some(word),
                Some(("sslrootcert", file)) => root_certificates = Some(PathBuf::from(plain(file)?)),
                _ => kept.push(pair),
            }
        }
        // The driver's own complaint may quote the address, and with it the password.
        let mut config: Config = format!("{base}?{}", kept.join("&")).parse().map_err(|_| {
            let form = "postgres://user:password@host:5432/database";
            AddressError::Malformed(Text::new(format!("应形如 {form}"), format!("it is written like {form}")))
        })?;
        if config.get_hosts().is_empty() {
            return Err(AddressError::Malformed(Text::new("缺少主机名", "it names no host")));
        }
        config.ssl_mode(match mode {
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            Some(other) => return Err(AddressError::SslMode(other.to_owned())),
            // On this machine nobody listens in between; over a network plain text must be asked for.
            None if config.get_hosts().iter().all(is_this_machine) => SslMode::Disable,
            None => SslMode::Require,
        });
        Ok(Self { config: Box::new(config), root_certificates })
    }
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// Undoes percent-encoding.
fn plain(text: &str) -> Result<String, AddressError> {
    let malformed = || AddressError::Malformed(Text::new("% 转义不完整", "a %-escape is broken"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(malformed)?;
        bytes.push(byte);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(text: &str) -> PostgresAddress {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_is_a_file_and_other_kinds_are_refused() {
        assert_eq!("yizhan.db".parse(), Ok(Address::File("yizhan.db".into())));
        assert_eq!("/srv/一站.db".parse(), Ok(Address::File("/srv/一站.db".into())));
        let refused = "mysql://host/db".parse::<Address>().unwrap_err();
        assert_eq!(refused, AddressError::UnknownKind("mysql".to_owned()));
    }

    #[test]
    fn a_password_is_never_shown() {
        let address: Address = "postgres://yizhan:s3cret@db.example:5433/area".parse().unwrap();
        assert_eq!(address.to_string(), "postgres://db.example:5433/area");
        assert!(!format!("{address:?}").contains("s3cret"));
        let broken = "postgres://yizhan:s3cret@db.example:port/area".parse::<Address>().unwrap_err();
        assert!(!broken.to_string().contains("s3cret"), "{broken}");
    }

    #[test]
    fn beyond_this_machine_connections_are_encrypted_unless_asked_otherwise() {
        for (text, expected) in [
            ("postgres://u@localhost/d", SslMode::Disable),
            ("postgres://u@127.0.0.1/d", SslMode::Disable),
            ("postgres:///d?host=/var/run/postgresql", SslMode::Disable),
            ("postgres://u@db.example/d", SslMode::Require),
            ("postgres://u@db.example/d?sslmode=disable", SslMode::Disable),
            ("postgres://u@localhost/d?sslmode=verify-full&application_name=x", SslMode::Require),
        ] {
            assert_eq!(postgres(text).config.get_ssl_mode(), expected, "{text}");
        }
        let prefer = "postgres://u@db.example/d?sslmode=prefer".parse::<PostgresAddress>();
        assert_eq!(prefer.unwrap_err(), AddressError::SslMode("prefer".to_owned()));
    }

    #[test]
    fn programs_of_postgresql_are_told_by_the_environment() {
        let told = |text: &str| {
            let told = postgres(text).environment();
            told.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            told("postgres://yizhan:s3%20cret@db.example:5433/area?sslrootcert=/etc/ca.pem"),
            "PGHOST=db.example PGPORT=5433 PGUSER=yizhan PGPASSWORD=s3 cret PGDATABASE=area PGSSLMODE=verify-full \
             PGSSLROOTCERT=/etc/ca.pem"
        );
        assert_eq!(
            told("postgres://u@a,b/d?sslmode=require"),
            "PGHOST=a,b PGPORT=5432,5432 PGUSER=u PGDATABASE=d PGSSLMODE=verify-full PGSSLROOTCERT=system"
        );
        assert_eq!(
            told("postgres:///d?host=/var/run/postgresql&user=u"),
            "PGHOST=/var/run/postgresql PGUSER=u PGDATABASE=d PGSSLMODE=disable"
        );
    }

    #[test]
    fn certificates_of_authorities_can_be_named() {
        let address = postgres("postgres://u@db/d?sslrootcert=%2Fetc%2Fca.pem");
        assert_eq!(address.root_certificates(), Some(std::path::Path::new("/etc/ca.pem")));
        assert!("postgres://u@db/d?sslrootcert=%2".parse::<PostgresAddress>().is_err());
    }
}
