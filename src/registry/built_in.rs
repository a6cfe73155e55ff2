//! Payers that are compiled into this program, by the names their adapter files have.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use yizhan_contract::payer::Payer;

type Make = Box<dyn Fn() -> Result<Arc<dyn Payer>, String> + Send + Sync>;

/// What a program of one's own registers beside what a gateway is anyway. Clones share the payers.
#[derive(Clone, Default)]
pub struct BuiltIn(BTreeMap<Arc<str>, Arc<Entry>>);

struct Entry {
    make: Make,
    made: Mutex<Option<Arc<dyn Payer>>>,
}

impl BuiltIn {
    /// Registers a payer under the name of its adapter file. It is made once, when it is first wanted: other commands
    /// of the program leave its book alone.
    #[must_use]
    pub fn with<P, E>(mut self, name: &str, make: impl Fn() -> Result<P, E> + Send + Sync + 'static) -> Self
    where
        P: Payer + 'static,
        E: fmt::Display,
    {
        let make = move || match make() {
            Ok(payer) => Ok(Arc::new(payer) as Arc<dyn Payer>),
            Err(why) => Err(why.to_string()),
        };
        let entry = Entry { make: Box::new(make), made: Mutex::default() };
        self.0.insert(name.into(), Arc::new(entry));
        self
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Absent: none is registered under this name.
    ///
    /// # Errors
    /// Why it could not be made; it is tried again when it is next wanted.
    pub fn payer(&self, name: &str) -> Option<Result<Arc<dyn Payer>, String>> {
        let entry = self.0.get(name)?;
        let mut made = entry.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(payer) = &*made {
            return Some(Ok(Arc::clone(payer)));
        }
        Some((entry.make)().inspect(|payer| *made = Some(Arc::clone(payer))))
    }
}

impl fmt::Debug for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
