//! The folder of adapters, one file each, as it is now: read again and again, so that an insurer is put in, changed or
//! taken out while the gateway goes on.
//!
//! Reading order: [`file`] (what is written), `reach` (how it is reached), this page (the folder, and what becomes of it),
//! `attested` (whether it may decide), `table` (who is asked from now on), `watched` and [`budget`] (when an adapter is not asked for a while), `comparing` (adapters that are only compared),
//! [`standing`] (what is told of them), [`journal`] (their calls, after the fact), `host`.
//!
//! A file that cannot be used changes nothing: what was good stays, and why the new one is not taken is told.

mod attested;
pub mod budget;
pub mod built_in;
mod comparing;
pub mod file;
mod host;
pub mod journal;
mod reach;
pub mod standing;
mod table;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, mpsc};
use yizhan_attestation::{AttestationError, Trust, Untrusted, Verified};
use yizhan_contract::payer::Manifest;
use yizhan_contract::{PayerCode, Text};
use yizhan_remote::{CallRecord, Host as _, Journal, Mapped, MappingError};
use yizhan_rules::PolicyShelf;
use yizhan_rules::toml_file::Mistake;

use self::attested::Attested;
use self::built_in::BuiltIn;
use self::file::AdapterFile;
use self::host::OfRuntime;
use self::journal::Keeper;
use self::reach::{Reach, Shared};
use self::standing::Notebook;
use self::watched::Watch;
use crate::runtime::{Runtime, Shutdown};
use crate::settlement::directory::{Directory, Mode, Registered};
use crate::store::adapter_book::AdapterBook;
use crate::telemetry;

pub use self::attested::DESCRIBE_EVERY;
pub use self::comparing::Comparer;
pub use self::watched::Fallen;

/// How often the folder is looked at.
pub const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// What the rest of the configuration says of adapters.
pub struct Setting {
    pub folder: PathBuf,
    /// The payers that are given to adapters, with their names.
    pub given: BTreeMap<PayerCode, Arc<str>>,
    pub policies: Arc<PolicyShelf>,
    /// Codes of the hospitals there are.
    pub hospitals: BTreeSet<Arc<str>>,
    /// Whose word is taken that an adapter may decide.
    pub trust: Trust,
    /// Where what is known of adapters is written down, and under which name of this gateway.
    pub book: Arc<dyn AdapterBook>,
    pub gateway: Arc<str>,
    /// How long calls are kept.
    pub calls_kept_for: SignedDuration,
    /// Payers that are part of this program.
    pub built_in: BuiltIn,
}

/// Why the folder cannot be begun with; the operator's side.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("适配器文件夹 {folder} 无法读取（{why}）| folder of adapters {folder} cannot be read: {why}", folder = folder.display())]
    Folder { folder: PathBuf, why: std::io::Error },
    #[error("{}", listed(.0))]
    Files(Vec<(PathBuf, Vec<Mistake>)>),
    #[error(
        "payers.{payer} = {name:?}：文件夹 {folder} 中没有此名称的适配器 | payers.{payer} = {name:?}: no adapter in {folder} has this name",
        folder = folder.display()
    )]
    NotThere { payer: PayerCode, name: Arc<str>, folder: PathBuf },
}

fn listed(files: &[(PathBuf, Vec<Mistake>)]) -> String {
    let of = |(path, mistakes): &(PathBuf, Vec<Mistake>)| {
        let path = path.display().to_string();
        mistakes.iter().map(move |mistake| format!("{path}: {mistake}")).collect::<Vec<_>>()
    };
    files.iter().flat_map(of).collect::<Vec<_>>().join("\n")
}

/// One file of the folder.
#[derive(Default)]
struct Entry {
    /// Of its text and all it rests on, as it was looked at last.
    seen: Option<[u8; 32]>,
    good: Option<Good>,
    /// Why what stands there now is not taken.
    mistakes: Vec<Mistake>,
}

/// An adapter that is used.
#[derive(Debug, Clone)]
struct Good {
    file: AdapterFile,
    reach: Reach,
    /// The payers given to it, in the order of its manifest.
    serves: Vec<PayerCode>,
    attested: Attested,
    /// What it said of itself last, and when; absent: nothing yet.
    said: Option<(Manifest, Timestamp)>,
}

/// The adapters of one gateway.
pub struct Registry {
    setting: Setting,
    runtime: Runtime,
    shared: Shared,
    directory: Directory,
    entries: BTreeMap<PathBuf, Entry>,
    watches: BTreeMap<Arc<str>, Arc<Watch>>,
    falling: Arc<Notify>,
    comparer: Comparer,
    notebook: Notebook,
    /// Why adapters may not decide, as it was told last.
    unproven: BTreeMap<Arc<str>, Text>,
}

