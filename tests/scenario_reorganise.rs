//! What `reorganise` means: policies, what a protocol changes of them, pools, the directory of agents, and every
//! contradiction at its place.

use firedrill::reorg::{Constraints, Policy};
use firedrill::scenario::{self, Diagnostics, Scenario, Source};
use firedrill::time::Duration;
use serde_json::{Value, json};

fn try_load(value: &Value) -> Result<Scenario, Diagnostics> {
    let bytes = serde_json::to_vec(value).expect("JSON can be written");
    scenario::load(&Source { name: "s.json".into(), bytes }, &[], &|_| Err("no files".into()))
}

fn load(value: &Value) -> Scenario {
    try_load(value).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

/// `path message` of each problem.
fn problems(value: &Value) -> Vec<String> {
    let line = |problem: &firedrill::scenario::Diagnostic| format!("{} {}", problem.path, problem.message);
    try_load(value).err().map_or(Vec::new(), |diagnostics| diagnostics.0.iter().map(line).collect())
}

fn base(reorganise: Value) -> Value {
    json!({
        "format": 1, "name": "base", "duration": "10m", "reorganise": reorganise,
        "topology": {"data_centers": [
            {"id": "tokyo", "region": "azure:japaneast", "zone": "kanto", "nodes": 2},
            {"id": "chiba", "region": "azure:japaneast", "zone": "kanto", "nodes": 1},
            {"id": "osaka", "region": "azure:japanwest", "nodes": 2},
            {"id": "sendai", "location": {"lat": 38.27, "lon": 140.87}, "nodes": 1},
        ]},
        "services": [
            {"id": "board", "application": "board"},
            {"id": "wide", "application": "kv", "replicas": 5, "spread": {"data_centers": 4, "zones": 3}},
        ],
        "protocols": {
            "optimistic": {},
            "fixed": {"kind": "optimistic", "reorganise": "off"},
            "bold": {"kind": "optimistic", "reads": "any",
                     "reorganise": {"constraints": {"next_disaster": false}, "lease": "20s"}},
            "repairing": {"kind": "raft", "reorganise": {"policy": "repair"}},
        },
        "workload": [{"service": "board", "rate": "50/s"}, {"service": "wide", "rate": "5/s"}],
    })
}

fn policy<'a>(scenario: &'a Scenario, label: &str) -> Option<&'a Policy> {
    let mut protocols = scenario.protocols.iter();
    protocols.find(|protocol| protocol.label == label).expect("there is such a label").policy.as_ref()
}

#[test]
fn nothing_is_reorganised_unless_asked_for() {
    let mut value = base(json!("off"));
    value["protocols"] = json!({"optimistic": {}, "fixed": {"kind": "optimistic", "reorganise": "off"}});
    let off = load(&value);
    assert!(off.map.is_none() && off.protocols.iter().all(|protocol| protocol.policy.is_none()));
    assert!(off.topology.nodes.iter().all(|node| node.power.is_none()), "and no energy is measured");
    let written = value.as_object_mut().expect("a scenario is an object");
    written.remove("reorganise");
    let absent = load(&value);
    assert!(absent.resolved.get("reorganise").is_none(), "what older results resolved to stays as it was");
    assert!(absent.agents(&absent.protocols[0]).is_none());
}

#[test]
fn the_constants_are_those_of_the_table() {
    let scenario = load(&base(json!({"policy": "save"})));
    let seconds = Duration::from_secs;
    let expected = Policy {
        repair: true,
        balance: true,
        save: true,
        constraints: Constraints::ALL,
        advertise: seconds(1),
        silent_after: seconds(4),
        repair_after: seconds(30),
        disaster_after: seconds(300),
        lease: seconds(15),
        high: 0.7,
        high_for: seconds(30),
        low: 0.3,
        low_for: seconds(300),
        headroom: 1.25,
        next_degree: 2,
        reserve_degree: 3,
        wake_within: seconds(300),
        overload_weight: 1000.0,
        violation_weight: 10_000.0,
        move_weight: 1.0,
        epsilon: 5.0,
    };
    assert_eq!(policy(&scenario, "optimistic"), Some(&expected));
    let written = &scenario.resolved["reorganise"];
    assert_eq!((&written["save"], &written["next_degree"], &written["pool"]), (&json!(true), &json!(2), &json!(2)));
    let again = scenario::from_value(&scenario.resolved).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!((again.protocols, again.map, again.hash), (scenario.protocols, scenario.map, scenario.hash));
}

