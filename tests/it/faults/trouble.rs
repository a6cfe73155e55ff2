//! One course of a store's trouble, whatever it is: refused in every channel, nothing acknowledged, nothing by half, and
//! it goes on by itself.

use std::sync::Arc;

use futures_util::future::join_all;
use yizhan::store::Ports;

use super::hospitals::Told;
use super::house::House;
use super::payer::{SIDE_BY_SIDE, Temper, kept};
use super::process::Hurried;
use super::reckoning::{quiet, reckon};
use super::site::Site;
use super::{pass_ms, until};
use crate::gateway::{Sent, profiles};
use crate::simulation::workload::{Sending, discharge};
use crate::stays::visit;

/// A gateway's seconds in one of ours: payers take their time, leases do not take ours.
const HURRY: i32 = 4;
/// Stays whose payers are being asked when it begins.
const UNDER_WAY: usize = 6;

fn over_http(visit: &str) -> Sent {
    discharge("zhang", visit, format!("{visit}-m"), 5_000)
}

fn over_mllp(visit: &str) -> Sent {
    let lines = vec!["1 CG SUR09 5000.00".to_owned(), "2 CG DRU05 700.00".to_owned()];
    let (kind, id) = ("DFT^P03".to_owned(), format!("{visit}-p03"));
    Sent { kind, id, lines, discharged: None, ..over_http(visit) }
}

/// Settles, refuses while there is trouble, goes on when it has passed.
pub(crate) async fn through_trouble(
    site: &Site,
    store: Arc<dyn Ports>,
    begin: impl AsyncFn(),
    end: impl AsyncFn(),
) {
    let books = site.folder.path();
    let clock = Arc::new(Hurried::times(HURRY));
    let house = House::open(Arc::clone(&store) as _, clock, (SIDE_BY_SIDE, Temper::Calm, 1), books);
    assert_eq!(house.post(&over_http("zhang0")).await.status, 200);
    let mut taken = vec![over_http("zhang0")];

    // Their payers are being asked, or have committed, when it begins.
    let under_way: Vec<Sent> = (1..=UNDER_WAY).map(|nth| over_http(&format!("zhang{nth}"))).collect();
    let (_, ()) = tokio::join!(join_all(under_way.iter().map(|sent| house.post(sent))), async {
        pass_ms(60).await;
        begin().await;
        // A full disk still takes some, on pages that are there already; of what a database was taking when it went,
        // whether it was written may be asked for longer than its sender waits.
        let mut nth = UNDER_WAY;
        let third = loop {
            nth += 1;
            let sent = over_mllp(&format!("zhang{nth}"));
            match house.hl7(&sent).await.as_deref() {
                Some("AA") => taken.push(sent),
                _ => break sent,
            }
            assert!(nth < 1_000, "there is no trouble");
        };
        let refused = over_http(&format!("zhang{}", nth + 1));
        house.says_unavailable(&refused, &third).await;
        end().await;
        let left = until("it answers", async || store.stay(visit(&refused.visit, None)).await.ok()).await;
        assert!(left.is_none(), "what was refused left something");
        until("noticed that it has passed", async || {
            (house.hl7(&third).await.as_deref() == Some("AA")).then_some(())
        })
        .await;
        taken.extend([refused, third]);
    });
    taken.extend(under_way);
    let billed: Vec<&Sent> = taken.iter().filter(|sent| sent.kind == "json").collect();
    for sent in &billed {
        until("a bill", async || (house.post(sent).await.status == 200).then_some(())).await;
    }
    let told = told(&taken);
    let look = quiet(&*store, &told.visits).await;
    let sum = reckon(&*store, &kept(SIDE_BY_SIDE, books), &told, &look).await.unwrap();
    assert_eq!(sum.ends.get("settled"), Some(&billed.len()), "{sum:?}");
    house.close().await;
}

fn told(taken: &[Sent]) -> Told {
    let profiles = profiles("", None);
    let messages: Vec<_> =
        taken.iter().map(|sent| Sending::of(sent, 0, &profiles, Hurried::today())).collect();
    let visits = messages.iter().map(|sending| Arc::clone(&sending.visit)).collect();
    Told { visits, messages, ..Told::default() }
}
