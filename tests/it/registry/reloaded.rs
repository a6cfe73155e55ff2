//! The folder looked at again: what of an adapter stays as it was, what is told of it, and who is asked meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use yizhan::registry::Registry;
use yizhan::registry::standing::Noted;
use yizhan::settlement::bill::ComputedBy;
use yizhan::store::adapter_book::{AdapterBook, AdapterNote};
use yizhan_contract::payer::{Manifest, Payer};

use super::begun::{Given, begun, book, decided, house, notes, outcome, registry};
use super::insurer::Insurer;
use crate::installed::until;
use crate::receiver::PATIENCE;

const PRIMARY: &str = "mode = \"primary\"\notherwise = \"rules\"\n";

fn reached(registry: &Registry) -> Arc<dyn Payer> {
    registry.directory().named(&"acme".into())
}

/// Looks at a folder that has changed, and whether the adapter is reached as before: by the same connections, under the
/// same limits, left alone for as long.
async fn check(registry: &mut Registry, name: &str, is_ordered: bool, is_same: bool) {
    let before = reached(registry);
    let mut looked = async || {
        registry.look(is_ordered).await.unwrap();
        Arc::ptr_eq(&before, &reached(registry)) == is_same
    };
    // Who is to be reached anew has to answer in time first, which a slow one does the next time.
    let is_so = match is_same {
        true => looked().await,
        false => until(name, async || looked().await.then_some(true)).await,
    };
    assert!(is_so, "{name}: {}", notes(registry));
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
    insurer.says = |manifest| manifest.version = "9.9.9".to_owned();
    insurer.comes(Duration::ZERO).await;
    check(&mut registry, "another version of its service", true, false).await;
    insurer.goes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_under_another_name_is_the_same_adapter_also_while_its_service_does_not_answer() {
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    insurer.put(folder.path(), PRIMARY);
    let mut registry = registry(folder.path(), &insurer, "acme").await.unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::rename(at("acme.toml"), at("insurer.toml")).unwrap();
    check(&mut registry, "another name", false, true).await;
    insurer.goes().await;
    std::fs::rename(at("insurer.toml"), at("acme.toml")).unwrap();
    check(&mut registry, "another name while it is silent", false, true).await;
    assert_eq!(notes(&registry), "");
    std::fs::copy(at("acme.toml"), at("copy.toml")).unwrap();
    check(&mut registry, "a copy beside it", false, true).await;
    assert!(notes(&registry).contains("another file's adapter"), "{}", notes(&registry));
    std::fs::remove_file(at("acme.toml")).unwrap();
    check(&mut registry, "its copy alone", false, true).await;
    assert_eq!(notes(&registry), "");
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
    // In some seconds, or, where those are over by now, with the next question.
    assert!(standing.en.starts_with("does not answer, tried "), "{standing:?}");
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

/// Services that are asked what they are, and which of them may answer.
struct Desks {
    /// Asked and not answered; how many that were at most, and how many were asked in all.
    waiting: AtomicUsize,
    most: AtomicUsize,
    asked: watch::Sender<usize>,
    /// The first of them, by the order of their files, that may answer.
    from: watch::Sender<usize>,
}

impl Desks {
    /// A service that says what it is once it may, under the name `s` and its number.
    async fn open(self: &Arc<Self>, nth: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desks = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&desks).answers(stream, nth));
            }
        });
        format!("name = \"s{nth:02}\"\nurl = \"http://{address}\"\notherwise = \"rules\"\n")
    }

    async fn answers(self: Arc<Self>, mut stream: TcpStream, nth: usize) -> Option<()> {
        let mut came = [0; 4096];
        let is_over = stream.read(&mut came).await.ok()? == 0;
        if is_over {
            return None;
        }
        let waiting = self.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(waiting, Ordering::SeqCst);
        self.asked.send_modify(|asked| *asked += 1);
        let mut from = self.from.subscribe();
        // Whoever asks waits no longer, or it may answer.
        tokio::select! {
            _ = stream.read(&mut came) => {}
            _ = from.wait_for(|from| *from <= nth) => {}
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let manifest = Manifest::cautious(&format!("s{nth:02}"), "1", vec!["supplementary".parse().unwrap()]);
        let body = json!({"protocol": "1", "manifest": manifest}).to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
        let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.ok()
    }

    async fn are_asked(&self, so_many: usize) {
        let mut asked = self.asked.subscribe();
        let are_asked = timeout(PATIENCE, asked.wait_for(|asked| so_many <= *asked)).await;
        are_asked.unwrap_or_else(|_| panic!("{so_many} services are not asked")).unwrap();
    }
}

/// As many as may be asked at a time, and one more as soon as any of them has answered.
#[tokio::test]
async fn services_are_asked_side_by_side_what_they_are() {
    const AT_ONCE: usize = 16;
    let (mut insurer, folder) = (Insurer::open().await, TempDir::new().unwrap());
    let (waiting, most, asked) = Default::default();
    let desks = Arc::new(Desks { waiting, most, asked, from: watch::Sender::new(usize::MAX) });
    for nth in 1..=AT_ONCE + 1 {
        let mode = if nth == 1 { "shadow" } else { "off" };
        let file = desks.open(nth).await + &format!("mode = \"{mode}\"\n");
        std::fs::write(folder.path().join(format!("s{nth:02}.toml")), file).unwrap();
    }
    let book = book();
    let given = Given { name: "s01", book: book.clone(), ..Given::to(&insurer) };
    let asking = async {
        desks.are_asked(AT_ONCE).await;
        desks.from.send_replace(AT_ONCE);
        desks.are_asked(AT_ONCE + 1).await;
        desks.from.send_replace(0);
    };
    let (opened, ()) = tokio::join!(begun(folder.path(), given), asking);
    drop(opened.unwrap());
    assert_eq!(desks.most.load(Ordering::SeqCst), AT_ONCE);
    let notes = book.adapter_notes().await.unwrap();
    let read = |note: &AdapterNote| serde_json::from_str::<Noted>(&note.document).unwrap().version;
    let versions: Vec<String> = notes.iter().map(read).collect();
    assert_eq!(versions, (1..=AT_ONCE + 1).map(|nth| format!("s{nth:02} 1")).collect::<Vec<_>>());
    insurer.goes().await;
}
