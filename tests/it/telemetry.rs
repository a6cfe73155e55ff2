//! Every metric is described for `/metrics`, and something counts it.

use std::collections::BTreeSet;
use std::io::Error;
use std::net::SocketAddr;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use yizhan::runtime::Shutdown;
use yizhan::telemetry::{self as told, Channel};

use crate::project;

/// Every event that counts, once.
fn everything_happens() {
    let (why, address) = (Error::other("why"), SocketAddr::from(([127, 0, 0, 1], 1)));
    told::message_answered(Channel::Mllp, "t", "H", "noted", Duration::ZERO);
    told::refused(Channel::Http, "t", "bad_charges", None);
    told::refused_message_not_kept("t", &why);
    told::accepted_with_warning(Channel::Mllp, "t", "lf_separator", "MSH");
    told::stay_ended(&"s", "H", "settled");
    told::outbox_waits(3);
    told::bill_delivered(&"s", "his:1");
    told::bill_not_delivered(&"s", "his:1", &why);
    told::request_answered("/v1/discharges", 200, Duration::ZERO);
    told::beneficiary_looked_up("t", "H", true);
    told::desk_acted("t", "H", "commit", "settled");
    told::step_failed(&why);
    told::stay_left(&"s", &why);
    told::payer_refuses("insurer", Some(&"supplementary".parse().unwrap()), "no");
    told::calls_not_kept(1);
    told::adapter_taken("acme", "primary", &"answers");
    told::connection_began(&address, true);
    told::frame_broke_off(&address, 7);
}

/// The names in the source: a metric that is added is asked for here at once.
fn names() -> BTreeSet<String> {
    let source = std::fs::read_to_string(project("src/telemetry.rs")).unwrap();
    let quoted = source.split('"').filter(|text| text.starts_with("yizhan_"));
    let names: BTreeSet<String> = quoted.map(str::to_owned).collect();
    assert!(names.len() > 10, "{names:?}");
    names
}

#[tokio::test(start_paused = true)]
async fn histograms_nobody_asks_for_are_summed_up_all_the_same() {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, everything_happens);
    let handle = recorder.handle();
    let summed_up = || !format!("{handle:?}").contains("distributions: RwLock { data: {},");
    assert!(!summed_up(), "{handle:?}");
    let (stop, stopped) = Shutdown::new();
    let upkeep = tokio::spawn(told::keep_up(handle.clone(), stopped));
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::task::yield_now().await;
    stop.send(true).unwrap();
    upkeep.await.unwrap();
    assert!(summed_up(), "{handle:?}");
}

#[test]
fn every_metric_is_described_and_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        told::describe();
        everything_happens();
    });
    let shown = recorder.handle().render();
    for name in names() {
        let is_described = shown.lines().any(|line| line.starts_with(&format!("# HELP {name} ")));
        let is_sample =
            |line: &str| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with([' ', '{', '_']));
        assert!(is_described, "{name} says nothing of itself");
        assert!(shown.lines().any(is_sample), "{name} is counted nowhere");
    }
    assert!(shown.contains("yizhan_mllp_connections_total{security=\"tls\"} 1"), "{shown}");
    let refused =
        "yizhan_payer_events_total{adapter=\"insurer\",payer=\"supplementary\",event=\"refuses\"} 1";
    assert!(shown.contains(refused), "{shown}");
}