impl Registry {
    /// Reads the folder, and asks every service what it is. One that does not answer is asked again later.
    ///
    /// # Errors
    /// Every mistake of every file: a gateway does not begin with half of its adapters.
    pub async fn open(setting: Setting, runtime: Runtime) -> Result<(Self, Keeper), RegistryError> {
        let host = Arc::new(OfRuntime::new(runtime.clone()));
        let (journal, calls) = Journal::new(&*host);
        let comparer = Comparer::default();
        let built_in = setting.built_in.clone();
        let (book, gateway) = (Arc::clone(&setting.book), Arc::clone(&setting.gateway));
        let keeper = Keeper {
            calls,
            journal: journal.clone(),
            book: Arc::clone(&book),
            gateway: Arc::clone(&gateway),
            runtime: runtime.clone(),
            kept_for: setting.calls_kept_for,
        };
        let directory = Directory::comparing(comparer.sink());
        let mut registry = Self {
            setting,
            runtime,
            shared: Shared { host, journal, built_in },
            directory,
            entries: BTreeMap::new(),
            watches: BTreeMap::new(),
            falling: Arc::default(),
            comparer,
            notebook: Notebook::new(book, gateway),
            unproven: BTreeMap::new(),
        };
        let folder = registry.setting.folder.clone();
        registry.look(false).await.map_err(|why| RegistryError::Folder { folder: folder.clone(), why })?;
        let broken = registry.entries.iter().filter(|(_, entry)| !entry.mistakes.is_empty());
        let broken: Vec<_> = broken.map(|(path, entry)| (path.clone(), entry.mistakes.clone())).collect();
        if !broken.is_empty() {
            return Err(RegistryError::Files(broken));
        }
        let is_there = |name: &Arc<str>| registry.good().any(|good| good.file.name == *name);
        if let Some((payer, name)) = registry.setting.given.iter().find(|(_, name)| !is_there(name)) {
            let (payer, name) = (payer.clone(), Arc::clone(name));
            return Err(RegistryError::NotThere { payer, name, folder });
        }
        // Without the store a gateway would not begin anyway; here it goes on with what it knew.
        if let Err(why) = registry.keep_notes().await {
            telemetry::adapter_notes_not_kept(&why);
        }
        Ok((registry, keeper))
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    fn good(&self) -> impl Iterator<Item = &Good> {
        self.entries.values().filter_map(|entry| entry.good.as_ref())
    }

    /// Looks at the folder until the signal to stop: every two seconds, at once where `again` rings (a signal of the
    /// operating system), and where an adapter has used its budget up.
    pub async fn serve(mut self, again: Arc<Notify>, mut stopped: Shutdown) {
        let falling = Arc::clone(&self.falling);
        let clock = Arc::clone(&self.runtime.clock);
        let comparing = tokio::spawn(self.comparer.clone().serve(
            self.directory.clone(),
            self.runtime.clone(),
            stopped.clone(),
        ));
        loop {
            let next = clock.now().saturating_add(LOOK_EVERY).unwrap_or(jiff::Timestamp::MAX);
            let is_ordered = tokio::select! {
                () = stopped.requested() => break,
                () = again.notified() => true,
                () = falling.notified() => false,
                () = clock.sleep_until(next) => false,
            };
            if let Err(why) = self.look(is_ordered).await {
                telemetry::adapters_not_read(&self.setting.folder.display(), &why);
            }
            if let Err(why) = self.keep_notes().await {
                telemetry::adapter_notes_not_kept(&why);
            }
        }
        let _ = comparing.await;
    }

    /// Looks at the folder once; `is_ordered`: also at files that look as they did.
    ///
    /// # Errors
    /// Where the folder itself cannot be read; nothing changed then.
    pub async fn look(&mut self, is_ordered: bool) -> std::io::Result<()> {
        let files = toml_files_in(&self.setting.folder)?;
        let gone: Vec<PathBuf> = self.entries.keys().filter(|path| !files.contains(path)).cloned().collect();
        for path in gone {
            telemetry::adapter_gone(&path.display());
            self.entries.remove(&path);
        }
        for path in self.changed_of_themselves().await {
            self.entries.entry(path).and_modify(|entry| entry.seen = None);
        }
        for path in files {
            self.look_at(path, is_ordered).await;
        }
        self.put();
        Ok(())
    }

    async fn look_at(&mut self, path: PathBuf, is_ordered: bool) {
        let (seen, read) = read(&path);
        let entry = self.entries.entry(path.clone()).or_default();
        let is_unheard_of = entry.good.as_ref().is_some_and(|good| matches!(good.reach, Reach::UnheardOf(_)));
        if entry.seen == Some(seen) && !is_ordered && !is_unheard_of {
            return;
        }
        let taken = match read {
            Ok(file) => self.taken(&path, file).await,
            Err(mistakes) => Err(mistakes),
        };
        let Some(entry) = self.entries.get_mut(&path) else { return };
        let is_new = entry.seen != Some(seen);
        match taken {
            Ok(good) => {
                let is_silent = matches!(good.reach, Reach::UnheardOf(_));
                let was_heard_of = entry.good.as_ref().is_some_and(|good| good.reach.known().is_some());
                if is_silent && was_heard_of {
                    // Not even known to be an adapter: what was good stays, and it is looked at again.
                    let text = good.reach.standing();
                    telemetry::adapter_not_taken(&path.display(), &text.en);
                    entry.mistakes = vec![Mistake::at("url", text)];
                    return;
                }
                if is_new || is_unheard_of != is_silent {
                    telemetry::adapter_taken(
                        &good.file.name,
                        good.file.mode.word(),
                        &good.reach.standing().en,
                    );
                }
                (entry.good, entry.mistakes) = (Some(good), Vec::new());
            }
            Err(mistakes) => {
                if is_new {
                    for mistake in &mistakes {
                        telemetry::adapter_not_taken(&path.display(), mistake);
                    }
                }
                entry.mistakes = mistakes;
            }
        }
        entry.seen = Some(seen);
    }

    /// The adapter a file describes, where it goes together with all others.
    async fn taken(&self, path: &Path, file: AdapterFile) -> Result<Good, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let others = self.entries.iter().filter(|(other, _)| *other != path);
        let others: Vec<&Good> = others.filter_map(|(_, entry)| entry.good.as_ref()).collect();
        if others.iter().any(|other| other.file.name == file.name) {
            let text = Text::new("此名称已被另一个文件使用", "is the name of another file's adapter");
            mistakes.push(Mistake::at("name", text));
        }
        if let Mode::Canary(hospitals) = &file.mode {
            for code in hospitals.iter().filter(|code| !self.setting.hospitals.contains(*code)) {
                let (zh, en) =
                    (format!("没有代码为 {code} 的医院"), format!("no hospital has the code {code}"));
                mistakes.push(Mistake::at("canary", Text::new(zh, en)));
            }
        }
        let given: Vec<&PayerCode> = self.given_to(&file.name).collect();
        if given.is_empty() && file.mode != Mode::Off {
            let name = &file.name;
            mistakes.push(Mistake::at(
                "name",
                Text::new(
                    format!("配置的 [payers] 未将任何支付方交由 {name} 承办"),
                    format!("[payers] of the configuration gives no payer to {name}"),
                ),
            ));
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let reach = self.shared.reach(&file).await?;
        let serves = served(&reach, &given)?;
        let attested = Attested::read(file.attestation.as_deref());
        let said = reach.known().map(|payer| (payer.manifest().clone(), self.runtime.now()));
        let good = Good { file, reach, serves, attested, said };
        let together: Vec<Registered> =
            others.into_iter().chain([&good]).filter_map(|good| self.known(good)).collect();
        Directory::check(&together, &self.setting.policies)
            .map_err(|why| vec![Mistake::at("mode", why.text())])?;
        Ok(good)
    }

    fn given_to(&self, name: &Arc<str>) -> impl Iterator<Item = &PayerCode> {
        self.setting.given.iter().filter(move |(_, given)| *given == name).map(|(payer, _)| payer)
    }
}

/// Reads one file, the mapping and the attestation it names; nobody is asked.
///
/// # Errors
/// Every mistake in them.
pub fn check(path: &Path, built_in: BuiltIn) -> Result<(AdapterFile, Option<Verified>), Vec<Mistake>> {
    let file = read(path).1?;
    let host = Arc::new(OfRuntime::new(Runtime::system()));
    let (journal, _) = Journal::new(&*host);
    let now = host.now();
    Shared { host, journal, built_in }.check(&file)?;
    let attested = file.attestation.as_deref().map(|file| {
        let verified = attested::read(file)?;
        verified.attestation.holds_at(now).map(|()| verified)
    });
    let wrong = |why: AttestationError| vec![Mistake::at("attestation", Untrusted::from(why).text())];
    let verified = attested.transpose().map_err(wrong)?;
    Ok((file, verified))
}

/// What a mapping describes, apart from any gateway, and the other end of the journal of its calls.
///
/// # Errors
/// Every mistake in it.
pub fn mapped(path: &Path, runtime: Runtime) -> Result<(Mapped, mpsc::Receiver<CallRecord>), MappingError> {
    let host = Arc::new(OfRuntime::new(runtime));
    let (journal, calls) = Journal::new(&*host);
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok((Mapped::load(&name, path, host, journal)?, calls))
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

/// What a file says, and what it and all it rests on look like.
fn read(path: &Path) -> ([u8; 32], Result<AdapterFile, Vec<Mistake>>) {
    let folder = path.parent().unwrap_or(Path::new("."));
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(why) => {
            let text =
                Text::new(format!("无法读取（{}）", why.kind()), format!("cannot be read: {}", why.kind()));
            return (Sha256::digest(why.kind().to_string()).into(), Err(vec![Mistake::at("-", text)]));
        }
    };
    let file = AdapterFile::parse(&text, folder);
    let mut digest = Sha256::new_with_prefix(&text);
    for beside in file.iter().flat_map(AdapterFile::beside) {
        digest.update(Sha256::digest(fs::read(beside).unwrap_or_default()));
    }
    (digest.finalize().into(), file)
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
