//! The folder looked at again: what of an adapter stays as it was, what is told of it, and who is asked meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use yizhan::registry::Registry;
use yizhan::registry::standing::Noted;
use yizhan::settlement::bill::ComputedBy;
use yizhan::store::adapter_book::AdapterBook;
use yizhan_contract::payer::{Manifest, Payer};

use super::begun::{Given, begun, book, decided, house, notes, outcome, registry};
use super::insurer::Insurer;

const PRIMARY: &str = "mode = \"primary\"\notherwise = \"rules\"\n";

fn reached(registry: &Registry) -> Arc<dyn Payer> {
    registry.directory().named(&"acme".into())
}

/// Looks at a folder that has changed, and whether the adapter is reached as before: by the same connections, under the
/// same limits, left alone for as long.
async fn check(registry: &mut Registry, name: &str, is_ordered: bool, is_same: bool) {
    let before = reached(registry);
    registry.look(is_ordered).await.unwrap();
    let after = reached(registry);
    assert_eq!(Arc::ptr_eq(&before, &after), is_same, "{name}: {}", notes(registry));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_is_led_to_as_before_stays_as_it_is() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.put(folder.path(), PRIMARY);
    let mut registry = registry(folder.path(), &insurer, "acme").await.unwrap();
    check(&mut registry, "nothing changed", true, true).await;
    insurer.put(folder.path(), "mode = \"shadow\"\notherwise = \"left_out\"\n[budget]\nslow_ms = 50\n");
    check(&mut registry, "another mode and budget", false, true).await;
    assert!(notes(&registry).is_empty(), "{}", notes(&registry));
    insurer.put(folder.path(), PRIMARY);
    let key = insurer.authority.written_at("gateway.pem");
    let text = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, text.clone() + "\n").unwrap();
    check(&mut registry, "another certificate", false, false).await;
    std::fs::write(&key, text).unwrap();
    check(&mut registry, "the first again", false, false).await;
    insurer.goes().await;
    insurer.version = Some("9.9.9".to_owned());
    insurer.comes(Duration::ZERO).await;
    check(&mut registry, "another version of its service", true, false).await;
    insurer.goes().await;
}

/// What a gateway has written down of its only adapter.
async fn noted(book: &dyn AdapterBook) -> Noted {
    let notes = book.adapter_notes().await.unwrap();
    serde_json::from_str(&notes[0].document).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_left_alone_is_left_alone_over_a_reload_and_turned_off_all_the_same() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.put(folder.path(), PRIMARY);
    let book = book();
    let given = Given { book: book.clone(), ..Given::to(&insurer) };
    let (mut registry, _) = begun(folder.path(), given).await.unwrap();
    let house = house(&registry).await;
    insurer.goes().await;
    for nth in 1..=5 {
        outcome(&house, nth).await;
    }
    // It is there again, and would answer whoever did not know that it was away.
    insurer.comes(Duration::ZERO).await;
    insurer.put(folder.path(), &format!("{PRIMARY}[budget]\nslow_ms = 50\n"));
    check(&mut registry, "while it is left alone", false, true).await;
    registry.keep_notes().await.unwrap();
    let standing = noted(&*book).await.standing;
    assert!(standing.en.starts_with("does not answer, tried again in"), "{standing:?}");
    // Whoever turns it off because it does not answer needs no answer for that.
    insurer.put(folder.path(), "mode = \"off\"\notherwise = \"rules\"\n");
    check(&mut registry, "turned off", false, true).await;
    assert_eq!((decided(&house, 6).await, notes(&registry)), (ComputedBy::Gateway, String::new()));
    insurer.goes().await;
}

/// A file of the folder that leads to an address nobody listens at.
fn nowhere(folder: &Path, insurer: &Insurer, port: u16) {
    let text = insurer.file(PRIMARY).replace(&insurer.address.port().to_string(), &port.to_string());
    std::fs::write(folder.join("acme.toml"), text).unwrap();
}

#[tokio::test]
async fn what_is_not_taken_is_told_once_until_it_is_something_else() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counted = metrics::set_default_local_recorder(&recorder);
    let told = || {
        let shown = recorder.handle().render();
        let line = shown.lines().find_map(|line| line.split_once("{event=\"not_taken\"} "));
        line.map_or(0, |(_, count)| count.parse().unwrap())
    };
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.put(folder.path(), PRIMARY);
    let mut registry = registry(folder.path(), &insurer, "acme").await.unwrap();
    let mut looked = async |name: &str, expected: u32| {
        for nth in 0..3 {
            registry.look(nth == 2).await.unwrap();
            assert_eq!(told(), expected, "{name}, look {nth}: {}", notes(&registry));
        }
    };
    looked("good", 0).await;
    nowhere(folder.path(), &insurer, 1);
    looked("leads nowhere", 1).await;
    nowhere(folder.path(), &insurer, 2);
    looked("leads nowhere else", 2).await;
    insurer.put(folder.path(), "mode = \"of\"\notherwise = \"rules\"\n");
    looked("no file", 3).await;
    insurer.put(folder.path(), PRIMARY);
    looked("good again", 3).await;
    nowhere(folder.path(), &insurer, 2);
    looked("and bad again", 4).await;
    insurer.goes().await;
}

/// A service that says what it is once all of them have been asked.
async fn asked_together(name: &'static str, all: Arc<Barrier>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(describes(stream, name, Arc::clone(&all)));
        }
    });
    format!("name = \"{name}\"\nurl = \"http://{address}\"\notherwise = \"rules\"\n")
}

async fn describes(mut stream: TcpStream, name: &str, all: Arc<Barrier>) -> Option<()> {
    let mut came = [0; 4096];
    let is_over = stream.read(&mut came).await.ok()? == 0;
    if is_over {
        return None;
    }
    all.wait().await;
    let manifest = Manifest::cautious(name, "1", vec!["supplementary".parse().unwrap()]);
    let body = json!({"protocol": "1", "manifest": manifest}).to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_are_asked_side_by_side_what_they_are() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    let all = Arc::new(Barrier::new(3));
    for (name, mode) in [("one", "shadow"), ("two", "off"), ("three", "off")] {
        let file = asked_together(name, Arc::clone(&all)).await;
        std::fs::write(folder.path().join(format!("{name}.toml")), format!("{file}mode = \"{mode}\"\n"))
            .unwrap();
    }
    let book = book();
    let given = Given { name: "one", book: book.clone(), ..Given::to(&insurer) };
    let (_registry, _) = begun(folder.path(), given).await.unwrap();
    let notes = book.adapter_notes().await.unwrap();
    let read = |note: &yizhan::store::adapter_book::AdapterNote| {
        serde_json::from_str::<Noted>(&note.document).unwrap().version
    };
    let versions: Vec<String> = notes.iter().map(read).collect();
    assert_eq!(versions, ["one 1", "three 1", "two 1"]);
    insurer.goes().await;
}
