//! What `yizhan bench` has pgbench send is what the gateway sends: the server's log of one run says so.

use std::collections::{BTreeMap, BTreeSet};

use super::bench;
use crate::cluster::Cluster;

/// A statement by what it does to which tables, in order: `into stay`, `from person`.
type Skeleton = Vec<String>;

fn skeleton(sql: &str) -> Skeleton {
    let sql = sql.to_lowercase();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = sql.split(|c: char| !is_part(c)).filter(|word| !word.is_empty()).collect();
    // Names of subqueries, and what stands there that is no table.
    let mut passed = BTreeSet::from(["set", "select", "unnest", "generate_series", "null"]);
    passed.extend(words.windows(2).filter(|pair| pair[0] == "with").map(|pair| pair[1]));
    let touches = |pair: &[&str]| {
        let is_table = !passed.contains(pair[1]) && !pair[1].starts_with(|c: char| c.is_ascii_digit());
        let takes_one = ["from", "join", "into", "update", "using"].contains(&pair[0]);
        (takes_one && is_table).then(|| format!("{} {}", pair[0], pair[1]))
    };
    words.windows(2).filter_map(touches).collect()
}

/// Each session's statements in order, by whether pgbench sent them.
fn sessions(log: &str) -> [Vec<Vec<String>>; 2] {
    let mut of: BTreeMap<&str, (bool, Vec<String>)> = BTreeMap::new();
    let mut open = None;
    for line in log.lines() {
        if let (Some(session), Some(more)) = (open, line.strip_prefix('\t')) {
            let (_, statements) = of.entry(session).or_default();
            *statements.last_mut().unwrap() += &format!(" {more}");
            continue;
        }
        open = None;
        let Some((head, said)) = line.split_once("] LOG:  ") else { continue };
        let Some((_, session)) = head.rsplit_once('[') else { continue };
        let (name, sql) = match said.split_once(": ") {
            Some(("statement", sql)) => ("", sql),
            Some((executed, sql)) if executed.starts_with("execute ") => (&executed["execute ".len()..], sql),
            _ => continue,
        };
        let (is_pgbench, statements) = of.entry(session).or_default();
        *is_pgbench |= name.starts_with('P');
        statements.push(sql.to_owned());
        open = Some(session);
    }
    [false, true].map(|wanted| {
        let wanted = of.values().filter(|(is_pgbench, _)| *is_pgbench == wanted);
        wanted.map(|(_, statements)| statements.clone()).collect()
    })
}

/// What stands between a BEGIN and its COMMIT.
fn transactions(sessions: &[Vec<String>]) -> BTreeSet<Vec<Skeleton>> {
    let mut found = BTreeSet::new();
    for statements in sessions {
        let mut open: Option<Vec<Skeleton>> = None;
        for sql in statements {
            match sql.trim_end_matches(';').trim() {
                "BEGIN" => open = Some(Vec::new()),
                "COMMIT" => found.extend(open.take()),
                sql => {
                    let skeleton = skeleton(sql);
                    // The patient number under which somebody comes for the first time, whom pgbench knows already.
                    if let Some(open) = open.as_mut().filter(|_| skeleton != ["into person_key"]) {
                        open.push(skeleton);
                    }
                }
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbench_sends_what_the_gateway_sends() {
    let cluster = Cluster::start();
    let admin = cluster.client("postgres").await;
    for setting in ["log_statement = 'all'", "log_parameter_max_length = 0"] {
        admin.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await.unwrap();
    }
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let address = cluster.address(&cluster.database().await);
    let output = bench(&["--clients", "2", "--json", "--store", &address]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let [gateway, pgbench] = sessions(&cluster.log());
    let own = |sessions: &[Vec<String>]| -> BTreeSet<Vec<Skeleton>> {
        let writes_stays = |transaction: &Vec<Skeleton>| transaction.iter().any(|one| one == &["into stay"]);
        transactions(sessions).into_iter().filter(writes_stays).collect()
    };
    let (sent, sends) = (own(&pgbench), own(&gateway));
    // One that settles, and one that only adds to its stay.
    assert_eq!(sent.len(), 2, "{sent:#?}");
    for transaction in &sent {
        assert!(sends.contains(transaction), "the gateway never writes {transaction:#?}, but {sends:#?}");
    }
    let reads = |sessions: &[Vec<String>]| -> BTreeSet<Skeleton> {
        let of_ours = |sql: &&String| sql.starts_with("SELECT") && !sql.contains("pgbench");
        sessions
            .iter()
            .flatten()
            .filter(of_ours)
            .map(|sql| skeleton(sql))
            .filter(|one| !one.is_empty())
            .collect()
    };
    let (asked, asks) = (reads(&pgbench), reads(&gateway));
    assert!(asked.len() > 5, "{asked:#?}");
    assert!(asked.is_subset(&asks), "the gateway never asks {:#?}", asked.difference(&asks));
}
