//! `POST /v1/beneficiaries/lookup`: what the roster says of a person, for the admission desk (先诊疗后付费).
//!
//! By `POST`, so that no address and no log holds an identity card number.

use actix_web::{HttpResponse, web};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use yizhan_contract::person::Personal;
use yizhan_contract::stay::civil_date;
use yizhan_contract::{IdNumber, Text};

use super::accept::Form;
use super::asked::{Answered, Asked};
use super::{answer, body};
use crate::refusal::{Code, Refusal};
use crate::settlement::gateway::store_refusal;
use crate::settlement::outcome::Beneficiary;
use crate::store::PersonRef;
use crate::telemetry;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lookup {
    id_number: Personal<String>,
    /// Absent: today in Shanghai.
    on: Option<Date>,
}

#[derive(Serialize)]
struct LookedUp {
    #[serde(flatten)]
    beneficiary: Beneficiary,
    /// The same for the clerk, in one line.
    says: Text,
}

pub(super) async fn look_up(asked: Asked, payload: web::Payload) -> HttpResponse {
    asked.answer(look_up_one(&asked, payload).await)
}

async fn look_up_one(asked: &Asked, payload: web::Payload) -> Answered {
    let caller = asked.caller()?;
    asked.wish(&[Form::Json], None)?;
    let Lookup { id_number, on } = body::json(asked, payload).await?;
    // Why it is wrong says nothing of the number itself but its check character, which is left out, too.
    let id_number: IdNumber = id_number.reveal().parse().map_err(|_| bad_number())?;
    let gateway = asked.reception().gateway();
    let on = on.unwrap_or_else(|| civil_date(gateway.runtime().now()));
    let person = PersonRef::IdNumber(Personal::new(id_number));
    let beneficiary = gateway.beneficiary(person, on).await.map_err(|error| store_refusal(&error))?;
    telemetry::beneficiary_looked_up(&asked.trace_id.to_string(), &caller.hospital, beneficiary.on_roster);
    let says = beneficiary.sentence();
    let body = serde_json::to_string(&LookedUp { beneficiary, says }).unwrap_or_default();
    Ok(HttpResponse::Ok().content_type(answer::JSON).body(body))
}

fn bad_number() -> Refusal {
    Refusal::new(Code::BadValue, "证件号码无效", "this is no valid identity card number").at("$.id_number")
}
