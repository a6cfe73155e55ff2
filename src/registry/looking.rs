//! The folder as it is looked at: what each file says, how it is reached, and whether that is taken.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use yizhan_contract::{PayerCode, Text};
use yizhan_rules::toml_file::Mistake;

use super::attested::Attested;
use super::file::AdapterFile;
use super::reach::{Reach, Reached, Said, Shared};
use super::{Entry, Good, Registry};
use crate::settlement::directory::{Directory, Mode, Registered};
use crate::telemetry;

/// Services that are asked at a time what they are. One that does not answer keeps its place for two seconds.
pub(super) const ASKED_AT_ONCE_MAX: usize = 16;

/// What files look like: a digest of what stands in them.
pub(super) type Print = [u8; 32];

/// What a file says, and what it and all it rests on look like.
pub(super) struct Read {
    pub(super) file: Result<AdapterFile, Vec<Mistake>>,
    seen: Print,
    /// Of the files that say how it is reached.
    way: Print,
}

/// A file that is to be looked at.
struct Due {
    path: PathBuf,
    seen: Print,
    asks: Result<Asks, Vec<Mistake>>,
}

/// What it takes to find out how its adapter is reached, and is there.
struct Asks {
    file: AdapterFile,
    way: Print,
    /// The same adapter as it is reached now.
    known: Option<Reach>,
    shared: Shared,
}

/// A file whose adapter can be reached.
struct Found {
    file: AdapterFile,
    way: Print,
    reached: Reached,
}

impl Due {
    async fn asked(self) -> (PathBuf, Print, Result<Found, Vec<Mistake>>) {
        let found = match self.asks {
            Ok(Asks { file, way, known, shared }) => {
                let reached = shared.reach(&file, known).await;
                reached.map(|reached| Found { file, way, reached })
            }
            Err(mistakes) => Err(mistakes),
        };
        (self.path, self.seen, found)
    }
}

impl Registry {
    /// Looks at the folder once; `is_ordered`: also at files that look as they did.
    ///
    /// # Errors
    /// Where the folder itself cannot be read: files are as they were. What services say of themselves, and that an
    /// attestation lapses, counts all the same.
    pub async fn look(&mut self, is_ordered: bool) -> std::io::Result<()> {
        let files = toml_files_in(&self.setting.folder);
        if let Ok(files) = &files {
            self.let_go(files);
        }
        for path in self.changed_of_themselves().await {
            self.entries.entry(path).and_modify(|entry| entry.seen = None);
        }
        let looked = match files {
            Ok(files) => {
                self.look_at(files, is_ordered).await;
                Ok(())
            }
            Err(unread) => Err(unread),
        };
        self.put();
        looked
    }

    /// Of files that are not there any more. One that stands there under another name now is the same adapter still: what
    /// is known of it counts also while its service does not answer.
    fn let_go(&mut self, files: &[PathBuf]) {
        let gone: Vec<PathBuf> = self.entries.keys().filter(|path| !files.contains(path)).cloned().collect();
        if gone.is_empty() {
            return;
        }
        let is_new = |path: &&PathBuf| self.entries.get(*path).is_none_or(|entry| entry.good.is_none());
        let new = files.iter().filter(is_new);
        let new = new.filter_map(|path| Some((read(path).file.ok()?.name, path.clone())));
        let mut renamed: BTreeMap<Arc<str>, PathBuf> = new.collect();
        for path in gone {
            let entry = self.entries.remove(&path);
            let to = entry.as_ref().and_then(|entry| renamed.remove(&entry.good.as_ref()?.file.name));
            match (entry, to) {
                (Some(entry), Some(to)) => {
                    self.entries.insert(to, Entry { seen: None, ..entry });
                }
                (_, _) => telemetry::adapter_gone(&path.display()),
            }
        }
    }

