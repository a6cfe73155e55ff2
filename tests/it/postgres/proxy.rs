//! Between a store and its server: passes everything on, and once does something else with a COMMIT, or another statement.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

/// What happens to the next COMMIT, or to another statement; the client's connection ends in each case.
pub(crate) enum Cut {
    /// It arrives, its answer does not.
    Answer,
    /// It does not arrive.
    Commit,
    /// It arrives when the test says so, with everything before it held by the server meanwhile.
    Late(oneshot::Receiver<()>),
    /// The whole transaction arrives when the test says so.
    AllLate(oneshot::Receiver<()>),
}

/// At which statement: the beginning of its text, and what happens.
type Next = Mutex<Option<(&'static str, Cut)>>;

pub(crate) struct Proxy {
    folder: TempDir,
    database: Mutex<String>,
    next: Arc<Next>,
    done: Arc<tokio::sync::Notify>,
    is_down: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn before(server: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let (next, done) = (Arc::new(Mutex::new(None)), Arc::new(tokio::sync::Notify::new()));
        let is_down = Arc::new(AtomicBool::new(false));
        let refuses = Arc::clone(&is_down);
        let (server, cut, cut_done) = (server.join(".s.PGSQL.5432"), Arc::clone(&next), Arc::clone(&done));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if refuses.load(Ordering::Relaxed) {
                    continue;
                }
                tokio::spawn(pass(client, server.clone(), Arc::clone(&cut), Arc::clone(&cut_done)));
            }
        });
        Self { folder, database: Mutex::default(), next, done, is_down }
    }

    /// The one an address was asked for last.
    pub(crate) fn database(&self) -> String {
        self.database.lock().unwrap().clone()
    }

    pub(crate) fn address(&self, database: &str) -> String {
        database.clone_into(&mut self.database.lock().unwrap());
        format!("postgres:///{database}?user=yizhan&host={}", self.folder.path().display())
    }

    pub(crate) fn cut_next(&self, cut: Cut) {
        self.cut_next_at("COMMIT", cut);
    }

    /// The next statement that holds this text.
    pub(crate) fn cut_next_at(&self, text: &'static str, cut: Cut) {
        *self.next.lock().unwrap() = Some((text, cut));
    }

    /// Whether what was asked for has happened.
    pub(crate) fn has_cut(&self) -> bool {
        self.next.lock().unwrap().is_none()
    }

    /// From now on nobody gets a new connection, or everybody again.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.is_down.store(refuse, Ordering::Relaxed);
    }

    /// Waits until the server has answered what was sent late.
    pub(crate) async fn arrived(&self) {
        self.done.notified().await;
    }
}

async fn pass(client: UnixStream, server: PathBuf, next: Arc<Next>, done: Arc<tokio::sync::Notify>) {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = UnixStream::connect(server).await.unwrap().into_split();
    let (cut_off, is_cut) = oneshot::channel();
    let answers = tokio::spawn(async move {
        tokio::select! {
            _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
            _ = is_cut => {}
        }
        drop(to_client);
        // What the server says from here on reaches nobody; it closes when it has done all that was sent.
        let _ = tokio::io::copy(&mut from_server, &mut tokio::io::sink()).await;
    });
    let Some((cut, held, mut to_server)) = forward(from_client, to_server, &next).await else { return };
    cut_off.send(()).unwrap();
    match cut {
        Cut::Commit => return,
        Cut::Answer => {}
        Cut::Late(go_on) | Cut::AllLate(go_on) => _ = go_on.await,
    }
    to_server.write_all(&held).await.unwrap();
    to_server.write_all(TERMINATE).await.unwrap();
    answers.await.unwrap();
    done.notify_one();
}

const TERMINATE: &[u8] = b"X\0\0\0\x04";

/// Frontend messages (<https://www.postgresql.org/docs/15/protocol-message-formats.html>) until a statement that is to
/// be cut: returns what was held back of its transaction.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    next: &Next,
) -> Option<(Cut, Vec<u8>, OwnedWriteHalf)> {
    let mut statements: HashMap<Vec<u8>, String> = HashMap::new();
    let (mut begun, mut held) = (false, Vec::new());
    let mut is_first = true;
    loop {
        let message = read(&mut from, is_first).await?;
        if is_first {
            is_first = false;
            to.write_all(&message).await.ok()?;
            continue;
        }
        match message[0] {
            b'P' => {
                let statement = name(&message[5..]);
                let text = name(&message[5 + statement.len() + 1..]);
                statements.insert(statement, String::from_utf8(text).unwrap());
            }
            b'B' => {
                let portal = name(&message[5..]);
                let text = &statements[&name(&message[5 + portal.len() + 1..])];
                begun |= text == "BEGIN";
                begun &= text != "COMMIT" || next.lock().unwrap().is_some();
                let cut = next.lock().unwrap().take_if(|(at, _)| text.contains(*at));
                if let Some((_, cut)) = cut {
                    held.extend(message);
                    return Some((cut, rest(&mut from, held).await?, to));
                }
            }
            _ => {}
        }
        let holds = begun && matches!(*next.lock().unwrap(), Some((_, Cut::AllLate(_))));
        if holds {
            held.extend(message);
        } else {
            to.write_all(&message).await.ok()?;
        }
    }
}

/// Up to the Sync that ends the COMMIT.
async fn rest(from: &mut OwnedReadHalf, mut held: Vec<u8>) -> Option<Vec<u8>> {
    loop {
        let message = read(from, false).await?;
        let is_sync = message[0] == b'S';
        held.extend(message);
        if is_sync {
            return Some(held);
        }
    }
}

/// One message; the first of a connection has no type.
async fn read(from: &mut OwnedReadHalf, is_first: bool) -> Option<Vec<u8>> {
    let head = usize::from(!is_first);
    let mut message = vec![0; head + 4];
    from.read_exact(&mut message).await.ok()?;
    let length = u32::from_be_bytes(message[head..].try_into().unwrap()) as usize;
    message.resize(head + length, 0);
    from.read_exact(&mut message[head + 4..]).await.ok()?;
    Some(message)
}

/// The bytes up to a zero.
fn name(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().take_while(|byte| *byte != 0).collect()
}
