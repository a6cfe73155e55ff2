//! `yizhan certs`: a certificate authority for development, and what it vouches for.

mod authority;
mod example;
mod fitting;

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use rustls::pki_types::ServerName;
use yizhan_contract::Text;

use super::Exit;
use crate::desk::figures::shanghai;
use crate::runtime::Runtime;
use authority::{Authority, CertsError, Made};

/// This machine, in every certificate of a server.
const OWN_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const NAME_CHARS_MAX: usize = 40;

#[derive(Debug, Args)]
pub(super) struct CertsArgs {
    /// 证书文件夹；不存在时创建 | Where they are kept; made where it is not there
    #[arg(long, value_name = "DIR", default_value = "certs")]
    folder: PathBuf,
    /// 网关与支付方除本机外的主机名或地址 | A name or address of gateway and payers beside this machine's own
    #[arg(long = "host", value_name = "NAME", value_parser = host)]
    hosts: Vec<String>,
    /// 支付方（适配器）名 | A payer's name, as its adapter is called
    #[arg(long = "payer", value_name = "NAME", default_value = "supplementary", value_parser = payer)]
    payers: Vec<String>,
    /// 医院代码 | A hospital's code
    #[arg(long = "hospital", value_name = "NAME", default_value = "H37132301", value_parser = hospital)]
    hospitals: Vec<String>,
    /// 证书有效天数（CA 为十年）| Days for which certificates are good; the CA is for ten years
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=825))]
    days: u16,
    /// 重新签发已有的证书；CA 从不覆盖 | Make certificates anew that are there; the CA never is
    #[arg(long)]
    force: bool,
}

/// As an adapter is called.
fn payer(text: &str) -> Result<String, &'static str> {
    let is_fitting = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    name(text, is_fitting).ok_or("须为 1 至 40 个 a-z、0-9、_ 或 - | 1 to 40 of a-z, 0-9, _ and -")
}

fn hospital(text: &str) -> Result<String, &'static str> {
    let is_fitting = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name(text, is_fitting).ok_or("须为 1 至 40 个字母、数字、_ 或 - | 1 to 40 letters, digits, _ and -")
}

/// What a file may be called after.
fn name(text: &str, is_fitting: impl Fn(char) -> bool) -> Option<String> {
    let fits = (1..=NAME_CHARS_MAX).contains(&text.len()) && text.chars().all(is_fitting);
    fits.then(|| text.to_owned())
}

fn host(text: &str) -> Result<String, &'static str> {
    ServerName::try_from(text)
        .map_err(|_| "不是主机名或 IP 地址 | is neither a host's name nor an IP address")?;
    Ok(text.to_owned())
}

/// Who shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

/// One certificate, its key beside it.
#[derive(Debug)]
struct Wanted {
    /// `server` is in `server.pem` and `server-key.pem`.
    stem: String,
    /// Who it is of.
    holder: String,
    side: Side,
    /// What a server is called by those who call it.
    hosts: Vec<String>,
    purpose: Text,
    /// It is good for nothing any more, and others have to notice.
    has_expired: bool,
}

impl Wanted {
    fn new(stem: impl Into<String>, side: Side, hosts: &[String], purpose: Text) -> Self {
        let stem = stem.into();
        let hosts = if side == Side::Server { hosts.to_vec() } else { Vec::new() };
        Self { holder: format!("yizhan development {stem}"), stem, side, hosts, purpose, has_expired: false }
    }

    fn certificate(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.pem", self.stem))
    }

    fn key(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}-key.pem", self.stem))
    }
}

pub(super) fn run(args: CertsArgs) -> anyhow::Result<Exit> {
    let now = Runtime::system().now();
    let (authority, made) = Authority::in_folder(&args.folder, now)?;
    super::say(
        "仅供开发与联调，切勿用于生产：CA 的私钥就在这台机器上。\n\
         for development, never for production: the key of the CA lies on this machine.",
    );
    tell_of_authority(&args.folder, made);
    let mut exit = Exit::Ok;
    for wanted in wanted(&args) {
        match certificate(&authority, &wanted, &args, now)? {
            Stands::Made { until } => {
                tell(&args.folder, &wanted, &format!("已签发 made  至 until {}", shanghai(until)))
            }
            Stands::Kept => tell(&args.folder, &wanted, "保留 kept"),
            Stands::Unfit(why) => {
                super::complain(&unfit(&wanted.certificate(&args.folder), &why));
                exit = Exit::Refused;
            }
        }
    }
    super::say(&example::text(&args)?);
    Ok(exit)
}