#[test]
fn a_protocol_changes_what_it_names() {
    let scenario = load(&base(json!({"policy": "save", "repair_after": "40s", "constraints": {"share": false}})));
    let all = policy(&scenario, "optimistic").expect("it reorganises");
    assert_eq!(policy(&scenario, "fixed"), None);
    assert!(scenario.agents(&scenario.protocols[1]).is_none());
    let constraints = Constraints { share: false, next_disaster: false, ..Constraints::ALL };
    let bold = Policy { constraints, lease: Duration::from_secs(20), ..all.clone() };
    assert_eq!(policy(&scenario, "bold"), Some(&bold));
    let repairing = Policy { balance: false, save: false, ..all.clone() };
    assert_eq!(policy(&scenario, "repairing"), Some(&repairing));
}

#[test]
fn a_switch_overrides_its_policy_and_a_label_overrides_both() {
    let scenario = load(&base(json!({"policy": "save", "balance": false})));
    let switches = |label| policy(&scenario, label).map(|policy| (policy.repair, policy.balance, policy.save));
    assert_eq!(switches("optimistic"), Some((true, false, true)));
    assert_eq!(switches("bold"), Some((true, false, true)));
    assert_eq!(switches("repairing"), Some((true, false, false)));
}

#[test]
fn agents_are_told_what_there_is() {
    let scenario = load(&base(json!({"policy": "repair"})));
    let told = scenario.agents(&scenario.protocols[0]).expect("it reorganises");
    let map = &told.map;
    assert_eq!(map.machines.len(), 6);
    assert_eq!(map.sites.iter().map(|site| site.zone).collect::<Vec<_>>(), [0, 0, 1, 2]);
    assert_eq!(map.one_way(0.into(), 2.into()), Duration::from_millis(6));
    assert_eq!(map.machines[0].boot, Duration::from_secs(260));
    let board = &map.services[0];
    assert_eq!((board.degree, board.data_centers, board.zones), (3, 2, 2), "two, where nothing is said");
    assert_eq!(board.pool, (0..6).map(Into::into).collect::<Vec<_>>(), "any machine of a few");
    let wide = &map.services[1];
    assert_eq!((wide.degree, wide.data_centers, wide.zones), (5, 4, 3));
    assert!(!board.reads_anywhere);
    let bold = scenario.agents(&scenario.protocols[2]).expect("it reorganises");
    assert!(bold.map.services.iter().all(|service| service.reads_anywhere), "reads of any replica are its option");
}

#[test]
fn of_many_machines_a_few_may_hold_a_service() {
    let mut value = base(json!({"policy": "repair"}));
    for site in 0..4 {
        value["topology"]["data_centers"][site]["nodes"] = json!(20);
    }
    let scenario = load(&value);
    let map = scenario.map.as_ref().expect("it reorganises");
    for (service, plan) in map.services.iter().zip(&scenario.services) {
        assert!(plan.replicas.iter().all(|node| service.pool.contains(node)), "where it is placed it belongs");
        assert!(service.pool.windows(2).all(|pair| pair[0] < pair[1]));
        for site in &map.sites {
            let here: Vec<_> = service.pool.iter().filter(|node| site.nodes.contains(node)).collect();
            let placed = plan.replicas.iter().filter(|node| site.nodes.contains(node)).count();
            assert!((2..=2 + placed).contains(&here.len()), "{here:?}");
        }
    }
    assert_ne!(map.services[0].pool, map.services[1].pool);
    // The draw goes by names: a data center more, in front of the others, changes nothing for them.
    let sites = value["topology"]["data_centers"].as_array_mut().expect("a list");
    sites.insert(0, json!({"id": "oslo", "region": "azure:norwayeast", "nodes": 3}));
    value["services"][0]["place"] = json!(["tokyo/0", "osaka/0", "sendai/0"]);
    let more = load(&value);
    let names = |scenario: &Scenario, beside: &str| -> Vec<String> {
        let map = scenario.map.as_ref().expect("it reorganises");
        let names = map.services[0].pool.iter().map(|node| scenario.node(*node).to_owned());
        names.filter(|name| !name.starts_with(beside)).collect()
    };
    assert_eq!(names(&more, "oslo"), names(&scenario, "oslo"));
}

