//! A payer that is part of the program, treated as those outside it are: its calls have a deadline and leave a record, and
//! its answers are held to what it was asked.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use yizhan_contract::payer::{
    Answer, Ask, Coverage, CoverageQuestion, KEPT_BYTES_MAX, Manifest, Memo, Operation, OperationKind,
    PREPARED_BYTES_MAX, Payer, Performed, PrepareError, Prepared, QuoteAnswer, StatementLine, Status,
    Unavailable, VisitEvent, Visited, by_payer,
};
use yizhan_contract::{Money, PayerCode, Text, revealing};

use crate::answers::{self, Ordered};
use crate::host::Host;
use crate::kinds::Kind;
use crate::wire::{Entry, Journal, Pace, Trouble, UnderWay, Verb, patience};

/// What stands before an operation that was made ready here: a line of JSON follows, then the payer's own bytes.
const BEGINS: &[u8] = b"yizhan-built-in 1 ";

/// A payer that is part of the program.
pub struct BuiltIn {
    adapter: Arc<str>,
    inner: Arc<dyn Payer>,
    host: Arc<dyn Host>,
    journal: Journal,
}

/// What is known of an operation beside the payer's own bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    operation_id: Arc<str>,
    is_reversal: bool,
    #[serde(with = "by_payer")]
    amounts: Vec<(PayerCode, Money)>,
}

impl BuiltIn {
    /// `adapter` is the name the host gave it.
    ///
    /// # Errors
    /// The first promise of its manifest that cannot be: its name, and what it should be.
    pub fn new(
        adapter: Arc<str>,
        inner: Arc<dyn Payer>,
        host: Arc<dyn Host>,
        journal: Journal,
    ) -> Result<Self, (&'static str, Text)> {
        inner.manifest().check()?;
        Ok(Self { adapter, inner, host, journal })
    }

    /// Waits for an answer until its deadline, looks at it, and writes down what it was. Nothing leaves the program:
    /// `asked` is what the payer was given to read.
    async fn recorded<T: Kind + Serialize>(
        &self,
        (verb, operation_id): (Verb, Option<&Arc<str>>),
        asked: impl FnOnce() -> Vec<u8>,
        (call, deadline): (Answer<'_, T>, Timestamp),
        check: impl FnOnce(&mut T) -> Result<(), Text>,
    ) -> Result<T, Trouble> {
        let mut entry = Entry::begin(&self.journal, &*self.host, &self.adapter, verb, operation_id);
        let pace = Pace::of(self.inner.manifest());
        let mut under_way = UnderWay::begin(&*self.host, verb, deadline, pace);
        let ended = match patience(&*self.host, deadline) {
            Err(trouble) => Err(trouble),
            Ok(patience) => {
                entry.sent(&Bytes::from(asked()));
                under_way.sent();
                let answer = tokio::time::timeout(patience, call).await;
                under_way.came();
                answer.map_err(|_| Trouble::Late { received: 0, patience })
            }
        };
        let ended = ended.and_then(|mut answer| {
            entry.came(None, &read(&answer));
            check(&mut answer).map(|()| answer).map_err(Trouble::Odd)
        });
        match &ended {
            Ok(answer) => entry.answered(answer.kind()),
            Err(trouble) => entry.failed(trouble),
        }
        under_way.ended(ended.as_ref().map(Kind::kind));
        ended
    }

    fn is_firm(&self) -> bool {
        self.inner.manifest().quotes_are_firm
    }
}

/// As it would be read, were it sent.
fn read<T: Serialize>(what: &T) -> Vec<u8> {
    revealing(|| serde_json::to_vec(what)).unwrap_or_default()
}

impl Known {
    fn of(operation: &Operation) -> Self {
        Self {
            operation_id: Arc::clone(&operation.id),
            is_reversal: matches!(operation.kind, OperationKind::Reverse { .. }),
            amounts: operation.amounts.clone(),
        }
    }

    fn written(&self, inner: &Prepared) -> Result<Prepared, PrepareError> {
        let mut bytes = BEGINS.to_vec();
        serde_json::to_writer(&mut bytes, self).map_err(|why| PrepareError(why.to_string()))?;
        bytes.push(b'\n');
        let room = PREPARED_BYTES_MAX.saturating_sub(bytes.len());
        if inner.0.len() > room {
            return Err(PrepareError(format!("超过 {room} 字节 | it is longer than {room} bytes")));
        }
        bytes.write_all(&inner.0).map_err(|why| PrepareError(why.to_string()))?;
        Ok(Prepared::from(bytes))
    }

