//! One adapter's file in the folder of adapters: every mistake in it, each with its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use yizhan_contract::Text;
use yizhan_remote::{Target, TlsFiles};
use yizhan_rules::toml_file::Mistake;

use super::budget::{Limits, RawBudget};
use crate::settlement::directory::{Mode, Otherwise};

/// What a file that is no TOML is to be compared with.
const EXAMPLE: &str = "schemas/adapter.example.toml";
/// Characters of an adapter's name.
const NAME_CHARS_MAX: usize = 40;

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    mode: RawMode,
    #[serde(default)]
    canary: Vec<String>,
    otherwise: RawOtherwise,
    url: Option<String>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    mapping: Option<PathBuf>,
    #[serde(default)]
    built_in: bool,
    attestation: Option<PathBuf>,
    #[serde(default)]
    budget: RawBudget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawMode {
    Off,
    Shadow,
    Canary,
    Primary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawOtherwise {
    Rules,
    LeftOut,
}

/// How an adapter is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// It speaks the protocol.
    Protocol(Target),
    /// An interface of its own, described by this file.
    Mapping(PathBuf),
    /// It is compiled into this program, under the name of the file.
    BuiltIn,
}

/// An adapter as its file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterFile {
    pub name: Arc<str>,
    pub mode: Mode,
    pub otherwise: Otherwise,
    pub way: Way,
    pub attestation: Option<PathBuf>,
    pub budget: Limits,
}

impl AdapterFile {
    /// Reads the text of a file; relative paths in it begin at `folder`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Vec<Mistake>> {
        let parsed = toml::de::Deserializer::parse(text);
        let file = parsed.map_err(|why| vec![Mistake::no_toml(text, &why, EXAMPLE)])?;
        let raw: Raw = serde_path_to_error::deserialize(file)
            .map_err(|why| vec![Mistake::no_such_value(&why).in_line_of(text, why.inner())])?;
        raw.checked(folder)
    }

    /// Every file it rests on, which is looked at with it.
    pub fn beside(&self) -> Vec<&Path> {
        self.attestation.as_deref().into_iter().chain(self.on_the_way()).collect()
    }

    /// Of these, the files that say how the adapter is reached.
    pub fn on_the_way(&self) -> Vec<&Path> {
        match &self.way {
            Way::BuiltIn => Vec::new(),
            Way::Mapping(file) => vec![file],
            Way::Protocol(Target { tls: None, .. }) => Vec::new(),
            Way::Protocol(Target { tls: Some(TlsFiles { ca, certificate, key }), .. }) => {
                [Some(ca), certificate.as_ref(), key.as_ref()]
                    .into_iter()
                    .flatten()
                    .map(|path| &**path)
                    .collect()
            }
        }
    }
}

impl Raw {
    fn checked(self, folder: &Path) -> Result<AdapterFile, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        self.check_name(&mut mistakes);
        let mode = self.mode(&mut mistakes);
        let way = self.way(folder, &mut mistakes);
        let budget = self.budget.checked(&mut mistakes);
        let (Some(way), true) = (way, mistakes.is_empty()) else { return Err(mistakes) };
        Ok(AdapterFile {
            name: self.name.into(),
            mode,
            otherwise: match self.otherwise {
                RawOtherwise::Rules => Otherwise::Rules,
                RawOtherwise::LeftOut => Otherwise::LeftOut,
            },
            way,
            attestation: self.attestation.map(|path| folder.join(path)),
            budget,
        })
    }

    fn check_name(&self, mistakes: &mut Vec<Mistake>) {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        let count = self.name.chars().count();
        if count == 0 || count > NAME_CHARS_MAX || !self.name.chars().all(is_plain) || self.name == "rules" {
            mistakes.push(Mistake::at(
                "name",
                Text::new(
                    format!("须为 1 至 {NAME_CHARS_MAX} 个 a-z、0-9、_ 或 -，且不得为 rules"),
                    format!("must be 1 to {NAME_CHARS_MAX} of a-z, 0-9, _ and -, and not rules"),
                ),
            ));
        }
    }

    fn mode(&self, mistakes: &mut Vec<Mistake>) -> Mode {
        if self.mode != RawMode::Canary {
            if !self.canary.is_empty() {
                let text = Text::new(
                    "只与 mode = \"canary\" 一起使用，请更正或删除",
                    "goes with mode = \"canary\" alone; correct or remove it",
                );
                mistakes.push(Mistake::at("canary", text));
            }
            return match self.mode {
                RawMode::Off | RawMode::Canary => Mode::Off,
                RawMode::Shadow => Mode::Shadow,
                RawMode::Primary => Mode::Primary,
            };
        }
        let hospitals: BTreeSet<Arc<str>> = self.canary.iter().map(|code| Arc::from(code.as_str())).collect();
        if hospitals.is_empty() {
            let text = Text::new(
                "mode = \"canary\" 须列出至少一家医院的代码",
                "mode = \"canary\" needs the code of at least one hospital",
            );
            mistakes.push(Mistake::at("canary", text));
        }
        Mode::Canary(hospitals)
    }

    fn way(&self, folder: &Path, mistakes: &mut Vec<Mistake>) -> Option<Way> {
        let certificates = [("ca", &self.ca), ("certificate", &self.certificate), ("key", &self.key)];
        match (&self.url, &self.mapping, self.built_in) {
            (Some(url), None, false) => {
                let tls = self.ca.clone().map(|ca| {
                    let (certificate, key) = (self.certificate.clone(), self.key.clone());
                    TlsFiles { ca, certificate, key }.relative_to(folder)
                });
                if tls.is_none() {
                    let left = certificates.iter().filter(|(_, path)| path.is_some());
                    mistakes.extend(
                        left.map(|(key, _)| {
                            Mistake::at(*key, Text::new("须同时给出 ca", "needs ca beside it"))
                        }),
                    );
                }
                let target = Target { adapter: self.name.as_str().into(), base_url: url.clone(), tls };
                match target.check() {
                    Ok(()) => Some(Way::Protocol(target)),
                    Err(why) => {
                        mistakes.push(Mistake::at("url", why.text()));
                        None
                    }
                }
            }
            (None, Some(mapping), false) => {
                let text =
                    Text::new("写在映射文件的 [connection] 里", "stands in [connection] of the mapping");
                let left = certificates.iter().filter(|(_, path)| path.is_some());
                mistakes.extend(left.map(|(key, _)| Mistake::at(*key, text.clone())));
                Some(Way::Mapping(folder.join(mapping)))
            }
            (None, None, true) => {
                let text = Text::new("只用于 url，请删除", "goes with url alone; remove it");
                let left = certificates.iter().filter(|(_, path)| path.is_some());
                mistakes.extend(left.map(|(key, _)| Mistake::at(*key, text.clone())));
                Some(Way::BuiltIn)
            }
            (_, _, true) => {
                let text = Text::new(
                    "不与 url 或 mapping 同时使用，请只留一项",
                    "goes with neither url nor mapping; keep one of them",
                );
                mistakes.push(Mistake::at("built_in", text));
                None
            }
            (Some(_), Some(_), false) | (None, None, false) => {
                let text = Text::new(
                    "url 与 mapping 须给出其一，且只给一项",
                    "one of url and mapping is needed, and not both",
                );
                mistakes.push(Mistake::at("url", text));
                None
            }
        }
    }
}
