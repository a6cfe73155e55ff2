//! `cli → {http, desk, intake} → settlement → {contract, rules, store's port}`, and what each of them stands on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{root, rust_files};

/// Every module of the library, and those it may name beside itself.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("http", &["desk", "intake", "refusal", "runtime", "settlement", "store", "telemetry"]),
    ("desk", &["refusal", "settlement"]),
    ("outbox", &["intake", "runtime", "settlement", "store", "telemetry", "tls"]),
    ("registry", &["runtime", "settlement", "store", "telemetry"]),
    ("config", &["intake", "store", "system", "telemetry", "tls"]),
    ("samples", &["intake"]),
    ("intake", &["refusal", "runtime", "settlement", "system", "telemetry"]),
    ("settlement", &["refusal", "runtime", "store", "telemetry"]),
    ("store", &["catalogue", "refusal", "roster", "runtime", "sheet", "system"]),
    ("roster", &["sheet"]),
    ("catalogue", &["sheet"]),
    ("sheet", &["system"]),
    ("telemetry", &["runtime"]),
    ("tls", &[]),
    ("refusal", &[]),
    ("runtime", &[]),
    ("system", &[]),
];
/// It puts everything together.
const TOP: &str = "cli";
/// What is behind the store's port; whoever names one of them has left the port.
const BEHIND_THE_PORT: &[&str] = &["store::sqlite", "store::postgres"];
/// Policies are settled by and read by these; everybody else has what bills and refusals say.
const KNOW_RULES: &[&str] = &["settlement", "config", "intake", "registry"];

/// Paths into a package that a text names by `root`, to their second part: `store`, `store::sqlite`.
fn paths_named(text: &str, root: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for rest in text.split(root).skip(1) {
        note(rest, "", &mut named);
    }
    named
}

/// Notes the path, or the paths in braces, that `rest` begins with, below `parent`.
fn note(rest: &str, parent: &str, named: &mut BTreeSet<String>) {
    if let Some(list) = rest.strip_prefix('{') {
        members(list).into_iter().for_each(|member| note(member.trim_start(), parent, named));
        return;
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}::{name}") };
    if let Some(below) = after.strip_prefix("::").filter(|_| parent.is_empty()) {
        note(below, &path, named);
    }
    named.insert(path);
}

/// What stands between the commas of a list in braces, its opening brace gone.
fn members(list: &str) -> Vec<&str> {
    let (mut members, mut depth, mut begin) = (Vec::new(), 0_i32, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(&list[begin..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&list[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    members
}

/// As `crate::x`, or by as many `super::` as lead to the root.
fn named_by(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap();
    let inside = file.strip_prefix(root().join("src")).unwrap().components().count();
    let climbs = "super::".repeat(inside - usize::from(file.ends_with("mod.rs")));
    let mut named = paths_named(&text, "crate::");
    named.extend(paths_named(&text, &climbs));
    named
}

#[test]
fn paths_are_found_in_every_way_they_are_written() {
    for (text, expected) in [
        ("use crate::store::Store;", &["store", "store::Store"][..]),
        (
            "use crate::store::{Store, sqlite::{Options, Sqlite}};",
            &["store", "store::Store", "store::sqlite"],
        ),
        ("use crate::{refusal, store::sqlite::Sqlite};", &["refusal", "store", "store::sqlite"]),
        ("let x = crate::store::postgres::Options::default();", &["store", "store::postgres"]),
        ("use std::fs;", &[]),
    ] {
        let expected: BTreeSet<String> = expected.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(paths_named(text, "crate::"), expected, "{text}");
    }
}

#[test]
fn every_module_has_its_place() {
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules: BTreeSet<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let placed: BTreeSet<&str> = DIRECTIONS.iter().map(|(module, _)| *module).chain([TOP]).collect();
    assert_eq!(modules, placed);
    for module in modules {
        assert!(library.contains(&format!("[`{module}`]")), "{module} is not on the map");
    }
}

#[test]
fn dependencies_point_one_way() {
    let files = rust_files("src");
    for (module, below) in DIRECTIONS {
        let own: Vec<_> = files.iter().filter(|file| is_of(file, module)).collect();
        assert!(!own.is_empty(), "{module} has no file");
        for file in own {
            let named = named_by(file);
            for path in &named {
                let (first, _) = path.split_once("::").unwrap_or((path, ""));
                // A test beside the code names its own module by `super::`, whose items are no modules.
                if !is_module(first) {
                    continue;
                }
                assert!(first == *module || below.contains(&first), "{} uses crate::{path}", file.display());
            }
            let behind = BEHIND_THE_PORT.iter().find(|path| named.contains(**path));
            assert!(*module == "store" || behind.is_none(), "{} uses {behind:?}", file.display());
            let names_rules = fs::read_to_string(file).unwrap().contains("yizhan_rules");
            assert!(!names_rules || KNOW_RULES.contains(module), "{} names the rules", file.display());
        }
    }
}

fn is_module(name: &str) -> bool {
    name == TOP || DIRECTIONS.iter().any(|(module, _)| *module == name)
}

/// `src/x.rs`, or anything below `src/x`.
fn is_of(file: &Path, module: &str) -> bool {
    let inside = file.strip_prefix(root().join("src")).unwrap();
    inside.starts_with(module) || inside == Path::new(&format!("{module}.rs"))
}

/// No two of them stand on each other, whatever the way round.
#[test]
fn the_directions_form_no_circle() {
    let below = |module: &str| {
        DIRECTIONS.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, below)| below)
    };
    for (module, direct) in DIRECTIONS {
        let (mut open, mut seen) = (direct.to_vec(), BTreeSet::new());
        while let Some(next) = open.pop() {
            assert_ne!(next, *module, "{module} stands on itself");
            if seen.insert(next) {
                open.extend(below(next));
            }
        }
    }
}
