//! What a scenario means: latencies, placement, profiles, labels, defaults.

use firedrill::scenario::{self, Scenario, Source};
use firedrill::time::Duration;
use firedrill::workload::Profile;
use firedrill::world::fault::{Action, Endpoint, Targets};
use serde_json::{Value, json};

fn load(value: &Value) -> Scenario {
    let source = Source { name: "s.json".into(), bytes: value.to_string().into_bytes() };
    scenario::load(&source, &[], &|_| Err("no files".into())).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn base() -> Value {
    json!({
        "format": 1, "name": "base", "duration": "10m",
        "topology": {"data_centers": [
            {"id": "tokyo", "region": "azure:japaneast", "zone": "kanto", "nodes": 2},
            {"id": "chiba", "region": "azure:japaneast", "zone": "kanto", "nodes": 1},
            {"id": "osaka", "region": "azure:japanwest", "nodes": 2},
            {"id": "sendai", "location": {"lat": 38.27, "lon": 140.87}, "nodes": 1},
        ]},
        "services": [{"id": "board", "application": "board"}],
        "protocols": {"optimistic": {}},
        "workload": [{"service": "board", "rate": "50/s"}],
    })
}

#[test]
fn latency_follows_measurement_then_distance() {
    let scenario = load(&base());
    let micros =
        |from: usize, to: usize| scenario.topology.between_sites(from.into(), to.into()).one_way.as_nanos() / 1000;
    assert_eq!(micros(0, 0), 50, "inside one data center 0.1 ms, there and back");
    assert_eq!(micros(0, 1), 385, "two data centers of one region 0.77 ms");
    assert_eq!(micros(0, 2), 6_000, "measured 12 ms");
    // 308 km: 2 ms + 34.03 ms x 258/950, halved.
    assert!((5_600..5_650).contains(&micros(0, 3)), "{}", micros(0, 3));
    let mut by_distance = base();
    by_distance["topology"]["network"] = json!({"latency": "distance"});
    let scenario = load(&by_distance);
    let nanos = scenario.topology.between_sites(0.into(), 2.into()).one_way.as_nanos();
    // 392 km: 2 ms + 34.03 ms x 342/950, halved.
    assert!((7_000_000..7_300_000).contains(&nanos), "{nanos}");
}

#[test]
fn links_change_sites_and_single_nodes() {
    let mut value = base();
    value["topology"]["links"] = json!([
        {"between": ["tokyo/1", "osaka/0"], "loss": 0.5},
        {"between": ["tokyo", "osaka"], "round_trip": "20ms", "bandwidth": "1Gbps"},
    ]);
    let topology = load(&value).topology;
    let (tokyo, osaka) = (topology.between_sites(0.into(), 2.into()), topology.between_sites(2.into(), 0.into()));
    assert_eq!(tokyo, osaka);
    assert_eq!((tokyo.one_way, tokyo.bandwidth), (Duration::from_millis(10), 1_000_000_000));
    let special = topology.between_nodes(3.into(), 1.into());
    assert_eq!((special.loss, special.one_way), (0.5, Duration::from_millis(10)), "on top of the data centers' link");
    assert_eq!(topology.between_nodes(0.into(), 3.into()).loss, 0.00001);
}

#[test]
fn placement_takes_new_zones_then_new_sites_then_idle_nodes() {
    let mut value = base();
    value["services"] = json!([
        {"id": "board", "application": "board"},
        {"id": "wide", "application": "kv", "replicas": 5},
    ]);
    let scenario = load(&value);
    let names = |service: usize| -> Vec<_> {
        scenario.services[service].replicas.iter().map(|node| scenario.node(*node)).collect()
    };
    assert_eq!(names(0), ["tokyo/0", "osaka/0", "sendai/0"], "three replicas unless said otherwise");
    assert_eq!(names(1), ["tokyo/1", "osaka/1", "sendai/0", "chiba/0", "tokyo/0"]);
}

#[test]
fn the_shipped_day_has_mean_one_and_the_measured_extremes() {
    let mut value = base();
    value["workload"][0]["profile"] = json!({"kind": "diurnal"});
    let Profile::Diurnal { hours, shifted, period, .. } = load(&value).loads.remove(0).profile else {
        panic!("the profile is a day");
    };
    let hundredths: Vec<_> = hours.iter().map(|factor| (factor * 100.0).round() as u32).collect();
    assert_eq!(hundredths.iter().sum::<u32>(), 2_400);
    assert_eq!((hundredths.iter().max(), hundredths.iter().min()), (Some(&160), Some(&45)));
    assert!(shifted && period == Duration::from_secs(86_400));
}

#[test]
fn a_timeline_is_sorted_labelled_and_resolved() {
    let mut value = base();
    value["timeline"] = json!([
        {"at": "3m", "do": "partition", "groups": [["tokyo/1", "osaka"], ["*"]]},
        {"at": "1m", "do": "crash", "zones": ["kanto"]},
        {"at": "1m", "do": "crash", "nodes": ["*/0"], "disk": "lost"},
        {"at": "1m", "do": "crash", "majority_of": "board"},
        {"at": "2m", "do": "crash", "random": {"fraction": 0.4}},
        {"at": "4m", "do": "cut", "from": "tokyo", "to": "sendai", "one_way": true},
        {"at": "5m", "do": "load", "service": "board", "factor": 8, "for": "1m"},
        {"at": "6m", "do": "slow", "nodes": ["osaka/0"], "factor": 2.5},
        {"at": "7m", "do": "heal"},
    ]);
    let scenario = load(&value);
    let labels: Vec<_> = scenario.timeline.iter().map(|fault| fault.label.as_str()).collect();
    let expected = [
        "crash kanto",
        "crash */0, disk lost",
        "crash majority of board",
        "crash 40% of nodes",
        "partition tokyo/1, osaka | *",
        "cut tokyo -> sendai",
        "load of board x8",
        "slow osaka/0 x2.5",
        "heal",
    ];
    assert_eq!(labels, expected);
    let Action::Crash { targets: Targets::Nodes { nodes, silent }, .. } = &scenario.timeline[0].action else {
        panic!("the first fault is a crash of nodes");
    };
    assert!(*silent && nodes.len() == 3, "zones fall silent");
    let Action::Crash { targets: Targets::Random { count, .. }, .. } = &scenario.timeline[3].action else {
        panic!("the fourth fault is a random crash");
    };
    assert_eq!(*count, 2, "0.4 of 6 nodes, rounded");
    let Action::Partition { groups } = &scenario.timeline[4].action else { panic!("the fifth fault is a partition") };
    let first =
        [Endpoint::Node(1.into()), Endpoint::Node(3.into()), Endpoint::Node(4.into()), Endpoint::Place(2.into())];
    assert_eq!(groups[0], first, "a node by itself leaves its clients with the rest");
    assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), 6 + 4, "each endpoint is in one group");
    assert_eq!(scenario.loads[0].surges.len(), 1);
    assert_eq!(scenario.loads[0].surges[0].from.len(), 4);
}

