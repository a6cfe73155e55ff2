//! The commands of `adapters/README.md`, run as they stand there, in a folder like the clone.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use yizhan_kit::simulate::listed;

use crate::{passed_over, project};

/// The one level that takes a minute; it is tried for a second elsewhere.
const WITHOUT_L6: &str = "--levels L0,L1,L2,L3,L4,L5,L7";

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

/// What was put beside the commands is ended after them.
fn run(commands: &str, folder: &TempDir) -> Output {
    let stopped = format!("{commands}\ncode=$?; test -z \"$!\" || kill \"$!\"; exit $code");
    Command::new("sh").arg("-c").arg(stopped).current_dir(folder).output().unwrap()
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
    // The build is the test's own.
    let commands = block.replace("cargo run --release --", "target/release/yizhan");
    assert_ne!(commands, block);
    let output = run(&commands.replace("9443", &free_port().to_string()), &clone());
    passes(&output, "L1");
}

#[test]
fn the_python_example_is_certified_as_the_handbook_does_it() {
    let handbook = handbook();
    let block = block_below(&handbook, "## 评测");
    needs_python();
    let folder = clone();
    let commands = block.replace("9443", &free_port().to_string());
    let commands = format!("{} {WITHOUT_L6} --sign try.key --junit try.xml", commands.trim_end());
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
}

/// What the commands below a heading come to: an insurer's own interface, a mapping of it, and what is certified.
fn maps_and_certifies(heading: &str, insurer_port: &str, checked: &str, adapter: &str) {
    let handbook = handbook();
    let block = block_below(&handbook, heading);
    needs_python();
    let [served, insurer] = [free_port(), free_port()].map(|port| port.to_string());
    assert!(block.contains(insurer_port), "{block}");
    let commands = block.replace("9443", &served).replace(insurer_port, &insurer);
    let output = run(&format!("{} {WITHOUT_L6}", commands.trim_end()), &clone());
    passes(&output, "L5");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains(checked) && shown.contains(adapter), "{shown}");
    assert!(shown.contains("L7 当日账 statement: 通过 passed"), "{shown}");
}

#[test]
fn a_mapping_is_checked_served_and_certified_as_the_handbook_does_it() {
    maps_and_certifies("### 映射文件", "9080", "anxin  off  文件有效", "anxin-claims 2026-11-27");
}

#[test]
fn so_is_one_of_xml_in_which_two_payers_are_paid_together() {
    maps_and_certifies("#### XML", "9081", "kangtai  off  文件有效", "kangtai-core 2026-11-27");
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
    let built =
        block.replace("cargo build --release --example fund\n", "").replace("9443", &free_port().to_string());
    let output = run(&format!("{} {WITHOUT_L6}", built.trim_end()), &clone());
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
    let block = block_below(&handbook, heading).trim_end();
    let files = "--ca certs/ca.pem --certificate certs/gateway.pem --key certs/gateway-key.pem";
    let commands = format!(
        "{block} &\ntarget/release/yizhan adapter certify https://127.0.0.1:9443 {files} --levels L0,L1"
    );
    passes(&run(&commands.replace("9443", &free_port().to_string()), &clone()), "L1");
    let section = handbook.split_once(heading).unwrap().1;
    for (number, magic) in listed() {
        let (number, does) = (number.as_str(), magic.text());
        let row = format!("| `{number}` | {} · {} |", does.zh, does.en);
        assert!(section.contains(&row), "{row}");
    }
}
