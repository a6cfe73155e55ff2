//! What `settle`, `serve` and `demo` have in common: store, policies, hospitals, and the reception over them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use yizhan_rules::PolicyShelf;

use super::Exit;
use super::opened::Opened;
use super::serve::Ended;
use crate::config::ConfigError;
use crate::intake::reception::Reception;
use crate::intake::{Profile, Profiles};
use crate::runtime::Runtime;
use crate::samples;
use crate::settlement::directory::Directory;
use crate::settlement::gateway::Gateway;
use crate::store::StoreError;
use crate::store::key_file::KeyError;
use crate::store::registers::ImportError;
use crate::system;

/// Puts store, policies and hospitals together for one command; every payer is computed by rules.
pub(super) fn reception(
    store: &Opened,
    policies: PolicyShelf,
    profiles: Profiles,
    runtime: Runtime,
) -> Reception {
    let name = store.command_name(&runtime);
    reception_of(store, Arc::new(policies), profiles, runtime, Directory::default(), name.as_str())
}

/// The same with outside payers, under the name this gateway holds leases by.
pub(super) fn reception_of(
    store: &Opened,
    policies: Arc<PolicyShelf>,
    profiles: Profiles,
    runtime: Runtime,
    directory: Directory,
    name: &str,
) -> Reception {
    let profiles = Arc::new(profiles);
    let known = Arc::clone(&profiles);
    let hospitals =
        Arc::new(move |code: &str| known.of_hospital(code).map(|profile| Arc::clone(&profile.hospital)));
    let name = Arc::from(name);
    let gateway = Gateway::new(store.share(), policies, hospitals, directory, name, runtime);
    Reception::new(gateway, profiles)
}

/// A file or folder that cannot be used, in words.
pub(super) fn unusable(path: &Path, why: &io::Error) -> anyhow::Error {
    let (path, text) = (path.display(), system::refused(why));
    anyhow!("{path} {} | {path} {}", text.zh, text.en)
}

pub(super) fn text_of(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).map_err(|why| unusable(file, &why))
}

/// The TOML files of a folder, by name.
pub(super) fn toml_files_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let refused = |why| unusable(folder, &why);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|ending| ending == "toml") && !is_hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

pub(super) fn sample_profiles() -> anyhow::Result<Profiles> {
    Ok(samples::profiles()?)
}

/// Profiles from files, one hospital each.
pub(super) fn profiles(files: &[PathBuf]) -> anyhow::Result<Profiles> {
    let read = |file: &PathBuf| Ok((file.display().to_string(), text_of(file)?));
    profiles_of(files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?)
}

fn profiles_of(texts: impl IntoIterator<Item = (String, String)>) -> anyhow::Result<Profiles> {
    let profile = |(name, text): (String, String)| Profile::from_toml(&text).context(name);
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
            return exit_of_store(store);
        }
        if cause.is::<Ended>() {
            return Exit::Failed;
        }
        if cause.is::<ConfigError>() || cause.is::<KeyError>() {
            return Exit::Usage;
        }
    }
    Exit::Usage
}

/// A store that is somebody else's, or under another key, was named by mistake; anything else is its own trouble.
pub(super) fn exit_of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::WrongKey { .. } | StoreError::NoKey(_) | StoreError::Taken(_) => Exit::Usage,
        _ => Exit::Failed,
    }
}
