//! `yizhan bench`: what the gateway can do, measured from outside, beside what the machine can do.
//!
//! [`workload`](super::workload) makes stays, [`load`] sends them as so many [`client`](super::workload::client)s to the [`subject`], which is a gateway
//! of our own ([`house`]) or one that runs already. [`machine`] measures bare commits, [`turns`] interleaves all
//! of it, [`peak`] looks for the highest rate. Before anything is told, [`gate`] accounts for every message
//! by the gateway's own [`books`] and by what its hospitals were [`told`]. [`stored`] does it over stores that are full. Outside [`payers`] can be asked that take their time, and [`own_time`] says
//! what is left of a settlement's time without them.

mod books;
mod figures;
mod gate;
mod goals;
mod house;
mod load;
mod machine;
mod memory;
mod own_time;
mod payers;
mod peak;
mod progress;
mod report;
mod stored;
mod subject;
mod told;
mod turns;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use yizhan_contract::stay::civil_date;

use super::Exit;
use super::opened::Unprinted;
use super::workload::client::Doors;
use super::workload::{SendingHospital, Workload};
use crate::config::{Log, LogFormat};
use crate::runtime::Runtime;
use crate::store::address::Address;
use crate::telemetry;
use machine::Machine;
use own_time::OwnTime;
use payers::Named;
use progress::Progress;
use report::{Conditions, Memory, Report};
use subject::Subject;
use turns::{Mode, Run};

#[derive(Debug, Args)]
#[command(
    after_help = "结算数、库中账单与日报不符时本次作废，退出码 4 | Exit code 4 where answers, bills in the \
store and the day's report do not agree: the run is void"
)]
pub(super) struct BenchArgs {
    /// 恒定速率（每秒住院数），从计划发送时刻计时 | Open loop at this many stays a second, timed from when each was due
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["clients", "peak"])]
    rate: Option<u64>,
    /// 寻找可持续的最高速率 | Look for the highest rate that is kept up
    #[arg(long, conflicts_with = "clients")]
    peak: bool,
    /// 若干客户端，应答后立即再发 | Closed loop: this many clients, each as fast as it is answered
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=200))]
    clients: Option<u16>,
    /// 每轮每项的秒数 | Seconds of each part of a turn
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    #[arg(long, default_value_t = 5, help = "轮数 | Turns")]
    turns: usize,
    /// 预热秒数 | Seconds of warm-up
    #[arg(long, default_value_t = 3)]
    warm_up: u64,
    /// 之后以该速率（默认峰值之半）继续的分钟数，观察内存 | Minutes to go on at the rate (half of the peak) and
    /// watch memory
    #[arg(long, default_value_t = 0, conflicts_with = "clients")]
    minutes: u64,
    /// 随机种子；相同种子产生相同报文（默认 1；对运行中的网关取当前时刻）| The same seed makes the same messages;
    /// default 1, for a running gateway the time
    #[arg(long)]
    seed: Option<u64>,
    /// 名册人数 | People on the roster
    #[arg(long, default_value_t = 20_000)]
    people: u64,
    /// 临时数据库所在文件夹，裸提交也在此测量 | Folder for the temporary store; bare commits are measured there, too
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// 外部支付方：in-process 由网关按规则计算，20ms 表示每次试算与扣款各需 20 毫秒 | Outside payers: in-process
    /// computes all by rules, 20ms asks some that take 20 ms for each quote and commit
    #[arg(long, default_value = "in-process", value_parser = delay_of, conflicts_with = "http")]
    payers: Delay,
    /// 空的 PostgreSQL 数据库（默认为临时 SQLite 文件）| An empty PostgreSQL database; default: a temporary SQLite file
    #[arg(long, conflicts_with = "http")]
    store: Option<Unprinted>,
    /// 已存大量住院的数据库：住院数=SQLite 文件或空的 PostgreSQL 数据库，可重复；首次填充并保留，中断后续填，其后以同一
    /// 恒定速率（默认峰值的三分之一）轮流测量 | Stores that hold many stays, STAYS=STORE, several times: filled once and
    /// kept, gone on with after an interruption, then measured in turn at one rate (a third of what they can do)
    #[arg(long, value_name = "STAYS=STORE", conflicts_with_all = ["store", "clients", "peak", "minutes", "http"])]
    stored: Vec<stored::Named>,
    /// 运行中的网关，如 http://127.0.0.1:8080 | A gateway that runs already
    #[arg(long, requires_all = ["mllp", "token"])]
    http: Option<String>,
    /// 其 MLLP 地址 | Its MLLP address, host:port
    #[arg(long, requires = "http")]
    mllp: Option<String>,
    /// 医院的访问令牌 | The hospital's bearer token
    #[arg(long, requires = "http")]
    token: Option<Unprinted>,
    /// 该令牌所属医院；其配置须有 bill_in_ack = "ZBL" | The token's hospital; its profile must say
    /// bill_in_ack = "ZBL"
    #[arg(long, default_value = "H37132301")]
    hospital: String,
    /// 其进程号，用于观察内存 | Its process id, to look at its memory
    #[arg(long, requires = "http")]
    pid: Option<u32>,
    /// 输出一个 JSON 文档 | Print one JSON document
    #[arg(long)]
    json: bool,
    /// 日志级别 | Log level
    #[arg(long, default_value = "warn")]
    log: String,
}

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<Exit> {
    telemetry::start_logging(&Log { format: LogFormat::Text, level: args.log.clone() })?;
    if args.seconds == 0 || args.turns == 0 {
        bail!("--seconds 与 --turns 至少为 1 | --seconds and --turns must be at least 1");
    }
    if !args.stored.is_empty() {
        return run_stored(args);
    }
    let report = measure(args)?;
    if args.json {
        super::say(&serde_json::to_string(&report)?);
    } else {
        super::say(&report.table());
    }
    Ok(if report.verdict.is_valid { Exit::Ok } else { Exit::Failed })
}

