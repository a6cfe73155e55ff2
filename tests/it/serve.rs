//! `yizhan serve` as a process, set up as the README says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;
use yizhan::intake::mllp::frame;

use crate::project;

pub(crate) struct Serving {
    child: Child,
    pub(crate) http: String,
    pub(crate) mllp: String,
    log: Receiver<String>,
    folder: TempDir,
}

impl Serving {
    /// Its database.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("yizhan.db")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ready to start on free ports, with further variables of the environment and keys in every profile.
fn ready(environment: &[(&str, &str)], profile: &str) -> (TempDir, Command) {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::copy(project("schemas/yizhan.example.toml"), path("yizhan.toml")).unwrap();
    std::fs::create_dir(path("hospitals")).unwrap();
    for file in std::fs::read_dir(project("tests/samples/hospitals")).unwrap() {
        let file = file.unwrap();
        let sample = std::fs::read_to_string(file.path()).unwrap();
        std::fs::write(path("hospitals").join(file.file_name()), format!("{profile}\n{sample}")).unwrap();
    }
    let yizhan = || Command::new(env!("CARGO_BIN_EXE_yizhan"));
    let (samples, store) = (project("tests/samples"), path("yizhan.db"));
    assert!(yizhan().args(["key", "new"]).arg(path("yizhan.key")).output().unwrap().status.success());
    for (register, rows) in [("roster", "roster.csv"), ("catalogue", "catalogue.csv")] {
        let mut command = yizhan();
        command.args([register, "import"]).arg(samples.join(rows)).arg("--store").arg(&store);
        if register == "roster" {
            command.args(["--mode", "delta"]);
        }
        assert!(command.output().unwrap().status.success(), "{register}");
    }
    let mut command = yizhan();
    command.arg("serve").arg("--config").arg(path("yizhan.toml")).stderr(Stdio::piped());
    command.env("YIZHAN_HTTP_LISTEN", "127.0.0.1:0").env("YIZHAN_MLLP_LISTEN", "127.0.0.1:0");
    command.envs(environment.iter().copied());
    (folder, command)
}

pub(crate) fn serve(environment: &[(&str, &str)], profile: &str) -> Serving {
    let (folder, mut command) = ready(environment, profile);
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut listening = |channel: &str| loop {
        let line = log.next().expect("the gateway ended").unwrap();
        if let Some((_, address)) = line.split_once(&format!("listening for {channel} on ")) {
            return address.split('"').next().unwrap().to_owned();
        }
    };
    let (mllp, http) = (listening("mllp"), listening("http"));
    let (lines, log_lines) = channel();
    // Reads on to the end even where nobody listens: a full pipe would stop the gateway.
    std::thread::spawn(move || log.for_each(|line| drop(lines.send(line.unwrap_or_default()))));
    Serving { child, http, mllp, log: log_lines, folder }
}

#[test]
fn the_readmes_example_is_quoted_under_the_token_of_its_own_hospital() {
    let serving = serve(&[], "");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("http://{}/v1/discharges?mode=quote", serving.http);
    let body = std::fs::read(project("tests/samples/01-worked.json")).unwrap();
    for (token, status, said) in [("demo", 200, "1632.00"), ("demo-linyi", 403, "forbidden")] {
        let request = agent.post(&url).header("Authorization", format!("Bearer {token}"));
        let mut answer = request.header("Content-Type", "application/json").send(&body[..]).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status().as_u16(), status, "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn bills_leave_this_machine_in_plain_text_only_where_that_is_written() {
    let (_folder, mut command) = ready(&[], "return_address = \"10.9.8.7:6661\"");
    let refused = command.output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    for part in ["请改为 mllps://10.9.8.7:6661", "write mllps://10.9.8.7:6661", "plain_text_beyond_loopback"]
    {
        assert!(said.contains(part), "{said}");
    }
    serve(&[("YIZHAN_PLAIN_TEXT_BEYOND_LOOPBACK", "true")], "return_address = \"10.9.8.7:6661\"");
    serve(&[], "return_address = \"mllps://10.9.8.7:6661\"");
}

#[test]
fn a_listener_of_release_two_commits_before_it_answers() {
    let admission = std::fs::read(project("tests/samples/08a-late-charges-admit.hl7")).unwrap();
    for (release, begins) in [("2", &b"\x0b\x06\x1c\r\x0bMSH"[..]), ("1", b"\x0bMSH")] {
        let serving = serve(&[("YIZHAN_MLLP_RELEASE", release)], "");
        let mut stream = TcpStream::connect(&serving.mllp).unwrap();
        stream.write_all(&frame(&admission)).unwrap();
        let mut heard = vec![0; begins.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(heard, begins, "release {release}");
    }
}

#[test]
fn what_a_stay_came_to_that_fell_quiet_is_in_the_log() {
    let charges = std::fs::read_to_string(project("tests/samples/08b-late-charges-charges.hl7")).unwrap();
    let discharge = std::fs::read_to_string(project("tests/samples/08c-late-charges-discharge.hl7")).unwrap();
    let said = [("202011", "stay taken up: settled"), ("201311", "refused: agreement_not_in_force")];
    for (month, said) in said {
        let serving = serve(&[], "charges_quiet_s = 1");
        let mut stream = TcpStream::connect(&serving.mllp).unwrap();
        for message in [&charges, &discharge] {
            stream.write_all(&frame(message.replace("202011", month).as_bytes())).unwrap();
        }
        let heard = || serving.log.recv_timeout(Duration::from_secs(30)).expect(said);
        while !heard().contains(said) {}
    }
}
