//! A PostgreSQL cluster, measured by its own `pgbench`, in a schema of its own beside the gateway's tables.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use super::super::load::times;
use super::statements::{self, Sizes};
use super::{Bare, Limit};
use crate::cli::block_on;
use crate::store::address::PostgresAddress;
use crate::store::postgres;

const SCHEMA: &str = "yizhan_limits";
/// Its own schema; otherwise the settings of a gateway's connection.
const PGOPTIONS: &str =
    "-c search_path=yizhan_limits -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off";
/// 100,000 accounts each.
const BRANCHES: &str = "5";
/// Threads of pgbench, as many as the load has processors.
const THREADS_MAX: usize = 2;
const ONE_ROW: &str = "INSERT INTO one VALUES (1);\n";

pub(in crate::cli::bench) struct Cluster {
    address: PostgresAddress,
    folder: PathBuf,
    /// Numbers the logs.
    measured: u32,
    sizes: Option<Sizes>,
}

impl Cluster {
    pub(super) fn new(address: PostgresAddress, folder: &Path) -> Self {
        Self { address, folder: folder.to_owned(), measured: 0, sizes: None }
    }

    /// Tables like the gateway's and those of pgbench, and how much a settlement writes.
    pub(super) fn prepare(&mut self) -> anyhow::Result<()> {
        let sizes =
            block_on(self.make_tables()).context("pgbench 准备失败 | pgbench could not be prepared")?;
        std::fs::write(self.folder.join("one.sql"), ONE_ROW)?;
        std::fs::write(self.folder.join("own.sql"), statements::script(sizes))?;
        self.sizes = Some(sizes);
        self.run(&["-i", "-q", "-s", BRANCHES])
    }

    async fn make_tables(&self) -> anyhow::Result<Sizes> {
        let client = postgres::connection_to(&self.address).await?;
        client.batch_execute("SET statement_timeout = 0").await?;
        let row = client.query_one(statements::SIZES, &[]).await?;
        client.batch_execute(&statements::tables(SCHEMA)).await?;
        Ok(Sizes {
            raw_bytes: row.try_get(0)?,
            answer_bytes: row.try_get(1)?,
            stay_bytes: row.try_get(2)?,
            bill_bytes: row.try_get(3)?,
            postings: row.try_get(4)?,
            more_messages: row.try_get(5)?,
        })
    }

    pub(super) fn clear(&self) -> anyhow::Result<()> {
        block_on(async {
            let client = postgres::connection_to(&self.address).await?;
            Ok(client.batch_execute(&format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")).await?)
        })
    }

    pub(super) fn measure(&mut self, limit: Limit, lasting: Duration) -> anyhow::Result<Bare> {
        let script = |name: &str| ["-f".to_owned(), self.folder.join(name).display().to_string()];
        let (clients, mut arguments) = match limit {
            Limit::OneByOne | Limit::Shared(_) => (1, script("one.sql").to_vec()),
            Limit::Simple(clients) => (clients, vec!["-N".to_owned()]),
            Limit::OwnStatements(clients) => (clients, script("own.sql").to_vec()),
        };
        if matches!(limit, Limit::OwnStatements(_)) {
            arguments.extend(self.payload());
        }
        self.measured += 1;
        let log = self.folder.join(format!("pgbench-{}", self.measured));
        arguments.extend([
            format!("--client={clients}"),
            format!("--jobs={}", clients.min(THREADS_MAX)),
            format!("--time={}", lasting.as_secs().max(1)),
            format!("--log-prefix={}", log.display()),
        ]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.run(&[&["-n", "-M", "prepared", "--log"], &arguments[..]].concat())?;
        self.read_logs(&log, lasting)
    }

    /// Bytes like those of a settlement; a client counts from where no other run has been.
    fn payload(&self) -> Vec<String> {
        let Some(sizes) = self.sizes else { return Vec::new() };
        let bytes = |name: &str, count: i64| {
            format!("--define={name}=\\x{}", "5a".repeat(usize::try_from(count).unwrap_or_default()))
        };
        vec![
            bytes("raw", sizes.raw_bytes),
            bytes("answer", sizes.answer_bytes),
            bytes("stay", sizes.stay_bytes),
            bytes("bill", sizes.bill_bytes),
            format!("--define=seq={}", u64::from(self.measured) * 1_000_000_000),
        ]
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new("pgbench");
        // Arguments can be read by everybody on the machine, a password among them.
        command.args(arguments).env("PGOPTIONS", PGOPTIONS).envs(self.address.environment());
        let output = command.output().context("没有 pgbench | pgbench is not installed")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || complaint.contains("ERROR") {
            // Its last words only say that it gave up.
            let why = complaint.lines().find(|line| line.contains("ERROR")).or(complaint.lines().last());
            bail!("pgbench: {}", why.unwrap_or_default());
        }
        Ok(())
    }

    /// One line a transaction, the third number its time in µs; one file for each of pgbench's threads.
    fn read_logs(&self, prefix: &Path, lasting: Duration) -> anyhow::Result<Bare> {
        let mut times = times()?;
        let prefix = prefix.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
            if name.strip_prefix(prefix).is_none_or(|rest| !rest.starts_with('.')) {
                continue;
            }
            let log = std::fs::read_to_string(&path)?;
            for time in log.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok()) {
                times.saturating_record(time);
            }
            std::fs::remove_file(&path)?;
        }
        Ok(Bare { count: times.len(), took: lasting, times })
    }
}
