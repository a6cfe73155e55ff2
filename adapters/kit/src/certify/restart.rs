//! Ending an adapter the hard way, starting it again, and reading what it wrote meanwhile.

use std::fs::File;
use std::future::Future;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// How long a command may take to stop and start an adapter.
const RESTART_WAIT: Duration = Duration::from_secs(60);

pub type Restarting<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// What an adapter wrote, from its first line on.
pub type Said = Box<dyn BufRead + Send>;

/// Whoever can end an adapter without a warning (`kill -9`, or the plug) and start it on what it has kept.
pub trait Restart: Send + Sync {
    fn restart(&self) -> Restarting<'_>;

    /// Everything the adapter has written to its stdout and stderr so far, over all its lives; absent: that goes elsewhere.
    ///
    /// # Errors
    /// Where it was kept and cannot be read.
    fn said(&self) -> io::Result<Option<Said>> {
        Ok(None)
    }
}

/// `--start`: the kit starts the adapter, kills it and starts it again. Dropped, it kills it for good.
#[derive(Debug)]
pub struct Started {
    command: String,
    log: PathBuf,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn start(command: &str, log: &Path) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut shell = Command::new("sh");
        // A group of its own: whatever the command starts ends with it.
        shell.arg("-c").arg(command).process_group(0).stdin(Stdio::null());
        shell.stdout(log.try_clone()?).stderr(log);
        let child = shell.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(Self { child, group })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Started {
    /// What the adapter writes to stdout and stderr goes to the file `log`, which is emptied first.
    ///
    /// # Errors
    /// Where no shell can be started, or the file cannot be written.
    pub fn begin(command: &str, log: &Path) -> io::Result<Self> {
        File::create(log)?;
        let running = Mutex::new(Some(Running::start(command, log)?));
        Ok(Self { command: command.to_owned(), log: log.to_owned(), running })
    }
}

impl Restart for Started {
    fn restart(&self) -> Restarting<'_> {
        Box::pin(async move {
            let mut running = self.running.lock().await;
            if let Some(mut ended) = running.take() {
                if let Some(group) = ended.group.take() {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                let _ = ended.child.wait().await;
            }
            let again = Running::start(&self.command, &self.log);
            *running = Some(again.map_err(|why| why.to_string())?);
            Ok(())
        })
    }

    fn said(&self) -> io::Result<Option<Said>> {
        let log = File::open(&self.log)?;
        // What is written while it is read is not waited for.
        let bytes = log.metadata()?.len();
        Ok(Some(Box::new(BufReader::new(log.take(bytes)))))
    }
}

/// `--restart`: a command that ends the adapter without a warning and starts it again.
#[derive(Debug, Clone)]
pub struct Commanded(pub String);

impl Restart for Commanded {
    fn restart(&self) -> Restarting<'_> {
        Box::pin(async move {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(&self.0).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
            let ended = tokio::time::timeout(RESTART_WAIT, shell.status()).await;
            match ended {
                Ok(Ok(status)) if status.success() => Ok(()),
                Ok(Ok(status)) => Err(format!("{}: {status}", self.0)),
                Ok(Err(why)) => Err(why.to_string()),
                Err(_) => Err(format!("{}: longer than {} s", self.0, RESTART_WAIT.as_secs())),
            }
        })
    }
}
