//! Which chains could be settled all or none; any other is refused when adapters and policies are put together.

use std::sync::Arc;

use yizhan::settlement::payers::{Payers, PayersError};
use yizhan::settlement::saga::plan::Impossible;
use yizhan_contract::payer::Payer;

use crate::away::{Away, policies};

/// What an adapter promises, beside whom it serves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    Firm,
    Reversible,
    Optional,
}

use Promise::{Firm, Optional, Reversible};

type Row<'r> = (&'r str, &'r [&'r str], &'r [Promise]);

/// The chain is `(disaster) basic critical_illness medical_assistance provider_waiver (accident) supplementary`.
fn check(rows: &[Row<'_>]) -> Result<(), Impossible> {
    let adapter = |(name, serves, promises): &Row<'_>| {
        let away = Away::of(serves[0], |manifest| {
            manifest.serves = serves.iter().map(|payer| payer.parse().unwrap()).collect();
            manifest.quotes_are_firm = promises.contains(&Firm);
            manifest.reverse_window_s = promises.contains(&Reversible).then_some(86_400);
            manifest.optional = promises.contains(&Optional);
        });
        (Arc::from(*name), away as Arc<dyn Payer>)
    };
    let payers = Payers::new(rows.iter().map(adapter).collect()).unwrap();
    payers.check(&policies()).map_err(|refused| {
        let PayersError::Chain { why, .. } = &refused else { panic!("{refused}") };
        let (text, of_chain) = (refused.text(), why.text());
        for (whole, part) in [(&text.zh, &of_chain.zh), (&text.en, &of_chain.en)] {
            assert!(whole.ends_with(&**part), "{whole}");
        }
        why.clone()
    })
}

#[test]
fn a_chain_that_cannot_be_settled_all_or_none_is_refused_with_what_is_wrong() {
    let (bureau, insurer) = (|| Arc::from("bureau"), || Arc::from("insurer"));
    let cases: [(&[Row<'_>], Impossible); 6] = [
        (
            &[("bureau", &["basic"], &[Firm]), ("insurer", &["supplementary"], &[Firm])],
            Impossible::TwoIrreversible { first: bureau(), second: insurer() },
        ),
        (&[("insurer", &["supplementary"], &[])], Impossible::LooseIrreversible(insurer())),
        (
            &[("bureau", &["basic"], &[Reversible]), ("insurer", &["critical_illness"], &[])],
            Impossible::LooseIrreversible(insurer()),
        ),
        (
            &[("bureau", &["basic", "medical_assistance"], &[Firm, Reversible])],
            Impossible::NotConsecutive { adapter: bureau(), payer: "medical_assistance".parse().unwrap() },
        ),
        (
            // Next to each other but after an accident.
            &[("insurer", &["provider_waiver", "supplementary"], &[Firm, Reversible])],
            Impossible::NotConsecutive { adapter: insurer(), payer: "supplementary".parse().unwrap() },
        ),
        (
            &[("bureau", &["basic"], &[Firm, Reversible, Optional])],
            Impossible::OptionalBeforeOthers {
                adapter: bureau(),
                payer: "critical_illness".parse().unwrap(),
            },
        ),
    ];
    for (rows, expected) in cases {
        assert_eq!(check(rows), Err(expected));
    }
}

#[test]
fn a_chain_that_can_be_settled_all_or_none_is_taken() {
    let cases: [&[Row<'_>]; 6] = [
        &[],
        &[("insurer", &["supplementary"], &[Firm])],
        &[("insurer", &["supplementary"], &[Reversible])],
        &[
            ("bureau", &["basic", "critical_illness"], &[Reversible]),
            ("fund", &["medical_assistance"], &[Firm]),
            ("insurer", &["accident", "supplementary"], &[Firm, Reversible, Optional]),
        ],
        // Served in another order than the chain's, and of a payer that no chain has.
        &[("bureau", &["critical_illness", "basic"], &[Firm, Reversible])],
        &[("bureau", &["basic"], &[Firm, Reversible]), ("elsewhere", &["nobody_s"], &[])],
    ];
    for (nth, rows) in cases.into_iter().enumerate() {
        assert_eq!(check(rows), Ok(()), "{nth}");
    }
}
