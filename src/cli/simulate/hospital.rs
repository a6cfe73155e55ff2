//! `yizhan simulate hospital`: realistic discharges for a running gateway, in every dialect it reads.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::json;
use yizhan_contract::person::{Entitlement, EntitlementKind};
use yizhan_kit::stop_signal;

use super::told::{State, Summary, Told};
use crate::cli::house::unusable;
use crate::cli::opened::Unprinted;
use crate::cli::workload::client::{Answer, Client, Doors};
use crate::cli::workload::{Dialect, Outgoing, SendingHospital, Stay, Workload};
use crate::cli::{Exit, complain, say};
use crate::intake::profile::{Listener, Profile, ReturnAddress};
use crate::runtime::steady;
use crate::tls::ClientTls;

/// A message that was not answered is sent again under its own id, so often and so much later.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

#[derive(Debug, Args)]
#[command(after_help = "收费项目取自 tests/samples/catalogue.csv；人员均为虚构，--roster 写出其名册\n\
    退出码：0 全部接收，3 有报文被拒绝，4 网关没有应答或出错，5 需人工处理\n\
    Items are those of tests/samples/catalogue.csv; people are nobody, and --roster writes their roster.\n\
    Exit code 0: all were taken, 3: some were refused, 4: the gateway did not answer or failed, 5: somebody has to look")]
pub(in crate::cli) struct HospitalArgs {
    /// 网关的 HTTP 地址 | The gateway's HTTP address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = url)]
    http: String,
    /// 网关的 MLLP 地址；TLS 写 mllps://主机:端口 | Its MLLP address, host:port; over TLS mllps://host:port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2575", value_parser = listener)]
    mllp: Listener,
    /// 医院代码；可多个，各配一个 --token，依次对应 | A hospital's code; several go with as many tokens, in order
    #[arg(long = "hospital", value_name = "CODE", default_value = "H37132301", value_parser = code)]
    hospitals: Vec<String>,
    /// 该医院在网关的配置文件，代替 --hospital：按其所写发送（代码、首个发送方、字符集、settle_on、hl7、xml_map、values）| The hospital's
    /// profile at the gateway, in place of --hospital: it sends as written there (code, first sender, charset, settle_on, hl7, xml_map, values)
    #[arg(long = "profile", value_name = "FILE", conflicts_with = "hospitals")]
    profiles: Vec<PathBuf>,
    /// 医院的访问令牌（只用于 HTTP）| Its bearer token, which HTTP alone asks for
    #[arg(long = "token", value_name = "TOKEN", required_unless_present = "roster")]
    tokens: Vec<Unprinted>,
    /// 住院数 | How many stays
    #[arg(long, value_name = "N", default_value_t = 20)]
    count: u64,
    /// 每秒住院数；不填则应答后立即再发 | Stays a second; absent: each as soon as the one before was answered
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// 随机种子；相同种子是同样的住院，再次发送得到同一结算单 | The same seed makes the same stays, and the same bills again
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// 病人出自多少人 | How many people fall ill
    #[arg(long, value_name = "N", default_value_t = 500)]
    people: u64,
    /// 报文格式，逗号分隔，依次轮换；默认全部 | Dialects, with commas between them, used in turn; all of them unless said
    #[arg(long, value_enum, value_delimiter = ',')]
    dialects: Vec<Dialect>,
    /// 只把这些人（相同 --seed 与 --people）的名册写入该文件，供 yizhan roster import 导入 | Only write the roster of these people (the same --seed and --people), for `yizhan roster import`
    #[arg(long, value_name = "FILE")]
    roster: Option<PathBuf>,
    /// 签发网关证书的 CA（PEM）；不填则为系统信任的 CA | The CA of the gateway's certificate as PEM; else those that the system trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// 向网关出示的证书（PEM，含证书链）| The certificate shown to the gateway as PEM, with its chain
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// 该证书的私钥 | That certificate's private key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// 每次住院输出一行 JSON，最后一行是合计 | One JSON document a line, the sums in the last
    #[arg(long)]
    json: bool,
}

fn url(text: &str) -> Result<String, &'static str> {
    let is_one = text.starts_with("http://") || text.starts_with("https://");
    let wrong = "须以 http:// 或 https:// 开头 | must begin with http:// or https://";
    is_one.then(|| text.trim_end_matches('/').to_owned()).ok_or(wrong)
}

fn listener(text: &str) -> Result<Listener, String> {
    match text.parse() {
        Ok(ReturnAddress::Mllp(listener)) => Ok(listener),
        Ok(ReturnAddress::Http(_)) => {
            Err("须为 主机:端口 或 mllps://主机:端口 | must be host:port or mllps://host:port".to_owned())
        }
        Err(why) => Err(format!("{} | {}", why.zh, why.en)),
    }
}

/// What stands in messages without any escape.
fn code(text: &str) -> Result<String, &'static str> {
    let is_one = (1..=30).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    is_one
        .then(|| text.to_owned())
        .ok_or("须为 1 至 30 个字母、数字、-、_ 或 . | must be 1 to 30 letters, digits, -, _ or .")
}

pub(super) fn run(args: &HospitalArgs) -> anyhow::Result<Exit> {
    let workload = workload(args)?;
    if let Some(file) = &args.roster {
        return write_roster(file, &workload);
    }
    let mut sender = Sender { client: Client::new(&doors(args)?)?, pause: Pause::begin() };
    let width = args.count.to_string().len();
    let (begun, mut exit, mut summary) = (steady(), Exit::Ok, Summary::of(args.count));
    for number in 0..args.count {
        let after = args.rate.map_or(Duration::ZERO, |rate| Duration::from_secs(number) / rate);
        if !sender.pause.until(begun + after) {
            break;
        }
        let stay = workload.stay(number);
        let told = sender.tell(&stay);
        let line = || format!("{:>width$}/{}  {}", number + 1, args.count, told.line());
        say(&if args.json { serde_json::to_string(&told)? } else { line() });
        exit = exit.max(told.exit);
        summary.count(&told);
        if told.state == State::Lost {
            break;
        }
    }
    let sums = || serde_json::to_string(&json!({ "summary": summary }));
    say(&if args.json { sums()? } else { summary.lines() });
    summary.advice().into_iter().for_each(complain);
    Ok(exit)
}

