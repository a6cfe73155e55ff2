//! What the operator decides: one TOML file, overlaid by the environment, read once and passed down.
//!
//! Unknown keys are errors that name the key. `schemas/yizhan.example.toml` explains every key.

mod environment;
mod error;
mod ranges;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::{Table, Value};
use yizhan_attestation::Trust;
use yizhan_contract::PayerCode;

use crate::intake::limits::MESSAGE_BYTES_MAX;
use crate::intake::mllp::Release;
use crate::store::address::Address;
use yizhan_rules::toml_file::Mistake;

pub use error::ConfigError;

pub use crate::telemetry::{Log, LogFormat};
pub use crate::tls::Tls;

/// What a file that is no TOML is to be compared with.
const EXAMPLE: &str = "schemas/yizhan.example.toml";
/// What computes a payer that no adapter is asked for.
const RULES: &str = "rules";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub store: Address,
    pub key_file: PathBuf,
    /// Folder of policy files; absent: the policies shipped with the gateway.
    pub policies: Option<PathBuf>,
    /// Folder of hospital profiles.
    pub hospitals: PathBuf,
    #[serde(default)]
    pub plain_text_beyond_loopback: bool,
    #[serde(default)]
    pub http: Http,
    #[serde(default)]
    pub mllp: Mllp,
    pub tls: Option<Tls>,
    /// Folder of adapters, one file each; absent: there are none.
    pub adapters: Option<PathBuf>,
    /// For each payer of the policies an adapter, or `rules`.
    #[serde(default)]
    pub payers: BTreeMap<PayerCode, String>,
    /// Whose word is taken that an adapter may decide.
    #[serde(default)]
    pub trust: Trust,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub log: Log,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    pub listen: SocketAddr,
    pub workers: u16,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mllp {
    /// Port 2575 is the registered one.
    pub listen: SocketAddr,
    pub release: Release,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub message_bytes_max: usize,
    pub mllp_connections_max: usize,
    pub mllp_idle_s: u64,
    pub requests_per_second_max: u32,
    /// Connections to a database that this gateway opens.
    pub store_connections_max: u16,
    /// How long calls of adapters are kept.
    pub adapter_calls_days: u32,
    /// How long the gateway finishes what it holds after it was asked to stop.
    pub drain_s: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), workers: 2 }
    }
}

impl Default for Mllp {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 2575)), release: Release::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: MESSAGE_BYTES_MAX,
            mllp_connections_max: 256,
            mllp_idle_s: 300,
            requests_per_second_max: 500,
            store_connections_max: 16,
            adapter_calls_days: 90,
            drain_s: 10,
        }
    }
}

impl Config {
    /// Reads file and environment; relative paths are relative to the file's folder.
    pub fn load(
        file: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(file).map_err(|why| ConfigError::Unreadable { path: file.to_owned(), why })?;
        let mut config = Self::parse(&text, &file.display().to_string(), environment)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        config.resolve_paths(folder);
        Ok(config)
    }

    pub fn parse(
        text: &str,
        origin: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let invalid = |mistake| ConfigError::Invalid { origin: origin.to_owned(), mistake };
        let parsed: Result<Table, _> = text.parse();
        let mut table = parsed.map_err(|why| invalid(Mistake::no_toml(text, &why, EXAMPLE)))?;
        environment::overlay(&mut table, environment)?;
        let config: Self = serde_path_to_error::deserialize(Value::Table(table))
            .map_err(|why| invalid(Mistake::no_such_value(&why)))?;
        ranges::check(&config).map_err(invalid)?;
        config.check_listeners()?;
        Ok(config)
    }

    fn check_listeners(&self) -> Result<(), ConfigError> {
        let is_open = self.tls.is_some() || self.plain_text_beyond_loopback;
        for (key, address) in [("http.listen", self.http.listen), ("mllp.listen", self.mllp.listen)] {
            if !address.ip().is_loopback() && !is_open {
                return Err(ConfigError::PlainTextBeyondLoopback { key, address });
            }
        }
        Ok(())
    }

