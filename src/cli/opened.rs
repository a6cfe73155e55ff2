//! Opening the store that a command or a configuration names, and letting go of it.

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};

use super::block_on;
use super::gateway_name::GatewayName;
use crate::http::Passes;
use crate::runtime::Runtime;
use crate::store::Ports;
use crate::store::address::{Address, PostgresAddress};
use crate::store::postgres::{self, Postgres};
use crate::store::seal::Key;
use crate::store::sqlite::{Options, Sqlite};

/// An argument as it was given that is, or may hold, a secret: nothing that is wrong with it may print it.
#[derive(Clone)]
pub(super) struct Unprinted(String);

impl FromStr for Unprinted {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Unprinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unprinted(…)")
    }
}

impl Unprinted {
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Of a store: it may hold a password.
    pub(super) fn address(&self) -> anyhow::Result<Address> {
        Ok(self.0.parse::<Address>()?)
    }
}

/// A store of either kind.
pub(super) enum Opened {
    File(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

impl Deref for Opened {
    type Target = dyn Ports;

    fn deref(&self) -> &(dyn Ports + 'static) {
        match self {
            Self::File(store) => &**store,
            Self::Postgres(store) => &**store,
        }
    }
}

impl Opened {
    pub(super) fn in_memory(runtime: &Runtime) -> anyhow::Result<Self> {
        Ok(Self::File(Arc::new(Sqlite::in_memory(Arc::clone(&runtime.ids))?)))
    }

    pub(super) fn share(&self) -> Arc<dyn Ports> {
        match self {
            Self::File(store) => Arc::clone(store) as _,
            Self::Postgres(store) => Arc::clone(store) as _,
        }
    }

    /// What the gateway that serves this store holds leases by, so that it finds its own after a restart.
    pub(super) fn gateway_name(&self, key_file: &Path, runtime: &Runtime) -> GatewayName {
        match self {
            Self::File(_) => GatewayName::only(),
            Self::Postgres(_) => GatewayName::lasting(key_file, runtime),
        }
    }

    /// The same for a command, which may work beside gateways that serve it.
    pub(super) fn command_name(&self, runtime: &Runtime) -> GatewayName {
        match self {
            Self::File(_) => GatewayName::only(),
            Self::Postgres(_) => GatewayName::once(runtime),
        }
    }

    /// Lets go of the file, so that the next gateway may open it, or of the connections.
    pub(super) fn close(self) {
        match self {
            Self::File(store) => _ = Arc::into_inner(store).map(|store| block_on(store.close())),
            Self::Postgres(store) => store.close(),
        }
    }
}

/// Opens a store to serve it; without its key the store itself says which one it wants.
pub(super) fn open_store(
    address: &Address,
    key_file: &Path,
    options: postgres::Options,
    runtime: &Runtime,
) -> anyhow::Result<Opened> {
    let opened = match address {
        Address::File(path) => {
            let opened = Sqlite::open(path, key(key_file)?, Arc::clone(&runtime.ids), Options::default());
            opened.map(|store| Opened::File(Arc::new(store)))
        }
        Address::Postgres(address) => return open_postgres(address, key_file, options, runtime),
    };
    opened.with_context(|| store_under(address, key_file))
}

/// Opens a store for one command, beside the gateways that may be serving it.
pub(super) fn open_beside(address: &Address, key_file: &Path, runtime: &Runtime) -> anyhow::Result<Opened> {
    let opened = match address {
        Address::File(path) => Sqlite::open_beside(path, key(key_file)?, Arc::clone(&runtime.ids)),
        Address::Postgres(address) => {
            return open_postgres(address, key_file, postgres::Options::default(), runtime);
        }
    };
    opened.map(|store| Opened::File(Arc::new(store))).with_context(|| store_under(address, key_file))
}

fn open_postgres(
    address: &PostgresAddress,
    key_file: &Path,
    options: postgres::Options,
    runtime: &Runtime,
) -> anyhow::Result<Opened> {
    let opened = block_on(Postgres::open(address, key(key_file)?, Arc::clone(&runtime.ids), options));
    let opened = opened.map(|store| Opened::Postgres(Arc::new(store)));
    opened.with_context(|| store_under(&Address::Postgres(address.clone()), key_file))
}

fn store_under(store: &Address, key_file: &Path) -> String {
    let key_file = key_file.display();
    format!("数据库 {store}，密钥文件 {key_file} | store {store} under key file {key_file}")
}

fn key(file: &Path) -> anyhow::Result<Option<Key>> {
    Ok(if file.exists() { Some(Key::read(file)?) } else { None })
}

/// What signs links to sheets; the store under this key is open already.
pub(super) fn passes(key_file: &Path) -> anyhow::Result<Passes> {
    Ok(Passes::new(Key::read(key_file)?.link_key()))
}

/// Beside a store's file, unless said otherwise; a database has no place beside it.
pub(super) fn key_file_of(store: &Address, key: Option<&Path>) -> anyhow::Result<PathBuf> {
    match (key, store) {
        (Some(key), _) => Ok(key.to_owned()),
        (None, Address::File(path)) => Ok(path.with_extension("key")),
        (None, Address::Postgres(_)) => Err(anyhow!(
            "{store}：请用 --key（或 YIZHAN_KEY_FILE）指明密钥文件 | {store}: name its key file by --key, or \
             YIZHAN_KEY_FILE"
        )),
    }
}

/// The file of a store that only a file can be; otherwise how PostgreSQL itself does it.
pub(super) fn only_file<'a>(store: &'a Address, command_of_postgres: &str) -> anyhow::Result<&'a Path> {
    match store {
        Address::File(path) => Ok(path),
        Address::Postgres(_) => bail!(
            "PostgreSQL 中的数据请用 PostgreSQL 自己的工具：{command_of_postgres}；需恢复到任意时刻时用 \
             pg_basebackup 加 WAL 归档；密钥文件另行保管 | what is in PostgreSQL is saved by its own tools: \
             {command_of_postgres}; to go back to any moment, pg_basebackup and an archive of the WAL; keep \
             the key file apart"
        ),
    }
}