    async fn look_at(&mut self, files: Vec<PathBuf>, is_ordered: bool) {
        let due: Vec<Due> = files.into_iter().filter_map(|path| self.due(path, is_ordered)).collect();
        // Side by side, or services that do not answer would add up. One that has ended makes room for the next, whatever
        // stands before it; they are taken in the order of their files.
        let asked = stream::iter(due).map(Due::asked).buffer_unordered(ASKED_AT_ONCE_MAX);
        let mut asked: Vec<_> = asked.collect().await;
        asked.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        for (path, seen, found) in asked {
            let taken = found.and_then(|found| self.taken(&path, found));
            self.entries.entry(path.clone()).or_default().becomes(&path, seen, taken);
        }
    }

    /// Absent: it is as it was. What was not taken may be mended elsewhere, and is looked at each time.
    fn due(&mut self, path: PathBuf, is_ordered: bool) -> Option<Due> {
        let Read { file, seen, way } = read(&path);
        let entry = self.entries.entry(path.clone()).or_default();
        let is_unheard_of = entry.good.as_ref().is_some_and(|good| matches!(good.reach, Reach::UnheardOf(_)));
        let is_settled = entry.seen == Some(seen) && entry.mistakes.is_empty() && !is_unheard_of;
        if is_settled && !is_ordered {
            return None;
        }
        let asks = file.and_then(|file| {
            self.fits_here(&file)?;
            let before = self.entries.get(&path).and_then(|entry| entry.good.as_ref());
            let is_led_as_before =
                |good: &&Good| good.file.name == file.name && good.file.way == file.way && good.way == way;
            let known = before.filter(is_led_as_before).map(|good| good.reach.clone());
            let shared = Shared { host: self.watch(&file.name), ..self.shared.clone() };
            Ok(Asks { file, way, known, shared })
        });
        Some(Due { path, seen, asks })
    }

