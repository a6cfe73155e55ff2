//! Outside payers over TLS: what they cost a settlement that asks them, and whether one that is slow or dead costs those
//! that do not.
//!
//! `cargo bench --bench outside -- wall` (payers of 20 to 80 ms) and `… -- isolation`, each with
//! `--store postgres://…` (an empty database) in place of a SQLite file. The gateway is `yizhan serve` as a process of its
//! own, which reads its adapters from a folder; payers, hospitals and the line between share this one.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, ended by any failure")]

mod figures;
mod hospitals;
mod house;
mod insurers;
mod isolation;
mod line;
mod wall;

fn main() {
    // Cargo adds a word of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["wall"] => wall::measure(None),
        ["wall", "--store", store] => wall::measure(Some(store)),
        ["isolation"] => isolation::measure(None),
        ["isolation", "--store", store] => isolation::measure(Some(store)),
        _ => println!("cargo bench --bench outside -- wall|isolation [--store postgres://…]"),
    }
}
