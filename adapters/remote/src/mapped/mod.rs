//! An insurer's own HTTP interface, JSON or XML, as a TOML file describes it: no code, no rebuild.
//!
//! Reading order: `section` (what is exchanged), `file` (the TOML), `check`, `exchange` and `reading` (the file, every mistake
//! named), `names` and `template` (what is sent), `node` and `answer` (what comes), `sign`, `kept`, `calls`, and here the port.

mod answer;
mod calls;
mod charset;
mod check;
mod exchange;
mod file;
mod forms;
mod kept;
mod mapping;
mod mistake;
mod names;
mod node;
mod reading;
mod section;
mod sign;
mod template;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use yizhan_contract::Text;
use yizhan_contract::payer::{
    Answer, Ask, Coverage, CoverageQuestion, Manifest, Memo, Operation, Payer, Performed, PrepareError,
    Prepared, QuoteAnswer, StatementLine, Status, Unavailable, VisitEvent, Visited,
};

use self::mapping::Mapping;
use crate::host::Host;
use crate::known::Known;
use crate::wire::{Connection, Journal, Standing, Wire};

pub use self::mistake::{MappingError, Mistake};

/// An insurer behind a mapping file.
pub struct Mapped {
    wire: Wire,
    mapping: Mapping,
    known: Known,
}

impl Mapped {
    /// Reads a mapping file and what it names beside it: certificates, and the key requests are signed with.
    ///
    /// # Errors
    /// Every mistake in it, each with its place.
    pub fn load(
        adapter: &str,
        file: &Path,
        host: Arc<dyn Host>,
        journal: Journal,
    ) -> Result<Self, MappingError> {
        let text = std::fs::read_to_string(file).map_err(|why| Mistake {
            place: file.display().to_string(),
            text: Text::new(format!("无法读取（{}）", why.kind()), format!("cannot be read: {}", why.kind())),
        })?;
        let folder = file.parent().unwrap_or(Path::new("."));
        Self::read(adapter, &text, folder, host, journal)
    }

    /// The same of a text; relative paths in it begin at `folder`.
    ///
    /// # Errors
    /// Every mistake in it, each with its place.
    pub fn read(
        adapter: &str,
        text: &str,
        folder: &Path,
        host: Arc<dyn Host>,
        journal: Journal,
    ) -> Result<Self, MappingError> {
        let file = toml::de::Deserializer::parse(text).map_err(|why| mistake::no_toml(text, &why))?;
        let file = serde_path_to_error::deserialize(file).map_err(|why| mistake::malformed(text, &why))?;
        let mapping = check::check(file, &check::Around { adapter, folder })?;
        let connection = Connection { target: mapping.target.clone(), host, journal };
        let wire = Wire::new(&connection, &mapping.manifest)
            .map_err(|why| Mistake { place: "connection".to_owned(), text: why.text() })?;
        let known = Known::new(wire.host(), mapping.manifest.coverage_valid_s);
        Ok(Self { wire, mapping, known })
    }

    /// Whether it is called, or left alone because it does not answer.
    pub fn standing(&self) -> Standing {
        self.wire.standing()
    }

    /// It is left alone no longer: somebody knows that it is back.
    pub fn call_again(&self) {
        self.wire.call_again();
    }
}

impl Payer for Mapped {
    fn manifest(&self) -> &Manifest {
        &self.mapping.manifest
    }

    fn visit<'a>(&'a self, event: &'a VisitEvent, memo: Memo, deadline: Timestamp) -> Answer<'a, Visited> {
        Box::pin(async move {
            let Some(visit) = &self.mapping.visit else { return Visited::Noted { memo } };
            let answer = self.noted(visit, event, &memo, deadline).await;
            answer.unwrap_or_else(|trouble| trouble.untold())
        })
    }

    fn coverage<'a>(&'a self, question: &'a CoverageQuestion, deadline: Timestamp) -> Answer<'a, Coverage> {
        Box::pin(async move {
            let Some(coverage) = &self.mapping.coverage else { return Coverage::NotSaid };
            let answer = self.covered(coverage, question, deadline).await;
            answer.unwrap_or_else(|trouble| Coverage::Unavailable(trouble.unavailable()))
        })
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        Box::pin(async move {
            let answer = self.quoted(ask, deadline).await;
            answer.unwrap_or_else(|trouble| QuoteAnswer::Unavailable(trouble.unavailable()))
        })
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        self.prepared(operation)
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed> {
        Box::pin(async move {
            self.performed(prepared, deadline).await.unwrap_or_else(|trouble| trouble.unknown())
        })
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Status> {
        Box::pin(async move {
            let answer = self.asked_about(prepared, deadline).await;
            answer.unwrap_or_else(|trouble| Status::Unavailable(trouble.unavailable()))
        })
    }

    fn statement(
        &self,
        day: Date,
        deadline: Timestamp,
    ) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        Box::pin(async move {
            match &self.mapping.statement {
                Some(statement) => self.book(statement, day, deadline).await,
                None => Err(Unavailable {
                    why: "映射文件没有 [statement] | the mapping has no [statement]".to_owned(),
                    retry_after: None,
                }),
            }
        })
    }
}
