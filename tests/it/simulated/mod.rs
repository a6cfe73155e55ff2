//! `yizhan simulate` as a process.

mod payer;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A process that serves, and where.
pub(crate) struct Running {
    child: Child,
    said: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut yizhan = Command::new(env!("CARGO_BIN_EXE_yizhan"));
        let mut child = yizhan.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        said.read_line(&mut url).unwrap();
        Self { child, said, url: url.trim().to_owned() }
    }

    /// SIGKILL: no last word.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; everything it has said since it told its address, and its exit code.
    fn stop(mut self) -> (String, Option<i32>) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        (said, self.child.wait().unwrap().code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
