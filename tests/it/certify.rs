//! `yizhan adapter certify` over a simulated payer: how a run ends, by its exit code; and `yizhan adapter serve` under load.

use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use yizhan_kit::Service;
use yizhan_kit::certify::{
    Certify, Commanded, Level, Outcome, PATIENCE, Report, Restart, Standing, Started, Target, TestData,
    certify,
};
use yizhan_kit::simulate::{Simulated, simulate};

use crate::cli::yizhan;
use crate::handbook::{free_port, needs_python};
use crate::project;

struct Case {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Test data, where there are any.
    data: Option<&'static str>,
    exit: i32,
    says: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "all that is asked for is passed",
        arguments: &["--levels", "L0,L1"],
        data: None,
        exit: 0,
        says: &["[1/", "L1-01", "达到等级 level reached: L1"],
    },
    Case {
        name: "whoever cannot be restarted does not reach L4, and has failed nothing",
        arguments: &["--levels", "L4"],
        data: None,
        exit: 5,
        says: &["L4-04", "未测 not run", "L4 故障恢复 resilience: 未测完 incomplete"],
    },
    Case {
        name: "whoever was not ended by the command for it has not shown anything",
        arguments: &["--levels", "L4", "--restart", "true"],
        data: None,
        exit: 5,
        says: &["L4-04", "the adapter was not ended: a connection from before is still open"],
    },
    Case {
        name: "an adapter is not started where somebody answers already",
        arguments: &["--levels", "L0", "--start", "exec sleep 60"],
        data: None,
        exit: 2,
        says: &["somebody answers there already"],
    },
    Case {
        name: "a person is covered who should not be",
        arguments: &["--levels", "L1"],
        data: Some("[people.not_covered]\nid_number = \"99990019560101001X\"\n"),
        exit: 4,
        says: &["L1-04", "the answer not_covered", "重放 replay: curl", "达到等级 level reached: L0"],
    },
    Case {
        name: "test data are held to their form",
        arguments: &[],
        data: Some("[people.covered]\nid_number = \"999910195601010011\"\n"),
        exit: 3,
        says: &["data.toml: 2: people.covered.id_number"],
    },
    Case {
        name: "a level that does not exist",
        arguments: &["--levels", "L0,L8"],
        data: None,
        exit: 2,
        says: &["L8：没有这个等级，可用 L0 至 L7"],
    },
    Case {
        name: "half of an identity",
        arguments: &["--ca", "ca.pem"],
        data: None,
        exit: 2,
        says: &["--certificate"],
    },
    Case {
        name: "a next certificate without its key",
        arguments: &["--next", "next.pem"],
        data: None,
        exit: 2,
        says: &["--next-key"],
    },
    Case {
        name: "an expired certificate without its key",
        arguments: &["--expired", "expired.pem"],
        data: None,
        exit: 2,
        says: &["--expired-key"],
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_ends_as_its_trials_did() {
    let folder = TempDir::new().unwrap();
    let simulated = Simulated::by_default(vec!["supplementary".parse().unwrap()]).unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let service = Service { listen, tls: None, book: folder.path().join("payer.book") };
    let (ready, address) = tokio::sync::oneshot::channel();
    let serving =
        simulate(simulated, service, move |at| ready.send(at).unwrap(), std::future::pending::<()>());
    let serving = tokio::spawn(async move { serving.await.unwrap() });
    let url = format!("http://{}", address.await.unwrap());
    for Case { name, arguments, data, exit, says } in CASES {
        let mut all = vec!["adapter", "certify", &url];
        all.extend(*arguments);
        let file = folder.path().join("data.toml");
        if let Some(data) = data {
            std::fs::write(&file, data).unwrap();
            all.extend(["--data", file.to_str().unwrap()]);
        }
        let output = tokio::task::block_in_place(|| yizhan(&all));
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(*exit), "{name}: {said}");
        for part in *says {
            assert!(said.contains(part), "{name}: {part:?} is missing from\n{said}");
        }
    }
    serving.abort();
}

/// An adapter tried with the samples, without a load.
fn tried(target: Target, levels: Vec<Level>, restart: impl Restart + 'static) -> Certify {
    let (data, restart) = (TestData::default(), Some(Box::new(restart) as Box<dyn Restart>));
    Certify { target, data, levels, restart, load: Duration::ZERO, patience: PATIENCE }
}

/// Promises of speed that an interface and its mapping keep on a machine with a lot else to do, too.
fn leisurely(mapping: &str) -> String {
    let slower =
        [("quote_p95_ms = 800", "quote_p95_ms = 2000"), ("commit_p95_ms = 2000", "commit_p95_ms = 9000")];
    slower.iter().fold(mapping.to_owned(), |mapping, (promised, slower)| {
        assert!(mapping.contains(promised), "the example promises something else by now than {promised}");
        mapping.replace(promised, slower)
    })
}