fn workload(args: &HospitalArgs) -> anyhow::Result<Workload> {
    let hospitals = if args.roster.is_some() { Vec::new() } else { hospitals(args)? };
    let have_own_xml = !hospitals.is_empty() && hospitals.iter().all(SendingHospital::has_own_xml);
    let dialects = match &args.dialects[..] {
        [] => Dialect::ALL.into_iter().chain(have_own_xml.then_some(Dialect::XmlOwn)).collect(),
        chosen if chosen.contains(&Dialect::XmlOwn) && !have_own_xml => {
            bail!(
                "xml-own 须用 --profile 指定含有 [xml_map] 的医院配置 | xml-own needs a --profile with an [xml_map]"
            )
        }
        chosen => chosen.to_vec(),
    };
    Ok(Workload::in_dialects(args.seed, hospitals, args.people, dialects))
}

fn hospitals(args: &HospitalArgs) -> anyhow::Result<Vec<SendingHospital>> {
    let senders = if args.profiles.is_empty() { args.hospitals.len() } else { args.profiles.len() };
    if senders != args.tokens.len() {
        bail!(
            "--hospital（或 --profile）与 --token 须一一对应 | each --hospital, or --profile, needs its --token, in the same order"
        );
    }
    let mut tokens = args.tokens.iter().map(Unprinted::reveal);
    if args.profiles.is_empty() {
        return Ok(args
            .hospitals
            .iter()
            .zip(tokens)
            .map(|(code, token)| SendingHospital::named(code, token))
            .collect());
    }
    let of_file = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).map_err(|why| unusable(file, &why))?;
        let profile = Profile::from_toml(&text).with_context(|| file.display().to_string())?;
        let hospital = SendingHospital::of_profile(&profile, tokens.next().unwrap_or_default());
        hospital.map_err(|why| anyhow!("{}: {} | {}", file.display(), why.zh, why.en))
    };
    args.profiles.iter().map(of_file).collect()
}

fn doors(args: &HospitalArgs) -> anyhow::Result<Doors> {
    let is_secure = args.mllp.is_secure || args.http.starts_with("https://");
    let own = args.certificate.as_deref().zip(args.key.as_deref());
    let tls = is_secure.then(|| ClientTls::read(args.ca.as_deref(), own)).transpose()?.map(Arc::new);
    Ok(Doors { http: args.http.clone(), mllp: args.mllp.clone(), tls })
}

fn write_roster(file: &Path, workload: &Workload) -> anyhow::Result<Exit> {
    let mut rows = "id_number,name,region,kind,code,from,to\n".to_owned();
    for row in workload.roster().flatten() {
        let (number, name, region) =
            (row.id_number.reveal(), row.name.reveal(), row.region.unwrap_or_default());
        let Entitlement { kind, code, from, to } = row.entitlement;
        let kind = match kind {
            EntitlementKind::Category => "category",
            EntitlementKind::Cover => "cover",
        };
        let to = to.map(|day| day.to_string()).unwrap_or_default();
        let _ = writeln!(rows, "{},{name},{region},{kind},{code},{from},{to}", number.as_str());
    }
    std::fs::write(file, rows).map_err(|why| unusable(file, &why))?;
    let file = file.display();
    say(&format!("名册已写入 roster written\nyizhan roster import {file} --mode delta --store …"));
    Ok(Exit::Ok)
}

/// The time between stays, which ends for whoever asks the program to stop.
struct Pause(Receiver<()>);

impl Pause {
    fn begin() -> Self {
        let (asked, end) = channel();
        tokio::spawn(async move {
            stop_signal().await;
            // Nobody listens any more where the run is over.
            let _ = asked.send(());
        });
        Self(end)
    }

    /// Whether the run goes on.
    fn until(&self, due: Instant) -> bool {
        let left = due.saturating_duration_since(steady());
        matches!(self.0.recv_timeout(left), Err(RecvTimeoutError::Timeout))
    }
}

struct Sender {
    client: Client,
    pause: Pause,
}

impl Sender {
    /// Sends a stay, message after message; one that is not taken ends it.
    fn tell<'s>(&mut self, stay: &'s Stay<'_>) -> Told<'s> {
        let mut told = Told::of(stay);
        for message in stay.messages() {
            match self.send(&message, &stay.hospital.token) {
                Answer::Settled { settlement, patient_share } => {
                    told.state = State::Settled;
                    (told.settlement_id, told.patient_share) = (Some(settlement), Some(patient_share));
                }
                Answer::Noted => {}
                Answer::Refused { why, exit } => return told.ended(State::Refused, why, exit),
                Answer::PutOff(why) => return told.ended(State::Refused, why, Exit::Failed),
                Answer::Lost(why) => return told.ended(State::Lost, why, Exit::Failed),
            }
        }
        told
    }

    fn send(&mut self, message: &Outgoing, token: &str) -> Answer {
        let mut answer = self.client.send(message, token);
        for pause in AGAIN_AFTER {
            if !matches!(answer, Answer::Lost(_)) || !self.pause.until(steady() + pause) {
                break;
            }
            answer = self.client.send(message, token);
        }
        answer
    }
}
