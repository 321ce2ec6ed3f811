//! Energy, load and moves of whole runs.

use firedrill::metrics::Metrics;
use firedrill::run::{Keep, RunResult, run};
use firedrill::scenario::{self, Scenario, Source};
use serde_json::json;

/// Three sites of two machines, one of which dies after a minute and is not seen again.
fn scenario() -> Scenario {
    let value = json!({
        "format": 1, "name": "site-lost", "duration": "3m", "warmup": "10s", "drain": "20s",
        "reorganise": {"policy": "repair"},
        "topology": {"data_centers": [
            {"id": "tokyo", "region": "azure:japaneast", "nodes": 2},
            {"id": "osaka", "region": "azure:japanwest", "nodes": 2},
            {"id": "seoul", "region": "azure:koreacentral", "nodes": 2},
        ]},
        "services": [
            {"id": "board", "application": "board", "place": ["tokyo/0", "osaka/0", "seoul/0"]},
            {"id": "shop", "application": "kv", "place": ["osaka/0", "tokyo/0"]},
        ],
        "protocols": {"optimistic": {}, "fixed": {"kind": "optimistic", "reorganise": "off"}},
        "workload": [{"service": "board", "rate": "5/s"}, {"service": "shop", "rate": "1/s"}],
        "timeline": [{"at": "60s", "do": "crash", "data_centers": ["seoul"]}],
    });
    let bytes = serde_json::to_vec(&value).expect("JSON can be written");
    scenario::load(&Source { name: "s.json".into(), bytes }, &[], &|_| Err("no files".into()))
        .unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn run_as(label: &str) -> RunResult {
    let scenario = scenario();
    let protocol = scenario.protocols.iter().find(|one| one.label == label).expect("there is such a label");
    run(&scenario, protocol, 1, Keep::default())
}

fn energy(metrics: &Metrics) -> f64 {
    metrics.energy_kwh.expect("it is measured")
}

#[test]
fn energy_is_told_of_machines_sites_services_phases_and_seconds() {
    let result = run_as("fixed");
    let table = &result.record.metrics;
    let all = energy(&table.all);
    let services: f64 = table.services.values().map(energy).sum();
    let phases: f64 = result.record.phases.iter().map(|phase| energy(&phase.metrics.all)).sum();
    let residency = result.record.residency.as_ref().expect("power is known");
    let nodes: f64 = residency.nodes.values().filter_map(|node| node.energy_kwh).sum();
    for sum in [services, phases, nodes] {
        assert!((sum / all - 1.0).abs() < 1e-9, "{sum} of {all}");
    }
    let ideal = table.all.energy_ideal_kwh.expect("it is measured");
    assert!(0.0 < ideal && ideal < all && table.all.energy_all_awake_kwh == table.all.energy_kwh, "nobody sleeps");
    // Six machines for 50 s, four for 120 s.
    let awake = table.all.nodes_awake_mean.expect("it is measured");
    assert!((awake - (6.0 * 50.0 + 4.0 * 120.0) / 170.0).abs() < 1e-9, "{awake}");
    assert_eq!(residency.nodes["seoul/1"].awake, [(0.0, 60.0)]);
    let power = result.power.expect("power is known");
    assert_eq!((power.seconds.len(), &power.data_centers[2][..]), (180, "seoul"));
    assert!(power.seconds[59][2].watts >= 2.0 * 62.0 && power.seconds[60][2].watts == 0.0);
    assert_eq!((power.seconds[60][2].nodes_down, power.seconds[60][0].nodes_awake), (2, 2));
    let board = &result.seconds[0].1;
    assert_eq!((board[59].nodes_awake, board[60].nodes_awake), (Some(3), Some(2)));
    let watts: f64 = result.seconds.iter().filter_map(|(_, seconds)| seconds[100].watts).sum();
    let sites: f64 = power.seconds[100].iter().map(|site| site.watts).sum();
    assert!((watts / sites - 1.0).abs() < 1e-9, "{watts} of {sites}");
    assert_eq!((table.all.moves, table.all.reprovision_s), (None, None), "nothing is reorganised");
}

#[test]
fn a_service_that_lost_a_site_is_provisioned_again() {
    let result = run_as("optimistic");
    let metrics = &result.record.metrics;
    let residency = result.record.residency.expect("there are agents");
    let events = &residency.replicas["board"];
    let story = |what: &str| events.iter().filter(|event| event.2 == what).collect::<Vec<_>>();
    assert_eq!(story("join").len(), 3 + story("start").len(), "{events:?}");
    assert!(metrics.services["board"].moves >= Some(1) && metrics.services["board"].bytes_moved > Some(0));
    let took = metrics.services["board"].reprovision_s.expect("it is whole again");
    // Nobody is missed before it was silent for 4 s; a site that is lost is not waited for as a single machine is.
    assert!((4.0..30.0).contains(&took), "{took}");
    assert_eq!(metrics.services["shop"].reprovision_s, Some(0.0), "it lost nothing");
}
