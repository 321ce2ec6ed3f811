//! Searches whose failures are made up, so that they need no run.

use serde_json::{Value, json};

use super::*;
use crate::scenario;

/// Five data centers with six nodes, two services, and a bit of everything that a timeline knows.
fn rich() -> Value {
    let site = |id: &str, nodes: u64| json!({"id": id, "location": {"lat": 35.0, "lon": 139.0}, "nodes": nodes});
    json!({
        "$schema": "x.json", "format": 1, "name": "rich", "description": "All kinds.", "sources": ["https://example.org"],
        "seed": 7, "duration": "123.456s", "warmup": "7s", "drain": "61s",
        "topology": {
            "data_centers": [site("a", 2), site("b", 1), site("c", 1), site("d", 1), site("e", 1)],
            "network": {"latency": "distance", "jitter": 0.01},
            "links": [{"between": ["a", "b"], "round_trip": "17ms"}, {"between": ["c", "a/1"], "loss": 0.25}],
            "node": {"fsync": "2ms"}
        },
        "services": [
            {"id": "board", "application": "board", "replicas": 5, "spread": {"data_centers": 4}},
            {"id": "cells", "application": "kv", "place": ["a/0", "b/0", "e/0"]}
        ],
        "protocols": {"raft": {"election_timeout": "2700ms", "pre_vote": false}, "optimistic": {"break": "one-way-trust"}},
        "workload": [
            {"service": "board", "rate": "7.3/s", "reads": 0.62, "clients": 7, "keys": 321},
            {"service": "cells", "rate": "90/m", "from": ["a", "c", "e"], "swaps": 0.2, "profile": {"kind": "flash-crowd", "at": "30s"}}
        ],
        "timeline": [
            {"at": "11.3s", "do": "crash", "random": {"fraction": 0.4, "of": ["a", "c/0", "d"]}, "for": "13.7s", "disk": "lost"},
            {"at": "14.1s", "do": "crash", "majority_of": "board", "count": 2, "for": "5s"},
            {"at": "20s", "do": "pause", "primary_of": "cells", "for": "4.4s"},
            {"at": "23.7s", "do": "slow", "nodes": ["a/*", "e/0"], "factor": 12.5, "for": "10s"},
            {"at": "31s", "do": "clock", "zones": ["b"], "jump": "-1300ms"},
            {"at": "33s", "do": "partition", "groups": [["a", "b"], ["c"], ["*"]], "for": "9s"},
            {"at": "45s", "do": "cut", "from": ["a/0", "b"], "to": ["d"], "one_way": true, "for": "6s"},
            {"at": "52s", "do": "flap", "between": ["a", ["b", "c"]], "up": "1.5s", "down": "700ms", "for": "8s"},
            {"at": "61.237s", "do": "degrade", "between": ["d", "*"], "add_delay": "33ms", "loss": 0.137, "for": "7s"},
            {"at": "70s", "do": "load", "service": "board", "from": ["a", "b"], "factor": 3.5, "ramp": "2s", "for": "9s"},
            {"at": "80s", "do": "restart", "data_centers": ["a", "b"]},
            {"at": "81s", "do": "corrupt", "nodes": ["a/1"], "what": "log"},
            {"at": "90s", "do": "heal"}
        ],
        "failures": [{"kind": "node", "between": "10h", "repair": "5m"}],
        "expect": [{"metric": "availability", "service": "board", "from": "40s", "to": "100s", "at_least": 0.5},
                   {"metric": "writes_lost", "protocol": "raft", "equals": 0}]
    })
}

