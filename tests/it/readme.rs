//! The README's commands, run as they stand there, in a copy of what they touch.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{passed_over, project};

/// What other tests run, or what runs this one.
const RUN_ELSEWHERE: [&str; 2] = ["cargo run --release -- demo", "tests/run.sh"];

fn readme() -> String {
    fs::read_to_string(project("README.md")).unwrap()
}

/// The `sh` blocks in their order, without those that are run elsewhere.
fn blocks(readme: &str) -> Vec<String> {
    let fenced = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    let runs_elsewhere = |line: &str| RUN_ELSEWHERE.iter().any(|known| line.starts_with(known));
    fenced.filter(|block| !block.lines().all(runs_elsewhere)).collect()
}

/// The files that the commands name, and the program where they call it.
struct Copy {
    folder: TempDir,
    alias: String,
}

impl Copy {
    fn of(blocks: &[String]) -> Self {
        let folder = TempDir::new().unwrap();
        for from in ["tests/samples", "tests/samples/hospitals", "schemas"] {
            fs::create_dir_all(folder.path().join(from)).unwrap();
            for entry in fs::read_dir(project(from)).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() {
                    fs::copy(entry.path(), folder.path().join(from).join(entry.file_name())).unwrap();
                }
            }
        }
        fs::create_dir_all(folder.path().join("target/release")).unwrap();
        let program = folder.path().join("target/release/yizhan");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_yizhan"), program).unwrap();
        let alias = blocks.iter().flat_map(|block| block.lines()).find(|line| line.starts_with("alias "));
        Self { folder, alias: alias.unwrap().to_owned() }
    }

    fn shell(&self, commands: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.arg("-ec").arg(format!("{}\n{commands}", self.alias));
        shell.current_dir(self.folder.path()).env_remove("YIZHAN_STORE");
        shell
    }

    fn run(&self, commands: &str) -> Output {
        self.shell(commands).output().unwrap()
    }

    /// What the commands print; all of them must succeed.
    fn prints(&self, commands: &str) -> String {
        let output = self.run(commands);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}\n{said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let readme = readme();
    let blocks = blocks(&readme);
    let [change, several, run, ask] = &blocks[..] else { panic!("{blocks:#?}") };
    let copy = Copy::of(&blocks);
    a_changed_amount_moves_the_payers(&copy, change);
    files_are_settled_and_the_policy_is_explained(&copy, several);
    a_gateway_answers(&copy, run, ask);
}

fn a_changed_amount_moves_the_payers(copy: &Copy, block: &str) {
    let printed = copy.prints(block);
    for sum in [
        "总费用 12,000.00 = 各方支付 10,368.00 + 个人支付 1,632.00",
        "总费用 48,000.00 = 各方支付 41,948.40 + 个人支付 6,051.60",
    ] {
        assert!(printed.contains(sum), "{sum} is not printed:\n{printed}");
    }
    let replaced = block.lines().find(|line| line.starts_with("sed ")).unwrap();
    let (first, rest) = replaced.split_once("; s/\"12000.00\"").unwrap();
    let alone = format!("{first}'{}", rest.split_once('\'').unwrap().1);
    let refused = copy.run(&format!("{alone}\nyizhan settle changed.json"));
    let said = String::from_utf8([refused.stdout, refused.stderr].concat()).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("12000.00") && said.contains("48000.00"), "{said}");
}

fn files_are_settled_and_the_policy_is_explained(copy: &Copy, block: &str) {
    let printed = copy.prints(block);
    let (bills, page): (Vec<&str>, Vec<&str>) = printed.lines().partition(|line| line.starts_with('{'));
    let answers: Vec<Value> = bills.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let settled = answers.iter().filter(|answer| answer["state"] == "settled").count();
    assert!(answers.len() >= 4 && settled >= 1, "{bills:#?}");
    assert!(page.iter().any(|line| line.contains("nobody: sample figures, not official")), "{page:#?}");
}

/// Ends with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn a_gateway_answers(copy: &Copy, run: &str, ask: &str) {
    // In place of the shell, so that ending it ends the gateway; and on ports that nobody else has.
    let run = run.replace("\nyizhan serve", "\nexec target/release/yizhan serve");
    let mut shell = copy.shell(&run);
    shell.env("YIZHAN_HTTP_LISTEN", "127.0.0.1:0").env("YIZHAN_MLLP_LISTEN", "127.0.0.1:0");
    let mut serving = Serving(shell.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut log = BufReader::new(serving.0.stderr.take().unwrap()).lines();
    let address = loop {
        let line = log.next().expect("the commands ended before a gateway listened").unwrap();
        if let Some((_, address)) = line.split_once("listening for http on ") {
            break address.split('"').next().unwrap().to_owned();
        }
    };
    // A full pipe would stop the gateway.
    std::thread::spawn(move || log.for_each(drop));
    if Command::new("curl").arg("--version").output().is_err() {
        return passed_over("no curl to ask the README's gateway with");
    }
    assert!(ask.contains("127.0.0.1:8080"), "{ask}");
    let answered: Value =
        serde_json::from_str(&copy.prints(&ask.replace("127.0.0.1:8080", &address))).unwrap();
    assert_eq!(
        (&answered["state"], &answered["patient_share"]),
        (&"quoted".into(), &"1632.00".into()),
        "{answered}"
    );
}

/// The Chinese part says its commands within sentences: they are those of the blocks.
#[test]
fn the_chinese_part_gives_the_same_commands() {
    let readme = readme();
    let (english, chinese) = readme.split_once("## 快速上手").unwrap();
    let all = blocks(english).concat();
    for command in ["sed 's/\"4000.00\"", "settle --explain changed.json"] {
        let quoted = chinese.split('`').find(|text| text.contains(command)).unwrap();
        let plain = quoted.replace("target/release/", "");
        assert!(all.lines().any(|line| line == plain), "{quoted}");
    }
    for word in chinese.split('`').filter(|text| text.starts_with("schemas/") || text.starts_with("tests/")) {
        assert!(Path::new(&project(word.split(' ').next().unwrap())).exists(), "{word}");
    }
}
