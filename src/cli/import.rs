//! Bringing files into a store, with a bar that shows how far it is.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use yizhan_contract::counted;

use super::opened::{self, Opened};
use crate::runtime::Runtime;
use crate::sheet::{Problem, Problems};
use crate::store::address::Address;
use crate::store::registers::{Import, ImportError, Imported, OnProgress, Progress, Rows};

/// The store a file is brought into.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// 数据库文件，或 postgres:// 地址 | The store: a file, or a postgres:// address
    #[arg(long, env = "YIZHAN_STORE", hide_env_values = true)]
    pub store: Address,
    /// 密钥文件（默认与数据库文件同名，扩展名 .key）| Key file; default: beside the store's file, ending in .key
    #[arg(long, env = "YIZHAN_KEY_FILE")]
    pub key: Option<PathBuf>,
}

impl Target {
    pub(super) fn open(&self, runtime: &Runtime) -> anyhow::Result<Opened> {
        let key_file = opened::key_file_of(&self.store, self.key.as_deref())?;
        opened::open_beside(&self.store, &key_file, runtime)
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
