//! Ending an adapter the hard way, starting it again, and reading what it wrote meanwhile.

use std::fs::File;
use std::future::Future;
use std::io::{self, BufRead, BufReader, Read as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::target::{Target, TargetError};

/// How long a command may take to stop and start an adapter.
const RESTART_WAIT: Duration = Duration::from_secs(60);
/// For somebody who listens where an adapter is to be started.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);

pub type Restarting<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// What an adapter wrote, from its first line on.
pub type Said = Box<dyn BufRead + Send>;

/// Whoever can end an adapter without a warning (`kill -9`, or the plug) and start it on what it has kept.
pub trait Restart: Send + Sync {
    fn restart(&self) -> Restarting<'_>;

    /// How the process has ended that was to run the adapter. Absent: it runs, or is nobody's here to see.
    fn has_ended(&self) -> Option<String> {
        None
    }

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

/// Why no adapter is started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(
        "{0}：已有程序在此应答，由 --start 启动的适配器无法使用这个地址。请先结束它 | {0}: somebody answers there already, and the adapter of --start cannot. End that one first"
    )]
    Taken(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Started {
    /// Starts what will answer at the target, where nobody does yet: another would be certified in its place. What it
    /// writes to stdout and stderr goes to the file `log`, which is emptied first.
    ///
    /// # Errors
    /// Where the target is taken or none, no shell can be started, or the file cannot be written.
    pub fn begin(command: &str, log: &Path, target: &Target) -> Result<Self, StartError> {
        let called = target.check()?;
        // A name that leads nowhere is taken by nobody.
        let mut addresses = (called.host(), called.port()).to_socket_addrs().into_iter().flatten();
        if addresses.any(|address| TcpStream::connect_timeout(&address, TAKEN_WITHIN).is_ok()) {
            return Err(StartError::Taken(target.url.clone()));
        }
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

    fn has_ended(&self) -> Option<String> {
        // Whoever holds it is starting it again.
        let mut running = self.running.try_lock().ok()?;
        let ended = running.as_mut()?.child.try_wait();
        ended.unwrap_or_default().map(|status| status.to_string())
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
