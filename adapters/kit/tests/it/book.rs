//! The file under every answer: what a dying process leaves of it, and what nobody may do to it.

use std::fs;
use std::path::Path;

use yizhan_kit::book::{Book, BookError, Kept};

#[derive(Debug, Default)]
struct Words(Vec<String>);

impl Kept for Words {
    type Record = String;

    fn apply(&mut self, word: &String) {
        self.0.push(word.clone());
    }
}

async fn written(path: &Path, words: &[&str]) {
    let book = Book::<Words>::open(path).unwrap();
    for word in words {
        let ((), position) = book.decide(|_| (vec![(*word).to_owned()], ()));
        book.durable(position).await.unwrap();
    }
}

fn read(path: &Path) -> Vec<String> {
    Book::<Words>::open(path).unwrap().read(|words| words.0.clone()).0
}

#[tokio::test]
async fn what_was_told_is_there_whatever_is_torn_off_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("book");
    written(&path, &["一", "two", "three"]).await;
    let whole = fs::read(&path).unwrap();
    let before_last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for end in before_last..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert_eq!(read(&path), ["一", "two"], "{end} bytes");
        assert_eq!(fs::metadata(&path).unwrap().len(), before_last as u64, "the rest is cut off");
    }
    // A machine that loses power may leave anything in place of what was not synced.
    fs::write(&path, [&whole[..before_last], &[0; 100], b"\n\0\n"].concat()).unwrap();
    assert_eq!(read(&path), ["一", "two"]);
    written(&path, &["four"]).await;
    assert_eq!(read(&path), ["一", "two", "four"]);
    for end in 0.."yizhan book 1\n".len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert_eq!(read(&path), [""; 0], "{end} bytes");
    }
}

#[tokio::test]
async fn a_book_with_a_damaged_middle_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("book");
    written(&path, &["one", "two", "three"]).await;
    let damaged = fs::read_to_string(&path).unwrap().replace("two", "tow");
    fs::write(&path, &damaged).unwrap();
    let why = Book::<Words>::open(&path).unwrap_err();
    assert!(matches!(why, BookError::Damaged { line: 3, .. }), "{why}");
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged, "nothing was changed");
    fs::write(&path, "name,amount\n").unwrap();
    assert!(matches!(Book::<Words>::open(&path), Err(BookError::NoBook(_))));
}

#[tokio::test]
async fn a_book_is_one_services() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("book");
    let held = Book::<Words>::open(&path).unwrap();
    assert!(matches!(Book::<Words>::open(&path), Err(BookError::Taken(_))));
    drop(held);
    assert!(Book::<Words>::open(&path).is_ok());
}
