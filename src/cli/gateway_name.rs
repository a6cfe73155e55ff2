//! Under what name a gateway of a database holds leases: the same after a restart, and never another's.
//!
//! A name lies in a file beside the key file, `yizhan.key-gateway-1`, and belongs to whoever holds the operating
//! system's lock on it, which ends with the process however it ends. So whoever gets the lock knows that the gateway
//! that held leases under the name before sends nothing any more, and takes them up at once. Further gateways
//! under one key file take further places. The machine's name is part of it: a folder that was copied to another
//! machine does not make two gateways one. Where there is no place, a gateway draws a name for this once, and
//! what it leaves behind when it dies is taken up when the lease has run out.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::runtime::Runtime;
use crate::telemetry;

/// Gateways on one machine under one key file that find their leases again.
const PLACES_MAX: u32 = 16;

/// Kept as long as the gateway may still send anything.
pub struct GatewayName {
    name: String,
    #[expect(dead_code, reason = "held, not read: closing it frees the name")]
    place: Option<File>,
}

impl GatewayName {
    /// For a store that serves one gateway only.
    pub fn only() -> Self {
        Self { name: "gateway".to_owned(), place: None }
    }

    /// Nobody's before, nobody's after.
    pub fn once(runtime: &Runtime) -> Self {
        Self { name: format!("gateway {}", runtime.next_id()), place: None }
    }

    /// The first free one beside the key file.
    pub fn lasting(key_file: &Path, runtime: &Runtime) -> Self {
        let taken = machine().and_then(|machine| {
            let Some((place, id)) = free_place(key_file, runtime)? else { return Ok(None) };
            Ok(Some(Self { name: format!("gateway {id} {machine}"), place: Some(place) }))
        });
        match taken {
            Ok(Some(name)) => name,
            Ok(None) => {
                telemetry::gateway_without_lasting_name(&format!("{PLACES_MAX} gateways hold one already"));
                Self::once(runtime)
            }
            Err(why) => {
                telemetry::gateway_without_lasting_name(&why);
                Self::once(runtime)
            }
        }
    }

    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// Locked, with the id it holds; absent: all are taken.
fn free_place(key_file: &Path, runtime: &Runtime) -> io::Result<Option<(File, Uuid)>> {
    for nth in 1..=PLACES_MAX {
        let path = beside(key_file, nth);
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                let id = id_in(&mut file, runtime)?;
                return Ok(Some((file, id)));
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(why)) => return Err(why),
        }
    }
    Ok(None)
}

fn beside(key_file: &Path, nth: u32) -> PathBuf {
    let mut name = key_file.as_os_str().to_owned();
    name.push(format!("-gateway-{nth}"));
    PathBuf::from(name)
}

/// What does not read as an id is written anew: leases under whatever it was run out.
fn id_in(file: &mut File, runtime: &Runtime) -> io::Result<Uuid> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let read = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
    if let Some(id) = read {
        return Ok(id);
    }
    let id = runtime.next_id();
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    Ok(id)
}

/// What this machine calls itself.
fn machine() -> io::Result<String> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let said =
        kernel.or_else(|| ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok()));
    let said = said.map(|said| said.trim().to_owned()).filter(|said| !said.is_empty());
    said.ok_or_else(|| io::Error::other("this machine has no name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_gateways_and_its_own_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (key_file, runtime) = (folder.path().join("yizhan.key"), Runtime::system());
        let take = || GatewayName::lasting(&key_file, &runtime);
        let (first, second) = (take(), take());
        assert_ne!(first.as_str(), second.as_str());
        let (old, living) = (first.as_str().to_owned(), second.as_str().to_owned());
        drop(first);
        let (again, third) = (take(), take());
        assert_eq!(again.as_str(), old);
        assert!(third.as_str() != old && third.as_str() != living);
    }

    #[test]
    fn a_folder_that_cannot_be_written_gives_a_name_for_once() {
        let folder = tempfile::tempdir().unwrap();
        let (key_file, runtime) = (folder.path().join("gone/yizhan.key"), Runtime::system());
        let take = || GatewayName::lasting(&key_file, &runtime).as_str().to_owned();
        assert_ne!(take(), take());
    }

    #[test]
    fn what_does_not_read_as_a_name_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (key_file, runtime) = (folder.path().join("yizhan.key"), Runtime::system());
        std::fs::write(beside(&key_file, 1), "no name, and longer than one would be: 0123456789abcdef")
            .unwrap();
        let drawn = GatewayName::lasting(&key_file, &runtime).as_str().to_owned();
        assert_eq!(GatewayName::lasting(&key_file, &runtime).as_str(), drawn);
    }
}
