//! What is told of adapters: written down beside the store for every gateway, so that one command shows all of them and
//! one order reaches all of them, without knowing where they run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use yizhan_contract::Text;

use super::attested::Proof;
use super::compared::Compared;
use super::watched::Fallen;
use super::{Entry, Good, Registry};
use crate::store::StoreError;
use crate::store::adapter_book::{AdapterBook, AdapterNote};
use crate::telemetry;

/// One adapter as one gateway sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    pub file: String,
    pub mode: String,
    /// Its program and version, as its manifest says.
    pub version: String,
    pub payers: Vec<String>,
    /// Whether it answers.
    pub standing: Text,
    /// Who vouches for it, where it decides.
    #[serde(default)]
    pub vouched: Option<Text>,
    /// Why it is only compared where it is meant to decide, and what to do next.
    #[serde(default)]
    pub unproven: Option<Text>,
    pub fallen: Option<Fallen>,
    /// Orders to ask it again that were followed when this was written: what it fell for before a later one is over.
    #[serde(default)]
    pub resets: u32,
    pub compared: Compared,
    /// Why what stands in its file, or what its service says of itself, is not taken.
    pub mistakes: Vec<Text>,
}

/// What stands in one file.
struct Filed {
    file: String,
    good: Option<Good>,
    mistakes: Vec<Text>,
}

/// What this gateway wrote last, and what it has heard.
pub(super) struct Notebook {
    pub(super) book: Arc<dyn AdapterBook>,
    pub(super) gateway: Arc<str>,
    written: BTreeMap<Arc<str>, Noted>,
    /// Resets that were followed; absent: nothing was read of the adapter yet.
    followed: BTreeMap<Arc<str>, u32>,
}

impl Notebook {
    pub(super) fn new(book: Arc<dyn AdapterBook>, gateway: Arc<str>) -> Self {
        Self { book, gateway, written: BTreeMap::new(), followed: BTreeMap::new() }
    }

    /// Its file is gone, and no payer is given to it.
    async fn forget(&mut self, name: &Arc<str>) -> Result<(), StoreError> {
        self.book.forget_adapter(Arc::clone(name), Arc::clone(&self.gateway)).await?;
        self.written.remove(name);
        self.followed.remove(name);
        Ok(())
    }
}

impl Registry {
    /// Hears what was ordered, and writes down what has changed.
    ///
    /// # Errors
    /// Where the store cannot be read or written; nothing of what is asked where depends on it.
    pub async fn keep_notes(&mut self) -> Result<(), StoreError> {
        self.hear_orders().await?;
        self.write_notes().await
    }

    /// Read the first time, what this gateway knew of an adapter before it ended goes on.
    pub(super) async fn hear_orders(&mut self) -> Result<(), StoreError> {
        let notes = self.notebook.book.adapter_notes().await?;
        let own = notes.into_iter().filter(|note| note.gateway == self.notebook.gateway);
        let own: BTreeMap<Arc<str>, AdapterNote> =
            own.map(|note| (Arc::clone(&note.adapter), note)).collect();
        let mut is_changed = false;
        let named = self.named();
        for name in own.keys().filter(|name| named.iter().all(|(known, _)| known != *name)) {
            self.notebook.forget(name).await?;
        }
        for (name, _) in named {
            is_changed |= self.hear(&name, own.get(&name));
        }
        if is_changed {
            self.put();
        }
        Ok(())
    }

    /// Of an adapter that nothing was read of yet nothing is written: it would be taken for what was known before.
    pub(super) async fn write_notes(&mut self) -> Result<(), StoreError> {
        for (name, filed) in self.named() {
            let noted = self.noted(&name, &filed);
            let is_heard = self.notebook.followed.contains_key(&name);
            if !is_heard || self.notebook.written.get(&name) == Some(&noted) {
                continue;
            }
            let document =
                serde_json::to_string(&noted).map_err(|why| StoreError::Defect(why.to_string()))?;
            let note = AdapterNote {
                adapter: Arc::clone(&name),
                gateway: Arc::clone(&self.notebook.gateway),
                noted_at: self.runtime.now(),
                resets: 0,
                document,
            };
            self.notebook.book.note_adapter(note).await?;
            self.notebook.written.insert(name, noted);
        }
        Ok(())
    }

