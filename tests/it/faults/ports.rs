//! A port that goes takes the gateway with it: half of one would look alive to whoever watches.

use std::net::TcpListener;
use std::sync::Arc;

use tokio::time::timeout;
use yizhan::cli::serve::{Front, Listeners, serve};
use yizhan::http::Reading;
use yizhan::intake::mllp::client::Sender;
use yizhan::runtime::{RandomIds, Runtime, Shutdown, SystemClock};
use yizhan::settlement::payers::Payers;
use yizhan::store::sqlite::Sqlite;

use super::PATIENCE;
use super::process::{config, front, reception};
use crate::says_both;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_http_port_goes_stops_as_a_whole() {
    let runtime = Runtime { clock: Arc::new(SystemClock), ids: Arc::new(RandomIds) };
    let store = Arc::new(Sqlite::in_memory(Arc::clone(&runtime.ids)).unwrap());
    let reception = reception(store, Payers::none(), "house", (runtime, ""));
    // Open to readers without a token beyond this machine, which the HTTP port refuses to be.
    let http = TcpListener::bind("0.0.0.0:0").unwrap();
    let mllp = TcpListener::bind("127.0.0.1:0").unwrap();
    let door = mllp.local_addr().unwrap().to_string();
    let front = Front { reading: Reading::Open, ..front() };
    let (_stop, stopped) = Shutdown::new();
    let config = config();
    let ended = serve(&config, Listeners { http, mllp }, reception, front, stopped);
    let error = timeout(PATIENCE, ended).await.expect("it goes on without its port").unwrap_err().to_string();
    assert!(error.contains("HTTP") && says_both(&error), "{error}");
    assert!(Sender::connect(&door).await.is_err(), "MLLP goes on alone");
}
