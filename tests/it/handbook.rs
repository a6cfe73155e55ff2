//! The commands of `adapters/README.md`, run as they stand there, in a folder like the clone.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use yizhan_kit::simulate::listed;

use crate::{passed_over, project};

/// L6 is left out, which takes a minute each time; it is tried for a second elsewhere.
const WITHOUT_L6: &str = "L0,L1,L2,L3,L4,L5,L7";

/// Where services of the handbook listen. One that several blocks name is the same in all of them.
const PORTS: &[&str] = &["9443", "9080", "9081"];

fn handbook() -> String {
    std::fs::read_to_string(project("adapters/README.md")).unwrap()
}

/// The `sh` block below a heading.
fn block_below<'h>(handbook: &'h str, heading: &str) -> &'h str {
    let below = handbook.split_once(heading).unwrap_or_else(|| panic!("no heading {heading}")).1;
    below.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0
}

/// The examples need it.
pub(crate) fn needs_python() {
    let is_new = "import sys; sys.exit(sys.version_info < (3, 11))";
    let is_there = Command::new("python3").args(["-c", is_new]).status().is_ok_and(|status| status.success());
    assert!(is_there, "python3 3.11 or later is missing: tests/run.sh installs it");
}

/// Nobody listens there. Services ask for it by number, each time they are started.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The program of `adapters/examples/fund.rs`, where the examples were built.
pub(crate) fn fund() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_yizhan")).with_file_name("examples/fund")
}

/// The clone after its build.
fn clone() -> TempDir {
    let folder = TempDir::new().unwrap();
    let link = |from: &Path, to: &str| {
        std::os::unix::fs::symlink(from, folder.path().join(to)).unwrap();
    };
    link(&project("adapters"), "adapters");
    link(&project("schemas"), "schemas");
    std::fs::create_dir_all(folder.path().join("target/release")).unwrap();
    link(Path::new(env!("CARGO_BIN_EXE_yizhan")), "target/release/yizhan");
    std::fs::create_dir(folder.path().join("target/release/examples")).unwrap();
    link(&fund(), "target/release/examples/fund");
    folder
}

/// The commands with other ports in place of the handbook's, and these.
fn on_free_ports(commands: &str) -> (String, Vec<u16>) {
    let ports = PORTS.iter().filter(|port| commands.contains(**port)).map(|port| (*port, free_port()));
    let (mut moved, mut free) = (commands.to_owned(), Vec::new());
    for (port, other) in ports {
        moved = moved.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{other}"));
        free.push(other);
    }
    (moved, free)
}

/// The commands, certifying at these levels where they say nothing of levels.
fn at_levels(levels: &str, commands: &str) -> String {
    match commands.contains("--levels ") {
        true => commands.to_owned(),
        false => commands.replace("--start '", &format!("--levels {levels} --start '")),
    }
}

fn run(commands: &str, folder: &TempDir) -> Output {
    Command::new("sh").arg("-c").arg(commands).current_dir(folder).output().unwrap()
}

/// The build is the tests' own.
fn built(commands: &str) -> String {
    let is_build = |line: &&str| line.starts_with("cargo build --release");
    commands.lines().filter(|line| !is_build(line)).map(|line| format!("{line}\n")).collect()
}

fn passes(output: &Output, reached: &str) {
    let shown = String::from_utf8_lossy(&output.stdout);
    let is_reached = shown.contains(&format!("达到等级 level reached: {reached}\n"));
    assert!(output.status.success() && is_reached, "{shown}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The steps are counted where they are listed.
#[test]
fn two_commands_lead_from_the_clone_to_l1() {
    let handbook = handbook();
    let heading = "## 十分钟通过 L1";
    let listed = handbook.split_once(heading).unwrap().1.split_once("```sh").unwrap().0;
    let steps = listed.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).count();
    let block = block_below(&handbook, heading);
    assert_eq!((steps, block.lines().count()), (3, 2), "{listed}{block}");
    needs_python();
    let commands = built(block);
    assert_eq!(commands.lines().count(), 1, "{commands}");
    passes(&run(&on_free_ports(&commands).0, &clone()), "L1");
}

#[test]
fn the_python_example_is_certified_as_the_handbook_does_it() {
    let handbook = handbook();
    let block = block_below(&handbook, "## 评测");
    needs_python();
    let folder = clone();
    let (commands, _) = on_free_ports(&at_levels(WITHOUT_L6, block));
    let commands = format!("{} --sign try.key --junit try.xml", commands.trim_end());
    // L6 is left out, and what is passed together with all below it ends before it.
    passes(&run(&commands, &folder), "L5");
    for name in ["report.html", "report.json", "junit.xml", "transcript.txt", "attestation.json"] {
        assert!(folder.path().join("try-report").join(name).exists(), "{name}");
    }
    assert!(folder.path().join("try.xml").exists());
    let key = run("target/release/yizhan adapter keys try.key", &folder).stdout;
    let public = String::from_utf8(key).unwrap();
    let attestation = std::fs::read_to_string(folder.path().join("try-report/attestation.json")).unwrap();
    assert!(attestation.contains(public.trim()), "{public}{attestation}");
    // What its example does not promise was not tried, and whoever takes the attestation is told.
    let keys = "name = \"try\"\nmode = \"primary\"\notherwise = \"rules\"\nurl = \"http://127.0.0.1:9443\"\n";
    let file = format!("{keys}attestation = \"try-report/attestation.json\"\n");
    std::fs::write(folder.path().join("try.toml"), file).unwrap();
    let checked =
        String::from_utf8(run("target/release/yizhan adapter check try.toml", &folder).stdout).unwrap();
    assert!(checked.contains("not applicable and not tried: L1-11, "), "{checked}");
}

/// What the commands below a heading come to: an insurer's own interface, a mapping of it, and what is certified.
fn maps_and_certifies(heading: &str, checked: &str, adapter: &str) {
    let handbook = handbook();
    let block = block_below(&handbook, heading);
    needs_python();
    let output = run(&on_free_ports(&at_levels(WITHOUT_L6, block)).0, &clone());
    passes(&output, "L5");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains(checked) && shown.contains(adapter), "{shown}");
    assert!(shown.contains("L7 当日账 statement: 通过 passed"), "{shown}");
}

