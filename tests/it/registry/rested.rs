//! A payer that must see visits, and is left alone because it did not answer: nothing but a visit can find it well again.

use std::time::Duration;

use jiff::SignedDuration;
use tempfile::TempDir;
use yizhan::registry::Registry;
use yizhan::registry::standing::Noted;
use yizhan::runtime::Clock as _;
use yizhan::settlement::bill::{BillState, ComputedBy};
use yizhan::settlement::outcome::Outcome;
use yizhan::store::adapter_book::AdapterBook;
use yizhan_contract::payer::VisitEventKind::{Admitted, Charged, Discharged};
use yizhan_remote::TROUBLES_MAX;

use super::begun::{Given, begun, book, decided, house, outcome};
use super::insurer::Insurer;
use crate::gateway::audit;
use crate::installed::until;

/// As long as any of the stays waits, in the hospital's time.
const LATER: SignedDuration = SignedDuration::from_mins(1);

/// How its only adapter stands with a gateway.
async fn standing(registry: &mut Registry, book: &dyn AdapterBook) -> String {
    registry.keep_notes().await.unwrap();
    let notes = book.adapter_notes().await.unwrap();
    serde_json::from_str::<Noted>(&notes[0].document).unwrap().standing.en.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_visit_finds_out_whether_a_payer_that_sees_visits_answers_again_and_the_stays_settle() {
    let (mut insurer, folder, book) = (Insurer::open().await, TempDir::new().unwrap(), book());
    insurer.goes().await;
    insurer.sees_visits = true;
    insurer.comes(Duration::ZERO).await;
    insurer.put(folder.path(), "mode = \"primary\"\notherwise = \"rules\"\n");
    let given = Given { book: book.clone(), ..Given::to(&insurer) };
    let (mut registry, _) = begun(folder.path(), given).await.unwrap();
    let house = house(&registry).await;
    insurer.goes().await;
    for nth in 1..=TROUBLES_MAX {
        assert_eq!(standing(&mut registry, &*book).await, "answers", "after {} troubles", nth - 1);
        let waits = outcome(&house, nth).await;
        assert!(matches!(&waits, Outcome::Noted(noted) if noted.state == BillState::Settling), "{waits:?}");
    }
    let said = standing(&mut registry, &*book).await;
    assert!(said.starts_with("does not answer, tried again in"), "{said}");

    // It is there again, and nobody calls it before its rest is over.
    insurer.comes(Duration::ZERO).await;
    until("its rest is over", async || {
        let said = standing(&mut registry, &*book).await;
        (said == "does not answer, tried with the next question").then_some(())
    })
    .await;
    assert_eq!(*insurer.visits.lock().unwrap(), []);
    house.clock.put(house.clock.now() + LATER);
    let gateway = house.reception.gateway();
    for pursuit in gateway.due(house.clock.now(), 10).await.unwrap() {
        Box::pin(gateway.pursue(pursuit)).await;
    }
    let of_each = [Admitted, Charged, Discharged].repeat(5);
    assert_eq!(*insurer.visits.lock().unwrap(), of_each);
    assert_eq!(standing(&mut registry, &*book).await, "answers");
    for nth in 1..=TROUBLES_MAX {
        assert_eq!(decided(&house, nth).await, ComputedBy::Payer);
    }
    assert_eq!(audit(&*house.store).await.1, []);
    insurer.goes().await;
}
