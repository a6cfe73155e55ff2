//! What is answered while something is still worked on: in JSON, in XML (the names and the order of its JSON), or as a page.

use serde::Serialize;
use yizhan_contract::Text;

use super::markup::Markup;
use super::xml::text;
use crate::refusal::Money;
use crate::settlement::bill::BillState;

pub const PENDING_NAMESPACE: &str = "urn:yizhan:pending:1";

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    state: BillState,
    pub money: Money,
    /// Where the answer will be.
    pub location: String,
    pub next: Text,
    pub trace_id: String,
}

impl Pending {
    pub fn new(location: String, trace_id: String) -> Self {
        let next = Text::new(
            "正在处理，请稍后在所示地址查看，请勿另行重发。",
            "It is being worked on; read the answer at the address shown, and do not send it under another id.",
        );
        Self { state: BillState::Settling, money: Money::BeingConfirmed, location, next, trace_id }
    }

    pub fn to_xml(&self) -> String {
        Markup::document("pending", PENDING_NAMESPACE, |xml| {
            xml.leaf("state", self.state.word());
            xml.leaf("money", self.money.word());
            xml.leaf("location", &self.location);
            text(xml, "next", &self.next);
            xml.leaf("trace_id", &self.trace_id);
        })
    }
}
