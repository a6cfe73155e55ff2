//! Answers in a word, as the cases write them.

use yizhan_contract::Money;
use yizhan_contract::payer::{Performed, Status};
use yizhan_kit::service::Refusal;

fn money(amounts: &[(yizhan_contract::PayerCode, Money)]) -> String {
    match amounts {
        [] => "nothing".to_owned(),
        amounts => amounts.iter().map(|(_, amount)| amount.to_string()).collect::<Vec<_>>().join(" "),
    }
}

pub(crate) fn performed(answer: Result<Performed, Refusal>) -> String {
    match answer {
        Ok(Performed::Committed { amounts, .. }) => format!("done {}", money(&amounts)),
        Ok(Performed::Refused { code, .. }) => format!("refused {code}"),
        Ok(Performed::Unknown { .. }) => "unknown".to_owned(),
        Err(refusal) => format!("{refusal:?}").to_lowercase(),
    }
}

pub(crate) fn status(answer: Result<Status, Refusal>) -> String {
    match answer {
        Ok(Status::Done { amounts, .. }) => format!("done {}", money(&amounts)),
        Ok(Status::Refused { code }) => format!("refused {code}"),
        Ok(Status::NotFound) => "not_found".to_owned(),
        other => format!("{other:?}"),
    }
}
