//! Bringing files into a store, with a bar that shows how far it is.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use yizhan_contract::counted;

use super::opened::{self, Opened, Unprinted};
use crate::catalogue::CatalogueFile;
use crate::roster::{RosterFile, RosterMode, RosterRow};
use crate::runtime::Runtime;
use crate::samples;
use crate::sheet::{Problem, Problems};
use crate::store::Ports;
use crate::store::address::Address;
use crate::store::registers::{Import, ImportError, Imported, OnProgress, Progress, Rows};

/// The store a file is brought into.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// 数据库文件，或 postgres:// 地址 | The store: a file, or a postgres:// address
    #[arg(long, env = "YIZHAN_STORE", hide_env_values = true)]
    store: Unprinted,
    /// 密钥文件（默认与数据库文件同名，扩展名 .key）| Key file; default: beside the store's file, ending in .key
    #[arg(long, env = "YIZHAN_KEY_FILE")]
    pub key: Option<PathBuf>,
}

impl Target {
    pub(super) fn open(&self, runtime: &Runtime) -> anyhow::Result<Opened> {
        let store = self.address()?;
        let key_file = opened::key_file_of(&store, self.key.as_deref())?;
        opened::open_beside(&store, &key_file, runtime)
    }

    pub(super) fn address(&self) -> anyhow::Result<Address> {
        self.store.address()
    }
}

/// One file as an import; what cannot be opened is refused like any other problem of it.
pub(super) fn import_of<T>(
    file: &Path,
    rows: Result<Rows<T>, Vec<Problem>>,
    runtime: &Runtime,
    progress: OnProgress,
) -> Result<Import<T>, ImportError> {
    let name: Arc<str> = Arc::from(file.display().to_string());
    let rows = rows.map_err(|list| {
        let mut problems = Problems::none(Arc::clone(&name));
        problems.add(list);
        ImportError::Refused(problems)
    })?;
    Ok(Import { at: runtime.now(), file: name, rows, progress })
}

/// A roster beside what the store has, and nobody watches.
pub(super) async fn bring_in_roster<R>(
    store: &dyn Ports,
    file: &Path,
    rows: Result<R, Vec<Problem>>,
    runtime: &Runtime,
) -> anyhow::Result<()>
where
    R: Iterator<Item = Result<RosterRow, Vec<Problem>>> + Send + 'static,
{
    let rows = rows.map(|rows| Box::new(rows) as Rows<_>);
    store.import_roster(import_of(file, rows, runtime, Arc::new(|_| {}))?, RosterMode::Delta).await?;
    Ok(())
}

/// The same for a catalogue.
pub(super) async fn bring_in_catalogue(
    store: &dyn Ports,
    file: &Path,
    rows: Result<CatalogueFile, Vec<Problem>>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let rows = rows.map(|rows| Box::new(rows) as Rows<_>);
    store.import_catalogue(import_of(file, rows, runtime, Arc::new(|_| {}))?).await?;
    Ok(())
}

pub(super) async fn bring_in_sample_roster(store: &dyn Ports, runtime: &Runtime) -> anyhow::Result<()> {
    bring_in_roster(store, "roster.csv".as_ref(), RosterFile::shipped(samples::ROSTER), runtime).await
}

pub(super) async fn bring_in_sample_catalogue(store: &dyn Ports, runtime: &Runtime) -> anyhow::Result<()> {
    let rows = CatalogueFile::shipped(samples::CATALOGUE);
    bring_in_catalogue(store, "catalogue.csv".as_ref(), rows, runtime).await
}

/// A bar on a terminal; nothing where nobody watches.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{msg} {bar:40} {human_pos}/{human_len} {per_sec} {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    pub(super) fn callback(&self) -> OnProgress {
        let bar = self.0.clone();
        Arc::new(move |progress| match progress {
            Progress::Reading(rows) => {
                bar.set_message("读取 reading");
                bar.set_position(rows);
            }
            Progress::Writing(done, of) => {
                bar.set_message("写入 writing");
                bar.set_length(of);
                bar.set_position(done);
            }
        })
    }

    pub(super) fn pages(&self) -> impl FnMut(crate::store::sqlite::CopyProgress) + Send + 'static {
        let bar = self.0.clone();
        move |progress| {
            bar.set_length(progress.of);
            bar.set_position(progress.done);
        }
    }

    pub(super) fn checked(&self, settlements: u64) {
        self.0.set_message("核对 checking");
        self.0.set_position(settlements);
    }

    pub(super) fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// What was brought in.
pub(super) fn tell(imported: Imported) {
    super::say(&format!(
        "已导入 {rows} 行（{entries} 条），批次 {generation} | imported {in_rows} ({in_entries}), generation {generation}",
        rows = imported.rows,
        entries = imported.entries,
        in_rows = counted(imported.rows, "row", "rows"),
        in_entries = counted(imported.entries, "entry", "entries"),
        generation = imported.generation,
    ));
}
