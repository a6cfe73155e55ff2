//! `yizhan adapter certify` and `keys`: an insurer's service tried from outside, and what it came to signed.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::TempPath;
use yizhan_kit::certify::attestation::{PublicKey, VALID, make_key, public_key, sign};
use yizhan_kit::certify::{
    Certify, ClientFiles, Commanded, LOAD, Level, PATIENCE, PairFiles, Report, Restart, Standing, StartError,
    Started, Target, Terminal, TestData, certify,
};
use yizhan_kit::stop_signal;

use crate::cli::{Exit, block_on, complain, house, say};

/// What a signed report is called beside the others.
const ATTESTATION: &str = "attestation.json";
/// What the adapter writes, beside the reports.
const LOG: &str = "adapter.log";

#[derive(Debug, Args)]
#[command(
    after_help = "编号、依据与重放命令见 adapters/README.md | adapters/README.md explains trials, clauses and replays\n\
退出码 | Exit codes: 0 所评测的等级全部通过 every level asked for is passed · 2 参数、网址、证书或密钥 arguments, address, certificates \
or key · 3 测试数据文件有误 the test data are refused · 4 有评测未通过 a trial failed · 5 没有未通过的，但有的未能进行，或评测被中断 nothing \
failed, but some trials could not be made, or the run was broken off"
)]
pub(in crate::cli) struct CertifyArgs {
    /// 适配器的网址：https://host:port；仅对本机可用 http | Its address, https://host:port; http to this machine alone
    url: String,
    /// 评测的等级，如 L0,L1；省略则全部，L0 总要评测 | Levels, such as L0,L1; without it all; L0 is always tried
    #[arg(long, value_delimiter = ',')]
    levels: Vec<Level>,
    /// 测试数据，示例见 schemas/certify.example.toml | Test data; see schemas/certify.example.toml
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// 为适配器签发证书的 CA，PEM | The CA that vouches for the adapter, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["certificate", "key"])]
    ca: Option<PathBuf>,
    /// 评测工具出示的证书，PEM | The certificate the kit shows, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["ca", "key"])]
    certificate: Option<PathBuf>,
    /// 该证书的私钥，PEM | Its private key, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["ca", "certificate"])]
    key: Option<PathBuf>,
    /// 同一 CA 签发、已过期的证书：适配器须拒绝，PEM | A certificate of the same CA that has expired and must be refused, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["expired_key", "ca"])]
    expired: Option<PathBuf>,
    /// 过期证书的私钥，PEM | The private key of the expired certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "expired")]
    expired_key: Option<PathBuf>,
    /// 同一 CA 签发、更换后将出示的证书：适配器须一并接受，PEM | The certificate that follows the kit's own and must be let in beside it, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["next_key", "ca"])]
    next: Option<PathBuf>,
    /// 更换后证书的私钥，PEM | The private key of the next certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "next")]
    next_key: Option<PathBuf>,
    /// 启动适配器的命令：由评测工具启动、kill -9 并重启，并检查其 stdout 与 stderr | The command that starts the adapter; the kit starts it, kills it, starts it again, and looks at its stdout and stderr
    #[arg(long, value_name = "CMD", conflicts_with = "restart")]
    start: Option<String>,
    /// 您自己的命令：直接结束适配器并重新启动 | A command of yours that ends the adapter without a warning and starts it again
    #[arg(long, value_name = "CMD")]
    restart: Option<String>,
    /// 写入 report.html、report.json、junit.xml、transcript.txt（及 --start 的 adapter.log）的文件夹 | Folder for report.html, report.json, junit.xml and transcript.txt (with --start, adapter.log)
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// JSON 报告文件 | The report as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// JUnit XML 报告文件 | The report as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// 以此密钥签署 attestation.json（写入 --report 文件夹，否则当前文件夹）；密钥不存在则生成 | Sign attestation.json with this key, into the folder of --report, else here; a key that is not there is made
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct KeysArgs {
    /// 密钥文件（PKCS#8 PEM，仅本人可读）| The key file, PKCS#8 as PEM, for its owner alone
    file: PathBuf,
}

/// Makes a key where there is none, and says its public half: what a trust list holds.
pub(super) fn keys(args: &KeysArgs) -> anyhow::Result<Exit> {
    let public = signing_key(&args.file)?;
    say(&public.to_string());
    Ok(Exit::Ok)
}

fn signing_key(file: &Path) -> anyhow::Result<PublicKey> {
    if file.exists() {
        return Ok(public_key(file)?);
    }
    let made = make_key(file)?;
    let file = file.display();
    complain(&format!("已生成签名密钥 {file}，请妥善保管 | made the signing key {file}; keep it safe"));
    Ok(made)
}

pub(super) fn run(args: CertifyArgs) -> anyhow::Result<Exit> {
    let data = match args.data.as_deref().map(test_data).transpose()? {
        Some(Err(mistake)) => {
            complain(&mistake);
            return Ok(Exit::Refused);
        }
        Some(Ok(data)) => data,
        None => TestData::default(),
    };
    // Whoever waited for every trial should not hear only then that the key is none.
    let signer = args.sign.as_deref().map(signing_key).transpose()?;
    if let Some(folder) = &args.report {
        std::fs::create_dir_all(folder).map_err(|why| house::unusable(folder, &why))?;
    }
    let log = Log::of(&args)?;
    let report = match tried(&args, data, log.as_ref()) {
        Ok(Some(report)) => report,
        Ok(None) => {
            complain("评测已中断，没有结论 | broken off: nothing was certified");
            log.map_or(Ok(()), Log::keep)?;
            return Ok(Exit::NeedsAttention);
        }
        Err(why) => {
            // A command that ended too soon has said there why.
            log.map_or(Ok(()), Log::keep)?;
            return Err(why);
        }
    };
    written(&args, &report)?;
    if let Some(log) = log.filter(|_| !report.is_good()) {
        log.keep()?;
    }
    if let (Some(key), Some(public)) = (&args.sign, signer) {
        let file = args.report.clone().unwrap_or_default().join(ATTESTATION);
        kept(&file, &sign(&report, key, VALID)?)?;
        say(&format!(
            "公钥 {public}：网关信任此密钥时有效，否则仅为预览 | public key {public}: counts where a gateway trusts it, else it is a preview"
        ));
    }
    Ok(exit_of(&report))
}

fn test_data(file: &Path) -> anyhow::Result<Result<TestData, String>> {
    let read = TestData::read(&house::text_of(file)?);
    Ok(read.map_err(|mistake| format!("{}: {mistake}", file.display())))
}

/// Absent: broken off by a signal; an adapter that was started ends with it.
fn tried(args: &CertifyArgs, data: TestData, log: Option<&Log>) -> anyhow::Result<Option<Report>> {
    let target = Target { url: args.url.clone(), tls: client_files(args) };
    let restart = restart(args, &target, log)?;
    let asked = Certify {
        target,
        data,
        levels: if args.levels.is_empty() { Level::ALL.to_vec() } else { args.levels.clone() },
        restart,
        load: LOAD,
        patience: PATIENCE,
    };
    let terminal = Terminal::of(io::stdout());
    block_on(async {
        tokio::select! {
            report = certify(asked, &terminal) => Ok(Some(report?)),
            () = stop_signal() => Ok(None),
        }
    })
}

fn client_files(args: &CertifyArgs) -> Option<ClientFiles> {
    let pair = |certificate: &Option<PathBuf>, key: &Option<PathBuf>| certificate.clone().zip(key.clone());
    let (certificate, key) = pair(&args.certificate, &args.key)?;
    let files = |(certificate, key)| PairFiles { certificate, key };
    let expired = pair(&args.expired, &args.expired_key).map(files);
    let next = pair(&args.next, &args.next_key).map(files);
    Some(ClientFiles { ca: args.ca.clone()?, certificate, key, expired, next })
}

fn restart(
    args: &CertifyArgs,
    target: &Target,
    log: Option<&Log>,
) -> anyhow::Result<Option<Box<dyn Restart>>> {
    if let (Some(command), Some(log)) = (&args.start, log) {
        let started = Started::begin(command, &log.path, target).map_err(|why| match why {
            StartError::Io(why) => house::unusable(&log.path, &why),
            other => other.into(),
        })?;
        return Ok(Some(Box::new(started)));
    }
    Ok(args.restart.clone().map(|command| Box::new(Commanded(command)) as _))
}

/// Where an adapter's stdout and stderr go that the kit starts.
struct Log {
    path: PathBuf,
    /// Gone with the run, unless it is kept; absent: beside the reports.
    passing: Option<TempPath>,
}

impl Log {
    fn of(args: &CertifyArgs) -> anyhow::Result<Option<Self>> {
        if args.start.is_none() {
            return Ok(None);
        }
        if let Some(folder) = &args.report {
            return Ok(Some(Self { path: folder.join(LOG), passing: None }));
        }
        let passing = tempfile::Builder::new().prefix("yizhan-adapter-").suffix(".log").tempfile()?;
        let passing = passing.into_temp_path();
        Ok(Some(Self { path: passing.to_path_buf(), passing: Some(passing) }))
    }

