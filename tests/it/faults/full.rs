//! Disks that are full: what cannot be kept is not acknowledged, nothing is done by half, and with room again it goes
//! on by itself.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rusqlite::Connection;
use yizhan::runtime::RandomIds;
use yizhan::store::seal::Key;
use yizhan::store::sqlite::{Options, Sqlite};

use super::site::{Place, Site};
use super::trouble::through_trouble;
use crate::cluster::Cluster;
use crate::passed_over;

const ROOM_BYTES: u64 = 1024 * 1024;
const DISK_BYTES: u64 = 64 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_sqlite_refuses_and_goes_on_when_there_is_room() {
    let site = Site::on_file().await;
    let Place::File { path, key_file } = &site.place else { panic!("no file") };
    let bytes = std::fs::metadata(path).unwrap().len();
    let options = Options { file_bytes_max: Some(bytes + ROOM_BYTES) };
    let key = Some(Key::read(key_file).unwrap());
    let store = Arc::new(Sqlite::open(path, key, Arc::new(RandomIds), options).unwrap());
    // The limit is the gateway's own: another connection takes the room, and gives back pages that may be used.
    let other = |sql: String| {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        connection.execute_batch(&sql).unwrap();
    };
    let fill = format!("CREATE TABLE filler (b); INSERT INTO filler VALUES (zeroblob({}))", 2 * ROOM_BYTES);
    through_trouble(
        &site,
        store,
        async || other(fill.clone()),
        async || other("DROP TABLE filler".to_owned()),
    )
    .await;
}

/// A file system in memory of a few megabytes; absent: it takes root to make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: PathBuf) -> Option<Self> {
        std::fs::create_dir(&folder).unwrap();
        let size = format!("size={DISK_BYTES}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        is_mounted.then_some(Self(folder))
    }

    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_tablespace_refuses_and_goes_on_when_there_is_room() {
    let cluster = Cluster::start();
    let Some(disk) = SmallDisk::at(cluster.socket_folder().join("small")) else {
        return passed_over("a small disk for PostgreSQL takes root to mount");
    };
    let owner = std::fs::metadata(cluster.socket_folder()).unwrap();
    let space = disk.0.join("space");
    std::fs::create_dir(&space).unwrap();
    std::os::unix::fs::chown(&space, Some(owner.uid()), Some(owner.gid())).unwrap();
    let admin = cluster.client("postgres").await;
    let make = format!("CREATE TABLESPACE small LOCATION '{}'", space.display());
    admin.batch_execute(&make).await.unwrap();
    admin.batch_execute("ALTER DATABASE template1 SET TABLESPACE small").await.unwrap();
    let site = Site::on_postgres(&cluster).await;
    let store = site.place.open().await;
    through_trouble(&site, store, async || disk.fill(), async || disk.free()).await;
}