fn run_stored(args: &BenchArgs) -> anyhow::Result<Exit> {
    let told = stored::measure(args)?;
    super::say(&if args.json { serde_json::to_string(&told)? } else { told.table() });
    Ok(if told.is_valid { Exit::Ok } else { Exit::Failed })
}

fn measure(args: &BenchArgs) -> anyhow::Result<Report> {
    let folder = tempfile::Builder::new()
        .prefix("yizhan-bench-")
        .tempdir_in(&args.folder)
        .with_context(|| format!("无法建立临时文件夹 | cannot make a folder in {}", args.folder.display()))?;
    let runtime = Runtime::system();
    let first_day = civil_date(runtime.now());
    let progress = Progress::new();
    progress.say("准备", "preparing");
    let workload = workload(args, &runtime);
    let outside = args.payers.0.map(|delay| payers::outside(delay, &runtime));
    let (adapters, waits) =
        outside.map_or_else(Default::default, |(adapters, waits)| (adapters, Some(waits)));
    let subject = subject(args, folder.path(), &workload, adapters)?;
    let idle_kib = memory::resident_kib(args.pid).filter(|_| args.http.is_none() || args.pid.is_some());
    let bytes_before = subject.store_bytes();
    let mut run = Run {
        load: subject.load(&workload, &progress),
        machine: machine(args, folder.path())?,
        progress: &progress,
        turns: args.turns,
        lasting: Duration::from_secs(args.seconds),
        warm_up: Duration::from_secs(args.warm_up),
        process: args.pid,
        own_time: subject.store().zip(waits).map(|(store, waits)| OwnTime { store, waits }),
    };
    let ran = run.run(mode(args), args.minutes);
    run.machine.clear()?;
    let ran = ran?;
    let after_kib = idle_kib.and_then(|_| memory::resident_kib(args.pid));
    let is_shared_with_load = args.http.is_none();
    let memory = Memory { is_shared_with_load, idle_kib, after_kib, minutes_kib: ran.minutes_kib };
    progress.say("核对", "accounting");
    let verdict = subject.judge(&ran.account, &workload, (first_day, civil_date(runtime.now())))?;
    progress.finish();
    let conditions = conditions(args, &subject, &workload);
    // A file's size is told once it is closed, and nothing of it waits in the log.
    let bytes = subject.close()?.zip(bytes_before).map(|(after, before)| after.saturating_sub(before));
    Ok(Report {
        conditions,
        goals: goals::goals(&ran.rows, &memory, ran.peak.is_some()),
        rows: ran.rows,
        peak: ran.peak,
        memory,
        told_after_us: verdict.told.map(|_| load::micros(ran.told_after)),
        store_bytes_per_settlement: bytes.and_then(|bytes| bytes.checked_div(verdict.settled)),
        verdict,
    })
}