    /// For whoever has to find out what was wrong.
    fn keep(self) -> anyhow::Result<()> {
        let is_empty = || std::fs::metadata(&self.path).is_ok_and(|log| log.len() == 0);
        if let Some(passing) = self.passing.filter(|_| !is_empty()) {
            let path = passing.keep()?;
            let path = path.display();
            complain(&format!(
                "适配器所写的 stdout 与 stderr | what the adapter wrote to stdout and stderr: {path}"
            ));
        }
        Ok(())
    }
}

fn written(args: &CertifyArgs, report: &Report) -> anyhow::Result<()> {
    if let Some(folder) = &args.report {
        report.save(folder).map_err(|why| house::unusable(folder, &why))?;
        let folder = folder.display();
        let log = args.start.as_ref().map(|_| format!(", {folder}/{LOG}")).unwrap_or_default();
        say(&format!(
            "已写入 written: {folder}/report.html, {folder}/report.json, {folder}/junit.xml, {folder}/transcript.txt{log}"
        ));
    }
    if let Some(file) = &args.json {
        kept(file, &report.json())?;
    }
    if let Some(file) = &args.junit {
        kept(file, &report.junit())?;
    }
    Ok(())
}

fn kept(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).map_err(|why| house::unusable(file, &why))?;
    say(&format!("已写入 written: {}", file.display()));
    Ok(())
}

fn exit_of(report: &Report) -> Exit {
    let is_failed = report.levels.iter().any(|level| level.standing == Standing::Failed);
    match (report.is_good(), is_failed) {
        (true, _) => Exit::Ok,
        (false, true) => Exit::Failed,
        (false, false) => Exit::NeedsAttention,
    }
}