fn finding(value: &Value, label: &str) -> Subject {
    let scenario = scenario::from_value(value).unwrap_or_else(|wrong| panic!("{wrong}"));
    Subject::of(&scenario, label, scenario.seed).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn seeds(seeds: u64) -> Bounds {
    Bounds { seeds, keep: Vec::new() }
}

/// Searches to the end with so many trials at a time, and gives what was run too.
fn search(start: Subject, others: u64, ahead: usize, shows: impl Fn(&Subject) -> bool) -> (Search, Vec<Subject>) {
    search_in(start, &seeds(others), ahead, shows)
}

fn search_in(
    start: Subject,
    bounds: &Bounds,
    ahead: usize,
    shows: impl Fn(&Subject) -> bool,
) -> (Search, Vec<Subject>) {
    let mut search = Search::new(start, bounds, Answers::new());
    let mut run = Vec::new();
    loop {
        let trials: Vec<Subject> = search.trials(ahead).iter().map(|trial| trial.subject.clone()).collect();
        if trials.is_empty() {
            return (search, run);
        }
        let first = trials.iter().position(&shows);
        let answered = first.map_or(trials.len(), |first| first + 1);
        search.hear(&(0..answered).map(|at| Some(at) == first).collect::<Vec<_>>());
        run.extend(trials.into_iter().take(answered));
        assert!(run.len() < 100_000, "it does not end");
    }
}

fn kinds(subject: &Subject) -> Vec<&str> {
    edit::list(&subject.value, "/timeline").iter().filter_map(|entry| entry["do"].as_str()).collect()
}

#[test]
fn what_does_not_matter_goes() {
    // Two entries in this order, and a second service: all else is noise.
    let shows = |subject: &Subject| {
        let kinds = kinds(subject);
        let at = |kind: &str| kinds.iter().position(|&other| other == kind);
        matches!((at("cut"), at("heal")), (Some(cut), Some(heal)) if cut < heal) && subject.scenario.services.len() == 2
    };
    let (search, _) = search(finding(&rich(), "raft"), 4, 8, shows);
    let smallest = search.smallest();
    assert_eq!(kinds(smallest), ["cut", "heal"]);
    let site = |id: &str| json!({"id": id, "location": {"lat": 0, "lon": 0}, "nodes": 1});
    let wanted = json!({
        "format": 1, "name": "rich", "seed": 1, "duration": "1s", "warmup": "0s", "drain": "0s",
        "topology": {"data_centers": [site("b"), site("d")]},
        "services": [
            {"id": "board", "application": "board", "replicas": 1},
            {"id": "cells", "application": "kv", "place": ["b/0"]},
        ],
        "protocols": {"raft": {}},
        "workload": [{"service": "cells", "from": ["b"], "rate": "0.1/m", "clients": 1, "keys": 1}],
        "timeline": [{"at": "0s", "do": "cut", "from": ["b"], "to": ["d"]}, {"at": "0s", "do": "heal"}],
    });
    let text = |value: &Value| scenario::text(value, &smallest.scenario.resolved);
    assert_eq!(text(&smallest.value), text(&wanted));
}

#[test]
fn faults_become_plain() {
    let shows = |kind: &'static str| move |subject: &Subject| kinds(subject).contains(&kind);
    let cut_off = |subject: &Subject| kinds(subject).iter().any(|kind| ["cut", "flap"].contains(kind));
    let mut flaps = rich();
    flaps["timeline"] = json!([{"at": "52s", "do": "flap", "between": ["a", ["b", "c"]], "up": "2s", "down": "1s"}]);
    let (search_flap, _) = search(finding(&flaps, "raft"), 0, 8, cut_off);
    assert_eq!(kinds(search_flap.smallest()), ["cut"], "which is plainer than the flap");
    let slow = |subject: &Subject| ["slow", "pause", "crash"].iter().any(|kind| kinds(subject).contains(kind));
    let (search_slow, _) = search(finding(&rich(), "raft"), 0, 8, slow);
    let smallest = &search_slow.smallest().value["timeline"];
    assert_eq!(smallest.as_array().map(Vec::len), Some(1));
    assert!(smallest[0]["nodes"].as_array().is_some_and(|nodes| nodes.len() == 1), "{smallest}");
    let (search, _) = search(finding(&rich(), "raft"), 0, 8, shows("degrade"));
    let degrade = &search.smallest().value["timeline"][0];
    assert_eq!(edit::digits(degrade.get("loss").unwrap_or(&json!(0))), 0, "{degrade}");
}

#[test]
fn what_is_to_be_kept_is_kept() {
    let start = finding(&rich(), "raft");
    let bounds = Bounds { seeds: 0, keep: vec!["topology".into(), "duration".into()] };
    let (search, _) = search_in(start.clone(), &bounds, 8, |subject| kinds(subject).contains(&"cut"));
    let smallest = &search.smallest().value;
    for field in ["topology", "duration"] {
        assert_eq!(smallest[field], start.value[field]);
    }
    assert_eq!(kinds(search.smallest()), ["cut"]);
}

/// An oracle without rhyme or reason, which is a function of the scenario all the same.
fn whim(subject: &Subject) -> bool {
    !subject.scenario.hash.starts_with(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b'])
}

#[test]
fn every_trial_is_a_valid_scenario_of_the_same_protocol_and_each_step_is_smaller() {
    for label in ["raft", "optimistic"] {
        let start = finding(&rich(), label);
        let defect = start.defect().map(str::to_owned);
        let (search, run) = search(start, 3, 5, whim);
        let mut size = Size::of(&finding(&rich(), label));
        for trial in &run {
            let text = scenario::text(&trial.value, &trial.scenario.resolved);
            let again: Value = serde_json::from_str(&text).expect("the text is JSON");
            let again = scenario::from_value(&again).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!(again.hash, trial.scenario.hash);
            assert_eq!((trial.label(), trial.defect()), (label, defect.as_deref()));
            assert!(Size::of(trial) < size);
            if whim(trial) {
                size = Size::of(trial);
            }
        }
        assert!(run.len() > 100, "{}", run.len());
        // What was known to show was not run again.
        assert!(*search.size() <= size);
    }
}

#[test]
fn how_many_are_asked_at_a_time_changes_nothing() {
    let all = |ahead| {
        let (search, run) = search(finding(&rich(), "raft"), 3, ahead, whim);
        (search.smallest().value.clone(), run.into_iter().map(|trial| trial.scenario.hash).collect::<Vec<_>>())
    };
    let one = all(1);
    assert_eq!(all(7), one);
    assert_eq!(all(500), one);
}

#[test]
fn a_search_goes_on_from_its_answers_and_repeats_none() {
    let (whole, run) = search(finding(&rich(), "raft"), 3, 5, whim);
    for stopped in [0, 1, run.len() / 3, run.len()] {
        let answer = |trial: &Subject| (trial.scenario.hash[..32].to_owned(), whim(trial));
        let known: Answers = run[..stopped].iter().map(answer).collect();
        let mut search = Search::new(finding(&rich(), "raft"), &seeds(3), known);
        let mut asked = 0;
        loop {
            let answers: Vec<bool> = search.trials(1).iter().map(|trial| whim(&trial.subject)).collect();
            if answers.is_empty() {
                break;
            }
            asked += answers.len();
            search.hear(&answers);
        }
        assert_eq!(search.smallest().value, whole.smallest().value);
        assert_eq!(asked + stopped, whole.answers().len());
    }
}

#[test]
fn progress_is_of_one_search_only() {
    let start = finding(&rich(), "raft");
    let failure = Failure::Verdict { check: "I4".into() };
    let answers = Answers::from([("00".into(), true), ("11".into(), false)]);
    let text = Progress::new(&start, &failure, &seeds(4), answers.clone()).text();
    let resume = |start: &Subject, failure: &Failure, others, text: &str| {
        Progress::new(start, failure, &seeds(others), Answers::new()).resume(text)
    };
    assert_eq!(resume(&start, &failure, 4, &text), Ok(answers));
    let refused = |result: Result<Answers, String>, part: &str| {
        let why = result.expect_err("it is not of this search");
        assert!(why.contains(part), "{why}");
    };
    refused(resume(&finding(&rich(), "optimistic"), &failure, 4, &text), "another finding");
    refused(resume(&start, &Failure::Verdict { check: "I1".into() }, 4, &text), "I4 is violated");
    refused(resume(&start, &failure, 5, &text), "--seeds 4, and this is 5");
    let keeping = Bounds { keep: vec!["topology".into()], ..seeds(4) };
    refused(Progress::new(&start, &failure, &keeping, Answers::new()).resume(&text), "this is topology");
    refused(resume(&start, &failure, 4, &text.replace(env!("CARGO_PKG_VERSION"), "0.0.1")), "of firedrill 0.0.1");
    refused(resume(&start, &failure, 4, &text[..text.len() / 2]), "no progress of a shrink");
    refused(resume(&start, &failure, 4, "{}"), "no progress of a shrink");
}

#[test]
fn what_a_run_shows_is_told_apart_by_check_and_expectation() {
    let start = finding(&rich(), "raft");
    let [i1, i4] = ["I1", "I4"].map(|check| Failure::Verdict { check: check.into() });
    assert!(shows(&start, &i4, |_| vec![i1.clone(), i4.clone()]));
    assert!(!shows(&start, &i4, |_| vec![i1.clone()]));
    let broken = finding(&rich(), "optimistic");
    let with = |scenario: &scenario::Scenario| scenario.protocols[0].kind.defect().is_some();
    assert!(shows(&broken, &i4, |one| if with(one) { vec![i4.clone()] } else { Vec::new() }));
    assert!(!shows(&broken, &i4, |one| vec![if with(one) { i4.clone() } else { i1.clone() }]), "it must be sound");
    let slow = Failure::Expectation {
        metric: "recovery_s".into(),
        service: None,
        expected: "at most 1".into(),
        measured: true,
    };
    assert!(shows(&broken, &i4, |one| if with(one) { vec![i4.clone()] } else { vec![slow.clone()] }));
    assert!(!shows(&broken, &slow, |_| vec![slow.clone()]), "nobody could meet it");
}