/// How long outside payers take; absent: none is asked.
#[derive(Debug, Clone, Copy)]
struct Delay(Option<Duration>);

fn delay_of(text: &str) -> Result<Delay, String> {
    if text == "in-process" {
        return Ok(Delay(None));
    }
    let milliseconds = text.strip_suffix("ms").and_then(|number| number.parse().ok());
    let delay = milliseconds.map(|number| Delay(Some(Duration::from_millis(number))));
    delay.ok_or_else(|| "请填 in-process 或 20ms | say in-process, or 20ms".to_owned())
}

fn mode(args: &BenchArgs) -> Mode {
    match (args.rate, args.clients) {
        (Some(rate), _) => Mode::Rate(rate),
        (_, Some(clients)) => Mode::Clients(usize::from(clients)),
        _ if args.peak => Mode::Peak,
        _ => Mode::Everything,
    }
}

fn workload(args: &BenchArgs, runtime: &Runtime) -> Workload {
    match &args.token {
        Some(token) => {
            let now = runtime.now().as_second().unsigned_abs();
            Workload::of_hospital(
                args.seed.unwrap_or(now),
                SendingHospital::named(&args.hospital, token.reveal()),
            )
        }
        None => {
            let sample = Workload::sample(args.seed.unwrap_or(1), args.people);
            if args.payers.0.is_some() { sample.of_documents() } else { sample }
        }
    }
}

fn subject(
    args: &BenchArgs,
    folder: &Path,
    workload: &Workload,
    outside: Vec<Named>,
) -> anyhow::Result<Subject> {
    match (&args.http, &args.mllp, &args.token) {
        (Some(http), Some(mllp), Some(token)) => {
            let http = http.trim_end_matches('/').to_owned();
            Ok(Subject::Running { doors: Doors::plain(http, mllp.clone()), token: token.clone() })
        }
        _ => {
            let store = match &args.store {
                Some(store) => store.address()?,
                None => Address::File(folder.join("yizhan.db")),
            };
            Subject::own(store, folder, workload, outside)
        }
    }
}

/// The file system or the cluster of the gateway's store.
fn machine(args: &BenchArgs, folder: &Path) -> anyhow::Result<Machine> {
    match args.store.as_ref().map(Unprinted::address).transpose()? {
        Some(Address::Postgres(address)) => Ok(Machine::cluster(address, folder)),
        Some(Address::File(_)) | None => Machine::file(folder),
    }
}

fn conditions(args: &BenchArgs, subject: &Subject, workload: &Workload) -> Conditions {
    Conditions {
        gateway: subject.describe(),
        seed: workload.seed(),
        payers_delay_ms: args.payers.0.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
        people_on_roster: if args.http.is_some() { 0 } else { args.people },
        seconds_a_turn: args.seconds,
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        load_average: memory::load_average(),
        is_optimised: !cfg!(debug_assertions),
    }
}
