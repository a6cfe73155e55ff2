//! The folder of adapters, one file each, as it is now: read again and again, so that an insurer is put in, changed or
//! taken out while the gateway goes on.
//!
//! Reading order: [`file`] (what is written), `reach` (how it is reached), this page (all of it), `looking` (the folder, and
//! what becomes of its files), `attested` (whether it may decide), `table` (who is asked from now on), `watched` and [`budget`] (when an adapter is not asked for a while), `comparing` (adapters that are only compared) and `compared` (what came of that),
//! [`standing`] (what is told of them), [`journal`] (their calls, after the fact), `host`.
//!
//! A file that cannot be used changes nothing: what was good stays, and why the new one is not taken is told.

mod attested;
pub mod budget;
pub mod built_in;
mod compared;
mod comparing;
pub mod file;
mod host;
pub mod journal;
mod looking;
mod reach;
pub mod standing;
mod table;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, mpsc};
use yizhan_attestation::{AttestationError, Trust, Untrusted, Verified};
use yizhan_contract::instant::later;
use yizhan_contract::payer::Manifest;
use yizhan_contract::{PayerCode, Text};
use yizhan_remote::{CallRecord, Host as _, Journal, Mapped, MappingError};
use yizhan_rules::PolicyShelf;
use yizhan_rules::toml_file::Mistake;

use self::attested::Attested;
use self::built_in::BuiltIn;
use self::comparing::Around;
use self::file::AdapterFile;
use self::host::OfRuntime;
use self::journal::Keeper;
use self::looking::{Print, read};
use self::reach::{Reach, Shared};
use self::standing::Notebook;
use self::watched::Watch;
use crate::runtime::{Runtime, Shutdown};
use crate::settlement::directory::Directory;
use crate::store::adapter_book::AdapterBook;
use crate::telemetry;

pub use self::attested::DESCRIBE_EVERY;
pub use self::compared::Compared;
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
    seen: Option<Print>,
    good: Option<Good>,
    /// Why what stands there now is not taken.
    mistakes: Vec<Mistake>,
    /// Of which text mistakes were told, and in which places.
    told: Option<(Print, Vec<String>)>,
    /// What the service of the good one says of itself that cannot be.
    amiss: Option<Mistake>,
}

impl Entry {
    /// All that is to be told of it.
    fn wrong(&self) -> impl Iterator<Item = &Mistake> {
        self.mistakes.iter().chain(&self.amiss)
    }
}

/// An adapter that is used.
#[derive(Debug, Clone)]
struct Good {
    file: AdapterFile,
    reach: Reach,
    /// Of the files that say how it is reached.
    way: Print,
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
    unread: News,
    unkept: News,
}

/// A trouble that lasts, and is told when it begins or becomes another one.
#[derive(Default)]
struct News(Option<String>);

impl News {
    fn of<E: std::error::Error>(&mut self, went: Result<(), E>, tell: impl FnOnce(&E)) {
        let Err(why) = went else { return self.0 = None };
        let said = Some(why.to_string());
        if self.0 != said {
            tell(&why);
        }
        self.0 = said;
    }
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
            unread: News::default(),
            unkept: News::default(),
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
        let kept = registry.keep_notes().await;
        registry.unkept.of(kept, |why| telemetry::adapter_notes_not_kept(why));
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
        let around = Around { directory: self.directory.clone(), runtime: self.runtime.clone() };
        let comparing = tokio::spawn(self.comparer.clone().serve(around, stopped.clone()));
        loop {
            let next = later(clock.now(), LOOK_EVERY);
            let is_ordered = tokio::select! {
                () = stopped.requested() => break,
                () = again.notified() => true,
                () = falling.notified() => {
                    // At once: what is looked at may take its time to answer.
                    self.put();
                    false
                }
                () = clock.sleep_until(next) => false,
            };
            self.turn(is_ordered).await;
        }
        let _ = comparing.await;
        // What came of the last comparisons.
        let kept = self.write_notes().await;
        self.unkept.of(kept, |why| telemetry::adapter_notes_not_kept(why));
    }

    /// Orders count before anybody is asked what it is.
    async fn turn(&mut self, is_ordered: bool) {
        let heard = self.hear_orders().await;
        let looked = self.look(is_ordered).await;
        let folder = self.setting.folder.display();
        self.unread.of(looked, |why| telemetry::adapters_not_read(&folder, why));
        let kept = match heard {
            Ok(()) => self.write_notes().await,
            unread => unread,
        };
        self.unkept.of(kept, |why| telemetry::adapter_notes_not_kept(why));
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
    let file = read(path).file?;
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