    /// Every payer a policy can ask must have been given an adapter by name.
    pub fn check_payers<'p>(
        &self,
        payers: impl IntoIterator<Item = &'p PayerCode>,
    ) -> Result<(), ConfigError> {
        for payer in payers {
            match self.payers.get(payer).map(String::as_str) {
                None => return Err(ConfigError::PayerNotNamed { payer: payer.clone() }),
                Some(RULES) => {}
                // Whether the folder has one of this name its reader says.
                Some(_) if self.adapters.is_some() => {}
                Some(named) => {
                    let named = named.to_owned();
                    return Err(ConfigError::UnknownAdapter { payer: payer.clone(), named });
                }
            }
        }
        Ok(())
    }

    /// The payers that are given to adapters, with their names.
    pub fn given_to_adapters(&self) -> BTreeMap<PayerCode, Arc<str>> {
        let given = self.payers.iter().filter(|(_, named)| *named != RULES);
        given.map(|(payer, named)| (payer.clone(), Arc::from(named.as_str()))).collect()
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| *path = folder.join(&path);
        if let Address::File(path) = &mut self.store {
            resolve(path);
        }
        resolve(&mut self.key_file);
        resolve(&mut self.hospitals);
        self.policies.as_mut().map(resolve);
        self.adapters.as_mut().map(resolve);
        if let Some(tls) = &mut self.tls {
            resolve(&mut tls.certificate);
            resolve(&mut tls.key);
            tls.client_ca.as_mut().map(resolve);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "store = \"s.db\"\nkey_file = \"s.key\"\nhospitals = \"h\"\n";

    fn parse(more: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::parse(&format!("{SMALLEST}{more}"), "yizhan.toml", pairs).map_err(|why| why.to_string())
    }

    #[test]
    fn the_environment_overlays_the_file() {
        let config = parse(
            "[http]\nlisten = \"127.0.0.1:1\"\n",
            &[
                ("YIZHAN_HTTP_LISTEN", "127.0.0.1:9"),
                ("YIZHAN_LIMITS_DRAIN_S", "3"),
                ("HOME", "/x"),
                ("YIZHAN_PAYERS_BASIC", "rules"),
                ("YIZHAN_TEST_PYTHON", "python3"),
            ],
        )
        .unwrap();
        assert_eq!((config.http.listen.port(), config.limits.drain_s), (9, 3));
        assert_eq!(config.payers[&"basic".parse().unwrap()], "rules");
    }

    #[test]
    fn mistakes_name_their_key_and_what_to_write() {
        for (more, environment, zh, en) in [
            (
                "[http]\nlisen = \"127.0.0.1:1\"\n",
                &[][..],
                "yizhan.toml: http.lisen: 没有这个配置项，请更正或删除；此处可用：listen, workers",
                "| is no key; correct or remove it; known here: listen, workers",
            ),
            (
                "[limits]\ndrain_s = \"soon\"\n",
                &[],
                "yizhan.toml: limits.drain_s: 须为不小于 0 的整数",
                "| must be a whole number",
            ),
            ("[http]\nworkers = -1\n", &[], "http.workers: 须为不小于 0 的整数", "| must be a whole number"),
            ("[http]\nlisten = \"here\"\n", &[], "http.listen: 须为“地址:端口”", "| must be address:port"),
            (
                "[log]\nformat = \"xml\"\n",
                &[],
                "log.format: 只能是：text, json",
                "| must be one of: text, json",
            ),
            ("[tls]\nkey = \"k\"\n", &[], "yizhan.toml: tls.certificate: 缺少该项", "| is missing; add it"),
            ("plain_text_beyond_loopback = \"yes\"\n", &[], "须为 true 或 false", "| must be true or false"),
            ("[mllp]\nrelease = 3\n", &[], "mllp.release: 须为 1 或 2", "| must be 1 or 2"),
            (
                "[trust]\nlevel = \"L9\"\n",
                &[],
                "yizhan.toml: trust.level: 只能是：L0, L1",
                "| must be one of: L0, L1",
            ),
            (
                "[trust.attestation_keys]\nbureau = \"abc\"\n",
                &[],
                "trust.attestation_keys.bureau: 须为 Ed25519 公钥",
                "| must be an Ed25519 public key: 32 bytes in base64 or hexadecimal",
            ),
            ("[trust]\nkeys = 1\n", &[], "trust.keys: 没有这个配置项", "known here: level, attestation_keys"),
            ("policies = 7\n", &[], "policies: 须为带引号的文本", "| must be a text in quotation marks"),
            ("\n[http\n", &[], "yizhan.toml: 5: 该行不是有效的 TOML", "| the line is no valid TOML"),
            (
                "",
                &[("YIZHAN_STOER", "x")],
                "环境变量 YIZHAN_STOER",
                "| environment variable YIZHAN_STOER names no key",
            ),
            (
                "[http]\nlisten = \"0.0.0.0:80\"\n",
                &[],
                "http.listen = 0.0.0.0:80 未加密",
                "| http.listen = 0.0.0.0:80 listens beyond this machine",
            ),
            ("[mllp]\nlisten = \"[::]:2575\"\n", &[], "请配置 [tls]", "or plain_text_beyond_loopback = true"),
        ] {
            let refused = parse(more, environment).unwrap_err();
            for expected in [zh, en] {
                assert!(refused.contains(expected), "{refused:?} should say {expected:?}");
            }
        }
        assert!(parse("plain_text_beyond_loopback = true\n[http]\nlisten = \"0.0.0.0:80\"\n", &[]).is_ok());
        let refused = Config::parse("store = \"s.db\"\n", "f", []).unwrap_err().to_string();
        assert_eq!(refused, "f: key_file: 缺少该项，请补上 | is missing; add it");
    }

    #[test]
    fn a_number_nobody_can_be_served_with_is_refused_at_its_key() {
        for (table, key, good, bad) in [
            ("http", "workers", &["1", "256"][..], &["0", "257"][..]),
            ("limits", "message_bytes_max", &["1024", "8388608"], &["0", "1023", "8388609"]),
            ("limits", "mllp_connections_max", &["1", "65535"], &["0", "65536", "4611686018427387904"]),
            ("limits", "mllp_idle_s", &["1", "86400"], &["0", "86401"]),
            ("limits", "requests_per_second_max", &["1", "1000000"], &["0", "1000001"]),
            ("limits", "store_connections_max", &["1", "1000"], &["0", "1001"]),
            ("limits", "adapter_calls_days", &["1", "3650"], &["0", "3651"]),
            ("limits", "drain_s", &["0", "3600"], &["3601"]),
        ] {
            let with = |number: &str| parse(&format!("[{table}]\n{key} = {number}\n"), &[]);
            for number in good {
                assert!(with(number).is_ok(), "{key} = {number}");
            }
            for number in bad {
                let refused = with(number).unwrap_err();
                let place = format!("yizhan.toml: {table}.{key}: {number} 超出范围，须为 {}", good[0]);
                let next = format!("| {number} is out of range; write {} to {}", good[0], good[1]);
                assert!(refused.contains(&place) && refused.contains(&next), "{refused}");
            }
        }
    }

    #[test]
    fn no_payer_has_a_default() {
        let config = parse("[payers]\nbasic = \"rules\"\naccident = \"acme\"\n", &[]).unwrap();
        let check =
            |payer: &str| config.check_payers([&payer.parse().unwrap()]).map_err(|why| why.to_string());
        assert_eq!(check("basic"), Ok(()));
        assert!(check("disaster").unwrap_err().contains("payers.disaster is not set"));
        assert!(check("accident").unwrap_err().contains("adapters is not set"));
        let config =
            parse("adapters = \"a\"\n[payers]\nbasic = \"rules\"\naccident = \"acme\"\n", &[]).unwrap();
        assert!(config.check_payers([&"accident".parse().unwrap()]).is_ok());
        let given = config.given_to_adapters();
        assert_eq!(given, BTreeMap::from([("accident".parse().unwrap(), "acme".into())]));
    }
}
