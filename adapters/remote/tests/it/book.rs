//! What insurers of the tests remember of operations.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use yizhan_remote::{Journal, Mapped, MappingError};

use crate::certificates::Certificates;
use crate::given::TestHost;

/// One commit or reversal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) fen: i64,
    /// Of a reversal: what it takes back.
    pub(crate) of: Option<String>,
}

/// In the order of the entries; an id that comes again changes nothing.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<Vec<Entry>>);

impl Book {
    pub(crate) fn enter(&self, entry: Entry) -> Entry {
        let mut entries = self.0.lock().unwrap();
        match entries.iter().find(|known| known.id == entry.id) {
            Some(known) => known.clone(),
            None => {
                entries.push(entry.clone());
                entry
            }
        }
    }

    pub(crate) fn find(&self, id: &str) -> Option<Entry> {
        self.0.lock().unwrap().iter().find(|entry| entry.id == id).cloned()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap().clone()
    }
}

/// What the examples in adapters/examples are called with here: this machine's port, these certificates.
pub(crate) fn mapped(
    example: &str,
    base_url: (&str, &str),
    certificates: &Certificates,
) -> Result<(Mapped, Arc<TestHost>), MappingError> {
    let (theirs, ours) = base_url;
    assert!(example.contains(theirs), "the example has no {theirs}");
    load(&example.replace(theirs, ours), certificates.folder.path())
}

pub(crate) fn load(text: &str, folder: &Path) -> Result<(Mapped, Arc<TestHost>), MappingError> {
    let host = TestHost::new();
    let (journal, _) = Journal::new(&*host);
    Mapped::read("insurer", text, folder, host.clone(), journal).map(|mapped| (mapped, host))
}

/// What stands between two marks, once.
pub(crate) fn between<'t>(text: &'t str, begin: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {text}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} in {text}")).0
}

/// A map of query parameters.
pub(crate) fn query(uri: &http::Uri) -> BTreeMap<String, String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
