//! What only PostgreSQL can show: several gateways, a server that goes and comes back, connections that end at
//! the worst moment, the shape of the tables.

mod commands;
mod cut;
mod faults;
mod gateways;
mod importing;
mod limits;
mod opening;
mod proxy;
mod shape;
mod tls;

use yizhan::store::{AccumulatorMove, Changes, Decide, Done, Pot, Step, StoreError};

use crate::stays::*;

/// The payer whose sum the tests move.
const PAYER: &str = "critical_illness";

/// Adds 1.00 to what a person has used up, and one admission.
fn one_more(number: &'static str) -> Decide {
    Box::new(move |facts| {
        Some(Changes {
            stay: Some(stay_write(&facts, number, None, number)),
            accumulators: vec![AccumulatorMove {
                pot: Pot::Settled,
                year: 2020,
                admissions: 1,
                payers: vec![(PAYER.parse().unwrap(), used("1.00", "1.00"))],
            }],
            answer: b"one more".to_vec(),
            ..Changes::default()
        })
    })
}

fn of(person: &str, id: &str, number: &'static str) -> Step {
    step(id, visit(number, None), vec![id_number(person)], one_more(number))
}

/// How often [`one_more`] took place for a person: by admissions, and by the sum.
async fn counted(store: &dyn Ports, person: &str) -> (u32, String) {
    let Some(known) = store.person(vec![id_number(person)]).await.unwrap() else { return (0, String::new()) };
    let year = &known.years[&2020];
    (year.admissions, year.of(&PAYER.parse().unwrap()).paid.to_string())
}

/// Sends a step as a hospital does: again and again, until somebody says what became of it.
async fn until_answered(store: &dyn Ports, make: impl Fn() -> Step) -> Done {
    loop {
        match store.step(make()).await {
            Ok(done) => return done,
            Err(StoreError::Unavailable(_) | StoreError::InDoubt(_)) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}