#[test]
fn the_schema_reference_is_not_hashed_and_everything_else_is() {
    let mut value = base();
    let plain = load(&value).hash;
    value["$schema"] = json!("scenario.schema.json");
    assert_eq!(load(&value).hash, plain);
    value["seed"] = json!(2);
    assert_ne!(load(&value).hash, plain);
}

#[test]
fn the_catalogue_names_every_kind() {
    let table = scenario::catalogue::protocols_table();
    assert_eq!(table.rows.len(), 7);
    for row in table.rows {
        let mut value = base();
        value["protocols"] = json!({"some": {"kind": row[0]}});
        assert_eq!(load(&value).protocols[0].kind.name(), row[0]);
    }
}

#[test]
fn defaults_that_depend_on_the_rest_are_filled_in() {
    let mut value = base();
    value["timeline"] = json!([{"at": "5m", "do": "load", "service": "board", "factor": 8}]);
    let resolved = load(&value).resolved;
    assert_eq!(resolved["topology"]["data_centers"][2]["zone"], "osaka");
    assert_eq!(resolved["services"][0]["replicas"], 3);
    assert_eq!(resolved["services"][0]["place"], json!(["tokyo/0", "osaka/0", "sendai/0"]));
    let everywhere = json!(["tokyo", "chiba", "osaka", "sendai"]);
    assert_eq!(resolved["workload"][0]["from"], everywhere);
    assert_eq!(resolved["timeline"][0]["from"], everywhere);
    assert_eq!(resolved["protocols"]["optimistic"]["kind"], "optimistic");
    assert_eq!((&resolved["warmup"], &resolved["drain"], &resolved["seed"]), (&json!("10s"), &json!("1m"), &json!(1)));
}
