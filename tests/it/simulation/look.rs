//! What the store holds, looked at directly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;
use yizhan::settlement::record::StayRecord;
use yizhan::store::{Book, Hold, PersonFacts, PersonRef, StayRef, Store};
use yizhan_contract::Personal;

/// One stay as a gateway that starts now would read it.
pub(crate) struct StayLook {
    pub(crate) visit: Arc<str>,
    pub(crate) record: StayRecord,
    pub(crate) hold: Hold,
    pub(crate) person_id: Uuid,
}

#[derive(Default)]
pub(crate) struct Look {
    pub(crate) stays: BTreeMap<Arc<str>, StayLook>,
    pub(crate) books: Vec<Book>,
    /// By the name the samples give them.
    pub(crate) people: BTreeMap<&'static str, PersonFacts>,
    pub(crate) attention: BTreeSet<Uuid>,
}

/// Everything a run may ever have put there.
pub(crate) struct Known {
    /// Visit numbers, and of which hospital.
    pub(crate) visits: BTreeMap<Arc<str>, &'static str>,
    /// Name and identity card.
    pub(crate) people: Vec<(&'static str, &'static str)>,
}

const MANY: u32 = 1_000;

/// What is to be looked at anew.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moved {
    /// Visit numbers.
    pub(crate) stays: BTreeSet<Arc<str>>,
    /// Bills or postings.
    pub(crate) books: bool,
}

impl Look {
    /// Looks again where something moved: opening what is sealed is most of the work of a run.
    pub(crate) async fn again(&mut self, store: &dyn Store, known: &Known, moved: &Moved) {
        for visit in &moved.stays {
            let hospital = known.visits[visit].into();
            let stay = StayRef::Visit { hospital, number: Arc::clone(visit), admitted: None };
            let Some(stored) = store.stay(stay).await.unwrap() else { continue };
            let record = StayRecord::read(&stored).unwrap();
            let (visit, hold, person_id) = (Arc::clone(visit), stored.hold.clone(), stored.person_id);
            self.stays.insert(Arc::clone(&visit), StayLook { visit, record, hold, person_id });
        }
        for (who, card) in
            known.people.iter().filter(|(who, _)| moved.stays.iter().any(|stay| stay.starts_with(who)))
        {
            let person = PersonRef::IdNumber(Personal::new(card.parse().unwrap()));
            self.people.extend(store.person(vec![person]).await.unwrap().map(|facts| (*who, facts)));
        }
        self.attention = store.attention(MANY).await.unwrap().into_iter().collect();
        if moved.books {
            self.books = store.books(None, MANY).await.unwrap().books;
        }
    }

    pub(crate) async fn at(store: &dyn Store, known: &Known) -> Self {
        let mut look = Self::default();
        look.again(store, known, &Moved { stays: known.visits.keys().cloned().collect(), books: true }).await;
        look
    }
}
