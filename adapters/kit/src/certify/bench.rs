//! Where trials stand: the adapter, the people of the test data, and the messages a gateway would send about them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use yizhan_contract::claim::HospitalLevel;
use yizhan_contract::payer::{Ask, AskedLeg, CoverageQuestion, Manifest, Need, Person, QuotedAmount};
use yizhan_contract::stay::{
    CatalogueClass, Cause, CauseKind, Diagnosis, Referral, Sex, VisitClass, civil_date,
};
use yizhan_contract::{Buckets, Claim, ClaimLine, Money, PayerCode, Personal, revealing};

use super::caller::Caller;
use super::came::Came;
use super::data::{People, TestData, TestPerson};
use super::restart::Restart;
use super::visits::Stay;
use crate::given;

pub(super) struct Bench {
    pub(super) caller: Caller,
    pub(super) data: TestData,
    pub(super) restart: Option<Box<dyn Restart>>,
    /// How long the adapter is kept busy to see how fast it is.
    pub(super) load: Duration,
    pub(super) began: Timestamp,
    /// No two runs use the same ids.
    run: String,
    next: AtomicU32,
    manifest: OnceLock<Manifest>,
    pub(super) loaded: tokio::sync::OnceCell<super::trials::Loaded>,
    /// What each operation came to that is done: a reversal asks for what its commit paid.
    moved: Mutex<HashMap<String, Vec<(PayerCode, Money)>>>,
    /// Operations that must have a line in the book, as far as nobody has ended the adapter since.
    written: Mutex<Vec<String>>,
}

/// What a stay may be paid at most where there are many at once, so that a covered person's year is not used up, fen.
const SMALL_FEN: i64 = 1_000;
/// Id, code and name of the one charge of each stay.
pub(super) const LINE: (&str, &str, &str) = ("1", "TEST01", "评测项目");

/// A quote that was asked for: enough to commit it.
#[derive(Debug, Clone)]
pub(super) struct Quoted {
    pub(super) id: String,
    pub(super) stay: String,
    pub(super) amounts: Vec<QuotedAmount>,
    /// What was asked for at most, of each payer.
    pub(super) most: Money,
    pub(super) valid_until: Timestamp,
    pub(super) came: Came,
}

impl Quoted {
    pub(super) fn total(&self) -> Money {
        self.amounts.iter().map(|part| part.amount).sum()
    }

    pub(super) fn by_payer(&self) -> Vec<(PayerCode, Money)> {
        self.amounts.iter().map(|part| (part.payer.clone(), part.amount)).collect()
    }

    /// The same with another sum: its first payer that pays at all pays this much more, or less.
    pub(super) fn off_by(&self, by: Money) -> Self {
        let mut other = self.clone();
        if let Some(part) = other.amounts.iter_mut().find(|part| part.amount.is_positive()) {
            part.amount += by;
        }
        other
    }
}

fn parts(amounts: &[(PayerCode, Money)]) -> Value {
    let part =
        |(payer, amount): &(PayerCode, Money)| json!({"payer": payer.as_str(), "amount": amount.to_string()});
    amounts.iter().map(part).collect()
}

impl Bench {
    pub(super) fn of(
        caller: Caller,
        data: TestData,
        restart: Option<Box<dyn Restart>>,
        load: Duration,
    ) -> std::io::Result<Self> {
        Ok(Self {
            caller,
            data,
            restart,
            load,
            began: given::now(),
            run: given::hex(&given::drawn::<6>()?),
            next: AtomicU32::new(1),
            manifest: OnceLock::new(),
            loaded: tokio::sync::OnceCell::new(),
            moved: Mutex::default(),
            written: Mutex::default(),
        })
    }

    /// What the adapter promises, from now on held to.
    pub(super) fn learn(&self, manifest: Manifest) {
        self.caller.keep_to(&manifest);
        let _ = self.manifest.set(manifest);
    }

    /// What the adapter promises. Before it has said so, nothing.
    pub(super) fn manifest(&self) -> &Manifest {
        self.manifest.get_or_init(|| Manifest::cautious("?", "?", Vec::new()))
    }

    /// What one of many stays may be paid at most: no two of the first hundred the same.
    pub(super) fn small(number: usize) -> Option<Money> {
        Some(Money::from_fen(SMALL_FEN.saturating_add(i64::try_from(number).unwrap_or_default())))
    }