fn wanted(args: &CertsArgs) -> Vec<Wanted> {
    let mut hosts = OWN_HOSTS.map(str::to_owned).to_vec();
    for host in &args.hosts {
        if !hosts.contains(host) {
            hosts.push(host.clone());
        }
    }
    let own = [
        Wanted::new(
            "server",
            Side::Server,
            &hosts,
            Text::new("网关的 HTTP 与 MLLP 端口", "the gateway's ports, HTTP and MLLP"),
        ),
        Wanted::new(
            "gateway",
            Side::Client,
            &hosts,
            Text::new(
                "网关（或评测工具）调用支付方时出示",
                "what the gateway, or the conformance kit, shows to payers",
            ),
        ),
        Wanted::new(
            "gateway-next",
            Side::Client,
            &hosts,
            Text::new(
                "网关更换证书后出示，供评测支付方是否一并接受（adapter certify --next）",
                "what follows the gateway's: to see whether payers let it in beside that (adapter certify --next)",
            ),
        ),
        Wanted {
            has_expired: true,
            ..Wanted::new(
                "gateway-expired",
                Side::Client,
                &hosts,
                Text::new(
                    "已过期，供评测支付方是否拒绝（adapter certify --expired）",
                    "has expired: to see whether payers refuse it (adapter certify --expired)",
                ),
            )
        },
    ];
    let payer = |name: &String| {
        let purpose = Text::new(format!("支付方 {} 的服务", name), format!("the service of payer {}", name));
        Wanted::new(payer_stem(name), Side::Server, &hosts, purpose)
    };
    let hospital = |name: &String| {
        let purpose = Text::new(
            format!("医院 {} 连接网关时出示", name),
            format!("what hospital {} shows to the gateway", name),
        );
        Wanted::new(hospital_stem(name), Side::Client, &hosts, purpose)
    };
    let mut all: Vec<Wanted> = own
        .into_iter()
        .chain(args.payers.iter().map(payer))
        .chain(args.hospitals.iter().map(hospital))
        .collect();
    // Named twice it is made once.
    all.sort_by(|a, b| a.stem.cmp(&b.stem));
    all.dedup_by(|a, b| a.stem == b.stem);
    all
}

fn payer_stem(name: &str) -> String {
    format!("payer-{}", name)
}

fn hospital_stem(name: &str) -> String {
    format!("hospital-{}", name)
}

/// What became of one certificate.
enum Stands {
    Made {
        until: Timestamp,
    },
    Kept,
    /// It is there and cannot be used; left as it is.
    Unfit(String),
}

fn certificate(
    authority: &Authority,
    wanted: &Wanted,
    args: &CertsArgs,
    now: Timestamp,
) -> Result<Stands, CertsError> {
    let paths = [wanted.certificate(&args.folder), wanted.key(&args.folder)];
    // Half of a pair is of no use to anybody.
    let is_there = paths.iter().all(|path| path.exists());
    if !is_there || args.force {
        let until = authority.issue(wanted, &paths, (now, args.days))?;
        return Ok(Stands::Made { until });
    }
    Ok(match authority.check(wanted, &paths, now) {
        Ok(()) => Stands::Kept,
        Err(why) => Stands::Unfit(why),
    })
}

fn tell_of_authority(folder: &Path, made: Made) {
    let word = if made == Made::Now { "已生成 made" } else { "保留 kept" };
    let at = |name: &str| folder.join(name).display().to_string();
    super::say(&format!(
        "{}  {word}\n  CA 证书，交给每一个要核对对方的程序 | the CA, for every program that checks the other side\n\
         {}  {word}\n  CA 私钥，只用于签发，不交给任何人 | its key, for making certificates; nobody is given it",
        at(authority::CERTIFICATE),
        at(authority::KEY),
    ));
}

fn tell(folder: &Path, wanted: &Wanted, word: &str) {
    let (certificate, key) = (wanted.certificate(folder), wanted.key(folder));
    let hosts =
        if wanted.hosts.is_empty() { String::new() } else { format!("  {}", wanted.hosts.join(", ")) };
    let Text { zh, en } = &wanted.purpose;
    super::say(&format!("{}  {}  {word}\n  {zh} | {en}{hosts}", certificate.display(), key.display()));
}

fn unfit(certificate: &Path, why: &str) -> String {
    let path = certificate.display();
    format!(
        "{path} 不可用（{why}），已原样保留；加 --force 重新签发 | {path} cannot be used as asked for ({why}) and is left as it is; --force makes it anew"
    )
}
