//! Commands as an operator types them (`tests/cases/commands.toml`): arguments, exit code, and what is said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use yizhan_contract::stay::civil_date;

use crate::cli::sample;
use crate::project;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Keys of every hospital's profile beside those of the sample.
    #[serde(default)]
    profile: String,
    /// Files of its folder.
    #[serde(default)]
    files: Vec<(String, String)>,
    /// A stay was sent before that cannot be priced.
    #[serde(default)]
    one_waits: bool,
    /// Commands that went before, whatever they ended in.
    #[serde(default)]
    before: Vec<String>,
    run: String,
    exit: i32,
    /// What is printed, on either stream.
    says: Vec<String>,
    #[serde(default)]
    never: Vec<String>,
}

/// A house as the README sets it up: key, configuration, hospitals, and the sample registers in the store.
struct House {
    folder: TempDir,
    /// Of what was last settled as JSON: its id, and the day of its bill in Shanghai.
    last: Option<(String, String)>,
    /// The first word of what was last printed as text.
    word: String,
}

impl House {
    fn new(case: &Case) -> Self {
        let house = Self { folder: TempDir::new().unwrap(), last: None, word: String::new() };
        let hospitals = house.path("hospitals");
        std::fs::create_dir(&hospitals).unwrap();
        std::fs::create_dir(house.path("policies")).unwrap();
        std::fs::copy(project("adapters/rules/policies/shandong-2020.toml"), house.path("again.toml"))
            .unwrap();
        for file in std::fs::read_dir(project("tests/samples/hospitals")).unwrap() {
            let file = file.unwrap();
            let profile = format!("{}\n{}", case.profile, std::fs::read_to_string(file.path()).unwrap());
            std::fs::write(hospitals.join(file.file_name()), profile).unwrap();
        }
        let config = "store = \"yizhan.db\"\nkey_file = \"yizhan.key\"\nhospitals = \"hospitals\"\n";
        std::fs::write(house.path("yizhan.toml"), config).unwrap();
        for command in [
            "key new {folder}/yizhan.key",
            "roster import {samples}/roster.csv --mode delta --store {store}",
            "catalogue import {samples}/catalogue.csv --store {store}",
        ] {
            assert!(house.run(command).status.success(), "{command}");
        }
        for (name, text) in &case.files {
            std::fs::write(house.path(name), text).unwrap();
        }
        if case.one_waits {
            house.leave_one_waiting();
        }
        house
    }

    /// The sample's late charges of a year in which the hospital had no agreement.
    fn leave_one_waiting(&self) {
        for message in ["08b-late-charges-charges.hl7", "08c-late-charges-discharge.hl7"] {
            let text = read(Path::new(&sample(message))).replace("202011", "201311");
            std::fs::write(self.path(message), text).unwrap();
        }
        let profile = self.path("hospitals/H37132301.toml");
        let text = read(&profile);
        std::fs::write(&profile, format!("charges_quiet_s = 3600\n{text}")).unwrap();
        let refused = self.run(
            "settle {folder}/08b-late-charges-charges.hl7 {folder}/08c-late-charges-discharge.hl7 --store {store} \
             --profile {folder}/hospitals/H37132301.toml",
        );
        assert_eq!(refused.status.code(), Some(3));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, command: &str) -> Output {
        let (id, day) = self.last.clone().unwrap_or_default();
        let folder = self.folder.path().to_str().unwrap();
        let fill = |word: &str| {
            word.replace("{folder}", folder)
                .replace("{store}", &format!("{folder}/yizhan.db"))
                .replace("{config}", &format!("{folder}/yizhan.toml"))
                .replace("{samples}", &sample(""))
                .replace("{id}", &id)
                .replace("{day}", &day)
                .replace("{word}", &self.word)
        };
        let arguments = command.split_whitespace().map(fill);
        let mut yizhan = Command::new(env!("CARGO_BIN_EXE_yizhan"));
        yizhan.args(arguments).env_remove("YIZHAN_STORE").output().unwrap()
    }

    fn run_before(&mut self, command: &str) {
        let output = self.run(command);
        let printed = String::from_utf8(output.stdout).unwrap();
        for bill in printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let text = |name: &str| Some(bill[name].as_str()?.to_owned());
            if let Some((id, issued)) = text("settlement_id").zip(text("issued_at")) {
                self.last = Some((id, civil_date(issued.parse().unwrap()).to_string()));
            }
        }
        self.word = printed.split_whitespace().next().unwrap_or_default().to_owned();
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()))
}

#[test]
fn commands_end_and_speak_as_they_should() {
    let Cases { case: cases } = toml::from_str(&read(&project("tests/cases/commands.toml"))).unwrap();
    for case in cases {
        let mut house = House::new(&case);
        for command in &case.before {
            house.run_before(command);
        }
        let output = house.run(&case.run);
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(case.exit), "{}: {said}", case.name);
        let folder = house.folder.path().to_str().unwrap();
        for part in case.says.iter().map(|part| part.replace("{folder}", folder)) {
            assert!(said.contains(part.as_str()), "{}: {part:?} is missing from\n{said}", case.name);
        }
        for part in &case.never {
            assert!(!said.contains(part.as_str()), "{}: {part:?} stands in\n{said}", case.name);
        }
    }
}
