//! What the machine itself can do, measured in the same run: bare durable commits where the gateway keeps its
//! store, in a file ([`sqlite`]) or a cluster ([`pgbench`]).

mod pgbench;
mod sqlite;
mod statements;

use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use yizhan_contract::Text;

use super::load::per_second;
use pgbench::Cluster;
use sqlite::BareStore;

use crate::store::address::PostgresAddress;

/// Bare work of one turn.
pub(super) struct Bare {
    pub(super) count: u64,
    pub(super) took: Duration,
    /// µs until each was durable.
    pub(super) times: Histogram<u64>,
}

impl Bare {
    pub(super) fn rate(&self) -> u64 {
        per_second(self.count, self.took)
    }
}

/// What can be asked of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// One row, one commit, one after the other.
    OneByOne,
    /// Rows of many clients that share commits; of a file only.
    Shared(usize),
    /// `pgbench -N -M prepared`; of a cluster only.
    Simple(usize),
    /// The gateway's own statements with as many bytes; of a cluster only.
    OwnStatements(usize),
}

impl Limit {
    /// For machines.
    pub(super) fn name(self) -> String {
        match self {
            Self::OneByOne => "bare_1".to_owned(),
            Self::Shared(clients) => format!("bare_{clients}_shared"),
            Self::Simple(clients) => format!("pgbench_n_{clients}"),
            Self::OwnStatements(clients) => format!("pgbench_own_{clients}"),
        }
    }

    pub(super) fn title(self) -> Text {
        match self {
            Self::OneByOne => Text::new("裸提交，一行一次", "bare commits of one row"),
            Self::Shared(clients) => Text::new(
                format!("裸写入，{clients} 客户端共用提交"),
                format!("bare rows, {clients} clients sharing commits"),
            ),
            Self::Simple(clients) => Text::new(
                format!("pgbench -N，{clients} 客户端"),
                format!("pgbench -N -M prepared, {clients} clients"),
            ),
            Self::OwnStatements(clients) => Text::new(
                format!("pgbench 本网关语句，{clients} 客户端"),
                format!("the gateway's statements, {clients} clients"),
            ),
        }
    }
}

/// Where bare commits are made.
pub(super) enum Machine {
    File(BareStore),
    Cluster(Cluster),
}

impl Machine {
    /// Of the file system `folder` is on.
    pub(super) fn file(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self::File(BareStore::open(folder)?))
    }

    /// Of the cluster that keeps the gateway's store; `folder` takes what pgbench leaves.
    pub(super) fn cluster(address: PostgresAddress, folder: &Path) -> Self {
        Self::Cluster(Cluster::new(address, folder))
    }

    /// Nothing stays behind of what was only to be measured.
    pub(super) fn clear(&self) -> anyhow::Result<()> {
        match self {
            Self::File(_) => Ok(()),
            Self::Cluster(cluster) => cluster.clear(),
        }
    }

    /// Once the store holds settlements to be like.
    pub(super) fn prepare(&mut self) -> anyhow::Result<()> {
        match self {
            Self::File(_) => Ok(()),
            Self::Cluster(cluster) => cluster.prepare(),
        }
    }

    /// Everything worth knowing beside that many clients of the gateway.
    pub(super) fn limits(&self, clients: usize) -> Vec<Limit> {
        match self {
            Self::File(_) => vec![Limit::OneByOne, Limit::Shared(clients)],
            Self::Cluster(_) => {
                vec![Limit::OneByOne, Limit::Simple(clients), Limit::OwnStatements(clients)]
            }
        }
    }

    /// How many clients those are in a run of everything, as the design's goals say.
    pub(super) fn usual_clients(&self) -> usize {
        match self {
            Self::File(_) => 32,
            Self::Cluster(_) => 8,
        }
    }

    pub(super) fn measure(&mut self, limit: Limit, lasting: Duration) -> anyhow::Result<Bare> {
        match (self, limit) {
            (Self::File(store), Limit::Shared(clients)) => store.shared(clients, lasting),
            (Self::File(store), _) => store.one_by_one(lasting),
            (Self::Cluster(cluster), limit) => cluster.measure(limit, lasting),
        }
    }
}
