use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::corpus::Corpus;
use super::grammar::Action;
use super::swarm::{self, Input};
use super::{Broken, Ended, Ground, Search, Trial};
use crate::rng::Stream;
use crate::scenario::{self, Scenario};

fn scenario(data_centers: &Value, services: &Value, workload: &Value) -> Scenario {
    let written = json!({
        "format": 1, "name": "ground", "duration": "60s",
        "topology": {"data_centers": data_centers},
        "services": services,
        "protocols": {
            "optimistic": {"heartbeat": "200ms"}, "raft": {"break": "skip-read-index"}, "omnipaxos": {},
            "viewstamped": {}, "lazy-consensus": {}, "dynamic-voting": {}, "static": {"kind": "static-primary"}
        },
        "workload": workload,
        "timeline": [{"at": "20s", "do": "crash", "nodes": ["*"]}],
        "expect": [{"metric": "availability", "at_least": 1}]
    });
    scenario::from_value(&written).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn site(id: &str, nodes: u64) -> Value {
    json!({"id": id, "region": "azure:japaneast", "nodes": nodes})
}

/// Grounds of many shapes: one machine, one site, sites of one machine, several services.
fn grounds() -> Vec<Scenario> {
    let kv = json!([{"id": "kv", "application": "kv", "replicas": 1}]);
    let asks = |service: &str| json!({"service": service, "rate": "1/s"});
    let two = json!([
        {"id": "kv", "application": "kv", "replicas": 3}, {"id": "board", "application": "board", "replicas": 2}
    ]);
    let board = json!([{"id": "board", "application": "board", "replicas": 5}]);
    vec![
        scenario(&json!([site("a", 1)]), &kv, &json!([asks("kv")])),
        scenario(&json!([site("a", 3)]), &two, &json!([asks("kv")])),
        scenario(&json!([site("a", 1), site("b", 1)]), &kv, &json!([asks("kv")])),
        scenario(&json!([site("a", 2), site("b", 2), site("c", 1)]), &board, &json!([asks("board")])),
        scenario(&json!([site("a", 2), site("b", 3)]), &two, &json!([asks("kv"), asks("board")])),
    ]
}

fn ground(scenario: &Scenario) -> Ground {
    Ground::new(scenario, &[], &Action::ALL).expect("it is a ground")
}

fn check(ground: &Ground, input: &Input) -> Scenario {
    let written = ground.scenario(input);
    scenario::from_value(&written).unwrap_or_else(|wrong| panic!("{wrong}\n{written:#}"))
}

#[test]
fn everything_that_is_drawn_or_varied_is_a_valid_scenario() {
    let mut seen = BTreeSet::new();
    for (place, scenario) in grounds().iter().enumerate() {
        let ground = ground(scenario);
        let mut stream = Stream::new(1, "test fuzz", &[place as u64]);
        for protocol in 0..ground.labels().len() {
            let mut corpus = Corpus::default();
            assert!(corpus.vary(&ground, &mut stream).is_none(), "there is nothing to vary");
            for _ in 0..40 {
                let input = swarm::draw(&ground, protocol, &mut stream);
                check(&ground, &input);
                seen.extend(input.timeline.iter().map(|entry| entry.action.name()));
                corpus.add(input);
                let varied = corpus.vary(&ground, &mut stream).expect("there is something to vary");
                assert_eq!(varied.protocol, protocol);
                check(&ground, &varied);
            }
        }
    }
    assert_eq!(seen.len(), Action::ALL.len(), "{seen:?}");
}

#[test]
fn quiet_endings_leave_time_to_come_to_rest_and_others_do_not_always() {
    let scenario = &grounds()[3];
    let ground = ground(scenario);
    let mut stream = Stream::new(2, "test fuzz", &[]);
    let (mut quiet, mut endless) = (0, 0);
    for _ in 0..300 {
        let input = swarm::draw(&ground, 0, &mut stream);
        let checked = check(&ground, &input);
        let end = checked.duration + checked.drain;
        let last = checked.timeline.iter().map(|fault| {
            let over = fault.lasts.map_or(fault.at, |lasts| fault.at + lasts);
            over.as_nanos()
        });
        let last = last.max().unwrap_or(0);
        if input.quiet {
            quiet += 1;
            assert!(last + 45_000_000_000 <= end.as_nanos(), "{:#}", ground.scenario(&input));
            let mut lasting = input.timeline.iter().filter(|entry| entry.may_last());
            assert!(lasting.all(|entry| entry.for_ms.is_some()));
        } else {
            endless += usize::from(input.timeline.iter().any(|entry| entry.may_last() && entry.for_ms.is_none()));
        }
    }
    assert!((100..290).contains(&quiet), "{quiet} of 300 are quiet");
    assert!(endless > 5, "{endless} of 300 never heal");
}

#[test]
fn what_a_scenario_writes_is_not_drawn() {
    let ground = ground(&grounds()[3]);
    let mut stream = Stream::new(3, "test fuzz", &[]);
    let mut drawn = BTreeSet::new();
    for _ in 0..200 {
        let input = swarm::draw(&ground, 0, &mut stream);
        let written = ground.scenario(&input);
        assert_eq!(written["protocols"]["optimistic"]["heartbeat"], "200ms");
        assert!(!input.options.contains_key("suspect_after"), "it is drawn together with the heartbeat");
        drawn.extend(input.options.keys().cloned());
        let raft = swarm::draw(&ground, 1, &mut stream);
        assert_eq!(ground.scenario(&raft)["protocols"]["raft"]["break"], "skip-read-index");
        assert!(written.get("expect").is_none());
    }
    assert!(drawn.contains("merge") && drawn.contains("epoch_max"), "{drawn:?}");
}

fn judged(features: &[u64], broken: &[&str]) -> Ended {
    let broken = broken.iter().map(|check| Broken { check: (*check).to_owned(), evidence: "so it is".into() });
    Ended::Judged(Trial { features: features.to_vec(), broken: broken.collect(), undecided: false, events: 1 })
}

#[test]
fn of_findings_alike_the_smallest_stays_under_one_name() {
    let scenario = &grounds()[3];
    let mut search = Search::new(Ground::new(scenario, &["raft".into()], &Action::usual()).expect("a ground"), 1);
    let inputs = search.draw(40);
    assert_eq!(inputs.len(), 40);
    let sizes: Vec<_> = inputs.iter().map(Input::size).collect();
    let ends = (0..40).map(|_| judged(&[7], &["fresh reads"])).collect();
    assert!(search.take(inputs, ends));
    let findings: Vec<_> = search.findings().collect();
    let [one] = findings[..] else { panic!("{findings:?}") };
    assert_eq!(one.size(), sizes.into_iter().min().expect("there are some"));
    assert_eq!((one.name.as_str(), one.first), ("fresh-reads-1", 0));
    assert_eq!(search.tallies().map(|(_, tally)| (tally.runs, tally.features())).collect::<Vec<_>>(), [(40, 1)]);

    let inputs = search.draw(3);
    let stopped = |line: u32| Ended::Stopped { place: format!("a.rs:{line}"), message: "broken".into() };
    assert!(search.take(inputs, vec![stopped(1), stopped(2), judged(&[8], &["I4"])]));
    let names: Vec<_> = search.findings().map(|finding| finding.name.clone()).collect();
    assert_eq!(names, ["i4-1", "fresh-reads-1", "panic-1", "panic-2"]);
    for finding in search.findings() {
        let loaded = scenario::from_value(&finding.scenario).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(loaded.protocols.len(), 1);
        assert!(loaded.description.contains("with the defect `skip-read-index`"), "{}", loaded.description);
        assert_eq!(loaded.seed, finding.seed);
    }
}

#[test]
fn a_search_is_a_function_of_its_seed() {
    let drawn = |seed: u64| {
        let mut search = Search::new(ground(&grounds()[4]), seed);
        let mut all = Vec::new();
        for round in 0..3 {
            let inputs = search.draw(super::ROUND);
            all.extend(inputs.iter().map(|input| search.ground().scenario(input)));
            let ends = (0..inputs.len() as u64).map(|place| judged(&[round * 40 + place % 50], &[])).collect();
            search.take(inputs, ends);
        }
        all
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn a_ground_without_time_or_without_protocols_is_refused() {
    let scenario = &grounds()[0];
    let why = |scenario: &Scenario, labels: &[String], actions: &[Action]| {
        Ground::new(scenario, labels, actions).expect_err("it is refused")
    };
    assert!(why(scenario, &[], &[Action::Partition]).contains("more nodes"));
    assert!(why(scenario, &["paxos".into()], &Action::ALL).contains("no protocol"));
    let mut short = scenario.clone();
    short.duration = short.warmup;
    assert!(why(&short, &[], &Action::ALL).contains("disasters take 5 s"));
}