/// What an insurer's own interface and its mapping promise of speed, they keep. All other levels are tried with the
/// handbook's own commands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapped_insurer_keeps_its_promises_under_load() {
    needs_python();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (insurer, adapter) = (free_port(), free_port());
    std::fs::write(path("anxin.key"), "sixteen bytes or more\n").unwrap();
    let mapping =
        leisurely(&std::fs::read_to_string(project("adapters/examples/mapping-json.toml")).unwrap());
    let is_certificate =
        |line: &&str| ["ca = ", "certificate = ", "key = "].iter().any(|key| line.starts_with(key));
    let lines: Vec<&str> = mapping.lines().filter(|line| !is_certificate(line)).collect();
    let here =
        lines.join("\n").replace("https://claims.anxin.example", &format!("http://127.0.0.1:{insurer}"));
    std::fs::write(path("mapping.toml"), here).unwrap();
    let core = format!(
        "exec python3 {} --listen 127.0.0.1:{insurer} --book {} --secret {}",
        project("adapters/examples/insurer.py").display(),
        path("insurer.db"),
        path("anxin.key"),
    );
    let at = |port: u16| Target { url: format!("http://127.0.0.1:{port}"), tls: None };
    let _core = Started::begin(&core, &folder.path().join("insurer.log"), &at(insurer)).unwrap();
    let served = format!(
        "exec {} adapter serve --mapping {} --listen 127.0.0.1:{adapter} --book {}",
        env!("CARGO_BIN_EXE_yizhan"),
        path("mapping.toml"),
        path("anxin.book"),
    );
    let started = Started::begin(&served, &folder.path().join("adapter.log"), &at(adapter)).unwrap();
    let asked =
        Certify { load: Duration::from_secs(1), ..tried(at(adapter), vec![Level::L5, Level::L6], started) };
    let report = certify(asked, &()).await.unwrap();
    let speed = report.levels.iter().find(|level| level.level == Level::L6).unwrap();
    assert_eq!(speed.standing, Standing::Passed, "{:#?}", report.trials);
    assert_eq!(of_logs(&report), Outcome::Passed);
}

/// What came of looking for people in what an adapter wrote.
fn of_logs(report: &Report) -> Outcome {
    report.trials.iter().find(|trial| trial.id == "L5-09").unwrap().outcome.clone()
}

/// Its log is read as the kit reads everybody's, and so are its first words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_simulated_payer_writes_names_nobody() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let command = format!(
        "exec {} simulate payer --payer supplementary --listen 127.0.0.1:{port} --book {}",
        env!("CARGO_BIN_EXE_yizhan"),
        folder.path().join("payer.book").display(),
    );
    let target = Target { url: format!("http://127.0.0.1:{port}"), tls: None };
    let started = Started::begin(&command, &folder.path().join("adapter.log"), &target).unwrap();
    let asked = tried(target, vec![Level::L5], started);
    assert_eq!(of_logs(&certify(asked, &()).await.unwrap()), Outcome::Passed);
}

/// An adapter that is kept alive by somebody else, and killed by a command of theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_of_ones_own_that_kills_the_adapter_reaches_l4() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let [id, book] = ["payer.pid", "payer.book"].map(|name| folder.path().join(name).display().to_string());
    let kept_alive = format!(
        "while :; do {} simulate payer --payer supplementary --listen 127.0.0.1:{port} --book {book} & echo $! > {id}; wait $!; done",
        env!("CARGO_BIN_EXE_yizhan"),
    );
    let target = Target { url: format!("http://127.0.0.1:{port}"), tls: None };
    let _keeper = Started::begin(&kept_alive, &folder.path().join("payer.log"), &target).unwrap();
    let asked = tried(target, vec![Level::L4], Commanded(format!("kill -9 $(cat {id})")));
    let report = certify(asked, &()).await.unwrap();
    let level = report.levels.iter().find(|level| level.level == Level::L4).unwrap();
    assert_eq!(level.standing, Standing::Passed, "{:#?}", report.trials);
}

/// What an adapter wrote that failed is there to be read: beside the reports, or in a file that is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_adapter_wrote_is_kept_where_something_failed() {
    let folder = TempDir::new().unwrap();
    let reports = folder.path().join("reports");
    let port = free_port();
    let start = format!(
        "echo of 99990019560101001X; exec {} simulate payer --payer supplementary --listen 127.0.0.1:{port} --book {}",
        env!("CARGO_BIN_EXE_yizhan"),
        folder.path().join("payer.book").display(),
    );
    let url = format!("http://127.0.0.1:{port}");
    let all = ["adapter", "certify", &url, "--levels", "L5", "--start", &start];
    let beside = [&all[..], &["--report", reports.to_str().unwrap()]].concat();
    for (arguments, is_named) in [(&all[..], true), (&beside[..], false)] {
        let output = tokio::task::block_in_place(|| yizhan(arguments));
        let [shown, told] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(output.status.code(), Some(4), "{shown}{told}");
        let came = shown.lines().find(|line| line.contains("line 1 has an identity card number")).unwrap();
        assert!(came.contains("of 5 lines") && !came.contains("99990019560101001X"), "{came}");
        let log = match is_named {
            true => told.trim().rsplit(' ').next().unwrap().into(),
            false => reports.join("adapter.log"),
        };
        let kept = std::fs::read_to_string(&log).unwrap();
        assert!(kept.starts_with("of 99990019560101001X\n"), "{}: {kept}", log.display());
        if is_named {
            std::fs::remove_file(log).unwrap();
        }
    }
}