#[test]
fn a_mapping_is_checked_served_and_certified_as_the_handbook_does_it() {
    maps_and_certifies("### 映射文件", "anxin  off  文件有效", "anxin-claims 2026-11-27");
}

#[test]
fn so_is_one_of_xml_in_which_two_payers_are_paid_together() {
    maps_and_certifies("#### XML", "kangtai  off  文件有效", "kangtai-core 2026-11-27");
}

/// A payer in Rust: its `main` is what the handbook shows, and the program is a gateway that knows it.
#[test]
fn a_payer_in_rust_is_registered_in_ten_lines_and_certified() {
    let handbook = handbook();
    let shown = handbook.split_once("```rust\n").unwrap().1.split_once("```").unwrap().0;
    let program = std::fs::read_to_string(project("adapters/examples/fund.rs")).unwrap();
    assert!(program.contains(shown) && shown.lines().count() <= 10, "{shown}");
    let block = block_below(&handbook, "### Rust");
    if !fund().exists() {
        return passed_over("adapters/examples/fund.rs was not built: cargo build --examples");
    }
    let output = run(&on_free_ports(&at_levels(WITHOUT_L6, &built(block))).0, &clone());
    passes(&output, "L5");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("fund  off  文件有效") && shown.contains("L7 当日账 statement: 通过 passed"),
        "{shown}"
    );
    // The gateway as it is shipped knows none.
    let folder = clone();
    let unknown =
        run("target/release/yizhan adapter serve --payer fund --listen 127.0.0.1:0 --book x", &folder);
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(3), "{said}");
    assert!(said.contains("no payer is registered under this name; there are: -"), "{said}");
}

/// What the block begins is asked from outside; the numbers that the section lists are those of the program.
#[test]
fn a_simulated_payer_is_begun_as_the_handbook_does_it() {
    let handbook = handbook();
    let heading = "## 模拟的支付方";
    let block = block_below(&handbook, heading);
    passes(&run(&on_free_ports(block).0, &clone()), "L1");
    let section = handbook.split_once(heading).unwrap().1;
    for (number, magic) in listed() {
        let (number, does) = (number.as_str(), magic.text());
        let row = format!("| `{number}` | {} · {} |", does.zh, does.en);
        assert!(section.contains(&row), "{row}");
    }
}

/// For all of it, twice: what a block leaves running would be waited for, and ends then.
const GONE_THROUGH_WITHIN_S: &str = "500";

/// As somebody goes through it, in one shell and one folder, and begins anew: no block stands in another's way, nor in its own.
#[test]
fn the_handbook_is_gone_through_from_top_to_bottom_and_again() {
    needs_python();
    if !fund().exists() {
        return passed_over("adapters/examples/fund.rs was not built: cargo build --examples");
    }
    let handbook = handbook();
    let blocks = handbook.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let once: String = blocks.map(|block| at_levels("L0", &built(block))).collect();
    let (commands, ports) = on_free_ports(&once);
    assert_eq!(ports.len(), PORTS.len(), "{once}");
    let [http, mllp] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    // A gateway is led to other ports by its environment, and a hospital by what it is told.
    let sends = "simulate hospital --token demo";
    let moved = commands.replace(sends, &format!("{sends} --http http://{http} --mllp {mllp}"));
    assert_ne!(moved, commands);
    let folder = clone();
    std::fs::create_dir(folder.path().join("tests")).unwrap();
    std::os::unix::fs::symlink(project("tests/samples"), folder.path().join("tests/samples")).unwrap();
    // Where a command fails what stands beside it would keep the test waiting.
    let ends = "trap 'code=$?; trap - EXIT; test $code = 0 || kill 0; exit $code' EXIT";
    let all = format!("{ends}\n{}", moved.repeat(2));
    let mut shell = Command::new("timeout");
    shell.args([GONE_THROUGH_WITHIN_S, "sh", "-ec", &all]).current_dir(folder.path());
    let output = shell.env("YIZHAN_HTTP_LISTEN", http).env("YIZHAN_MLLP_LISTEN", mllp).output().unwrap();
    let [shown, told] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{}\n{shown}\n{told}", output.status);
    assert!(!told.contains("in use"), "{told}");
    let counted = |text: &str, part: &str| text.matches(part).count();
    assert_eq!(counted(&shown, "level reached: L"), 2 * counted(&once, "adapter certify "), "{shown}");
    // What the gateway has compared by then, in its first life and in its second.
    let compared = ["  比较 compared ", "  比较 compared 0 "].map(|part| counted(&shown, part));
    assert_eq!(compared, [2, 0], "{shown}");
}