    /// An id of this run alone.
    pub(super) fn id(&self, what: &str) -> String {
        format!("kit-{}-{what}-{}", self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether an operation id was made by this run.
    pub(super) fn is_ours(&self, operation_id: &str) -> bool {
        operation_id.starts_with(&format!("kit-{}-", self.run))
    }

    pub(super) fn discharged(&self) -> Date {
        self.data.discharged.unwrap_or_else(|| civil_date(self.began))
    }

    pub(super) fn admitted(&self) -> Date {
        let day = self.discharged();
        day.yesterday().unwrap_or(day)
    }

    pub(super) fn visit_number(&self, stay: &str) -> Option<Personal<String>> {
        self.manifest().needs.contains(&Need::VisitNumber).then(|| Personal::new(format!("ZY{stay}")))
    }

    pub(super) fn diagnoses(&self) -> Vec<Diagnosis> {
        let (code, name) = ("K35.900".to_owned(), "急性阑尾炎".to_owned());
        let diagnosis = Diagnosis { code: code.into(), name: name.into(), principal: true };
        if self.manifest().needs.contains(&Need::Diagnoses) { vec![diagnosis] } else { Vec::new() }
    }

    /// All of the test data.
    pub(super) fn people(&self) -> impl Iterator<Item = &TestPerson> {
        let People { covered, not_covered, refused, unknown, capped } = &self.data.people;
        [Some(covered), not_covered.as_ref(), refused.as_ref(), unknown.as_ref(), capped.as_ref()]
            .into_iter()
            .flatten()
    }

    /// Of a person, what the manifest needs.
    pub(super) fn person(&self, person: &TestPerson) -> Person {
        let needs = |need| self.manifest().needs.contains(&need);
        let number = person.id_number.reveal();
        let sex = if number.is_male() { Sex::Male } else { Sex::Female };
        Person {
            id_number: needs(Need::IdNumber).then(|| person.id_number.clone()),
            name: person.name.clone().filter(|_| needs(Need::Name)),
            birth: number.birth().map(Personal::new).filter(|_| needs(Need::Birth)),
            sex: needs(Need::Sex).then_some(sex),
            card: person.card.clone().filter(|_| needs(Need::Card)),
        }
    }

    fn claim(&self, person: &TestPerson) -> Claim {
        let needs = |need| self.manifest().needs.contains(&need);
        let (total, day) = (self.data.total, self.discharged());
        let line = ClaimLine {
            id: LINE.0.into(),
            code: LINE.1.into(),
            category: None,
            class: CatalogueClass::A,
            amount: total,
            self_funded: Money::ZERO,
            over_limit: Money::ZERO,
            upfront_copay: Money::ZERO,
            in_scope: total,
        };
        let roster = || person.roster(&self.data.insured_region, &self.manifest().serves, day);
        Claim {
            hospital_level: HospitalLevel::Two,
            hospital_region: self.data.hospital_region.clone(),
            insured_region: self.data.insured_region.clone(),
            class: VisitClass::Inpatient,
            admitted: self.admitted(),
            discharged: day,
            cause: Cause { kind: CauseKind::Illness, accident_type: None },
            third_party_liable: false,
            referral: Referral::None,
            roster: needs(Need::Standing).then(roster),
            buckets: Buckets { total, in_scope: total, ..Buckets::default() },
            lines: if needs(Need::Lines) { vec![line] } else { Vec::new() },
            settled_elsewhere: Vec::new(),
        }
    }

    /// A request for a quote, without its head. `most`: what may be paid at most; absent: everything.
    pub(super) fn ask(
        &self,
        person: &TestPerson,
        stay: &Stay,
        payers: &[PayerCode],
        most: Option<Money>,
    ) -> Value {
        let total = self.data.total;
        let leg = |payer: &PayerCode| AskedLeg {
            payer: payer.clone(),
            base: total.exact(),
            in_scope_left: total,
            out_of_scope_left: Money::ZERO,
            pay_at_most: most.unwrap_or(total),
        };
        let ask = Ask {
            stay: stay.id.as_str().into(),
            hospital: self.data.hospital.as_str().into(),
            visit_number: self.visit_number(&stay.id),
            person: self.person(person),
            claim: self.claim(person),
            diagnoses: self.diagnoses(),
            legs: payers.iter().map(leg).collect(),
            paid_before: Vec::new(),
            memo: stay.memo.clone(),
        };
        json!({"ask": revealed(&ask)})
    }

    pub(super) fn coverage_question(&self, person: &TestPerson) -> Value {
        let (person, payers) = (self.person(person), self.manifest().serves.clone());
        json!({"question": revealed(&CoverageQuestion { person, payers, on: self.discharged() })})
    }

    pub(super) fn commit_body(&self, id: &str, quoted: &Quoted) -> Value {
        json!({"operation_id": id, "stay": quoted.stay, "quote_id": quoted.id, "amounts": parts(&quoted.by_payer())})
    }

    /// Of what the commit paid; of what nobody knows that it paid, what was quoted.
    pub(super) fn reverse_body(&self, id: &str, original: &str, quoted: &Quoted) -> Value {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner).get(original).cloned();
        let amounts = parts(&moved.unwrap_or_else(|| quoted.by_payer()));
        json!({
            "operation_id": id, "original_operation_id": original, "stay": quoted.stay, "amounts": amounts,
        })
    }

    /// An operation is done: this is what it came to.
    pub(super) fn moved(&self, id: &str, amounts: &[(PayerCode, Money)]) {
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.insert(id.to_owned(), amounts.to_vec());
    }

    /// Keeps in mind that an operation moved something, and has a line of the book.
    pub(super) fn wrote(&self, id: &str, total: Money) {
        if !total.is_zero() {
            self.written.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
        }
    }

    /// Those that must have a line.
    pub(super) fn written(&self) -> Vec<String> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The adapter was ended: whether its book outlives that is for trials of its own.
    pub(super) fn forgets_what_was_written(&self) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether a commit may come to these amounts: those of its quote, or where quotes are not firm, of the same payers no more
    /// than may be paid.
    pub(super) fn fits(&self, quoted: &Quoted, amounts: &[(PayerCode, Money)]) -> bool {
        let (mut own, mut expected) = (amounts.to_vec(), quoted.by_payer());
        own.sort();
        expected.sort();
        if self.manifest().quotes_are_firm {
            return own == expected;
        }
        let payers = |amounts: &[(PayerCode, Money)]| {
            amounts.iter().map(|(payer, _)| payer.clone()).collect::<Vec<_>>()
        };
        let within = |(_, amount): &(PayerCode, Money)| !amount.is_negative() && *amount <= quoted.most;
        payers(&own) == payers(&expected) && own.iter().all(within)
    }
}

/// As it goes to the adapter: with what is a person's.
pub(super) fn revealed(message: &impl serde::Serialize) -> Value {
    revealing(|| serde_json::to_value(message)).unwrap_or_default()
}
