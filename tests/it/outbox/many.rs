//! Many hospitals at once.

use std::collections::BTreeMap;

use yizhan::settlement::payers::Payers;
use yizhan::store::seal::Key;
use yizhan_rules::PolicyShelf;

use super::*;
use crate::cluster;
use crate::stays::{Ports, open_postgres};

/// A sample hospital under another code, with a token of its own.
fn hospital(code: &str, address: Option<std::net::SocketAddr>) -> Profile {
    let path = project(&format!("tests/samples/hospitals/{COUNTY}.toml"));
    let token = format!("token_sha256 = \"{:0>64}\"", code.trim_start_matches('H'));
    let sample = std::fs::read_to_string(path).unwrap();
    let lines = sample.lines().map(|line| if line.starts_with("token") { &token } else { line });
    let sample = lines.collect::<Vec<_>>().join("\n").replace(COUNTY, code);
    let told_at = address.map(|address| format!("return_address = \"{address}\"\n")).unwrap_or_default();
    Profile::from_toml(&format!("{told_at}{sample}")).unwrap()
}

/// More hospitals than connections, and than may be told at once: whoever waits for a connection must not keep the
/// others from giving theirs back. Before them stands all that a hospital is to be told which has no address any more,
/// several times what is read at once: nobody waits until it is written down of each that it waits. Two gateways do it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_hospitals_are_told_at_once_over_few_connections() {
    const MOVED_AWAY: &str = "H37132399";
    const IN_FRONT: usize = 200;
    let told = Told::answering(&[]);
    let codes: Vec<String> = (1..=20).map(|nth| format!("H371323{nth:02}")).collect();
    let (mut addresses, mut listening) = (BTreeMap::new(), Vec::new());
    for code in &codes {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.insert(code.clone(), listener.local_addr().unwrap());
        listening.push(listen(listener, Arc::clone(&told)).await);
    }
    let profiles = |moved_away| {
        let here = addresses.iter().map(|(code, address)| hospital(code, Some(*address)));
        Profiles::new(here.chain([hospital(MOVED_AWAY, moved_away)]).collect()).unwrap()
    };
    let cluster = cluster::shared();
    let address = cluster.address(&cluster.database().await);
    let store: Arc<dyn Ports> = Arc::new(open_postgres(&address, Key::ephemeral().unwrap()).await.unwrap());
    let ids = Arc::default();
    let gateway = |profiles, name| {
        let policies = PolicyShelf::shipped().unwrap();
        House::over(Arc::clone(&store), policies, profiles, Payers::none(), name, Arc::clone(&ids))
    };
    let before = gateway(profiles(Some(free_port().await)), "before");
    before.fill().await;
    for nth in 0..IN_FRONT {
        settle(&before, MOVED_AWAY, &format!("M{nth}")).await;
    }
    for code in &codes {
        settle(&before, code, code).await;
    }
    let houses = ["a", "b"].map(|name| gateway(profiles(None), name));
    let workers = houses.iter().map(Worker::start).collect::<Vec<_>>();
    let is_moved_away = |entry: &OutboxEntry| &*entry.hospital == MOVED_AWAY;
    let waiting = outbox(&houses[0], |waiting| {
        let mut others = waiting.iter().filter(|entry| !is_moved_away(entry));
        assert!(others.clone().all(|entry| entry.why.is_none() && entry.attempts <= 1), "{waiting:?}");
        others.next().is_none() && waiting.iter().any(|entry| entry.why.is_some())
    });
    let waiting = waiting.await;
    assert_eq!(waiting.len(), IN_FRONT);
    for worker in workers {
        worker.stop().await;
    }
    let waiting = houses[0].store.outbox_waiting(1_000).await.unwrap();
    let said: Vec<&str> = waiting.iter().filter_map(|entry| entry.why.as_deref()).collect();
    assert!((1..=houses.len()).contains(&said.len()), "each gateway says it of one: {said:?}");
    assert!(said.iter().all(|why| says_both(why) && why.contains("no return_address")), "{said:?}");
    assert_eq!(told.ids().len(), codes.len(), "each once");
}