#[test]
fn machines_have_the_measured_power() {
    let scenario = load(&base(json!({"policy": "repair"})));
    let power = scenario.topology.nodes[0].power.as_ref().expect("energy is measured");
    assert_eq!((power.at(0.0), power.at(1.0), power.boot, power.sleep), (62.0, 419.0, 200.0, 5.0));
    assert!(power.deciles.windows(2).all(|pair| pair[0] < pair[1]));
    assert!((power.at(0.1) - 145.5).abs() < 0.1, "the first tenth costs most: {}", power.at(0.1));
}

#[test]
fn contradictions_are_found_where_they_are_written() {
    for (reorganise, expected) in [
        (json!({}), "reorganise.policy the reorganise has no `policy`"),
        (json!("on"), "reorganise `on` is not known here"),
        (json!({"policy": "sav"}), "reorganise.policy `sav` is not known here"),
        (json!({"policy": "save", "leese": "1s"}), "reorganise.leese unknown field `leese` in a reorganise"),
        (json!({"policy": "save", "high": 1.5}), "reorganise.high `1.5` is out of range"),
        (json!({"policy": "save", "headroom": 0.5}), "reorganise.headroom `0.5` is out of range"),
        (
            json!({"policy": "save", "silent_after": "2s"}),
            "reorganise.silent_after 2s with an advert each 1s: one lost message is silence",
        ),
        (
            json!({"policy": "save", "advertise": "8s", "silent_after": "20s"}),
            "reorganise.advertise 15s with an advert each 8s: one lost message ends a lease",
        ),
        (
            json!({"policy": "save", "repair_after": "4s"}),
            "reorganise.repair_after a machine would be replaced before it is silent (4s and 4s)",
        ),
        (
            json!({"policy": "save", "disaster_after": "20s"}),
            "reorganise.disaster_after a partition would be a disaster before a machine is replaced (30s and 20s)",
        ),
        (json!({"policy": "save", "low": 0.8}), "reorganise.low what is emptied below 0.8 is hot above 0.7"),
        (
            json!({"policy": "save", "next_degree": 3}),
            "reorganise.next_degree 3 replicas cannot outlive a data center: `board` has 3 in all",
        ),
    ] {
        assert_eq!(problems(&base(reorganise.clone())), [expected], "{reorganise}");
    }
    let mut value = base(json!({"policy": "save", "pool": 1}));
    value["topology"]["data_centers"][3]["nodes"] = json!(9);
    assert_eq!(
        problems(&value),
        ["reorganise.pool a pool of 1 in each data center is 4 machines, and `wide` has 5 replicas"]
    );
}

#[test]
fn contradictions_under_a_label_are_found_there() {
    let mut value = base(json!({"policy": "save"}));
    value["protocols"]["bold"]["reorganise"] = json!({"low": 0.9, "pool": 3});
    assert_eq!(
        problems(&value),
        [
            "protocols.bold.reorganise.low what is emptied below 0.9 is hot above 0.7",
            "protocols.bold.reorganise.pool unknown field `pool` in a reorganise changes",
        ]
    );
    let off = base(json!("off"));
    let why = "it changes the scenario's `reorganise`, which is off";
    assert_eq!(
        problems(&off),
        [format!("protocols.bold.reorganise {why}"), format!("protocols.repairing.reorganise {why}")]
    );
}