    /// Whether what it says of hospitals and payers is so.
    fn fits_here(&self, file: &AdapterFile) -> Result<(), Vec<Mistake>> {
        let mut mistakes = Vec::new();
        if let Mode::Canary(hospitals) = &file.mode {
            for code in hospitals.iter().filter(|code| !self.setting.hospitals.contains(*code)) {
                let (zh, en) =
                    (format!("没有代码为 {code} 的医院"), format!("no hospital has the code {code}"));
                mistakes.push(Mistake::at("canary", Text::new(zh, en)));
            }
        }
        if self.given_to(&file.name).next().is_none() && file.mode != Mode::Off {
            let name = &file.name;
            let text = Text::new(
                format!("配置的 [payers] 未将任何支付方交由 {name} 承办"),
                format!("[payers] of the configuration gives no payer to {name}"),
            );
            mistakes.push(Mistake::at("name", text));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }

    /// The adapter a file describes, where it goes together with all others.
    fn taken(&self, path: &Path, found: Found) -> Result<(Good, Said), Vec<Mistake>> {
        let Found { file, way, reached: Reached { reach, said: says } } = found;
        let others = self.entries.iter().filter(|(other, _)| *other != path);
        let others: Vec<&Good> = others.filter_map(|(_, entry)| entry.good.as_ref()).collect();
        if others.iter().any(|other| other.file.name == file.name) {
            let text = Text::new("此名称已被另一个文件使用", "is the name of another file's adapter");
            return Err(vec![Mistake::at("name", text)]);
        }
        let before = self.entries.get(path).and_then(|entry| entry.good.as_ref());
        if let (Reach::UnheardOf(_), Some(_)) = (&reach, before.and_then(|good| good.reach.known())) {
            // Not even known to be an adapter: what was good stays.
            return Err(vec![Mistake::at("url", reach.standing())]);
        }
        let serves = served(&reach, &self.given_to(&file.name).collect::<Vec<_>>())?;
        let attested = Attested::read(file.attestation.as_deref());
        let said = match &says {
            Said::Now => reach.known().map(|payer| (payer.manifest().clone(), self.runtime.now())),
            Said::Nothing | Said::Nonsense(_) => before.and_then(|good| good.said.clone()),
        };
        let good = Good { file, reach, way, serves, attested, said };
        let together: Vec<Registered> =
            others.into_iter().chain([&good]).filter_map(|good| self.known(good)).collect();
        Directory::check(&together, &self.setting.policies)
            .map_err(|why| vec![Mistake::at("mode", why.text())])?;
        Ok((good, says))
    }
}

impl Entry {
    /// What is told is told once, until it is something else.
    fn becomes(&mut self, path: &Path, seen: Print, taken: Result<(Good, Said), Vec<Mistake>>) {
        let is_new = self.seen.replace(seen) != Some(seen);
        let (good, said) = match taken {
            Ok(taken) => taken,
            Err(mistakes) => {
                let told = (seen, mistakes.iter().map(|mistake| mistake.place.clone()).collect());
                if self.told.as_ref() != Some(&told) {
                    for mistake in &mistakes {
                        telemetry::adapter_not_taken(&path.display(), mistake);
                    }
                }
                (self.told, self.mistakes) = (Some(told), mistakes);
                return;
            }
        };
        let is_silent = |good: &Good| matches!(good.reach, Reach::UnheardOf(_));
        let was_silent = self.good.as_ref().is_some_and(is_silent);
        if is_new || self.told.is_some() || was_silent != is_silent(&good) {
            let standing = good.reach.standing();
            telemetry::adapter_taken(&good.file.name, good.file.mode.word(), &standing.en);
        }
        let name = Arc::clone(&good.file.name);
        (self.good, self.mistakes, self.told) = (Some(good), Vec::new(), None);
        match said {
            Said::Now => self.is_amiss(&name, None),
            Said::Nothing => {}
            Said::Nonsense(nonsense) => self.is_amiss(&name, Some(nonsense)),
        }
    }
}

/// The payers given to an adapter, in the order of its manifest; all of them, where it has not said what it is.
fn served(reach: &Reach, given: &[&PayerCode]) -> Result<Vec<PayerCode>, Vec<Mistake>> {
    let Some(payer) = reach.known() else { return Ok(given.iter().map(|payer| (*payer).clone()).collect()) };
    let serves = &payer.manifest().serves;
    let foreign = given.iter().filter(|payer| !serves.contains(payer));
    let foreign: Vec<Mistake> = foreign
        .map(|payer| {
            let text = Text::new(
                format!("适配器的清单不承办 {payer}，请更正 payers.{payer}"),
                format!("its manifest does not serve {payer}; correct payers.{payer}"),
            );
            Mistake::at("serves", text)
        })
        .collect();
    if !foreign.is_empty() {
        return Err(foreign);
    }
    Ok(serves.iter().filter(|payer| given.contains(payer)).cloned().collect())
}

pub(super) fn read(path: &Path) -> Read {
    let folder = path.parent().unwrap_or(Path::new("."));
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(why) => {
            let text =
                Text::new(format!("无法读取（{}）", why.kind()), format!("cannot be read: {}", why.kind()));
            let seen = Sha256::digest(why.kind().to_string()).into();
            return Read { file: Err(vec![Mistake::at("-", text)]), seen, way: Print::default() };
        }
    };
    let file = AdapterFile::parse(&text, folder);
    let (mut seen, mut way) = (Sha256::new_with_prefix(&text), Sha256::new());
    if let Ok(file) = &file {
        file.beside().into_iter().for_each(|beside| seen.update(of(beside)));
        file.on_the_way().into_iter().for_each(|beside| way.update(of(beside)));
    }
    Read { file, seen: seen.finalize().into(), way: way.finalize().into() }
}

fn of(file: &Path) -> Print {
    Sha256::digest(fs::read(file).unwrap_or_default()).into()
}

fn toml_files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|ending| ending == "toml") && !is_hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
