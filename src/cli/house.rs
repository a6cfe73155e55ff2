//! What `settle`, `serve` and `demo` have in common: store, policies, hospitals, and the reception over them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use yizhan_rules::PolicyShelf;

use super::Exit;
use crate::config::ConfigError;
use crate::intake::reception::Reception;
use crate::intake::{Profile, Profiles};
use crate::runtime::Runtime;
use crate::samples;
use crate::settlement::gateway::Gateway;
use crate::store::key_file::KeyError;
use crate::store::registers::ImportError;
use crate::store::{Ports, StoreError};

/// Puts store, policies and hospitals together.
pub(super) fn reception(
    store: Arc<dyn Ports>,
    policies: PolicyShelf,
    profiles: Profiles,
    runtime: Runtime,
) -> Reception {
    let profiles = Arc::new(profiles);
    let known = Arc::clone(&profiles);
    let hospitals =
        Arc::new(move |code: &str| known.of_hospital(code).map(|profile| Arc::clone(&profile.hospital)));
    let gateway = Gateway::new(store, Arc::new(policies), hospitals, runtime);
    Reception::new(gateway, profiles)
}

pub(super) fn sample_profiles() -> anyhow::Result<Profiles> {
    Ok(samples::profiles()?)
}

/// Profiles from files, one hospital each.
pub(super) fn profiles(files: &[PathBuf]) -> anyhow::Result<Profiles> {
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok((file.display().to_string(), text))
    };
    profiles_of(files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?)
}

fn profiles_of(texts: impl IntoIterator<Item = (String, String)>) -> anyhow::Result<Profiles> {
    let profile = |(name, text): (String, String)| {
        Profile::from_toml(&text)
            .map_err(|why| anyhow::Error::new(why).context(format!("hospital profile {name}")))
    };
    let profiles = texts.into_iter().map(profile).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Profiles::new(profiles)?)
}

/// The exit code of a command that failed: the store's trouble, refused input, else usage.
pub(super) fn exit_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(import) = cause.downcast_ref::<ImportError>() {
            return match import {
                ImportError::Refused(_) => Exit::Refused,
                ImportError::Store(_) => Exit::Failed,
            };
        }
        if let Some(store) = cause.downcast_ref::<StoreError>() {
            return match store {
                StoreError::WrongKey { .. } | StoreError::Taken(_) => Exit::Usage,
                _ => Exit::Failed,
            };
        }
        if cause.is::<ConfigError>() || cause.is::<KeyError>() {
            return Exit::Usage;
        }
    }
    Exit::Usage
}
