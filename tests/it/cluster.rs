//! Throw-away PostgreSQL clusters: on a socket in a folder of their own, durable, gone with the tests.
//!
//! The server refuses to run as root, so it runs as `postgres` or `nobody` there. A shell holds it: when the
//! tests end, however they end, the shell's input closes and it stops the server and removes the folder.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::NoTls;
use yizhan::config::Tls;

/// Every test of one run has a database of its own in one cluster.
pub(crate) fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start)
}

pub(crate) struct Cluster {
    folder: PathBuf,
    keeper: Child,
    /// Part of its socket's name.
    port: u16,
    has_tls: bool,
}

const STOPS_WITH_ITS_INPUT: &str = r#"
    cat >/dev/null
    $0 -D "$1/data" -m immediate stop >/dev/null 2>&1
    rm -rf "$1"
"#;

impl Cluster {
    pub(crate) fn start() -> Self {
        let cluster = Self::made(5432, false);
        cluster.restart();
        cluster
    }

    /// One that listens on a port of this machine as well, for nobody without TLS.
    pub(crate) fn with_tls(certificate: &Tls) -> (Self, u16) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        let cluster = Self::made(port, true);
        let data = cluster.folder.join("data");
        for (from, to) in [(&certificate.certificate, "server.crt"), (&certificate.key, "server.key")] {
            let to = data.join(to);
            std::fs::copy(from, &to).unwrap();
            std::fs::set_permissions(&to, Permissions::from_mode(0o600)).unwrap();
            if let Some((user, group)) = server_user() {
                std::os::unix::fs::chown(&to, Some(user), Some(group)).unwrap();
            }
        }
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        drop(free);
        cluster.restart();
        (cluster, port)
    }

    fn made(port: u16, has_tls: bool) -> Self {
        let folder = tempfile::Builder::new().prefix("yizhan-postgres-").tempdir().unwrap().keep();
        let keeper = as_server_user("sh")
            .args(["-c", STOPS_WITH_ITS_INPUT])
            .arg(program("pg_ctl"))
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal to all of the tests must not end it before its work is done.
            .process_group(0)
            .spawn()
            .unwrap();
        if let Some((user, group)) = server_user() {
            std::os::unix::fs::chown(&folder, Some(user), Some(group)).unwrap();
        }
        let cluster = Self { folder, keeper, port, has_tls };
        let init = as_server_user(program("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=yizhan", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(cluster.folder.join("data"))
            .output()
            .unwrap();
        assert!(init.status.success(), "initdb: {}", String::from_utf8_lossy(&init.stderr));
        cluster
    }

    /// Starts the server again after [`Cluster::kill`]; returns when it answers.
    pub(crate) fn restart(&self) {
        let options = format!(
            "{} -c port={} -c unix_socket_directories='{}' -c fsync=on -c synchronous_commit=on \
             -c max_connections=200 -c shared_buffers=64MB -c max_wal_size=512MB",
            if self.has_tls { "-c listen_addresses=127.0.0.1 -c ssl=on" } else { "-c listen_addresses=''" },
            self.port,
            self.folder.display()
        );
        // A server that was killed leaves processes behind that see it a moment later.
        let started = (0..20).any(|_| self.pg_ctl(&["-w", "-t", "60", "-o", &options, "start"]));
        assert!(started, "PostgreSQL does not start: {}", self.log());
    }

    /// What the server says.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// `kill -9`, to the server itself: what it leaves behind. Each of these processes answers until it sees it.
    pub(crate) fn kill(&self) -> Vec<String> {
        let mut left = self.stopped();
        signal(&left.remove(0), "-KILL");
        left
    }

    /// Every process of it stands still, with all its connections open.
    pub(crate) fn pause(&self) {
        self.stopped().iter().skip(1).for_each(|process| signal(process, "-STOP"));
    }

    pub(crate) fn resume(&self) {
        self.stopped().iter().for_each(|process| signal(process, "-CONT"));
    }

    /// The server, which starts no process any more, and those it has started.
    fn stopped(&self) -> Vec<String> {
        let lock = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let server = lock.lines().next().unwrap().trim();
        signal(server, "-STOP");
        let folders = std::fs::read_dir("/proc").unwrap();
        let processes = folders.filter_map(|folder| folder.unwrap().file_name().into_string().ok());
        let started = processes.filter(|process| stat(process).is_some_and(|(_, parent)| parent == server));
        [server.to_owned()].into_iter().chain(started).collect()
    }

    fn pg_ctl(&self, more: &[&str]) -> bool {
        let mut command = as_server_user(program("pg_ctl"));
        command.arg("-D").arg(self.folder.join("data")).arg("-l").arg(self.folder.join("log")).args(more);
        // Inherited, the test harness's own output would stay open as long as the server lives.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    pub(crate) fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// A new, empty database: its name.
    pub(crate) async fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let admin = self.client("postgres").await;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        name
    }

    pub(crate) fn address(&self, database: &str) -> String {
        let (folder, port) = (self.folder.display(), self.port);
        format!("postgres:///{database}?user=yizhan&host={folder}&port={port}")
    }

    pub(crate) async fn client(&self, database: &str) -> tokio_postgres::Client {
        let (client, connection) =
            tokio_postgres::connect(&self.address(database), NoTls).await.expect("the test's own connection");
        tokio::spawn(connection);
        client
    }

    /// Plays a dump into an empty database.
    pub(crate) fn play(&self, database: &str, dump: &str) {
        let mut psql = Command::new(program("psql"))
            .args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--output=/dev/null"])
            .arg(self.address(database))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        psql.stdin.take().unwrap().write_all(dump.as_bytes()).unwrap();
        assert!(psql.wait().unwrap().success());
    }

    /// What a program of PostgreSQL's says about a database.
    pub(crate) fn run(&self, name: &str, database: &str) -> Vec<u8> {
        let output = Command::new(program(name)).arg(self.address(database)).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// By the shell's own `kill`: a bare Debian has no program of that name.
fn signal(process: &str, name: &str) {
    assert!(Command::new("sh").args(["-c", "kill $0 $1", name, process]).status().unwrap().success());
}

/// Whether a process has ended, noticed by its parent or not.
pub(crate) fn has_ended(process: &str) -> bool {
    stat(process).is_none_or(|(state, _)| state == "Z")
}

/// A process's state and its parent.
fn stat(process: &str) -> Option<(String, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The program's name before them may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned);
    Some((fields.next()?, fields.next()?))
}

/// Where PostgreSQL's programs are: `YIZHAN_TEST_PG_BIN`, Debian's place, else the path.
fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let named = std::env::var_os("YIZHAN_TEST_PG_BIN").map(PathBuf::from);
        let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let newest = debian.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).max();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = named.into_iter().chain(newest).chain(std::env::split_paths(&path));
        folders.find(|folder| folder.join("initdb").is_file())
    });
    let folder = folder.as_deref().unwrap_or_else(|| {
        let say = "PostgreSQL is missing: tests/run.sh installs it, or YIZHAN_TEST_PG_BIN names its programs";
        let _ = writeln!(std::io::stderr(), "{say}");
        panic!("{say}")
    });
    folder.join(name)
}

/// Whom the server runs as; absent: as the tests do.
fn server_user() -> Option<(u32, u32)> {
    static USER: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    *USER.get_or_init(|| {
        use std::os::unix::fs::MetadataExt as _;
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            return None;
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let of = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2).map(|field| field.parse().ok());
            Some((fields.next()??, fields.next()??))
        };
        Some(of("postgres").or_else(|| of("nobody")).expect("a user PostgreSQL may run as"))
    })
}

fn as_server_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = server_user() {
        command.uid(user).gid(group);
    }
    // The tests' own folder may be closed to the server's user.
    command.current_dir("/");
    command
}
