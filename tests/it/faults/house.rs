//! A gateway inside the test, over any store and clock, with both ports open: for faults that leave the process alive.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use yizhan::cli::serve::{Listeners, serve};
use yizhan::intake::mllp::client::{SendError, Sender};
use yizhan::runtime::{Clock, RandomIds, Runtime, Shutdown};
use yizhan::settlement::payers::Payers;
use yizhan::store::Store;

use super::PATIENCE;
use super::hospitals::TOKEN;
use super::payer::{Temper, payers};
use super::process::{Doors, config, front, reception};
use crate::gateway::Sent;
use crate::http::client::{Ask, Reply};

/// A gateway that serves until it is stopped.
pub(crate) struct House {
    pub(crate) doors: Doors,
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl House {
    /// With outside payers whose books lie in `books`.
    pub(crate) fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        (chain, temper, seed): (usize, Temper, u64),
        books: &Path,
    ) -> Self {
        let runtime = Runtime { clock, ids: Arc::new(RandomIds) };
        let payers = Payers::new(payers(chain, books, &runtime, (temper, seed))).unwrap();
        // What one of them drives goes on after it was closed: another must not bear its name.
        let name = format!("house {}", runtime.next_id());
        let reception = reception(store, payers, &name, (runtime, ""));
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = Listeners { http: listen(), mllp: listen() };
        let doors =
            Doors { http: listeners.http.local_addr().unwrap(), mllp: listeners.mllp.local_addr().unwrap() };
        let (stop, stopped) = Shutdown::new();
        let task =
            tokio::spawn(async move { serve(&config(), listeners, reception, front(), stopped).await });
        Self { doors, stop, task }
    }

    /// Lets it finish what it holds.
    pub(crate) async fn close(self) {
        self.stop.send(true).unwrap();
        timeout(PATIENCE, self.task).await.expect("the gateway does not stop").unwrap().unwrap();
    }

    pub(crate) async fn post(&self, sent: &Sent) -> Reply {
        let (body, _) = sent.bytes();
        let ask = Ask::post("/v1/discharges", body).token(TOKEN);
        let answer = timeout(PATIENCE, ask.try_send(self.doors.http)).await;
        answer.expect("no answer").expect("no answer")
    }

    /// Sends one HL7 message; MSA-1 of its answer, where one came while a sender waits for it.
    pub(crate) async fn hl7(&self, sent: &Sent) -> Option<String> {
        self.send(&sent.bytes().0, &sent.id).await
    }

    async fn send(&self, message: &[u8], id: &str) -> Option<String> {
        let mut sender = Sender::connect(&self.doors.mllp.to_string()).await.unwrap();
        match sender.send(message, id).await {
            Ok(acknowledged) => Some(acknowledged.code),
            Err(SendError::NoAnswer { .. }) => None,
            Err(why) => panic!("{why}"),
        }
    }

    /// The same in the enhanced mode: whether it was stored.
    async fn enhanced(&self, sent: &Sent) -> Option<String> {
        let text = String::from_utf8(sent.bytes().0).unwrap();
        let text = text.replacen("|P|2.5|||||", "|P|2.5|||AL|AL|", 1);
        self.send(text.as_bytes(), &sent.id).await
    }

    /// A store that is not available says so in every channel, and that no money moved.
    pub(crate) async fn says_unavailable(&self, over_http: &Sent, over_mllp: &Sent) {
        let reply = self.post(over_http).await;
        reply.is_problem(503, "store_unavailable");
        let again_s: Result<u32, _> = reply.header("retry-after").parse();
        assert!(again_s.is_ok_and(|again_s| again_s > 0), "{reply:?}");
        assert_eq!(self.hl7(over_mllp).await.as_deref(), Some("AR"));
        assert_eq!(self.enhanced(over_mllp).await.as_deref(), Some("CR"));
    }
}
