//! An adapter that cannot be called at all: not configured any more, or never heard of yet. Nobody else is asked in its
//! place: what it has begun stays open until it is there again, and a person hears why.

use std::future::ready;

use jiff::Timestamp;
use jiff::civil::Date;
use yizhan_contract::PayerCode;
use yizhan_contract::payer::{
    Answer, Ask, Manifest, Memo, Operation, Payer, Performed, PrepareError, Prepared, QuoteAnswer,
    StatementLine, Status, Unavailable, VisitEvent, Visited,
};

pub struct Absent {
    why: String,
    manifest: Manifest,
}

impl Absent {
    /// Stays began with it, or payers are given to it, and no file describes it.
    pub fn not_configured(name: &str, serves: Vec<PayerCode>) -> Self {
        let why = format!("未配置适配器 {name} | adapter {name} is not configured");
        Self { why, manifest: Manifest::cautious(name, "-", serves) }
    }

    /// It has not said yet what it is.
    pub fn unheard_of(name: &str, serves: Vec<PayerCode>, why: &str) -> Self {
        let why = format!(
            "适配器 {name} 尚未应答 describe（{why}）| adapter {name} has not answered describe: {why}"
        );
        Self { why, manifest: Manifest::cautious(name, "-", serves) }
    }

    fn unavailable(&self) -> Unavailable {
        Unavailable { why: self.why.clone(), retry_after: None }
    }
}

impl Payer for Absent {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn quote<'a>(&'a self, _: &'a Ask, _: Timestamp) -> Answer<'a, QuoteAnswer> {
        Box::pin(ready(QuoteAnswer::Unavailable(self.unavailable())))
    }

    fn visit<'a>(&'a self, _: &'a VisitEvent, _: Memo, _: Timestamp) -> Answer<'a, Visited> {
        Box::pin(ready(Visited::NotSent(self.unavailable())))
    }

    fn prepare(&self, _: &Operation) -> Result<Prepared, PrepareError> {
        Err(PrepareError(self.why.clone()))
    }

    fn perform<'a>(&'a self, _: &'a Prepared, _: Timestamp) -> Answer<'a, Performed> {
        let why = format!("未发送：{why} | it was not sent: {why}", why = self.why);
        Box::pin(ready(Performed::Unknown { poll_after: None, why }))
    }

    fn status<'a>(&'a self, _: &'a Prepared, _: Timestamp) -> Answer<'a, Status> {
        Box::pin(ready(Status::Unavailable(self.unavailable())))
    }

    fn statement(&self, _: Date, _: Timestamp) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        Box::pin(ready(Err(self.unavailable())))
    }
}
