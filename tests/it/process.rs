//! One program of ours as a process.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long it may take until it says where it listens.
const READY_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Process {
    child: Child,
    /// What it says, line by line.
    said: Receiver<String>,
}

/// `yizhan` with these words, and nothing of the tests' own environment that it would read.
pub(crate) fn yizhan<A: AsRef<OsStr>>(words: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yizhan"));
    command.args(words).env_remove("YIZHAN_STORE");
    command
}

/// Runs it to its end, which must be a good one; what it printed.
pub(crate) fn run<A: AsRef<OsStr>>(words: impl IntoIterator<Item = A>) -> String {
    let mut command = yizhan(words);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, said) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let lines = lines.clone();
            // Read on to the end, whoever listens: a full pipe would stop the process.
            std::thread::spawn(move || {
                BufReader::new(stream).lines().for_each(|line| drop(lines.send(line.unwrap_or_default())));
            });
        }
        Self { child, said }
    }

    /// What follows `words` in the next line that holds them, up to a blank or a quotation mark.
    pub(crate) fn says(&self, words: &str) -> String {
        let mut heard = Vec::new();
        loop {
            let line = self.said.recv_timeout(READY_WITHIN);
            let line = line.unwrap_or_else(|_| panic!("never said {words:?}:\n{}", heard.join("\n")));
            if let Some((_, rest)) = line.split_once(words) {
                return rest.split([' ', '"']).next().unwrap().to_owned();
            }
            heard.push(line);
        }
    }

    /// SIGKILL: no destructor, no last word.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn signal(&self, which: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([which, &id]).status().unwrap().success());
    }

    /// SIGHUP: it is to look again at what is around it.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    /// SIGSTOP: whatever it is sent waits, until it is killed.
    pub(crate) fn stands_still(&self) {
        self.signal("-STOP");
    }

    /// SIGTERM; what it has said that nobody heard yet, and its exit code.
    pub(crate) fn stop(mut self) -> (String, Option<i32>) {
        self.signal("-TERM");
        let exit = self.child.wait().unwrap().code();
        (self.said.iter().map(|line| line + "\n").collect(), exit)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
