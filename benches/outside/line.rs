//! The line to a payer: sound, so slow that answers come after their deadlines, cut, or silent.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Of a line that drips: so many bytes, then a pause. A connection comes about just in time, an answer does not.
const DRIP_BYTES: usize = 100;
const DRIP_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Sound,
    Slow,
    /// Nobody listens, and what was open is closed.
    Cut,
    /// Connections are taken, and nothing is ever said.
    Silent,
}

pub(crate) struct Line {
    pub(crate) port: u16,
    state: watch::Sender<State>,
}

impl Line {
    pub(crate) async fn to(payer: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, watched) = watch::channel(State::Sound);
        tokio::spawn(keep(Some(listener), address, payer, watched));
        Self { port: address.port(), state }
    }

    pub(crate) fn put(&self, state: State) {
        self.state.send_replace(state);
    }
}

async fn keep(
    mut listening: Option<TcpListener>,
    address: SocketAddr,
    payer: SocketAddr,
    mut state: watch::Receiver<State>,
) {
    while state.wait_for(|state| *state != State::Cut).await.is_ok() {
        let listener = match listening.take() {
            Some(listener) => listener,
            None => TcpListener::bind(address).await.unwrap(),
        };
        let taking = async {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(client, payer, state.clone()));
            }
        };
        let mut cut = state.clone();
        tokio::select! {
            () = taking => {}
            _ = cut.wait_for(|state| *state == State::Cut) => {}
        }
    }
}

/// One connection, which ends with a line that is cut, and with one that was silent.
async fn pass(mut client: TcpStream, payer: SocketAddr, mut state: watch::Receiver<State>) {
    let is_open = |state: &State| matches!(state, State::Sound | State::Slow);
    let mut watched = state.clone();
    if is_open(&state.borrow()) {
        let Ok(mut server) = TcpStream::connect(payer).await else { return };
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (mut from_client, to_client) = client.split();
        let (from_server, mut to_server) = server.split();
        let asking = tokio::io::copy(&mut from_client, &mut to_server);
        tokio::select! {
            _ = asking => return,
            () = answering(from_server, to_client, &state) => return,
            _ = watched.wait_for(|state| !is_open(state)) => {}
        }
    }
    let _ = state.wait_for(|state| *state != State::Silent).await;
}

async fn answering(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, state: &watch::Receiver<State>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        let mut left = &buffer[..read];
        if left.is_empty() {
            return;
        }
        while !left.is_empty() {
            let is_slow = *state.borrow() == State::Slow;
            let (now, later) = left.split_at(if is_slow { DRIP_BYTES.min(left.len()) } else { left.len() });
            if to.write_all(now).await.is_err() {
                return;
            }
            if is_slow {
                tokio::time::sleep(DRIP_PAUSE).await;
            }
            left = later;
        }
    }
}
