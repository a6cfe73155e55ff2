//! What is measured: a gateway of our own, or one that runs already.

use std::path::Path;

use anyhow::Context;
use jiff::civil::{Date, date};
use yizhan_rules::PolicyShelf;

use super::books::{HttpBooks, StoreBooks};
use super::gate::{self, Verdict};
use super::house::OwnGateway;
use super::load::{Account, Load};
use super::payers::Named;
use super::progress::Progress;
use crate::cli::opened::Unprinted;
use crate::cli::workload::Workload;
use crate::cli::workload::client::Doors;
use crate::store::Store;
use crate::store::address::Address;

/// A day and a region of the policy every generated stay falls under.
const POLICY_DAY: Date = date(2020, 7, 1);
const POLICY_REGION: &str = "371323";

pub(super) enum Subject {
    Own(Box<OwnGateway>),
    Running { doors: Doors, token: Unprinted },
}

impl Subject {
    /// A gateway of our own over an empty store, whose key is made in `folder`.
    pub(super) fn own(
        store: Address,
        folder: &Path,
        workload: &Workload,
        outside: Vec<Named>,
    ) -> anyhow::Result<Self> {
        Ok(Self::Own(Box::new(OwnGateway::start(store, folder, workload, outside)?)))
    }

    /// Where stays can be looked up by their settlements.
    pub(super) fn store(&self) -> Option<&dyn Store> {
        match self {
            Self::Own(own) => Some(&*own.store),
            Self::Running { .. } => None,
        }
    }

    /// Sends to it.
    pub(super) fn load<'l>(&'l self, workload: &'l Workload, progress: &'l Progress) -> Load<'l> {
        match self {
            Self::Own(own) => own.load(workload, progress),
            Self::Running { doors, .. } => Load::new(workload, doors, progress),
        }
    }

    /// For people who read the figures.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Own(own) => match &own.address {
                Address::File(_) => "SQLite".to_owned(),
                Address::Postgres(address) => address.to_string(),
            },
            Self::Running { doors, .. } => doors.http.clone(),
        }
    }

    /// Of the store's file as it began; absent where we do not know it.
    pub(super) fn store_bytes(&self) -> Option<u64> {
        match self {
            Self::Own(own) => own.file_bytes(),
            Self::Running { .. } => None,
        }
    }

    /// `days`: first and last of the run, in Shanghai.
    pub(super) fn judge(
        &self,
        account: &Account,
        workload: &Workload,
        days: (Date, Date),
    ) -> anyhow::Result<Verdict> {
        let policies = PolicyShelf::shipped()?;
        let policy = policies
            .find(POLICY_REGION, POLICY_DAY)
            .context("随附的政策中没有压测所用的政策 | no policy is shipped for the load")?;
        match self {
            Self::Own(own) => {
                let mut books = StoreBooks { store: &*own.store, days, receivers: &own.receivers };
                gate::judge(account, workload, &gate::caps(policy), &mut books)
            }
            // Its policies are its own, and so are its caps.
            Self::Running { doors, token } => {
                let mut books = HttpBooks::new(doors, token.reveal())?;
                gate::judge(account, workload, &Default::default(), &mut books)
            }
        }
    }

    /// The bytes of the store's file, closed; absent where we do not know it.
    pub(super) fn close(self) -> anyhow::Result<Option<u64>> {
        match self {
            Self::Own(own) => own.close(),
            Self::Running { .. } => Ok(None),
        }
    }
}