    /// Whether that changes who is asked.
    fn hear(&mut self, name: &Arc<str>, note: Option<&AdapterNote>) -> bool {
        let resets = note.map_or(0, |note| note.resets);
        let before = self.notebook.followed.insert(Arc::clone(name), resets);
        let watch = self.watch(name);
        match before {
            None => {
                let Some(noted) = note.and_then(|note| serde_json::from_str::<Noted>(&note.document).ok())
                else {
                    return false;
                };
                self.comparer.counts.go_on(name, noted.compared);
                let Some(fallen) = noted.fallen else { return false };
                // Ordered while no gateway of this name ran, or too late for the one before to write down.
                if noted.resets != resets {
                    telemetry::adapter_reset(name);
                    return false;
                }
                watch.fall(fallen);
                true
            }
            Some(before) if before < resets => {
                watch.reset();
                // What it is not sent while it is left alone would use its budget up again.
                self.good().filter(|good| good.file.name == *name).for_each(|good| good.reach.call_again());
                telemetry::adapter_reset(name);
                true
            }
            Some(_) => false,
        }
    }

    /// Adapters by name; a file that never was one is named by itself, and one that payers are given to is missed.
    fn named(&self) -> Vec<(Arc<str>, Filed)> {
        let of = |(path, entry): (&std::path::PathBuf, &Entry)| {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let name =
                entry.good.as_ref().map_or_else(|| file.as_str().into(), |good| Arc::clone(&good.file.name));
            let told = entry.wrong().map(|mistake| {
                let (place, Text { zh, en }) = (&mistake.place, &mistake.text);
                Text::new(format!("{place}：{zh}"), format!("{place}: {en}"))
            });
            (name, Filed { good: entry.good.clone(), mistakes: told.collect(), file })
        };
        let mut named: Vec<(Arc<str>, Filed)> = self.entries.iter().map(of).collect();
        let given: BTreeSet<&Arc<str>> = self.setting.given.values().collect();
        for name in given {
            if named.iter().all(|(known, _)| known != name) {
                named.push((
                    Arc::clone(name),
                    Filed { file: "-".to_owned(), good: None, mistakes: Vec::new() },
                ));
            }
        }
        named
    }

    fn noted(&mut self, name: &Arc<str>, filed: &Filed) -> Noted {
        let Filed { file, good, mistakes } = filed;
        let watch = self.watch(name);
        let manifest = good.as_ref().and_then(|good| good.reach.known());
        let version =
            manifest.map(|payer| format!("{} {}", payer.manifest().adapter, payer.manifest().version));
        let payers = good.iter().flat_map(|good| &good.serves);
        let (vouched, unproven) = match good.as_ref().and_then(|good| self.proof(good)) {
            Some(Proof::Vouched(by)) => (Some(by), None),
            Some(Proof::Unproven(_, unproven)) => (None, Some(unproven.text())),
            None => (None, None),
        };
        let nothing = || if mistakes.is_empty() { gone() } else { Text::new("未采用", "not taken") };
        Noted {
            file: file.clone(),
            mode: good.as_ref().map_or("-", |good| good.file.mode.word()).to_owned(),
            version: version.unwrap_or_else(|| "-".to_owned()),
            payers: payers.map(ToString::to_string).collect(),
            standing: good.as_ref().map_or_else(nothing, |good| good.reach.standing()),
            vouched,
            unproven,
            fallen: watch.fallen(),
            resets: self.notebook.followed.get(name).copied().unwrap_or_default(),
            compared: self.comparer.counts.of(name),
            mistakes: mistakes.clone(),
        }
    }
}

fn gone() -> Text {
    Text::new(
        "文件已不在：其支付方的新住院须等待",
        "its file is gone: nobody is asked for its payers, and their stays wait",
    )
}