#[test]
fn machines_are_like_their_class_unless_they_say_otherwise() {
    let mut value = base(json!({"policy": "repair"}));
    let topology = &mut value["topology"];
    topology["node"] = json!({"capacity": "100/s", "shutdown": "10s"});
    topology["node_classes"] = json!([
        {"id": "big", "capacity": "800/s", "boot": "90s", "power": {"shape": "linear", "idle": 100, "full": 300}},
        {"id": "small", "power": {"shape": "deciles", "watts": [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19], "sleep": 1}},
    ]);
    topology["data_centers"][0]["nodes"] = json!([{"class": "big", "count": 2}, {"class": "big", "capacity": "900/s", "rack": "a"}, {"class": "small"}, {}]);
    topology["data_centers"][0]["pue"] = json!(1.5);
    let scenario = load(&value);
    let tokyo = &scenario.topology.nodes[..5];
    assert_eq!(tokyo.iter().map(|node| node.capacity).collect::<Vec<_>>(), [800.0, 800.0, 900.0, 100.0, 100.0]);
    assert_eq!(tokyo[1].name, "tokyo/1");
    let seconds = |time: Duration| time.as_nanos() / 1_000_000_000;
    assert_eq!(tokyo.iter().map(|node| seconds(node.boot)).collect::<Vec<_>>(), [90, 90, 90, 260, 260]);
    assert!(tokyo.iter().all(|node| seconds(node.shutdown) == 10));
    let watts = |node: usize, load: f64| tokyo[node].power.as_ref().expect("energy is measured").at(load);
    assert_eq!((watts(0, 0.0), watts(2, 0.5), watts(0, 1.0)), (100.0, 200.0, 300.0));
    assert_eq!((watts(3, 0.0), watts(3, 0.55), watts(4, 0.0)), (9.0, 14.5, 62.0));
    let small = tokyo[3].power.as_ref().expect("energy is measured");
    assert_eq!((small.boot, small.shutdown, small.sleep), (200.0, 9.0, 1.0), "it shuts down as at no load");
    let pues: Vec<_> = scenario.topology.data_centers.iter().map(|site| site.pue).collect();
    assert_eq!(pues, [1.5, 1.15, 1.15, 1.15]);
    assert!(scenario.resolved["topology"]["data_centers"][1].get("pue").is_none(), "what holds is not filled in");
    let again = scenario::from_value(&scenario.resolved).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!((again.topology, again.hash), (scenario.topology, scenario.hash));
}

#[test]
fn a_fan_curve_bends_below_the_line_at_its_end() {
    let mut value = base(json!({"policy": "repair"}));
    value["topology"]["node"] = json!({"power": {"shape": "fan-2007", "idle": 0, "full": 100}});
    let scenario = load(&value);
    let power = scenario.topology.nodes[0].power.as_ref().expect("energy is measured");
    assert_eq!((power.at(0.0), power.at(1.0)), (0.0, 100.0));
    // 2 x 0.5 - 0.5^1.4 = 0.6211.
    assert!((power.at(0.5) - 62.11).abs() < 0.01, "{}", power.at(0.5));
}

#[test]
fn watts_count_by_carbon_where_all_sites_tell_it() {
    let mut value = base(json!({"policy": "save"}));
    for (site, carbon) in [500, 500, 300, 100].into_iter().enumerate() {
        value["topology"]["data_centers"][site]["carbon"] = json!(carbon);
    }
    let scenario = load(&value);
    let weights: Vec<_> = scenario.map.expect("it reorganises").sites.iter().map(|site| site.weight).collect();
    let mean = 350.0;
    assert_eq!(weights, [500.0 / mean, 500.0 / mean, 300.0 / mean, 100.0 / mean]);
    value["topology"]["data_centers"][2].as_object_mut().expect("a data center").remove("carbon");
    assert_eq!(
        problems(&value),
        ["topology.data_centers.0.carbon `osaka` has no `carbon`: watts here and there cannot be compared"]
    );
}

#[test]
fn machines_that_cannot_be_are_refused() {
    let mut value = base(json!({"policy": "save"}));
    let topology = &mut value["topology"];
    topology["node"] = json!({"power": {"shape": "linear", "full": 50}});
    topology["node_classes"] = json!([
        {"id": "big", "power": {"shape": "deciles", "watts": [9, 10, 11, 12, 11, 14, 15, 16, 17, 18, 19]}},
        {"id": "big"}, {"id": "little", "power": {"shape": "curved"}},
    ]);
    topology["data_centers"][0]["nodes"] = json!([{"class": "bigg"}, {"class": "other", "count": 0}]);
    topology["data_centers"][1]["pue"] = json!(0.9);
    let mut found = problems(&value);
    found.sort();
    assert_eq!(
        found,
        [
            "topology.data_centers.0.nodes.0.class unknown node class `bigg`",
            "topology.data_centers.0.nodes.1.class unknown node class `other`",
            "topology.data_centers.0.nodes.1.count `0` is out of range",
            "topology.data_centers.1.pue `0.9` is out of range",
            "topology.node.power.full 62 W at no load are more than 50 W at full load",
            "topology.node_classes.0.power.watts.4 watts fall between a load of 30 % and 40 %",
            "topology.node_classes.1.id the node class `big` is repeated",
            "topology.node_classes.2.power.shape `curved` is not known here",
        ]
    );
}