    /// What is known of it, and the payer's own bytes. One that was made ready by a program before this one is the payer's
    /// alone.
    fn read(prepared: &Prepared) -> (Option<Self>, Prepared) {
        let parts = prepared.0.strip_prefix(BEGINS).and_then(|rest| {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let (line, inner) = rest.split_at(end);
            Some((serde_json::from_slice(line).ok()?, Prepared::from(inner[1..].to_vec())))
        });
        parts.map_or_else(|| (None, prepared.clone()), |(known, inner)| (Some(known), inner))
    }

    fn ordered(&self, is_firm: bool) -> Ordered<'_> {
        Ordered { amounts: &self.amounts, is_reversal: self.is_reversal, is_firm }
    }
}

impl Payer for BuiltIn {
    fn manifest(&self) -> &Manifest {
        self.inner.manifest()
    }

    fn visit<'a>(&'a self, event: &'a VisitEvent, memo: Memo, deadline: Timestamp) -> Answer<'a, Visited> {
        Box::pin(async move {
            let call = self.inner.visit(event, memo, deadline);
            let check = |answer: &mut Visited| answers::visited(answer, KEPT_BYTES_MAX);
            let answer = self.recorded((Verb::Visit, None), || read(event), (call, deadline), check).await;
            answer.unwrap_or_else(|trouble| trouble.untold())
        })
    }

    fn coverage<'a>(&'a self, question: &'a CoverageQuestion, deadline: Timestamp) -> Answer<'a, Coverage> {
        Box::pin(async move {
            let call = self.inner.coverage(question, deadline);
            let check = |answer: &mut Coverage| answers::coverage(answer, question);
            let answer =
                self.recorded((Verb::Coverage, None), || read(question), (call, deadline), check).await;
            answer.unwrap_or_else(|trouble| Coverage::Unavailable(trouble.unavailable()))
        })
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        Box::pin(async move {
            let call = self.inner.quote(ask, deadline);
            let check = |answer: &mut QuoteAnswer| answers::quote(answer, ask, self.host.now());
            let answer = self.recorded((Verb::Quote, None), || read(ask), (call, deadline), check).await;
            answer.unwrap_or_else(|trouble| QuoteAnswer::Unavailable(trouble.unavailable()))
        })
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        let mut inner = operation.clone();
        if let OperationKind::Reverse { prepared, .. } = &mut inner.kind {
            *prepared = Known::read(prepared).1;
        }
        Known::of(operation).written(&self.inner.prepare(&inner)?)
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed> {
        Box::pin(async move {
            let (known, inner) = Known::read(prepared);
            let call = self.inner.perform(&inner, deadline);
            let is_reversal = known.as_ref().is_some_and(|known| known.is_reversal);
            let verb = if is_reversal { Verb::Reverse } else { Verb::Commit };
            let id = known.as_ref().map(|known| &known.operation_id);
            let check = |answer: &mut Performed| match &known {
                Some(known) => answers::performed(answer, known.ordered(self.is_firm())),
                None => Ok(()),
            };
            let answer = self.recorded((verb, id), || inner.0.to_vec(), (call, deadline), check).await;
            answer.unwrap_or_else(|trouble| trouble.unknown())
        })
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Status> {
        Box::pin(async move {
            let (known, inner) = Known::read(prepared);
            let call = self.inner.status(&inner, deadline);
            let id = known.as_ref().map(|known| &known.operation_id);
            let check = |answer: &mut Status| match &known {
                Some(known) => answers::status(answer, known.ordered(self.is_firm())),
                None => Ok(()),
            };
            let answer =
                self.recorded((Verb::Status, id), || inner.0.to_vec(), (call, deadline), check).await;
            answer.unwrap_or_else(|trouble| Status::Unavailable(trouble.unavailable()))
        })
    }

    fn statement(
        &self,
        day: Date,
        deadline: Timestamp,
    ) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        Box::pin(async move {
            let call = self.inner.statement(day, deadline);
            let serves = &self.inner.manifest().serves;
            let check = |answer: &mut Result<Vec<StatementLine>, Unavailable>| {
                answer.iter_mut().flatten().try_for_each(|line| answers::statement_line(line, serves))
            };
            let asked = || day.to_string().into_bytes();
            let answer = self.recorded((Verb::Statement, None), asked, (call, deadline), check).await;
            answer.unwrap_or_else(|trouble| Err(trouble.unavailable()))
        })
    }
}
