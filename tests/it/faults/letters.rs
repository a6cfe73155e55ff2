//! What a hospital's receiver was told while gateways died, and what must hold of it. It listens in the test itself and
//! outlives them all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;
use yizhan::intake::hl7::{Message, Reading};
use yizhan::settlement::bill::{Bill, BillState};

use crate::receiver::{Told, listen, take_posts};
use crate::simulation::look::Look;
use crate::simulation::told::{knows, said};

/// As long does a fickle receiver take to answer.
const ANSWER_MS: u64 = 100;
/// One of so many letters it declines.
const DECLINED_OF: usize = 5;

/// In which form it takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// EHC^E10, which names the settlement and not the version of its bill.
    Message,
    /// The bill itself.
    Document,
}

pub(crate) struct Receiver {
    form: Form,
    told: Arc<Told>,
    /// The `return_address` of its hospital.
    pub(crate) address: String,
    /// Over MLLP it listens as long as this is here.
    _listening: Option<watch::Sender<bool>>,
}

/// What a letter is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Version(Uuid, u32),
    Settlement(Uuid),
    /// Why a stay has no bill.
    NoBill,
}

/// Letters by their ids, each as it first came.
#[derive(Default)]
struct Came {
    letters: BTreeMap<String, About>,
    /// The newest bill that each visit's hospital knows of.
    last: BTreeMap<Arc<str>, Bill>,
}

impl Receiver {
    pub(crate) async fn open(form: Form) -> Self {
        Self::over(form, Told::answering(&[])).await
    }

    /// One that takes so long that many a gateway dies before it hears of a letter, and declines some.
    pub(crate) async fn fickle(form: Form) -> Self {
        let declines = if form == Form::Message { "AE" } else { "404 Not Found" };
        Self::over(form, Told::fickle(ANSWER_MS, (DECLINED_OF, declines))).await
    }

    async fn over(form: Form, told: Arc<Told>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (address, listening) = match form {
            Form::Message => (at.to_string(), Some(listen(listener, Arc::clone(&told)).await)),
            Form::Document => {
                take_posts(listener, Arc::clone(&told)).await;
                (format!("http://{at}/bills"), None)
            }
        };
        Self { form, told, address, _listening: listening }
    }

    /// How many letters came, each counted once, and how often one came again; nothing waits to be told any more.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub(crate) fn reckon(&self, look: &Look) -> Result<(usize, usize), String> {
        let mut came = Came::default();
        let messages = self.told.messages();
        let count = messages.len();
        for (id, content) in messages {
            match self.form {
                Form::Message => came.add(id, of_message(&content)?, None)?,
                Form::Document => {
                    let (about, bill) = of_document(&content)?;
                    came.add(id, about, bill)?;
                }
            }
        }
        came.is_all_that_was_issued(self.form, look)?;
        if self.form == Form::Document {
            for stay in look.stays.values() {
                knows(stay, came.last.get(&stay.visit).map(said))?;
            }
        }
        Ok((came.letters.len(), count - came.letters.len()))
    }
}

fn of_message(content: &str) -> Result<About, String> {
    let broken = |why: &dyn std::fmt::Display| format!("told: {why} in {content}");
    let message = Message::parse(content.as_bytes(), &Reading::default()).map_err(|why| broken(&why))?;
    let Some(invoice) = message.first("IVC") else { return Ok(About::NoBill) };
    let settlement = invoice.field(2).component(1).text().parse().map_err(|why: uuid::Error| broken(&why))?;
    Ok(About::Settlement(settlement))
}

fn of_document(content: &str) -> Result<(About, Option<Bill>), String> {
    let broken = |why| format!("told: {why} in {content}");
    let read: serde_json::Value = serde_json::from_str(content).map_err(broken)?;
    if read.get("settlement_id").is_none() {
        return Ok((About::NoBill, None));
    }
    let bill: Bill = serde_json::from_value(read).map_err(broken)?;
    Ok((About::Version(bill.settlement_id, bill.version), Some(bill)))
}

impl Came {
    /// A letter comes, or comes again.
    fn add(&mut self, id: String, about: About, bill: Option<Bill>) -> Result<(), String> {
        match self.letters.get(&id) {
            Some(first) if *first == about => return Ok(()),
            Some(first) => return Err(format!("told: {id} was of {first:?}, and is of {about:?}")),
            None => self.letters.insert(id, about),
        };
        let Some(bill) = bill else { return Ok(()) };
        let visit: Arc<str> = bill.visit_number.as_str().into();
        match self.last.get(&visit) {
            Some(last) if last.version > bill.version => {
                Err(format!("told: of {visit} {} comes behind {}", said(&bill), said(last)))
            }
            _ => {
                self.last.insert(visit, bill);
                Ok(())
            }
        }
    }

    /// Every version of every bill came, and nothing that is not in the store.
    fn is_all_that_was_issued(&self, form: Form, look: &Look) -> Result<(), String> {
        let (mut versions, mut issued) = (BTreeSet::new(), BTreeMap::<Uuid, BTreeSet<u32>>::new());
        for document in look.books.iter().flat_map(|book| &book.bills) {
            let bill: Bill = serde_json::from_slice(document).map_err(|why| why.to_string())?;
            versions.insert((bill.settlement_id, bill.version));
            if !matches!(bill.state, BillState::Settling | BillState::Reversing) {
                issued.entry(bill.settlement_id).or_default().insert(bill.version);
            }
        }
        let is_stored = |about: &&About| match about {
            About::Version(settlement, version) => versions.contains(&(*settlement, *version)),
            About::Settlement(settlement) => versions.iter().any(|(stored, _)| stored == settlement),
            About::NoBill => true,
        };
        if let Some(about) = self.letters.values().find(|about| !is_stored(about)) {
            return Err(format!("told: {about:?} is told and not in the store"));
        }
        for (settlement, versions) in issued {
            let came = |version: u32| {
                self.letters.values().any(|about| *about == About::Version(settlement, version))
            };
            let of_it =
                self.letters.values().filter(|about| **about == About::Settlement(settlement)).count();
            let is_told = match form {
                Form::Document => versions.iter().all(|version| came(*version)),
                Form::Message => of_it >= versions.len(),
            };
            if !is_told {
                return Err(format!("told: not all of {settlement} in versions {versions:?} came"));
            }
        }
        Ok(())
    }
}