#[test]
fn many_services_are_written_as_one() {
    let mut value = base(json!({"policy": "repair"}));
    value["services"] = json!([
        {"id": "s", "application": "kv", "copies": 12, "spread": {"zones": 3}},
        {"id": "board", "application": "board"},
    ]);
    value["workload"] = json!([
        {"service": "s-*", "from": ["tokyo", "osaka"], "rate": "4/s", "weights": [2, 0.5], "read_from": "nearest"},
        {"service": "board", "rate": "5/s"},
    ]);
    value["timeline"] = json!([{"at": "1m", "do": "load", "service": "s-0*", "factor": 8}]);
    let scenario = load(&value);
    let names: Vec<_> = scenario.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!((names.len(), names[0], names[9], names[11], names[12]), (13, "s-00", "s-09", "s-11", "board"));
    assert_eq!(scenario.loads.len(), 13);
    for (index, load) in scenario.loads[..12].iter().enumerate() {
        assert_eq!((load.service.index(), load.from.len(), load.reads_nearest), (index, 2, true));
        assert_eq!((load.rate_at(0.into()), load.rate_at(2.into())), (8.0, 2.0));
        assert_eq!(load.surges.len(), usize::from(index < 10), "s-00 to s-09");
    }
    let board = &scenario.loads[12];
    assert!(!board.reads_nearest && board.rate_at(3.into()) == 5.0);
    let used: std::collections::BTreeSet<_> = scenario.services.iter().flat_map(|one| one.replicas.clone()).collect();
    assert_eq!(used.len(), 6, "copies are placed one by one, on machines that others use least");
    assert_eq!(scenario.resolved["services"][3]["id"], "s-03");
    assert_eq!(scenario.resolved["timeline"][0]["from"], json!(["tokyo", "osaka"]));
    assert!(scenario.resolved["workload"][12].get("read_from").is_none(), "what holds is not filled in");
    let again = scenario::from_value(&scenario.resolved).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!((again.services, again.loads, again.hash), (scenario.services, scenario.loads, scenario.hash));
}

#[test]
fn what_is_wrong_with_many_is_said_once() {
    let mut value = base(json!({"policy": "repair"}));
    let long = "x".repeat(62);
    value["services"] = json!([
        {"id": "s", "application": "kv", "copies": 20, "spread": {"zones": 7}},
        {"id": "s-03", "application": "kv"},
        {"id": long, "application": "kv", "copies": 20},
        {"id": "t", "application": "kv", "copies": 9_999},
    ]);
    value["workload"] = json!([
        {"service": "sx-*", "rate": "1/s"},
        {"service": "s-*", "rate": "1/s", "weights": [1, 2], "appends": 0.7, "swaps": 0.7},
        {"service": "s-03", "rate": "1/s", "from": ["tokyo"], "weights": [0]},
    ]);
    let mut found = problems(&value);
    found.sort();
    assert_eq!(
        found,
        [
            "services.0.spread.zones 3 replicas cannot be in 7 zones: they reach 3".to_owned(),
            "services.1.id the service `s-03` is repeated".to_owned(),
            format!("services.2.id `{}…` is too long for 20 copies", &long[..60]),
            "services.3.copies more than 10000 services in all".to_owned(),
            "workload.0.service no service is like `sx-*`".to_owned(),
            "workload.1.swaps appends 0.7 and swaps 0.7 are more than all writes".to_owned(),
            "workload.1.weights 2 weights for 4 places".to_owned(),
            "workload.2.weights nobody asks anything: all weights are 0".to_owned(),
        ]
    );
    let mut value = base(json!({"policy": "repair"}));
    value["timeline"] = json!([{"at": "1m", "do": "load", "service": "u*", "factor": 8}]);
    assert_eq!(problems(&value), ["timeline.0.service no service is like `u*`"]);
}
